"""One decode step spelled out in plain loops, which numba compiles to machine code on first use.

A tiny model's decode step in torch is mostly the cost of calling torch. Here a layer is one call. The numbers
of the matrices may be 32-bit floats, or the 16 bits of halves (as uint16): those are widened in the processor,
so that only half the bytes have to be fetched from memory.

Reading order: layer_step (a whole layer), then the pieces it is made of. `rows` are tokens throughout:
several at a time when a prompt is read or a batch is decoded, one when a text is continued.
"""

# An intrinsic is called without its first argument, which numba puts in.
# pyright: reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# What the compiler may assume of sums: that their order does not matter. It may not assume that NaN never
# happens, because a damaged parameter has to be noticed.
REORDER = {"reassoc", "contract", "nsz", "arcp"}
f32 = np.float32


def compiled(function: Callable, fastmath: set[str] | bool = REORDER) -> Callable:
    """The function as machine code, kept on disk for the next start where there is a place for it."""
    try:
        return njit(function, fastmath=fastmath, error_model="numpy", nogil=True, cache=True)
    except RuntimeError:  # neither the package nor the home folder can be written to
        return njit(function, fastmath=fastmath, error_model="numpy", nogil=True)


# A function that says nothing of fastmath would take it over from its caller.
exactly = partial(compiled, fastmath=False)


class LayerWeights(NamedTuple):
    """One layer's parameters as arrays; what a model does not have is an array of size 0."""

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
def layer_step(x, w, layer, cos, sin, eps, keys, values, position, window):
    """Take one token through one layer: x [1, d_model] is changed in place, the cache gets the token's key and value.

    cos, sin: the position's row of the rotary table, [1, d_head]. keys, values: the whole cache,
    [n_layers, 1, n_kv_heads, capacity, d_head]. window: how many positions back a token sees, itself included.
    """
    n_kv_heads, d_head = keys.shape[2], keys.shape[4]
    h = rms_norm(x, w.attention_norm, eps)
    q = heads(project(w.q, h), w.q_bias, w.q_norm, cos, sin, d_head, eps)
    k = heads(project(w.k, h), w.k_bias, w.k_norm, cos, sin, d_head, eps)
    v = add_bias(project(w.v, h), w.v_bias)
    for head in range(n_kv_heads):
        for i in range(d_head):
            keys[layer, 0, head, position, i] = k[0, head * d_head + i]
            values[layer, 0, head, position, i] = v[0, head * d_head + i]
    add(x, project(w.o, attend(q, keys[layer, 0], values[layer, 0], position, window)))
    h = rms_norm(x, w.mlp_norm, eps)
    add(x, project(w.down, swiglu(project(w.gate, h), project(w.up, h))))


@compiled
def project(w, x):
    """x [rows, n_in] times the transpose of w [n_out, n_in]: [rows, n_out].

    Four rows share each pass over w, so that its numbers are fetched and widened once for all four.
    """
    n_rows, n_out, n_in = x.shape[0], w.shape[0], w.shape[1]
    out = np.empty((n_rows, n_out), np.float32)
    fours = n_rows - n_rows % 4
    for o in range(n_out):
        for r in range(0, fours, 4):
            s0 = s1 = s2 = s3 = f32(0)
            for i in range(n_in):
                number = widened(w[o, i])
                s0 += number * x[r, i]
                s1 += number * x[r + 1, i]
                s2 += number * x[r + 2, i]
                s3 += number * x[r + 3, i]
            out[r, o], out[r + 1, o], out[r + 2, o], out[r + 3, o] = s0, s1, s2, s3
        for r in range(fours, n_rows):
            s = f32(0)
            for i in range(n_in):
                s += widened(w[o, i]) * x[r, i]
            out[r, o] = s
    return out


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
        for head in range(width // d_head):
            at, kv = head * d_head, head // group
            highest = f32(-np.inf)
            for t in range(start, end):
                score = f32(0)
                for i in range(d_head):
                    score += q[r, at + i] * keys[kv, t, i]
                weights[t] = score * scale
                highest = max(highest, weights[t])
            total = f32(0)
            for t in range(start, end):
                weights[t] = exp(weights[t] - highest)
                total += weights[t]
            add_weighted(out[r, at : at + d_head], weights[start:end], values[kv, start:end], f32(1) / total)
    return out


@compiled
def add_weighted(out, weights, rows, factor):
    """out += factor · (the rows' sum, each times its weight), four rows in each pass over `out`."""
    n_rows, width = rows.shape
    fours = n_rows - n_rows % 4
    for t in range(0, fours, 4):
        w0, w1, w2, w3 = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
        for i in range(width):
            sum_of_four = w0 * rows[t, i] + w1 * rows[t + 1, i] + w2 * rows[t + 2, i] + w3 * rows[t + 3, i]
            out[i] += factor * sum_of_four
    for t in range(fours, n_rows):
        for i in range(width):
            out[i] += factor * weights[t] * rows[t, i]


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


@intrinsic
def widened(typing_context, number):
    """A number as float32: itself, or the half whose bits are given as uint16."""

    def generate(context, builder, signature, arguments):
        if number == types.uint16:
            return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())
        return arguments[0]

    return types.float32(number), generate


@intrinsic
def to_bits(typing_context, number):
    """The 32 bits of a float32, as an int32."""
    return types.int32(types.float32), lambda context, builder, signature, a: builder.bitcast(a[0], ir.IntType(32))


@intrinsic
def from_bits(typing_context, bits):
    """The float32 that an int32's bits spell."""
    return types.float32(types.int32), lambda context, builder, signature, a: builder.bitcast(a[0], ir.FloatType())
