"""Steering: hold one latent of the residual stream at a strength of our choosing, and let the model go on from there.

As Anthropic's "Golden Gate Claude" did it (Templeton et al. 2024, "Scaling Monosemanticity"): encode, set the latent,
decode, and keep the reconstruction error, so that everything the autoencoder does not see stays as it is. Decoding
is linear, so all of this comes to adding one direction:

    decode(clamped latents) + error = x + (strength - latent) W_dec[latent]

Held everywhere, a latent soon spoils the text. It need not be: the layers below see nothing of what is added, so its
call at a token always is the plain model's own opinion of the text, and tells where the concept would fit (hold it
there alone: `reach`) and when the text is about it at last (then let go: `enough`).

It knows models and autoencoders; what a steered text is worth is measured in study.py.

Reading order: clamp, add, steered; then Steering, which can be kept in a file, and Listener, which remembers.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import Module
from torch.utils.hooks import RemovableHandle

from llm101.inference.kv_cache import KVCache
from llm101.inference.side_by_side import SideBySide
from llm101.interpretability.autoencoder.sparse_autoencoder import SparseAutoencoder
from llm101.interpretability.capture import CaptureError, Hook, check_layer, hang, hooks
from llm101.model import Transformer
from llm101.outside.strict_json import shown, strict_json
from llm101.parameters import ParameterFile, ParameterFileError, write_parameters

if TYPE_CHECKING:
    from llm101.library import LanguageModel

EVERYWHERE, NEVER = -1e6, 1e6
"""A reach that every call exceeds, and an `enough` that none does."""


def clamp(sae: SparseAutoencoder, latent: int, strength: float) -> Hook:
    """A hook that holds a latent at a strength, whatever the text says.

    Args:
        sae: whose latent it is.
        latent: 0 to d_sae - 1.
        strength: in the units of the residual stream; 0 removes what the latent stands for.

    Raises:
        AutoencoderError: no such latent.

    Example:
        >>> import torch
        >>> from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderConfig
        >>> sae = SparseAutoencoder(AutoencoderConfig(d_model=2, d_sae=2, layer=0, k=1))
        >>> _ = sae.W_enc.copy_(torch.eye(2)), sae.W_dec.copy_(torch.eye(2))
        >>> clamp(sae, 1, 5.0)(torch.tensor([[3.0, 2.0]]))
        tensor([[3., 5.]])
    """
    return Steering.of(sae, latent, strength).hook


def add(direction: Tensor, strength: float) -> Hook:
    """A hook that adds a direction, made as long as `strength`, to every token.

    Example:
        >>> import torch
        >>> add(torch.tensor([0.0, 10.0]), 3.0)(torch.tensor([[1.0, 1.0]]))
        tensor([[1., 4.]])
    """
    step = strength * direction / direction.norm()
    return lambda residual: residual + step


def steered(model: Transformer, sae: SparseAutoencoder, latent: int, strength: float) -> AbstractContextManager[None]:
    """While the block runs, the model has one latent at a fixed strength: see clamp.

    Completions, streams and batches all run through it, KV cache and all.

    Raises:
        AutoencoderError: no such latent, or an autoencoder for a model of another shape.
    """
    sae.check_fits(model)
    return hooks(model, {sae.config.point: clamp(sae, latent, strength)})


@dataclass(frozen=True)
class Steering:
    """One latent, cut out of its autoencoder and set to a strength: all that a steered model needs beside itself."""

    layer: int
    """It acts on the residual stream after this layer."""
    latent: int
    """Its number in the autoencoder."""
    strength: float
    """What the latent is held at."""
    threshold: float
    """The latent is 0 where its call is no stronger than this."""
    bias: float
    """b_enc of the latent."""
    reader: Tensor
    """W_enc of the latent, [d_model]."""
    direction: Tensor
    """W_dec of the latent, [d_model], of length 1."""
    fingerprint: str
    """Of the model that it was made for."""
    reach: float = EVERYWHERE
    """It is held only where its call is stronger than this."""
    enough: float = NEVER
    """It is held no more once the text has called it more strongly than this."""

    def __post_init__(self) -> None:
        for name, kind, least, most in (
            ("layer", int, 0, 2**16),
            ("latent", int, 0, 2**24),
            ("strength", float, -1e6, 1e6),
            ("threshold", float, -1e6, 1e6),
            ("bias", float, -1e6, 1e6),
            ("reach", float, -1e6, 1e6),
            ("enough", float, -1e6, 1e6),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, kind)) or not least <= value <= most:
                raise ValueError(f"{name} must be a number from {least} to {most}, got {shown(value)}")
        if not isinstance(self.fingerprint, str):
            raise ValueError(f"fingerprint must be a text, got {shown(self.fingerprint)}")
        reader, direction = tuple(self.reader.shape), tuple(self.direction.shape)
        if reader != direction or len(reader) != 1:
            raise ValueError(f"reader and direction must be d_model numbers each, got shapes {reader} and {direction}")

    @classmethod
    def of(
        cls, sae: SparseAutoencoder, latent: int, strength: float, *, reach: float = EVERYWHERE, enough: float = NEVER
    ) -> Steering:
        """Cut a latent out of an autoencoder.

        Raises:
            AutoencoderError: no such latent.
        """
        latent = sae.check_latent(latent)
        return cls(
            layer=sae.config.layer,
            latent=latent,
            strength=float(strength),
            threshold=float(sae.threshold),
            bias=float(sae.b_enc[latent]),
            reader=sae.W_enc[:, latent].detach().clone(),
            direction=sae.W_dec[latent].detach().clone(),
            fingerprint=sae.config.fingerprint,
            reach=float(reach),
            enough=float(enough),
        )

    @property
    def point(self) -> str:
        """The capture point that it acts on."""
        return f"layers.{self.layer}.resid_post"

    def hook(self, residual: Tensor) -> Tensor:
        """Whole texts, [..., seq, d_model] -> the same with the latent at its strength.

        With a KV cache a text comes in pieces, and only `on` remembers what was in the earlier ones.
        """
        call = self.call(residual)
        return self.held(residual, call, call.cummax(dim=-1).values)

    def call(self, residual: Tensor) -> Tensor:
        """How strongly the latent is called, [..., d_model] -> [...]."""
        return residual @ self.reader + self.bias

    def held(self, residual: Tensor, call: Tensor, loudest: Tensor) -> Tensor:
        """The residual stream with the latent at its strength, wherever it is held.

        Args:
            residual: [..., d_model].
            call: [...], how strongly the latent is called there.
            loudest: [...], the strongest call in the text up to here.
        """
        change = self.strength - call * (call > self.threshold)
        is_held = (call > self.reach) & (loudest <= self.enough)
        return residual + (change * is_held)[..., None] * self.direction

    def check_fits(self, model: Transformer, fingerprint: str = "") -> None:
        """Make sure that it was made for this model.

        Args:
            model: the model that is about to be steered.
            fingerprint: that model's, if it is known; else only the shapes are compared.

        Raises:
            CaptureError: another width, a layer that the model does not have, or another fingerprint.
        """
        if len(self.direction) != model.config.d_model:
            raise CaptureError(
                f"this steering is for a model of width {len(self.direction)}, and this one has {model.config.d_model}"
            )
        check_layer(model, self.layer)
        if fingerprint and self.fingerprint and fingerprint != self.fingerprint:
            raise CaptureError(
                f"this steering was made for the model {self.fingerprint[:12]}..., and this one is "
                f"{fingerprint[:12]}...: make one with an autoencoder of this model (llm101 features steer --save)"
            )

    def on(self, model: Transformer) -> AbstractContextManager[None]:
        """While the block runs, the model is steered.

        Raises:
            CaptureError: a model of another width, or without that layer.
        """
        self.check_fits(model)
        return Listener(self).on(model)

    def keep_on(self, lm: LanguageModel) -> None:
        """Steer a model for good: whatever it does from now on, it does with the latent held.

        Raises:
            CaptureError: a model that it was not made for; see check_fits.
        """
        self.check_fits(lm.model, lm.fingerprint)
        Listener(self).keep_on(lm.model)

    def save(self, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
        """Write it as a small parameter file, to lie beside the model."""
        names = ("layer", "latent", "strength", "threshold", "bias", "fingerprint", "reach", "enough")
        about = json.dumps({name: getattr(self, name) for name in names})
        tensors = {"reader": self.reader, "direction": self.direction}
        write_parameters(Path(path), tensors, {"steering": about, **(metadata or {})})

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Steering:
        """Open what `save` wrote.

        Raises:
            ParameterFileError: no such file, or one of another kind.
        """
        file = ParameterFile(path)
        try:
            about = strict_json(file.metadata["steering"].encode())
            steering = cls(**about, reader=file.tensor("reader"), direction=file.tensor("direction"))
        except ParameterFileError:
            raise ParameterFileError(f"{path} holds no steering: it lacks a reader or a direction") from None
        except KeyError:
            raise ParameterFileError(f"{path} holds no steering: save one with Steering.save") from None
        except (TypeError, ValueError) as error:
            raise ParameterFileError(f"{path} holds no steering: {error}") from None
        file.check_finite()
        return steering


class Listener:
    """Steers texts that come piece by piece: remembers for each how strongly it has called the latent so far.

    Texts are known by their KV cache, and a call by its place there. A text may be cut back and continued otherwise,
    and several may be written side by side, by turns, or in several threads.
    """

    def __init__(self, steering: Steering) -> None:
        self.steering = steering
        self._calls: WeakKeyDictionary[KVCache | SideBySide, Tensor] = WeakKeyDictionary()
        self._here = threading.local()  # .kv_cache and .places: of the tokens that this thread is running through

    def __reduce__(self) -> tuple[type[Listener], tuple[Steering]]:
        return Listener, (self.steering,)  # a copy listens to a model of its own, whose texts are yet to come

    @contextmanager
    def on(self, model: Transformer) -> Iterator[None]:
        """While the block runs, the model is steered."""
        handles = self.keep_on(model)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def keep_on(self, model: Transformer) -> list[RemovableHandle]:
        """Steer the model until each handle's `remove` is called."""
        layer = model.model.layers[self.steering.layer]
        notice = layer.register_forward_pre_hook(self._notice, with_kwargs=True)
        return [notice, *hang(model, {self.steering.point: self.hook})]

    def _notice(self, _layer: Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Before the layer runs, and its tokens count as held: where they come to stand."""
        if "kv_cache" not in named:
            raise CaptureError("steering knows a text by its KV cache: call the layer with kv_cache=..., or None")
        kv_cache = self._here.kv_cache = named["kv_cache"]
        self._here.places = None if kv_cache is None else kv_cache.places(inputs[0].shape[1])

    def hook(self, residual: Tensor) -> Tensor:
        """The next tokens of the texts in the cache, [batch, seq, d_model] -> the same, steered."""
        call = self.steering.call(residual)
        kv_cache = self._here.kv_cache
        loudest = call.cummax(dim=1).values if kv_cache is None else self._loudest(call, kv_cache, *self._here.places)
        return self.steering.held(residual, call, loudest)

    def _loudest(self, call: Tensor, kv_cache: KVCache | SideBySide, row: Tensor, position: Tensor) -> Tensor:
        """The strongest call of each text up to each of its next tokens, which are added to what is remembered."""
        held = self._calls.get(kv_cache, call.new_empty(0, 0))
        n_rows, n_positions = (max(n, int(at.max()) + 1) for n, at in zip(held.shape, (row, position)))
        calls = call.new_full((n_rows, n_positions), -torch.inf)
        calls[: held.shape[0], : held.shape[1]] = held
        calls[row, position] = call
        self._calls[kv_cache] = calls
        return calls[row[:, 0]].cummax(dim=1).values.gather(1, position)
