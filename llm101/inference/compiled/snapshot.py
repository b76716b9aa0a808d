"""A model's parameters as the compiled loops read them: arrays where they lie, or a copy in halves that loses nothing.

It knows the Transformer's modules and nothing of texts. Several threads may read one snapshot.

Reading order: Snapshot, then Weights (looked_up) and the copy in halves.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from llm101.inference.compiled.loops import Loops
from llm101.model import MLP, Layer, Transformer

loops = Loops("llm101.inference.compiled.kernels", "llm101.inference.compiled.rehearsal", "inference")

MATRICES = ("q", "k", "v", "o", "gate", "up", "down")
NOTHING = np.empty(0, np.float32)


class Weights(NamedTuple):
    """The parameters as arrays, where they lie in memory."""

    places: list[tuple[int, torch.Size]]
    """Of every tensor: as long as they stay, the arrays need not be looked up again."""
    embedding: np.ndarray
    layers: list[Any]
    """kernels.LayerWeights of each layer."""
    final_norm: np.ndarray
    head: np.ndarray


class Decoding(NamedTuple):
    """What decoding reads: the layers in stacks and one by one (the same memory), and the head."""

    stacks: list[Any]
    layers: list[Any]
    head: np.ndarray


class Snapshot:
    """A model as it is when a prompt comes. Several threads may read one.

    What decoding reads is made when it is first needed, by one thread while the others wait; nobody sees it
    half made, and nothing in it is changed afterwards.
    """

    def __init__(self, weights: Weights, halves: Mapping[str, np.ndarray]) -> None:
        self.weights, self.halves = weights, halves
        self._decoding: Decoding | None = None

    def decoding(self) -> Decoding:
        """What decoding reads: the matrices in halves where that loses nothing, else where they lie."""
        if self._decoding is None:
            with MAKING:
                if self._decoding is None:  # else another thread has just made it
                    self._decoding = self._made()
        return self._decoding

    def _made(self) -> Decoding:
        layers, head = self.weights.layers, self.weights.head
        self.halves = _in_halves(layers, head, self.halves)
        if not self.halves:
            stacks = [loops.module.LayerWeights(*(array[None] for array in layer)) for layer in layers]
            return Decoding(stacks, layers, head)
        small = {name: np.stack(arrays) for name, arrays in _by_name(layers).items() if name not in MATRICES}
        stack = loops.module.LayerWeights(**small, **{name: self.halves[name] for name in MATRICES})
        each = [loops.module.LayerWeights(*(array[i] for array in stack)) for i in range(len(layers))]
        return Decoding([stack], each, self.halves["head"][0])


MAKING = threading.RLock()
"""Held while some model's copy in halves is made: two at once would take twice the memory for nothing."""


def _begin_as_a_fork() -> None:
    """In a child process that fork made, of all threads only the one that called fork is there."""
    MAKING.release()
    torch.set_num_threads(1)  # a product that is shared out would wait for OpenMP's other threads for ever


if hasattr(os, "register_at_fork"):  # nobody would let go of MAKING in a child that was born while it was held
    os.register_at_fork(before=MAKING.acquire, after_in_parent=MAKING.release, after_in_child=_begin_as_a_fork)


def looked_up(model: Transformer, places: list[tuple[int, torch.Size]]) -> Weights:
    """See the parameters as arrays, without copying them."""
    decoder = model.model
    return Weights(
        places,
        _array(decoder.embed_tokens.weight),
        [_layer_weights(layer) for layer in decoder.layers],
        _array(decoder.norm.weight),
        _array(model.lm_head.weight),
    )


def _layer_weights(layer: nn.Module) -> Any:
    """A layer's parameters as kernels.LayerWeights."""
    assert isinstance(layer, Layer)
    assert isinstance(layer.mlp, MLP)
    a, mlp = layer.self_attn, layer.mlp
    bias = [NOTHING if p.bias is None else _array(p.bias) for p in (a.q_proj, a.k_proj, a.v_proj)]
    norm = [_array(getattr(a, name).weight) if hasattr(a, name) else NOTHING for name in ("q_norm", "k_norm")]
    return loops.module.LayerWeights(
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


def _by_name(layers: Sequence[Any]) -> dict[str, list[np.ndarray]]:
    """All layers' arrays of each name of kernels.LayerWeights."""
    return {name: [getattr(layer, name) for layer in layers] for name in loops.module.LayerWeights._fields}


def _in_halves(layers: Sequence[Any], head: np.ndarray, earlier: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The matrices as 16-bit floats, all layers stacked; nothing unless every number is exactly one."""
    by_name, halves = _by_name(layers) | {"head": [head]}, dict[str, np.ndarray]()
    for name in (*MATRICES, "head"):
        stack = _stack_of_halves(by_name[name], earlier.get(name))
        if stack is None:
            return {}
        halves[name] = stack
    return halves


def _stack_of_halves(matrices: Sequence[np.ndarray], earlier: np.ndarray | None) -> np.ndarray | None:
    """The bits of halves [n_matrices, n_out, n_in] that are exactly the matrices; None if there are none.

    earlier: the stack made last time. It comes back as it is where it is still right, and is never changed: another
    thread may be decoding with it.
    """
    shape = (len(matrices), *matrices[0].shape)
    stack = earlier if earlier is not None and earlier.shape == shape else None
    fresh = None
    for i, matrix in enumerate(matrices):
        if stack is not None and not loops.module.n_unequal(stack[i], matrix):
            continue
        half = torch.from_numpy(matrix).half().numpy().view(np.uint16)
        if loops.module.n_unequal(half, matrix):
            return None
        if fresh is None:
            fresh = torch.empty(shape, dtype=torch.half).numpy().view(np.uint16)  # starts on a cache line
            fresh[:] = stack if stack is not None else 0
        fresh[i] = half
    return stack if fresh is None else fresh
