"""One decode step spelled out in plain loops, which numba compiles to machine code.

A tiny model's decode step in torch is mostly the cost of calling torch. Here all layers are one call. The numbers
of the matrices may be 32-bit floats, or the 16 bits of halves (as uint16): those are widened in the processor,
so that only half the bytes have to be fetched from memory.

Reading order: layers_step (one token through layers), then the pieces it is made of. `rows` are tokens throughout:
several at a time when a prompt is read or a batch is decoded, one when a text is continued.
"""

# An intrinsic is called without its first argument, which numba puts in.
# pyright: reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import config, njit

from llm101.inference.compiled.cache import folder
from llm101.inference.compiled.intrinsics import eight_by_one, from_bits, to_bits, two_by_four, widened

# What the compiler may assume of sums: that their order does not matter. It may not assume that NaN never
# happens, because a damaged parameter has to be noticed.
REORDER = {"reassoc", "contract", "nsz", "arcp"}
f32 = np.float32


def compiled(function: Callable, fastmath: set[str] | bool = REORDER) -> Callable:
    """The function as machine code, kept on disk for the next start where there is a place for it."""
    with keep_in(folder()) as is_kept:
        return njit(function, fastmath=fastmath, error_model="numpy", nogil=True, cache=is_kept)


@contextmanager
def keep_in(place: Path | None) -> Iterator[bool]:
    """Have numba keep what is defined in the block in this folder, if there is one; the rest stays where it was."""
    settings: Any = config
    usual = settings.CACHE_DIR
    try:
        settings.CACHE_DIR = usual if place is None else str(place)
        yield place is not None
    finally:
        settings.CACHE_DIR = usual


# A function that says nothing of fastmath would take it over from its caller.
exactly = partial(compiled, fastmath=False)


class LayerWeights(NamedTuple):
    """One layer's parameters, or several layers' stacked along a first axis; what a model lacks has size 0."""

    attention_norm: np.ndarray
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    o: np.ndarray
    q_bias: np.ndarray
    k_bias: np.ndarray
    v_bias: np.ndarray
    q_norm: np.ndarray
    k_norm: np.ndarray
    mlp_norm: np.ndarray
    gate: np.ndarray
    up: np.ndarray
    down: np.ndarray


@compiled
def layers_step(x, stack, first, cos, sin, eps, keys, values, position, window):
    """Take one token through some layers: x [1, d_model] is changed in place, the cache gets its keys and values.

    stack: the layers' weights; first: the number of the first of them. cos, sin: the position's row of the rotary
    table, [1, d_head]. keys, values: the whole cache, [n_layers, 1, n_kv_heads, capacity, d_head]. window: how many
    positions back a token sees, itself included.
    """
    n_kv_heads, d_head = keys.shape[2], keys.shape[4]
    for i in range(len(stack.q)):
        layer_keys, layer_values = keys[first + i, 0], values[first + i, 0]
        h = rms_norm(x, stack.attention_norm[i], eps)
        q = heads(project(stack.q[i], h), stack.q_bias[i], stack.q_norm[i], cos, sin, d_head, eps)
        k = heads(project(stack.k[i], h), stack.k_bias[i], stack.k_norm[i], cos, sin, d_head, eps)
        v = add_bias(project(stack.v[i], h), stack.v_bias[i])
        layer_keys[:, position] = k.reshape(n_kv_heads, d_head)
        layer_values[:, position] = v.reshape(n_kv_heads, d_head)
        add(x, project(stack.o[i], attend(q, layer_keys, layer_values, position, window)))
        h = rms_norm(x, stack.mlp_norm[i], eps)
        add(x, project(stack.down[i], swiglu(project(stack.gate[i], h), project(stack.up[i], h))))


@compiled
def project(w, x):
    """x [rows, n_in] times the transpose of w [n_out, n_in]: [rows, n_out].

    Four rows share each pass over w, so that its numbers are fetched and widened once for all four.
    """
    n_rows, n_out, n_in = x.shape[0], w.shape[0], w.shape[1]
    out = np.empty((n_rows, n_out), np.float32)
    fours = n_rows - n_rows % 4 if n_in % 8 == 0 else 0
    twos = n_out - n_out % 2
    for o in range(0, twos, 2):
        for r in range(0, fours, 4):
            two_by_four(w, x[r : r + 4], out[r : r + 4], o)
    for r in range(n_rows):
        done = twos if r < fours else 0
        products(w[done:], x[r], out[r, done:])
    return out


@compiled
def products(w, x, out):
    """out [n_out] becomes w [n_out, n_in] times x [n_in].

    Halves are taken eight rows at a time; floats come sooner from memory in one row after the other.
    """
    n_out, n_in = w.shape
    eights = n_out - n_out % 8 if n_in % 8 == 0 and w.itemsize == 2 else 0
    for o in range(0, eights, 8):
        eight_by_one(w, x, out, o)
    for o in range(eights, n_out):
        s = f32(0)
        for i in range(n_in):
            s += widened(w[o, i]) * x[i]
        out[o] = s


