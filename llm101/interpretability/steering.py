"""Steering: hold one latent of the residual stream at a strength of our choosing, and let the model go on from there.

As Anthropic's "Golden Gate Claude" did it (Templeton et al. 2024, "Scaling Monosemanticity"): encode, set the latent,
decode, and keep the reconstruction error, so that everything the autoencoder does not see stays as it is. Decoding
is linear, so that all of this comes to adding one direction:

    x + error' = x + (strength - latent) W_dec[latent]

It knows models and autoencoders; what a steered text is worth is measured in steering_study.py.

Reading order: clamp, add, then SteeredModel's two halves: save_steering and steered.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from llm101.interpretability.capture import Hook, hooks
from llm101.interpretability.sparse_autoencoder import SparseAutoencoder
from llm101.model import Transformer


def clamp(sae: SparseAutoencoder, latent: int, strength: float) -> Hook:
    """A hook that holds a latent at a strength, whatever the text says.

    Args:
        sae: whose latent it is.
        latent: 0 to d_sae - 1.
        strength: in the units of the residual stream; 0 removes what the latent stands for.

    Raises:
        AutoencoderError: no such latent.

    Example:
        >>> from llm101.interpretability.sparse_autoencoder import AutoencoderConfig
        >>> sae = SparseAutoencoder(AutoencoderConfig(d_model=2, d_sae=2, layer=0, k=1))
        >>> with torch.no_grad():
        ...     _ = sae.W_enc.copy_(torch.eye(2)), sae.W_dec.copy_(torch.eye(2))
        >>> clamp(sae, 1, 5.0)(torch.tensor([[3.0, 2.0]]))
        tensor([[3., 5.]])
    """
    direction, reader = sae.W_dec[sae.check_latent(latent)], sae.W_enc[:, latent]

    def hook(residual: Tensor) -> Tensor:
        pre = residual @ reader + sae.b_enc[latent]
        now = pre * (pre > sae.threshold)
        return residual + (strength - now)[..., None] * direction

    return hook


def add(direction: Tensor, strength: float) -> Hook:
    """A hook that adds a direction, made as long as `strength`, at every token.

    Example:
        >>> add(torch.tensor([0.0, 10.0]), 3.0)(torch.tensor([[1.0, 1.0]]))
        tensor([[1., 4.]])
    """
    step = strength * direction / direction.norm()
    return lambda residual: residual + step


def steered(model: Transformer, sae: SparseAutoencoder, latent: int, strength: float) -> AbstractContextManager[None]:
    """While the block runs, the model thinks of one thing: see clamp.

    Completions, streams and batches all run through it, KV cache and all.

    Raises:
        AutoencoderError: no such latent, or an autoencoder for a model of another shape.

    Example:
        >>> import llm101
        >>> lm, sae = llm101.load("storyteller"), shipped_autoencoder()   # doctest: +SKIP
        >>> with steered(lm.model, sae, 123, 300.0):                       # doctest: +SKIP
        ...     lm.complete("Once upon a time", max_tokens=20).text
    """
    sae.check_fits(model)
    return hooks(model, {sae.config.point: clamp(sae, latent, strength)})
