"""A sparse autoencoder: a model's crowded residual stream, rewritten as a few active latents out of many.

It knows vectors and nothing of models or texts; what its latents mean is for others to find out.

Reading order: SparseAutoencoder (its docstring is the equations), AutoencoderConfig, then its file.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm101.model import Transformer
from llm101.outside.given import whole
from llm101.outside.strict_json import shown, strict_json
from llm101.parameters import ParameterFile, ParameterFileError, write_parameters
from llm101.parameters.parameter_file import is_finite

TENSORS = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")


class AutoencoderError(ValueError):
    """A file that holds no sparse autoencoder, one for another model, or a latent that it does not have."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """The shape of a sparse autoencoder, and the place in the model that it reads.

    Raises:
        AutoencoderError: naming the field, the value it got and what would be allowed.
    """

    d_model: int
    """Width of the residual stream that goes in and comes out."""
    d_sae: int
    """How many latents there are."""
    layer: int
    """It reads the residual stream after this layer (`layers.N.resid_post`)."""
    k: int
    """How many latents are active per token, on average over a training batch."""
    fingerprint: str = ""
    """The identity of the model that it was trained on (see ParameterFile.fingerprint)."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("d_model", 1, 2**20),
            ("d_sae", 1, 2**24),
            ("layer", 0, 2**16),
            ("k", 1, self.d_sae),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise AutoencoderError(f"{name} must be a whole number from {least} to {most}, got {shown(value)}")
        if not isinstance(self.fingerprint, str):
            raise AutoencoderError(f"fingerprint must be a text, got {shown(self.fingerprint)}")

    @property
    def point(self) -> str:
        """The capture point that it reads."""
        return f"layers.{self.layer}.resid_post"


