"""The model, computed in exact arithmetic: one more token for each of several texts, the same bits everywhere.

It is model.py's Transformer without training, hooks or torch: its parameters are copied once, as float32 and in the
layout that arithmetic.py likes. It knows nothing of files, tokenizers or codes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm101.compression import arithmetic
from llm101.compression.arithmetic import Floats, Ints, rotary_table
from llm101.inference.compiled.compiled_module import compiled_module
from llm101.model import ModelConfig, Transformer
from llm101.model_config import FIRST_FIELDS

exact = compiled_module("llm101.compression.kernels") or arithmetic  # without numba: the same bits, slowly

LONGEST_CONTEXT = 1024
"""Tokens seen at most, whatever the model could: what the cache holds per text grows with it."""


@dataclass(frozen=True)
class _Layer:
    """One layer's parameters, matrices as [n_in, n_out]."""

    attention_norm: Floats
    qkv: Floats
    qkv_bias: Floats | None
    q_norm: Floats | None
    k_norm: Floats | None
    o: Floats
    mlp_norm: Floats
    gate_and_up: Floats
    down: Floats


class ExactModel:
    """A Transformer's arithmetic with every bit defined.

    Args:
        model: its parameters are copied; any float dtype.
        vocab_size: how many of its output columns stand for tokens (some models pad them).

    Attributes:
        exact_digest: SHA-256 of all that the arithmetic depends on, by which `decompress` knows that it will go alike.
        context_length: how many tokens a text may have before it.
        cache_bytes_per_text: memory for the keys and values of one text.
    """

    def __init__(self, model: Transformer, vocab_size: int) -> None:
        _refuse_other_shapes(model.config)
        self.config, tensors = model.config, model.state_dict()
        numbers = {name: tensor.detach().float().cpu().numpy() for name, tensor in tensors.items()}
        self.exact_digest = _exact_digest(model.config, numbers)
        self.context_length = min(model.config.context_length, LONGEST_CONTEXT)
        self._embedding = numbers["model.embed_tokens.weight"]
        self._layers = [_layer(numbers, f"model.layers.{i}.", model.config) for i in range(model.config.n_layers)]
        self._final_norm = numbers["model.norm.weight"]
        self._head = np.ascontiguousarray(numbers["lm_head.weight"][:vocab_size].T)
        self._cos, self._sin = rotary_table(model.config.rope_theta, model.config.d_head, self.context_length)
        self._eps = np.float32(model.config.norm_eps)
        self._window = model.config.sliding_window or self.context_length

    @property
    def cache_bytes_per_text(self) -> int:
        """2 · n_layers · n_kv_heads · d_head · context_length · 4 bytes."""
        c = self.config
        return 2 * c.n_layers * c.n_kv_heads * c.d_head * self.context_length * 4

    def new_cache(self, n_texts: int) -> list[tuple[Floats, Floats]]:
        """Room for each layer's keys [n_texts, n_kv_heads, d_head, context_length] and values (last two swapped)."""
        c, n = self.config, self.context_length
        keys, values = (n_texts, c.n_kv_heads, c.d_head, n), (n_texts, c.n_kv_heads, n, c.d_head)
        return [(np.zeros(keys, np.float32), np.zeros(values, np.float32)) for _ in range(c.n_layers)]

    def step(
        self, cache: list[tuple[Floats, Floats]], slots: Sequence[int], token_ids: Sequence[int], places: Sequence[int]
    ) -> Ints:
        """Read one token in each of several texts.

        Args:
            cache: keys and values so far; the new ones are put in.
            slots: which of the cache's texts each token belongs to; no text twice.
            token_ids: the tokens.
            places: their places in their texts, from 0; everything before a place must have been read.

        Returns:
            [texts, vocab_size + 1], for each text the cumulative frequencies of its next token.

        Raises:
            ValueError: the model's scores are not finite, so nothing can be coded with them.
        """
        at, position = np.array(slots), np.array(places)
        cos, sin = self._cos[position], self._sin[position]
        starts = np.maximum(position + 1 - self._window, 0)
        x = self._embedding[list(token_ids)]
        for layer, (keys, values) in zip(self._layers, cache):
            q, k, v = self._heads(layer, exact.rms_norm(x, layer.attention_norm, self._eps))
            q, keys[at, :, :, position] = exact.rotate(q, cos, sin), exact.rotate(k, cos, sin)
            values[at, :, position] = v
            read = exact.attend(q, keys, values, at, starts, position + 1)
            x = x + exact.product(read.reshape(len(x), -1), layer.o)
            h = exact.rms_norm(x, layer.mlp_norm, self._eps)
            x = x + exact.product(exact.swiglu(exact.product(h, layer.gate_and_up)), layer.down)
        logits = exact.product(exact.rms_norm(x, self._final_norm, self._eps), self._head)
        if not np.isfinite(logits).all():
            raise ValueError("the model's scores are not finite, so nothing can be coded with it; is it damaged?")
        return exact.cumulative_frequencies(logits)

    def _heads(self, layer: _Layer, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Queries, keys and values, each [texts, heads, d_head], before they are rotated."""
        c = self.config
        qkv = exact.product(x, layer.qkv)
        if layer.qkv_bias is not None:
            qkv = qkv + layer.qkv_bias
        heads = qkv.reshape(len(x), -1, c.d_head)
        q, k, v = np.split(heads, [c.n_heads, c.n_heads + c.n_kv_heads], axis=1)
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = self._normed(q, layer.q_norm), self._normed(k, layer.k_norm)
        return q, k, v

    def _normed(self, heads: Floats, weight: Floats) -> Floats:
        return exact.rms_norm(heads.reshape(-1, self.config.d_head), weight, self._eps).reshape(heads.shape)


def _layer(numbers: dict[str, np.ndarray], at: str, config: ModelConfig) -> _Layer:
    """A layer's parameters, those that are used together side by side."""

    def joined(*names: str) -> np.ndarray:
        return np.ascontiguousarray(np.concatenate([numbers[at + name + ".weight"] for name in names]).T)

    attention = "self_attn."
    qkv = [f"{attention}{name}_proj" for name in "qkv"]
    return _Layer(
        attention_norm=numbers[at + "input_layernorm.weight"],
        qkv=joined(*qkv),
        qkv_bias=np.concatenate([numbers[f"{at}{name}.bias"] for name in qkv]) if config.qkv_bias else None,
        q_norm=numbers[f"{at}{attention}q_norm.weight"] if config.qk_norm else None,
        k_norm=numbers[f"{at}{attention}k_norm.weight"] if config.qk_norm else None,
        o=joined(attention + "o_proj"),
        mlp_norm=numbers[at + "post_attention_layernorm.weight"],
        gate_and_up=joined("mlp.gate_proj", "mlp.up_proj"),
        down=joined("mlp.down_proj"),
    )


def _exact_digest(config: ModelConfig, numbers: dict[str, np.ndarray]) -> bytes:
    """SHA-256 of shape and numbers as they are computed with, in whatever file and kind of number they lie.

    It is not `LanguageModel.fingerprint`, which is of the files: a model may have been changed since it was loaded.
    """
    digest = hashlib.sha256(_spelled(config).encode())
    for name in config.tensor_shapes():
        digest.update(name.encode() + np.ascontiguousarray(numbers[name], "<f4").tobytes())
    return digest.digest()


def _refuse_other_shapes(config: ModelConfig) -> None:
    """What came into a ModelConfig after FIRST_FIELDS is not computed here yet."""
    used = [name for name in config.in_use() if name not in FIRST_FIELDS]
    if used:
        raise ValueError(f"the compressor does not compute models with {', '.join(used)}; use another model")


def _spelled(config: ModelConfig) -> str:
    """The shape as text."""
    return f"ModelConfig({', '.join(f'{name}={getattr(config, name)!r}' for name in FIRST_FIELDS)})"
