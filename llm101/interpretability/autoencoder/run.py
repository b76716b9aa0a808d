"""All of it strung together: texts in, a sparse autoencoder with its scorecard out.

It knows models and texts; training.py and scorecard.py, which do the work, each know their half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from llm101.interpretability.autoencoder.scorecard import Scorecard, score
from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderConfig, SparseAutoencoder
from llm101.interpretability.autoencoder.training import AutoencoderRecipe, AutoencoderTrainer
from llm101.interpretability.capture import check_layer
from llm101.interpretability.residuals import Progress, residual_rows, sample_ids, text_ids
from llm101.outside.given import whole
from llm101.outside.strict_json import shown
from llm101.pretraining.device import bfloat16_pays

if TYPE_CHECKING:
    from llm101.library import LanguageModel

N_COUNTED_TOKENS = 1_000_000
"""A latent is dead if so many tokens leave it idle."""
Watch = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


class TrainedAutoencoder(NamedTuple):
    """What training brings."""

    autoencoder: SparseAutoencoder
    """With the scorecard's figures, rounded, as its own `scorecard`."""
    scorecard: Scorecard
    n_rows: int
    """How many residual vectors it was trained on."""


def train_autoencoder(
    lm: LanguageModel,
    sources: Sequence[Sequence[str]],
    valid: Sequence[str],
    *,
    layer: int = 3,
    n_latents: int = 3840,
    n_active: int = 16,
    n_tokens: int = 400_000,
    steps: int = AutoencoderRecipe.steps,
    learning_rate: float = AutoencoderRecipe.learning_rate,
    seed: int = AutoencoderRecipe.seed,
    on_trained: Callable[[SparseAutoencoder], None] = lambda _: None,
    watch: Watch = lambda *_: None,
) -> TrainedAutoencoder:
    """Train a sparse autoencoder on a model's residual stream, and measure it: `llm101 features train`.

    Args:
        lm: the model whose residual stream it reads.
        sources: lists of texts to learn from; each gives as many tokens as the others, as far as it goes.
        valid: texts to measure it on, which are in none of the sources.
        layer: it reads the residual stream after this layer.
        n_latents, n_active: how many latents it has, and how many of them are active per token.
        n_tokens: tokens of text to learn from.
        steps, learning_rate: see AutoencoderRecipe.
        seed: of the choice of texts, the first parameters and the order of the rows.
        on_trained: called with the autoencoder before it is measured, which takes longer than to train a small one.
        watch: called again and again with how far it has come.

    Raises:
        ValueError: naming the setting, its allowed range and the value it got, or a text without a token.
    """
    for name, value, least in (("n_tokens", n_tokens, 1), ("seed", seed, 0)):
        taken = whole(value)
        if taken is None or taken < least:
            raise ValueError(f"{name} must be a whole number from {least} upwards, got {shown(value)}")
    config = AutoencoderConfig(
        d_model=lm.model.config.d_model,
        d_sae=n_latents,
        layer=check_layer(lm.model, layer),
        k=n_active,
        fingerprint=lm.fingerprint,
    )
    bfloat16 = bfloat16_pays(torch.device("cpu"), config.d_model)
    recipe = AutoencoderRecipe(steps=steps, learning_rate=learning_rate, seed=seed, bfloat16=bfloat16)
    valid_ids = text_ids(lm, valid)
    ids, left = sample_ids(lm, sources, n_tokens, seed)
    rows = residual_rows(lm.model, ids, config.point, dtype=torch.float16, progress=_stage("reading texts", watch))
    sae = _trained(AutoencoderTrainer(rows.x, config, recipe), watch)
    on_trained(sae)
    n_more = max(0, N_COUNTED_TOKENS - _n_tokens(valid_ids)) * len(left) // max(1, _n_tokens(left))
    card = score(lm.model, sae, valid_ids, count_ids=left[:n_more], progress=_stage("measuring", watch))
    sae.scorecard = {name: round(value, 5) for name, value in card.facts().items()}
    return TrainedAutoencoder(sae, card, len(rows.x))


def _trained(trainer: AutoencoderTrainer, watch: Watch) -> SparseAutoencoder:
    for moment in trainer.moments():
        how_well = f"{1 - moment.unexplained:.3f} of the variance explained, {moment.n_dead} latents idle"
        watch(f"training, {how_well}", moment.step, trainer.recipe.steps)
    return trainer.autoencoder()


def _stage(name: str, watch: Watch) -> Progress:
    return lambda done, total: watch(name, done, total)


def _n_tokens(ids: Sequence[Sequence[int]]) -> int:
    return sum(map(len, ids))
