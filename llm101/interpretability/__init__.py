"""Interpretability: which of the numbers that flow through a model mean what, and what happens if one is changed.

It reads a model through the capture points of model.py, which knows nothing of it.

Reading order: capture.py (read and replace), logit_lens.py, attention.py, patching.py (what carries an answer);
residuals.py, autoencoder/ (a language of latents, learned, measured and read), steering/ (what a latent does);
shipped.py (what comes with the Storyteller).
"""

from llm101.interpretability.attention import attention_patterns, induction_scores, offset_scores
from llm101.interpretability.autoencoder import (
    AutoencoderConfig,
    AutoencoderError,
    AutoencoderRecipe,
    AutoencoderTrainer,
    Scorecard,
    SparseAutoencoder,
    TrainedAutoencoder,
    score,
    train_autoencoder,
)
from llm101.interpretability.capture import CaptureError, capture, hooks
from llm101.interpretability.logit_lens import logit_lens
from llm101.interpretability.patching import patching_effects
from llm101.interpretability.residuals import residual_rows, sample_ids, text_ids
from llm101.interpretability.shipped import labelled_texts, shipped_autoencoder
from llm101.interpretability.steering import SteerableTwin, steered

__all__ = [
    "AutoencoderConfig",
    "AutoencoderError",
    "AutoencoderRecipe",
    "AutoencoderTrainer",
    "CaptureError",
    "Scorecard",
    "SparseAutoencoder",
    "SteerableTwin",
    "TrainedAutoencoder",
    "attention_patterns",
    "capture",
    "hooks",
    "induction_scores",
    "labelled_texts",
    "logit_lens",
    "offset_scores",
    "patching_effects",
    "residual_rows",
    "sample_ids",
    "score",
    "shipped_autoencoder",
    "steered",
    "text_ids",
    "train_autoencoder",
]
