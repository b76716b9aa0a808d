"""The fast path: the same model, run by compiled loops where torch would spend its time being called.

It knows the Transformer's parameters and the KV cache, and nothing of tokenizers and sampling. It is used
only where it gives what the plain path gives (within 1e-4 in the logits): on a CPU, in float32, without
numba missing, and while nobody has hung a hook into the model. Everything else takes the plain path.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm101 import model as plain
from llm101.inference.kv_cache import KVCache
from llm101.model import Layer, Transformer

try:
    kernels: Any = importlib.import_module("llm101.inference.kernels")
except ImportError:  # numba has no build for every machine; the plain path needs none
    kernels = None

FEW_ROWS = 24  # up to here the compiled loops are faster than torch's matrix product
PLAIN_MODULES = {
    *(plain.Transformer, plain.Decoder, plain.Layer, plain.Attention, plain.MLP, plain.RMSNorm, plain.CapturePoint),
    *(nn.Linear, nn.Embedding, nn.ModuleList),
}
MATRICES = ("q", "k", "v", "o", "gate", "up", "down")
NOTHING = np.empty(0, np.float32)
Attend = Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Products(NamedTuple):
    """A layer's matrix products, w [n_out, n_in] with h [rows, n_in], in one of the ways to do them."""

    project: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """(w, h): h times the transpose of w, [rows, n_out]."""
    project_onto: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    """(x, w, h): the same, added to x [rows, n_out]."""
    gated: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    """(gate, up, h): silu(h gateᵀ) * (h upᵀ)."""


class Decoding(NamedTuple):
    """What decoding reads: the layers in stacks and one by one (the same memory), and the head."""

    stacks: list[Any]
    layers: list[Any]
    head: np.ndarray


class FastDecoder:
    """Reads a Transformer's parameters where they lie; makes a copy in halves where that loses nothing.

    A parameter that was changed is noticed after the next `refresh`, which the engine calls for every prompt:
    the cached keys and values of the texts before are out of date by then anyway.
    """

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._halves: dict[str, np.ndarray] = {}
        self._decoding: Decoding | None = None
        self._hooks: list[dict] = []
        self._places: list[tuple[int, torch.Size]] = []
        self._is_plain = False

    @property
    def is_ready(self) -> bool:
        """Whether this model can be run here, and nobody has hung a hook into it, to read or to steer it."""
        return self._is_plain and not any(self._hooks)

    @property
    def matrix_dtype(self) -> np.dtype:
        """How the matrices are read: uint16 (the bits of halves) or float32."""
        return self._small().head.dtype

    def refresh(self) -> None:
        """Look at the model and its parameters as they are now."""
        model = self._model
        modules = list(model.modules())
        self._is_plain = kernels is not None and all(map(_is_plain, modules))
        if not self._is_plain:
            return
        self._hooks = [hooks for m in modules for hooks in (m._forward_hooks, m._forward_pre_hooks)]
        config = model.config
        self._d_head = config.d_head
        self._eps, self._window = np.float32(config.norm_eps), config.sliding_window or config.context_length
        tensors = [t for m in modules for t in (*m._parameters.values(), *m._buffers.values()) if t is not None]
        places = [(t.data_ptr(), t.shape) for t in tensors]
        if places != self._places:  # else what was seen last time is still where the parameters lie
            self._places = places
            self._look()
        self._decoding = None

    def _look(self) -> None:
        """See the parameters as arrays, without copying them."""
        decoder = self._model.model
        self._cos, self._sin = decoder.cos.numpy(), decoder.sin.numpy()
        self._embedding = _array(decoder.embed_tokens.weight)
        self._final_norm, self._head = _array(decoder.norm.weight), _array(self._model.lm_head.weight)
        self._layers = [_layer_weights(layer) for layer in decoder.layers]

    def _small(self) -> Decoding:
        """What decoding reads. It is compared with the parameters once for each prompt, not before it is needed."""
        if self._decoding is None:
            stack = self._in_halves()
            if stack is None:  # some number is no half, and all are read where they lie
                stacks = [kernels.LayerWeights(*(array[None] for array in layer)) for layer in self._layers]
                self._decoding = Decoding(stacks, self._layers, self._head)
            else:
                layers = [kernels.LayerWeights(*(array[i] for array in stack)) for i in range(len(self._layers))]
                self._decoding = Decoding([stack], layers, self._halves["head"][0])
        return self._decoding

    def _in_halves(self) -> Any | None:
        """All layers stacked, the matrices as 16-bit floats; None unless every number is exactly one."""
        per_layer = {name: [getattr(w, name) for w in self._layers] for name in kernels.LayerWeights._fields}
        if not all(self._is_copied(name, per_layer[name]) for name in MATRICES):
            return None
        if not self._is_copied("head", [self._head]):
            return None
        small = {name: np.stack(arrays) for name, arrays in per_layer.items() if name not in MATRICES}
        return kernels.LayerWeights(**small, **{name: self._halves[name] for name in MATRICES})

    def _is_copied(self, name: str, matrices: Sequence[np.ndarray]) -> bool:
        """Bring the copy in halves up to date; says whether it is exactly what the parameters are."""
        shape = (len(matrices), *matrices[0].shape)
        if name not in self._halves or self._halves[name].shape != shape:
            self._halves[name] = torch.zeros(shape, dtype=torch.half).numpy().view(np.uint16)  # starts on a cache line
        for half, matrix in zip(self._halves[name], matrices):
            if kernels.n_unequal(half, matrix):
                half[:] = torch.from_numpy(matrix).half().numpy().view(np.uint16)
                if kernels.n_unequal(half, matrix):
                    self._halves.clear()
                    return False
        return True

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
                return kernels.attend(q, keys, values, past + n - len(q), self._window)
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
        x, cos, sin = self._embedding[token_id : token_id + 1].copy(), self._cos[here], self._sin[here]
        small, first = self._small(), 0
        for stack in small.stacks:
            kernels.layers_step(x, stack, first, cos, sin, self._eps, keys, values, position, self._window)
            first += len(stack.q)
        kv_cache.advance(1)
        return torch.from_numpy(kernels.project(small.head, kernels.rms_norm(x, self._final_norm, self._eps))[0])

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
                out[r] = kernels.attend(q[r : r + 1], keys[layer], values[layer], position, self._window)[0]
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
        layers, head = (self._layers, self._head) if big else (self._small().layers, self._small().head)
        x = self._embedding[list(token_ids)]
        cos, sin = self._cos[positions], self._sin[positions]
        for i, w in enumerate(layers):
            kept = slice(-1 if last_only and i == len(layers) - 1 else None, None)
            h = kernels.rms_norm(x, w.attention_norm, eps)
            k = kernels.heads(project(w.k, h), w.k_bias, w.k_norm, cos, sin, d_head, eps)
            v = kernels.add_bias(project(w.v, h), w.v_bias)
            q = kernels.heads(project(w.q, h[kept]), w.q_bias, w.q_norm, cos[kept], sin[kept], d_head, eps)
            x = project_onto(x[kept], w.o, attend(i, q, k, v))
            h = kernels.rms_norm(x, w.mlp_norm, eps)
            x = project_onto(x, w.down, gated(w.gate, w.up, h))
        return kernels.project(head, kernels.rms_norm(x, self._final_norm, eps))


