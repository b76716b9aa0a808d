"""The fast path: the same model, run by compiled loops where torch would spend its time being called.

It knows snapshots of a model (snapshot.py) and the KV cache, and nothing of tokenizers and sampling. It is used
only where it gives what the plain path gives (within 1e-4 in the logits): on a CPU, in float32, once
its loops are compiled, for a shape that they compute, and while nobody has hung a hook into the model. Everything
else takes the plain path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm101 import model as plain
from llm101.inference.compiled.snapshot import Snapshot, looked_up, loops
from llm101.inference.kv_cache import KVCache
from llm101.model import ModelConfig, Transformer

FEW_ROWS = 24  # up to here the compiled loops are faster than torch's matrix product
PLAIN_MODULES = {
    *(plain.Transformer, plain.Decoder, plain.Layer, plain.Attention, plain.MLP, plain.RMSNorm, plain.CapturePoint),
    *(nn.Linear, nn.Embedding, nn.ModuleList),
}
COMPUTED_FIELDS = frozenset(
    """
    vocab_size d_model n_layers n_heads n_kv_heads d_head d_mlp context_length norm_eps tie_embeddings
    qkv_bias qk_norm sliding_window rope_theta rope_scaling
    """.split()  # noqa: SIM905 - as config_keys.py has its lists
)
"""What the loops know of a ModelConfig; whatever else is in use, such as experts, they would leave out."""
Attend = Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Products(NamedTuple):
    """A layer's matrix products, w [n_out, n_in] with h [rows, n_in], in one of the ways to do them."""

    project: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """(w, h): h times the transpose of w, [rows, n_out]."""
    project_onto: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    """(x, w, h): the same, added to x [rows, n_out]."""
    gated: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    """(gate, up, h): silu(h gateᵀ) * (h upᵀ)."""


