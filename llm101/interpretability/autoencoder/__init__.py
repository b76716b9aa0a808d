"""A language of latents: learned, measured, and read.

Reading order: sparse_autoencoder.py, training.py, scorecard.py (how good it is), run.py (all of it strung together);
detectors.py and features.py (what a latent means).
"""

from llm101.interpretability.autoencoder.run import TrainedAutoencoder, train_autoencoder
from llm101.interpretability.autoencoder.scorecard import Scorecard, score
from llm101.interpretability.autoencoder.sparse_autoencoder import (
    AutoencoderConfig,
    AutoencoderError,
    SparseAutoencoder,
)
from llm101.interpretability.autoencoder.training import AutoencoderRecipe, AutoencoderTrainer

__all__ = [
    "AutoencoderConfig",
    "AutoencoderError",
    "AutoencoderRecipe",
    "AutoencoderTrainer",
    "Scorecard",
    "SparseAutoencoder",
    "TrainedAutoencoder",
    "score",
    "train_autoencoder",
]