def _is_plain(module: nn.Module) -> bool:
    return type(module) in PLAIN_MODULES and all(
        p is None or (p.dtype == torch.float32 and p.device.type == "cpu" and p.is_contiguous())
        for p in module._parameters.values()
    )


def _layer_weights(layer: nn.Module) -> Any:
    """A layer's parameters as kernels.LayerWeights."""
    assert isinstance(layer, Layer)
    a, mlp = layer.self_attn, layer.mlp
    bias = [NOTHING if p.bias is None else _array(p.bias) for p in (a.q_proj, a.k_proj, a.v_proj)]
    norm = [_array(getattr(a, name).weight) if hasattr(a, name) else NOTHING for name in ("q_norm", "k_norm")]
    return kernels.LayerWeights(
        _array(layer.input_layernorm.weight),
        *(_array(p.weight) for p in (a.q_proj, a.k_proj, a.v_proj, a.o_proj)),
        *bias,
        *norm,
        _array(layer.post_attention_layernorm.weight),
        *(_array(p.weight) for p in (mlp.gate_proj, mlp.up_proj, mlp.down_proj)),
    )


def _array(parameter: Tensor) -> np.ndarray:
    """The same memory, seen by numpy."""
    return parameter.detach().numpy()


def _composed(project: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Products:
    """The other two made of the first."""

    def project_onto(x: np.ndarray, w: np.ndarray, h: np.ndarray) -> np.ndarray:
        x += project(w, h)
        return x

    return Products(project, project_onto, lambda gate, up, h: kernels.swiglu(project(gate, h), project(up, h)))


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
BY_LOOPS = _composed(lambda w, h: kernels.project(w, h))  # noqa: PLW0108 - there may be no kernels to look into yet
