"""The scorecard of a sparse autoencoder: how few latents, how much they explain, what the model loses by them.

It measures and judges nothing. The start token of each text is left as it is and not counted.

Reading order: Scorecard, score, then losses_with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llm101.interpretability.autoencoder.sparse_autoencoder import SparseAutoencoder
from llm101.interpretability.capture import capture
from llm101.interpretability.losses import sum_of_losses
from llm101.interpretability.residuals import Progress, padded_batches
from llm101.model import Transformer

DENSE = 0.1
"""A latent that is active on a larger share of the tokens than this counts as dense."""


@dataclass(frozen=True)
class Scorecard:
    """The figures by which sparse autoencoders are compared."""

    n_tokens: int
    """Tokens looked at, start tokens not counted."""
    l0: float
    """Active latents per token, on average."""
    explained_variance: float
    """1 - sum |x - x_hat|^2 / sum |x - mean|^2, each sum over all tokens."""
    n_counted_tokens: int
    """Tokens over which the active latents were counted: those above and more."""
    dead_share: float
    """Share of latents that none of these tokens made active."""
    dense_share: float
    """Share of latents that are active on more than a tenth of the tokens."""
    n_loss_tokens: int
    """Tokens over which the four losses below were averaged."""
    loss_nats: float
    """The model's own loss per token."""
    loss_nats_rebuilt: float
    """Its loss where the residual stream is what the autoencoder makes of it."""
    loss_nats_zero: float
    """Its loss where the residual stream is all zeros."""
    loss_nats_mean: float
    """Its loss where the residual stream is its own mean."""

    @property
    def delta_loss_nats(self) -> float:
        """What passing through the autoencoder costs, in nats per token: the raw figure."""
        return self.loss_nats_rebuilt - self.loss_nats

    @property
    def recovered_zero(self) -> float:
        """Share of the loss that zeros would cost and the autoencoder saves. It flatters."""
        return (self.loss_nats_zero - self.loss_nats_rebuilt) / (self.loss_nats_zero - self.loss_nats)

    @property
    def recovered_mean(self) -> float:
        """The same, compared with the mean instead of zeros."""
        return (self.loss_nats_mean - self.loss_nats_rebuilt) / (self.loss_nats_mean - self.loss_nats)

    def facts(self) -> dict[str, Any]:
        """All figures by name, as `llm101 features train --json` prints them."""
        derived = ("delta_loss_nats", "recovered_zero", "recovered_mean")
        return dataclasses.asdict(self) | {name: getattr(self, name) for name in derived}


@torch.no_grad()
def score(
    model: Transformer,
    sae: SparseAutoencoder,
    ids: Sequence[Sequence[int]],
    *,
    count_ids: Sequence[Sequence[int]] = (),
    n_loss_texts: int = 300,
    progress: Progress | None = None,
) -> Scorecard:
    """Measure a sparse autoencoder on texts that it was not trained on.

    Args:
        model: the model that it belongs to.
        ids: one list of token ids per text, start token included (see residuals.text_ids).
        count_ids: more texts, which count only for which latents are ever active.
        n_loss_texts: the losses, which take the model four runs, are measured on the first so many texts.

    Raises:
        AutoencoderError: it was made for a model of another shape.
    """
    sae.check_fits(model)
    n, total, squares, missed, active = 0, torch.zeros(sae.config.d_model), 0.0, 0.0, torch.zeros(sae.config.d_sae)
    for x in _rows(model, sae.config.point, ids, progress):
        latents = sae.encode(x)
        n += len(x)
        total, squares = total + x.sum(dim=0), squares + float(x.double().pow(2).sum())
        missed += float((x - sae.decode(latents)).double().pow(2).sum())
        active += (latents > 0).sum(dim=0)
    mean, l0, n_counted = total / n, float(active.sum()) / n, n
    variance = squares - n * float(mean.double().pow(2).sum())
    for x in _rows(model, sae.config.point, count_ids, progress):
        active += (sae.pre_activations(x) > sae.threshold).sum(dim=0)
        n_counted += len(x)
    losses = losses_with(
        model,
        ids[:n_loss_texts],
        sae.config.layer,
        {"": lambda x: x, "_rebuilt": sae, "_zero": torch.zeros_like, "_mean": mean.expand_as},
    )
    return Scorecard(
        n_tokens=n,
        l0=l0,
        explained_variance=1 - missed / variance,
        n_counted_tokens=n_counted,
        dead_share=float((active == 0).float().mean()),
        dense_share=float((active > DENSE * n_counted).float().mean()),
        n_loss_tokens=sum(len(text) - 2 for text in ids[:n_loss_texts]),
        **{f"loss_nats{name}": loss for name, loss in losses.items()},
    )


def _rows(model: Transformer, point: str, ids: Sequence[Sequence[int]], progress: Progress | None) -> Iterator[Tensor]:
    """The residual vectors of the texts, batch by batch, [n, d_model]; start tokens and filling left out."""
    done = 0
    for batch in padded_batches(ids):
        yield capture(model, batch.token_ids, point)[point][:, 1:][batch.is_token[:, 1:]]
        done += len(batch.texts)
        if progress:
            progress(done, len(ids))


@torch.no_grad()
def losses_with(
    model: Transformer, ids: Sequence[Sequence[int]], layer: int, changes: dict[str, Callable[[Tensor], Tensor]]
) -> dict[str, float]:
    """The model's loss if the residual stream after a layer is changed, for each of several changes.

    The layers up to there run once for all of them.

    Args:
        changes: functions from residual vectors [..., d_model] to others; the start token's is left alone.

    Returns:
        Nats per token, for each change; averaged over the tokens whose own residual vector was changed.
    """
    point = f"layers.{layer}.resid_post"
    sums, n = dict.fromkeys(changes, 0.0), 0
    for batch in padded_batches(ids):
        residual = capture(model, batch.token_ids, point)[point]
        text, target = batch.is_token[:, 2:].nonzero(as_tuple=True)  # the token at 2 is predicted at 1, and so on
        targets = batch.token_ids[text, target + 2]
        n += len(targets)
        for name, change in changes.items():
            changed = torch.cat((residual[:, :1], change(residual[:, 1:])), dim=1)
            normed = run_from(model, layer + 1, changed)[text, target + 1]
            sums[name] += sum_of_losses(model, normed, targets)
    return {name: total / n for name, total in sums.items()}


def run_from(model: Transformer, layer: int, residual: Tensor) -> Tensor:
    """The rest of the layers, from the residual stream before one: what the output layer reads, [batch, seq, d_model].

    A hook could change the stream too, but then the layers below would compute the same again for each change.
    """
    decoder, seq = model.model, residual.shape[1]
    cos, sin = decoder.rotary(torch.arange(seq, device=residual.device))
    masks = decoder.masks(seq, 0, residual.device)
    for i, later in enumerate(decoder.layers[layer:], start=layer):
        residual = later(residual, cos, sin, masks[model.config.window(i)], kv_cache=None)
    return decoder.norm(residual)