class SparseAutoencoder(nn.Module):
    """Latents that are nearly all zero, from which the residual stream can nearly be rebuilt.

        pre      = x W_enc + b_enc                        [..., d_sae]
        latents  = pre where pre > threshold, else 0      JumpReLU (Rajamanoharan et al. 2024, arXiv 2407.14435)
        x_hat    = latents W_dec + b_dec                  [..., d_model]
        error    = x - x_hat

    Each row of W_dec has length 1: it is the direction that its latent writes, and the latent says how far, in the
    units of the residual stream. While training, the threshold is whatever lets k latents per token through, on
    average over the batch (BatchTopK: Bussmann et al. 2024, arXiv 2412.06410); afterwards it is fixed, so that a
    text's latents do not depend on what else is in the batch.

    Attributes:
        W_enc [d_model, d_sae], b_enc [d_sae], W_dec [d_sae, d_model], b_dec [d_model], threshold [1].

    Example:
        >>> sae = SparseAutoencoder(AutoencoderConfig(d_model=2, d_sae=3, layer=0, k=1))
        >>> with torch.no_grad():
        ...     _ = sae.W_enc.copy_(torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]))
        ...     _ = sae.W_dec.copy_(sae.W_enc.T)
        >>> _ = sae.threshold.fill_(0.5)
        >>> latents = sae.encode(torch.tensor([[3.0, 0.2]]))
        >>> latents, sae.decode(latents)
        (tensor([[3., 0., 0.]]), tensor([[3., 0.]]))
    """

    threshold: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config, self.scorecard = config, dict[str, Any]()
        self.W_enc = nn.Parameter(torch.zeros(config.d_model, config.d_sae), requires_grad=False)
        self.b_enc = nn.Parameter(torch.zeros(config.d_sae), requires_grad=False)
        self.W_dec = nn.Parameter(torch.zeros(config.d_sae, config.d_model), requires_grad=False)
        self.b_dec = nn.Parameter(torch.zeros(config.d_model), requires_grad=False)
        self.register_buffer("threshold", torch.zeros(1))

    def pre_activations(self, x: Tensor) -> Tensor:
        """How strongly each latent is called, before the threshold: [..., d_model] -> [..., d_sae]."""
        return F.linear(x, self.W_enc.T, self.b_enc)

    def encode(self, x: Tensor) -> Tensor:
        """The latents of residual vectors: [..., d_model] -> [..., d_sae], never negative and mostly 0."""
        pre = self.pre_activations(x)
        return torch.where(pre > self.threshold, pre, 0.0)

    def decode(self, latents: Tensor) -> Tensor:
        """The residual vectors that latents stand for: [..., d_sae] -> [..., d_model]."""
        return latents @ self.W_dec + self.b_dec

    def forward(self, x: Tensor) -> Tensor:
        """What is left of residual vectors after passing through the latents: [..., d_model] -> [..., d_model]."""
        return self.decode(self.encode(x))

    def check_latent(self, latent: object) -> int:
        """The latent, if there is one of that number.

        Raises:
            AutoencoderError: there is none.
        """
        taken = whole(latent)
        if taken is None or not 0 <= taken < self.config.d_sae:
            raise AutoencoderError(f"this autoencoder has latents 0 to {self.config.d_sae - 1}, got {shown(latent)}")
        return taken

    def check_fits(self, model: Transformer, fingerprint: str | None = None) -> None:
        """Make sure that it was trained on this model.

        Args:
            model: the model that it is about to read.
            fingerprint: that model's, if it is known; else only the shapes are compared.

        Raises:
            AutoencoderError: another width, a layer that the model does not have, or another fingerprint.
        """
        config = self.config
        if config.d_model != model.config.d_model:
            raise AutoencoderError(
                f"the autoencoder reads {config.d_model} numbers per token and the model has {model.config.d_model}: "
                "take the autoencoder that was trained on this model"
            )
        if config.layer >= model.config.n_layers:
            raise AutoencoderError(
                f"the autoencoder reads layer {config.layer}, and the model has layers 0 to {model.config.n_layers - 1}"
            )
        if fingerprint and config.fingerprint and fingerprint != config.fingerprint:
            raise AutoencoderError(
                f"the autoencoder was trained on the model {config.fingerprint[:12]}..., and this one is "
                f"{fingerprint[:12]}...: take the one that belongs to it, or train one (llm101 features train)"
            )

    def save(self, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
        """Write it as one safetensors file of 16-bit floats, with its config and scorecard in the metadata.

        Raises:
            AutoencoderError: a number is too large for 16 bits, or NaN.
            OSError: as the system reports it.
        """
        halves = {name: tensor.half().contiguous() for name, tensor in self.state_dict().items()}
        for name, tensor in halves.items():
            if not is_finite(tensor):
                raise AutoencoderError(f"{name} holds a number that a 16-bit float cannot: train it again")
        about = {"config": json.dumps(dataclasses.asdict(self.config)), "scorecard": json.dumps(self.scorecard)}
        write_parameters(path, halves, {"format": "llm101 sparse autoencoder", **about, **(metadata or {})})

    @classmethod
    def from_file(cls, path: str | Path) -> SparseAutoencoder:
        """Open what `save` wrote, as float32.

        Raises:
            AutoencoderError: a parameter file, but not of a sparse autoencoder, or one whose parts do not fit.
            ParameterFileError: not a parameter file, or a damaged one.
        """
        file = ParameterFile(path)
        try:
            sae = cls(AutoencoderConfig(**strict_json(file.metadata["config"].encode())))
            sae.scorecard = strict_json(file.metadata.get("scorecard", "{}").encode())
            for name, mine in sae.state_dict().items():
                if tuple(file.entry(name).shape) != tuple(mine.shape) or not mine.dtype.is_floating_point:
                    raise ValueError(f"{name} has shape {file.entry(name).shape} instead of {tuple(mine.shape)}")
                mine.copy_(file.tensor(name))
        except ParameterFileError:
            raise AutoencoderError(f"{path} is not a sparse autoencoder: it lacks {', '.join(TENSORS)}") from None
        except KeyError:
            raise AutoencoderError(f"{path} is not a sparse autoencoder: its metadata hold no config") from None
        except (ValueError, TypeError) as error:
            raise AutoencoderError(f"{path} is not a sparse autoencoder: {error}") from None
        file.check_finite()
        return sae.eval()

    def __repr__(self) -> str:
        return f"SparseAutoencoder({self.config.d_sae:,} latents of {self.config.point}, about {self.config.k} active)"


def l0(latents: Tensor) -> float:
    """How many latents are active per token, on average.

    Example:
        >>> l0(torch.tensor([[0.0, 2.0, 0.0], [1.0, 1.0, 0.0]]))
        1.5
    """
    return float((latents > 0).sum()) / max(1, math.prod(latents.shape[:-1]))