@compiled
def attend(q, keys, values, position, window):
    """What each row reads from the tokens up to its own place: [rows, n_heads * d_head].

    q: [rows, n_heads * d_head], the first row at `position`; keys, values: [n_kv_heads, capacity, d_head].
    """
    n_rows, width = q.shape
    n_kv_heads, capacity, d_head = keys.shape
    group = width // d_head // n_kv_heads
    out = np.zeros_like(q)
    weights = np.empty(capacity, np.float32)
    scale = f32(1) / np.sqrt(f32(d_head))
    for r in range(n_rows):
        end = position + r + 1
        start = max(0, end - window)
        seen = weights[start:end]
        for head in range(width // d_head):
            at, kv = head * d_head, head // group
            products(keys[kv, start:end], q[r, at : at + d_head], seen)
            soften(seen, scale)
            add_weighted(out[r, at : at + d_head], seen, values[kv, start:end])
    return out


@compiled
def soften(scores, scale):
    """softmax(scores * scale), in place."""
    highest, total = f32(-np.inf), f32(0)
    for score in scores:
        highest = max(highest, score)
    for t in range(len(scores)):
        scores[t] = exp((scores[t] - highest) * scale)
        total += scores[t]
    for t in range(len(scores)):
        scores[t] /= total


@compiled
def add_weighted(out, weights, rows):
    """out += the rows' sum, each times its weight; eight rows in each pass over `out`."""
    n_rows, width = rows.shape
    eights = n_rows - n_rows % 8
    for t in range(0, eights, 8):
        w0, w1, w2, w3 = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
        w4, w5, w6, w7 = weights[t + 4], weights[t + 5], weights[t + 6], weights[t + 7]
        for i in range(width):
            first_four = w0 * rows[t, i] + w1 * rows[t + 1, i] + w2 * rows[t + 2, i] + w3 * rows[t + 3, i]
            others = w4 * rows[t + 4, i] + w5 * rows[t + 5, i] + w6 * rows[t + 6, i] + w7 * rows[t + 7, i]
            out[i] += first_four + others
    for t in range(eights, n_rows):
        for i in range(width):
            out[i] += weights[t] * rows[t, i]


@compiled
def heads(x, bias, norm, cos, sin, d_head, eps):
    """Queries or keys made ready, in place: bias and norm where the model has them, then the rotary turn."""
    add_bias(x, bias)
    n_rows, width = x.shape
    half = d_head // 2
    for r in range(n_rows):
        for at in range(0, width, d_head):
            if norm.size:
                squares = f32(0)
                for i in range(d_head):
                    squares += x[r, at + i] * x[r, at + i]
                factor = f32(1) / np.sqrt(squares / f32(d_head) + eps)
                for i in range(d_head):
                    x[r, at + i] *= factor * norm[i]
            for i in range(half):
                first, second = x[r, at + i], x[r, at + half + i]
                x[r, at + i] = first * cos[r, i] - second * sin[r, i]
                x[r, at + half + i] = second * cos[r, half + i] + first * sin[r, half + i]
    return x


@compiled
def rms_norm(x, weight, eps):
    """Each row divided by its root mean square, times the weight."""
    n_rows, width = x.shape
    out = np.empty_like(x)
    for r in range(n_rows):
        squares = f32(0)
        for i in range(width):
            squares += x[r, i] * x[r, i]
        factor = f32(1) / np.sqrt(squares / f32(width) + eps)
        for i in range(width):
            out[r, i] = x[r, i] * factor * weight[i]
    return out


@compiled
def swiglu(gate, up):
    """silu(gate) * up, written over gate."""
    n_rows, width = gate.shape
    for r in range(n_rows):
        for i in range(width):
            gate[r, i] = gate[r, i] / (f32(1) + exp(-gate[r, i])) * up[r, i]
    return gate


@compiled
def add(x, y):
    """x += y"""
    n_rows, width = x.shape
    for r in range(n_rows):
        for i in range(width):
            x[r, i] += y[r, i]


@compiled
def add_bias(x, bias):
    """The bias added to each row, in place, if there is one."""
    if bias.size:
        n_rows, width = x.shape
        for r in range(n_rows):
            for i in range(width):
                x[r, i] += bias[i]
    return x


@compiled
def n_unequal(halves, numbers):
    """How many of the numbers [rows, columns] are not exactly the halves beside them."""
    n = 0
    for r in range(numbers.shape[0]):
        for i in range(numbers.shape[1]):
            n += widened(halves[r, i]) != numbers[r, i]
    return n


@exactly
def exp(x):
    """e**x in float32 to about 1e-7 (relative), in a form that the compiler can do for many numbers at once.

    x = n·ln 2 + r with |r| <= ln 2 / 2, so e**x = 2**n · e**r; e**r by a polynomial (coefficients: Cephes, expf).
    Adding 1.5·2**23 rounds to the whole number n and leaves it in the lowest bits, from where a shift moves it
    into the exponent. This must not be compiled with reordered sums: they would cancel the rounding out.
    """
    if x > f32(88):  # noqa: PLR1730 - min() and max() would hide a NaN
        x = f32(88)
    if x < f32(-87):  # noqa: PLR1730
        x = f32(-87)
    shifted = x * f32(1.44269504) + f32(12582912)
    n = shifted - f32(12582912)
    r = x - n * f32(0.693359375)
    r = r + n * f32(2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    p = p * r * r + r + f32(1)
    return p * from_bits((to_bits(shifted) << np.int32(23)) + np.int32(127 << 23))
