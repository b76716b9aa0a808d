"""Arithmetic whose every bit is defined: the same numbers on any machine, with any number of threads or rows.

A file can be unpacked only if the model's numbers come out exactly as they did when it was packed, and the result of
a floating-point sum depends on its order. So the order stands here: **every sum runs from its first term to its last**,
and nothing is used but + - * / and the square root, each of which IEEE 754 rounds correctly. No matrix library, no
fused multiply-add, no sine or exponential from the system.

This is the definition, in numpy; kernels.py holds the same operations in the same order as compiled loops, many times
faster. Each row is computed by itself, so a row's numbers do not depend on which rows are beside it.

Reading order: product, exp, then the pieces of a Transformer in their order, then cumulative_frequencies.
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

import numpy as np
import numpy.typing as npt

f32 = np.float32
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

LARGEST = f32(87)
"""The largest number, and with a minus the smallest, that exp takes."""

LARGEST_FREQUENCY = 2**24
"""What the likeliest token counts as. A float32 has 24 bits: more would not be finer."""


def product(x: Floats, w: Floats) -> Floats:
    """x [rows, n_in] times w [n_in, n_out]: [rows, n_out], summed in the order of n_in.

    Example:
        >>> product(np.float32([[1, 2]]), np.float32([[3, 4, 5], [6, 7, 8]]))
        array([[15., 18., 21.]], dtype=float32)
    """
    out = np.zeros((len(x), w.shape[1]), np.float32)
    for i in range(len(w)):
        out += x[:, i : i + 1] * w[i]
    return out


def exp(x):  # of numbers for kernels.py, of arrays here; both float32
    """e**x in float32, of a number or an array from -87 to 87, where float32 ends.

    (e**(x/128))**128: a short Taylor series near 0, then seven squarings. It is up to 2e-4 off at the far ends, which
    costs nothing here; what counts is that it is the same everywhere.

    Example:
        >>> exp(np.float32([0, 1, -2])).round(4)
        array([1.    , 2.7183, 0.1353], dtype=float32)
    """
    y = x * f32(1 / 128)
    p = y * f32(1 / 5040) + f32(1 / 720)
    p = p * y + f32(1 / 120)
    p = p * y + f32(1 / 24)
    p = p * y + f32(1 / 6)
    p = p * y + f32(1 / 2)
    p = p * y + f32(1)
    p = p * y + f32(1)
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    return p * p


def rms_norm(x: Floats, weight: Floats, eps: np.float32) -> Floats:
    """Each row of x [rows, n] divided by its root mean square, times the weight [n]."""
    squares = np.zeros(len(x), np.float32)
    for i in range(x.shape[1]):
        squares += x[:, i] * x[:, i]
    factor: Floats = f32(1) / np.sqrt(squares / f32(x.shape[1]) + eps)
    return x * factor[:, None] * weight


def rotate(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """Turn each pair (x[i], x[i + d_head/2]) of x [rows, heads, d_head] by its row's angle [rows, d_head/2]."""
    first, second = np.split(x, 2, axis=2)
    cos, sin, out = cos[:, None], sin[:, None], np.empty_like(x)
    out_first, out_second = np.split(out, 2, axis=2)
    out_first[:] = first * cos - second * sin
    out_second[:] = second * cos + first * sin
    return out


def attend(q: Floats, keys: Floats, values: Floats, slots: Ints, starts: Ints, ends: Ints) -> Floats:
    """What each row reads from the tokens at its places start to end - 1: [rows, n_heads, d_head].

    Args:
        q: [rows, n_heads, d_head].
        keys: [slots, n_kv_heads, d_head, capacity]: a place is a column, so that products vectorise.
        values: [slots, n_kv_heads, capacity, d_head].
        slots: where each row's text lies in keys and values.
        starts, ends: the places it sees.
    """
    out = np.empty_like(q)
    n_kv_heads, d_head = keys.shape[1:3]
    group = q.shape[1] // n_kv_heads
    scale = f32(1) / np.sqrt(f32(d_head))
    for r, (slot, start, end) in enumerate(zip(slots, starts, ends)):
        for kv in range(n_kv_heads):
            heads = slice(kv * group, kv * group + group)
            scores = product(q[r, heads], keys[slot, kv, :, start:end]) * scale
            weights = exp(np.maximum(scores - scores.max(axis=1, keepdims=True), -LARGEST))
            totals = np.zeros(group, np.float32)
            for t in range(end - start):
                totals += weights[:, t]
            out[r, heads] = product(weights, values[slot, kv, start:end]) / totals[:, None]
    return out


def swiglu(gate_and_up: Floats) -> Floats:
    """silu(gate) · up of [rows, 2 · n], gate and up side by side: [rows, n]."""
    gate, up = np.split(gate_and_up, 2, axis=1)
    return gate / (f32(1) + exp(np.clip(-gate, -LARGEST, LARGEST))) * up


def cumulative_frequencies(logits: Floats) -> Ints:
    """Scores [rows, n] as whole numbers in proportion to the probabilities, added up: [rows, n + 1].

    Token i has the interval from out[:, i] to out[:, i + 1]. None is empty, so any token can be coded.

    Example:
        >>> cumulative_frequencies(np.float32([[0, -99, 0]])).tolist()
        [[0, 16777217, 16777218, 33554435]]
    """
    weights: Floats = exp(np.maximum(logits - logits.max(axis=1, keepdims=True), -LARGEST)) * f32(LARGEST_FREQUENCY)
    out = np.zeros((len(logits), logits.shape[1] + 1), np.int64)
    np.cumsum(weights.astype(np.int64) + 1, axis=1, out=out[:, 1:])
    return out


def rotary_table(theta: float, d_head: int, n_positions: int) -> tuple[Floats, Floats]:
    """Cosines and sines of the rotary angles, each [n_positions, d_head / 2]; see model.rotary_table.

    The turn from one position to the next comes from decimal arithmetic, which is software and the same everywhere;
    the positions follow by turning again and again, in float64.

    Example:
        >>> cos, sin = rotary_table(10_000.0, 4, 3)
        >>> [[round(float(number), 3) for number in row] for row in cos]
        [[1.0, 1.0], [0.54, 1.0], [-0.416, 1.0]]
    """
    with localcontext(Context(prec=40)):
        turns = [_cos_and_sin((-Decimal(theta).ln() * 2 * i / d_head).exp()) for i in range(d_head // 2)]
    turn_cos, turn_sin = (np.array(numbers) for numbers in zip(*turns))
    cos, sin = np.ones((n_positions, d_head // 2)), np.zeros((n_positions, d_head // 2))
    for p in range(1, n_positions):
        cos[p] = cos[p - 1] * turn_cos - sin[p - 1] * turn_sin
        sin[p] = sin[p - 1] * turn_cos + cos[p - 1] * turn_sin
    return cos.astype(np.float32), sin.astype(np.float32)


def _cos_and_sin(angle: Decimal) -> tuple[float, float]:
    """By the Taylor series of e**(i·angle), whose terms belong to the cosine and the sine in turn."""
    sums, term, n = [Decimal(0), Decimal(0)], Decimal(1), 0
    while abs(term) > Decimal("1e-40"):
        sums[n % 2] += term if n % 4 < 2 else -term
        n += 1
        term *= angle / n
    return float(sums[0]), float(sums[1])