class FastDecoder:
    """Reads a Transformer's parameters where they lie; makes a copy in halves where that loses nothing.

    A parameter that was changed is noticed after the next `refresh`, which the engine calls for every prompt:
    the cached keys and values of the texts before are out of date by then anyway. Several threads may use one, each
    with KV caches of its own: a snapshot is complete before others see it, and is replaced, never changed.
    """

    def __init__(self, model: Transformer) -> None:
        self._model, self._d_head = model, model.config.d_head
        self._eps = np.float32(model.config.norm_eps)
        self._window = model.config.sliding_window or model.config.context_length
        self._snapshot: Snapshot | None = None
        self._hooks: list[dict] = []
        self._is_plain = False
        self._turns: tuple[np.ndarray, np.ndarray] = (np.empty((0, 0)), np.empty((0, 0)))

    def __reduce__(self) -> tuple[type[FastDecoder], tuple[Transformer]]:
        return FastDecoder, (self._model,)  # a copy looks at its own model, when its first prompt comes

    @property
    def is_ready(self) -> bool:
        """Whether this model can be run here, and nobody has hung a hook into it, to read or to steer it."""
        return self._is_plain and not any(self._hooks)

    @property
    def matrix_dtype(self) -> np.dtype:
        """How the matrices are read: uint16 (the bits of halves) or float32."""
        return self._seen().decoding().head.dtype

    def compile(self) -> None:
        """Wait for the compiled loops; see loops.py."""
        loops.wait()

    def refresh(self) -> None:
        """Look at the model and its parameters as they are now."""
        model = self._model
        modules = list(model.modules())
        if not is_computed(model.config) or loops.look() is None or not all(map(_is_plain, modules)):
            self._is_plain = False
            return
        tensors = [t for m in modules for t in m._parameters.values() if t is not None]
        places = [(t.data_ptr(), t.shape) for t in tensors]
        last = self._snapshot
        # What was seen last time is still where the parameters lie, but the numbers there may be others by now.
        weights = last.weights if last is not None and last.weights.places == places else looked_up(model, places)
        self._snapshot = Snapshot(weights, {} if last is None else last.halves)
        self._hooks = [hooks for m in modules for hooks in (m._forward_hooks, m._forward_pre_hooks)]
        self._is_plain = True  # comes last: from here on other threads may go this way

    def _seen(self) -> Snapshot:
        assert self._snapshot is not None, "the engine asks is_ready first"
        return self._snapshot

    def _turned(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Cosines and sines of the angles at the first n positions, and at some more: a table that doubles."""
        cos, sin = self._turns
        if len(cos) < n:
            cos, sin = (turns.numpy() for turns in self._model.model.rotary(torch.arange(max(n, 2 * len(cos), 512))))
            self._turns = cos, sin  # complete before another thread sees it
        return cos, sin

    def prefill(self, token_ids: Sequence[int], kv_cache: KVCache) -> Tensor:
        """Read all tokens at once; returns the logits [vocab_size] of what comes after the last."""
        past, n = kv_cache.length, len(token_ids)
        kv_cache.reserve(past + n)
        mask = plain.causal_mask(n, past, self._model.config.sliding_window, torch.device("cpu"))

        def attend(layer: int, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
            heads = [torch.from_numpy(t).view(1, len(t), -1, self._d_head).transpose(1, 2) for t in (q, k, v)]
            k_all, v_all = kv_cache.append(layer, *heads[1:])
            if n <= FEW_ROWS or len(q) < n:
                keys, values = kv_cache.keys[layer, 0].numpy(), kv_cache.values[layer, 0].numpy()
                return loops.module.attend(q, keys, values, past + n - len(q), self._window)
            out = F.scaled_dot_product_attention(
                heads[0], k_all, v_all, mask, is_causal=mask is None and n > 1, enable_gqa=True
            )
            return out.transpose(1, 2).reshape(n, -1).numpy()

        positions = np.arange(past, past + n)
        return torch.from_numpy(self._rows(token_ids, positions, attend, last_only=True, big=n > FEW_ROWS)[0])

    def decode_step(self, token_id: int, kv_cache: KVCache) -> Tensor:
        """One more token; returns the logits [vocab_size] of what comes after it."""
        position = kv_cache.length
        kv_cache.reserve(position + 1)
        keys, values = kv_cache.keys.numpy(), kv_cache.values.numpy()
        here = slice(position, position + 1)
        snapshot = self._seen()
        w, small, first = snapshot.weights, snapshot.decoding(), 0
        x, (cos, sin) = w.embedding[token_id : token_id + 1].copy(), (t[here] for t in self._turned(position + 1))
        for stack in small.stacks:
            loops.module.layers_step(x, stack, first, cos, sin, self._eps, keys, values, position, self._window)
            first += len(stack.q)
        kv_cache.advance(1)
        return torch.from_numpy(loops.module.project(small.head, loops.module.rms_norm(x, w.final_norm, self._eps))[0])

    def decode_steps(self, token_ids: Sequence[int], kv_caches: Sequence[KVCache]) -> list[Tensor]:
        """One more token for each of several texts; from four texts on, they share each pass over the weights."""
        if len(token_ids) < 4:
            return [self.decode_step(i, kv_cache) for i, kv_cache in zip(token_ids, kv_caches)]
        positions = np.array([kv_cache.length for kv_cache in kv_caches])
        for kv_cache in kv_caches:
            kv_cache.reserve(kv_cache.length + 1)
        places = [(c.keys.numpy()[:, 0], c.values.numpy()[:, 0], c.length) for c in kv_caches]

        def attend(layer: int, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
            out = np.empty_like(q)
            for r, (keys, values, position) in enumerate(places):
                keys[layer, :, position] = k[r].reshape(-1, self._d_head)
                values[layer, :, position] = v[r].reshape(-1, self._d_head)
                out[r] = loops.module.attend(q[r : r + 1], keys[layer], values[layer], position, self._window)[0]
            return out

        logits = torch.from_numpy(self._rows(token_ids, positions, attend))
        for kv_cache in kv_caches:
            kv_cache.advance(1)
        return list(logits.unbind())

    def _rows(
        self,
        token_ids: Sequence[int],
        positions: np.ndarray,
        attend: Attend,
        *,
        last_only: bool = False,
        big: bool = False,
    ) -> np.ndarray:
        """Several tokens through all layers; last_only: what only earlier tokens would need is left out at the top."""
        eps, d_head = self._eps, self._d_head
        project, project_onto, gated = BY_TORCH if big else BY_LOOPS
        snapshot = self._seen()
        seen, read = snapshot.weights, snapshot.weights if big else snapshot.decoding()
        layers, head = read.layers, read.head
        x = seen.embedding[list(token_ids)]
        cos, sin = (turns[positions] for turns in self._turned(int(positions.max()) + 1))
        for i, w in enumerate(layers):
            kept = slice(-1 if last_only and i == len(layers) - 1 else None, None)
            h = loops.module.rms_norm(x, w.attention_norm, eps)
            k = loops.module.heads(project(w.k, h), w.k_bias, w.k_norm, cos, sin, d_head, eps)
            v = loops.module.add_bias(project(w.v, h), w.v_bias)
            q = loops.module.heads(project(w.q, h[kept]), w.q_bias, w.q_norm, cos[kept], sin[kept], d_head, eps)
            x = project_onto(x[kept], w.o, attend(i, q, k, v))
            h = loops.module.rms_norm(x, w.mlp_norm, eps)
            x = project_onto(x, w.down, gated(w.gate, w.up, h))
        return loops.module.project(head, loops.module.rms_norm(x, seen.final_norm, eps))


def is_computed(config: ModelConfig) -> bool:
    """Whether the loops compute all that such a model does."""
    return all(
        field.name in COMPUTED_FIELDS or getattr(config, field.name) == field.default for field in fields(config)
    )


def _is_plain(module: nn.Module) -> bool:
    return type(module) in PLAIN_MODULES and all(
        p is None or (p.dtype == torch.float32 and p.device.type == "cpu" and p.is_contiguous())
        for p in module._parameters.values()
    )


def _composed(project: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Products:
    """The other two made of the first."""

    def project_onto(x: np.ndarray, w: np.ndarray, h: np.ndarray) -> np.ndarray:
        x += project(w, h)
        return x

    return Products(project, project_onto, lambda gate, up, h: loops.module.swiglu(project(gate, h), project(up, h)))


def _by_onednn(linear: Any) -> Products:
    """oneDNN's product, a tenth faster than torch's usual one, with the step that follows it done on the way out.

    linear: the operation that torch.compile uses for this.
    """
    tensor = torch.from_numpy

    def gated(gate: np.ndarray, up: np.ndarray, h: np.ndarray) -> np.ndarray:
        silu = linear(tensor(h), tensor(gate), None, "swish", [], "")
        return linear.binary(tensor(h), silu, tensor(up), None, "mul").numpy()

    return Products(
        lambda w, h: linear(tensor(h), tensor(w), None, "none", [], "").numpy(),
        lambda x, w, h: linear.binary(tensor(h), tensor(x), tensor(w), None, "add").numpy(),
        gated,
    )


def _by_torch() -> Products:
    linear = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
    if linear is None:  # not every build of torch has it
        return _composed(lambda w, h: F.linear(torch.from_numpy(h), torch.from_numpy(w)).numpy())
    return _by_onednn(linear)


BY_TORCH = _by_torch()
BY_LOOPS = _composed(lambda w, h: loops.module.project(w, h))  # noqa: PLW0108 - there may be no kernels to look into yet
