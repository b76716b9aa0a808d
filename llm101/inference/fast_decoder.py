"""The fast path: the same model, run by compiled loops where torch would spend its time being called.

It knows the Transformer's parameters and the KV cache, and nothing of tokenizers and sampling. It is used
only where it gives what the plain path gives (within 1e-4 in the logits): on a CPU, in float32, without
numba missing, and while nobody has hung a hook into the model. Everything else takes the plain path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm101 import model as plain
from llm101.inference.kv_cache import KVCache
from llm101.model import Layer, Transformer

try:
    from llm101.inference import kernels
except ImportError:  # numba has no build for every machine; the plain path needs none
    kernels = None

FEW_ROWS = 24  # up to here the compiled loops are faster than torch's matrix product
PLAIN_MODULES = {
    *(plain.Transformer, plain.Decoder, plain.Layer, plain.Attention, plain.MLP, plain.RMSNorm, plain.CapturePoint),
    *(nn.Linear, nn.Embedding, nn.ModuleList),
}
NOTHING = np.empty(0, np.float32)
Attend = Callable[[int, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class FastDecoder:
    """Reads a Transformer's parameters where they lie; makes a copy in halves where that loses nothing.

    A parameter that was changed is noticed at the next `refresh`, which the engine calls for every prompt:
    the cached keys and values of the texts before are out of date by then anyway.
    """

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._halves: dict[str, np.ndarray] = {}
        self._hooks: list[dict] = []
        self._is_plain = False

    @property
    def is_ready(self) -> bool:
        """Whether this model can be run here, and nobody has hung a hook into it, to read or to steer it."""
        return self._is_plain and not any(self._hooks)

    @property
    def matrix_dtype(self) -> np.dtype:
        """How the matrices are read: uint16 (the bits of halves) or float32."""
        return self._small_head.dtype

    def refresh(self) -> None:
        """Look at the model and its parameters as they are now."""
        model = self._model
        self._is_plain = kernels is not None and _is_plain(model)
        if not self._is_plain:
            return
        self._hooks = [d for m in model.modules() for d in (m._forward_hooks, m._forward_pre_hooks)]
        config, decoder = model.config, model.model
        assert isinstance(decoder.cos, Tensor) and isinstance(decoder.sin, Tensor)
        self._cos, self._sin = decoder.cos.numpy(), decoder.sin.numpy()
        self._eps, self._window = np.float32(config.norm_eps), config.sliding_window or config.context_length
        self._embedding = _array(decoder.embed_tokens.weight)
        self._final_norm, self._head = _array(decoder.norm.weight), _array(model.lm_head.weight)
        self._layers = [_layer_weights(layer) for layer in decoder.layers]
        self._small_layers, self._small_head = self._in_halves()

    def _in_halves(self) -> tuple[list[kernels.LayerWeights], np.ndarray]:
        """The matrices as 16-bit floats if each number is exactly one (as in a file of 16-bit floats), else as is."""
        small = []
        for i, layer in enumerate(self._layers):
            halves = {name: self._half(f"{i}.{name}", getattr(layer, name)) for name in ("q", "k", "v", "o", *MLP)}
            if any(half is None for half in halves.values()):
                return self._layers, self._head
            small.append(layer._replace(**halves))
        head = self._half("head", self._head)
        return (self._layers, self._head) if head is None else (small, head)

    def _half(self, name: str, numbers: np.ndarray) -> np.ndarray | None:
        half = self._halves.get(name)
        if half is None or half.shape != numbers.shape or kernels.n_unequal(half, numbers):
            half = self._halves[name] = torch.from_numpy(numbers).half().numpy().view(np.uint16)
            if kernels.n_unequal(half, numbers):
                return None
        return half

    def prefill(self, token_ids: Sequence[int], kv_cache: KVCache) -> Tensor:
        """Read all tokens at once; returns the logits [vocab_size] of what comes after the last."""
        past, n = kv_cache.length, len(token_ids)
        kv_cache.reserve(past + n)
        mask = plain.causal_mask(n, past, self._model.config.sliding_window, torch.device("cpu"))

        def attend(layer: int, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
            rows = [torch.from_numpy(t).view(1, t.shape[0], -1, self._cos.shape[1]).transpose(1, 2) for t in (q, k, v)]
            k_all, v_all = kv_cache.append(layer, *rows[1:])
            if n <= FEW_ROWS or len(q) < n:
                keys, values = kv_cache.keys[layer, 0].numpy(), kv_cache.values[layer, 0].numpy()
                return kernels.attend(q, keys, values, positions[-len(q) :], self._window)
            out = F.scaled_dot_product_attention(
                rows[0], k_all, v_all, mask, is_causal=mask is None and n > 1, enable_gqa=True
            )
            return out.transpose(1, 2).reshape(n, -1).numpy()

        positions = np.arange(past, past + n)
        return torch.from_numpy(self._rows(token_ids, positions, attend, last_only=True, big=n > FEW_ROWS)[0])

    def decode_step(self, token_ids: Sequence[int], kv_caches: Sequence[KVCache]) -> Tensor:
        """One more token for each text; returns logits [texts, vocab_size].

        Texts have nothing to do with each other, so each core takes some of them.
        """
        for kv_cache in kv_caches:
            kv_cache.reserve(kv_cache.length + 1)
        n_each = -(-len(token_ids) // torch.get_num_threads())
        shares = [slice(i, i + n_each) for i in range(0, len(token_ids), n_each)]
        if len(shares) == 1:
            logits = self._decode_share(token_ids, kv_caches)
        else:
            with ThreadPoolExecutor(len(shares)) as pool:
                jobs = [pool.submit(self._decode_share, token_ids[s], kv_caches[s]) for s in shares]
                logits = np.concatenate([job.result() for job in jobs])
        for kv_cache in kv_caches:
            kv_cache.advance(1)
        return torch.from_numpy(logits)

    def _decode_share(self, token_ids: Sequence[int], kv_caches: Sequence[KVCache]) -> np.ndarray:
        positions = np.array([kv_cache.length for kv_cache in kv_caches])
        places = [(c.keys.numpy()[:, 0], c.values.numpy()[:, 0]) for c in kv_caches]
        if len(token_ids) < 4:  # kernels.project gains from four rows on
            rows = zip(token_ids, positions[:, None], places)
            return np.concatenate([self._one_row(i, at, keys, values) for i, at, (keys, values) in rows])

        def attend(layer: int, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
            out = np.empty_like(q)
            for r, (keys, values) in enumerate(places):
                at, row = positions[r], slice(r, r + 1)
                keys[layer, :, at] = k[r].reshape(-1, self._cos.shape[1])
                values[layer, :, at] = v[r].reshape(-1, self._cos.shape[1])
                out[row] = kernels.attend(q[row], keys[layer], values[layer], positions[row], self._window)
            return out

        return self._rows(token_ids, positions, attend)

    def _one_row(self, token_id: int, at: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
        x = self._embedding[token_id : token_id + 1].copy()
        cos, sin = self._cos[at], self._sin[at]
        for i, layer in enumerate(self._small_layers):
            kernels.layer_step(x, layer, cos, sin, self._eps, keys[i], values[i], at, self._window)
        return kernels.project(self._small_head, kernels.rms_norm(x, self._final_norm, self._eps))

    def _rows(
        self, token_ids: Sequence[int], positions: np.ndarray, attend: Attend, *, last_only: bool = False, big: bool = False
    ) -> np.ndarray:
        """Several tokens through all layers; last_only: what only earlier tokens would need is left out at the top."""
        eps, d_head = self._eps, self._cos.shape[1]
        project, layers = (_product, self._layers) if big else (kernels.project, self._small_layers)
        x = self._embedding[list(token_ids)]
        cos, sin = self._cos[positions], self._sin[positions]
        for i, w in enumerate(layers):
            kept = slice(-1 if last_only and i == len(layers) - 1 else None, None)
            h = kernels.rms_norm(x, w.attention_norm, eps)
            k = kernels.heads(project(w.k, h), w.k_bias, w.k_norm, cos, sin, d_head, eps)
            v = project(w.v, h)
            kernels.add_bias(v, w.v_bias)
            q = kernels.heads(project(w.q, h[kept]), w.q_bias, w.q_norm, cos[kept], sin[kept], d_head, eps)
            x = x[kept]
            x += project(w.o, attend(i, q, k, v))
            h = kernels.rms_norm(x, w.mlp_norm, eps)
            x += project(w.down, kernels.swiglu(project(w.gate, h), project(w.up, h)))
        return kernels.project(self._small_head, kernels.rms_norm(x, self._final_norm, eps))


MLP = ("gate", "up", "down")


def _is_plain(model: Transformer) -> bool:
    parameters = list(model.parameters())
    return {type(m) for m in model.modules()} <= PLAIN_MODULES and all(
        p.dtype == torch.float32 and p.device.type == "cpu" and p.is_contiguous() for p in parameters
    )


def _layer_weights(layer: nn.Module) -> kernels.LayerWeights:
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


def _product(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """kernels.project for many rows, by torch's matrix product."""
    return F.linear(torch.from_numpy(x), torch.from_numpy(w)).numpy()
