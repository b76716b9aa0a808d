"""The operations of arithmetic.py as compiled loops: the same terms in the same order, so the same bits.

numba may vectorise what is independent (columns, rows), but not reorder a sum or fuse a multiplication with an
addition: nothing here is compiled with `fastmath`. What each function computes is said in arithmetic.py.
"""

from __future__ import annotations

import numpy as np

from llm101.compression import arithmetic
from llm101.compression.arithmetic import LARGEST, LARGEST_FREQUENCY
from llm101.inference.compiled.kernels import exactly as compiled

f32 = np.float32
COLUMNS = 256
"""So many columns are summed at a time, in a scratch array that stays in the processor's nearest memory."""

exp = compiled(arithmetic.exp)


@compiled
def product(x, w):
    return product_of_columns(x, w, np.int64(0), w.shape[1])  # a plain 0 would be compiled anew, as a constant


@compiled
def product_of_columns(x, w, first, last):
    """x times the columns first to last - 1 of w. Four rows share each pass; what is left over is filled up to four."""
    n_rows, n_in = x.shape
    out = np.empty((n_rows, last - first), np.float32)
    sums = np.empty(4 * COLUMNS, np.float32)
    for o in range(first, last, COLUMNS):
        n = min(COLUMNS, last - o)
        for r in range(0, n_rows, 4):
            here, last_row = min(4, n_rows - r), n_rows - 1
            rows = r, min(r + 1, last_row), min(r + 2, last_row), min(r + 3, last_row)
            sums[:] = f32(0)
            for i in range(0, n_in - n_in % 4, 4):
                add_four_terms(sums, x, w, rows, i, o, n)
            for i in range(n_in - n_in % 4, n_in):
                for k in range(here):
                    for c in range(n):
                        sums[k * COLUMNS + c] += x[r + k, i] * w[i, o + c]
            for k in range(here):
                for c in range(n):
                    out[r + k, o - first + c] = sums[k * COLUMNS + c]
    return out


@compiled
def add_four_terms(sums, x, w, rows, i, o, n):
    """sums [4 · COLUMNS] += four rows of x, columns i to i + 3, times four rows of w, n columns from o on."""
    w0, w1, w2, w3 = w[i, o : o + n], w[i + 1, o : o + n], w[i + 2, o : o + n], w[i + 3, o : o + n]
    a, b, c, d = rows
    a0, a1, a2, a3 = x[a, i], x[a, i + 1], x[a, i + 2], x[a, i + 3]
    b0, b1, b2, b3 = x[b, i], x[b, i + 1], x[b, i + 2], x[b, i + 3]
    c0, c1, c2, c3 = x[c, i], x[c, i + 1], x[c, i + 2], x[c, i + 3]
    d0, d1, d2, d3 = x[d, i], x[d, i + 1], x[d, i + 2], x[d, i + 3]
    for p in range(n):
        v0, v1, v2, v3 = w0[p], w1[p], w2[p], w3[p]
        at1, at2, at3 = COLUMNS + p, 2 * COLUMNS + p, 3 * COLUMNS + p
        sums[p] = (((sums[p] + a0 * v0) + a1 * v1) + a2 * v2) + a3 * v3
        sums[at1] = (((sums[at1] + b0 * v0) + b1 * v1) + b2 * v2) + b3 * v3
        sums[at2] = (((sums[at2] + c0 * v0) + c1 * v1) + c2 * v2) + c3 * v3
        sums[at3] = (((sums[at3] + d0 * v0) + d1 * v1) + d2 * v2) + d3 * v3


@compiled
def rms_norm(x, weight, eps):
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
def rotate(x, cos, sin):
    n_rows, n_heads, d_head = x.shape
    half = d_head // 2
    out = np.empty((n_rows, n_heads, d_head), np.float32)
    for r in range(n_rows):
        for h in range(n_heads):
            for i in range(half):
                first, second = x[r, h, i], x[r, h, half + i]
                out[r, h, i] = first * cos[r, i] - second * sin[r, i]
                out[r, h, half + i] = second * cos[r, i] + first * sin[r, i]
    return out


@compiled
def attend(q, keys, values, slots, starts, ends):
    n_rows, n_heads, d_head = q.shape
    n_kv_heads = keys.shape[1]
    group = n_heads // n_kv_heads
    scale = f32(1) / np.sqrt(f32(d_head))
    out = np.empty((n_rows, n_heads, d_head), np.float32)
    for r in range(n_rows):
        start, end = starts[r], ends[r]
        for kv in range(n_kv_heads):
            at = kv * group
            weights = product_of_columns(q[r, at : at + group], keys[slots[r], kv], start, end)
            totals = np.empty(group, np.float32)
            for h in range(group):
                totals[h] = turn_into_weights(weights[h], scale)
            read = product(weights, values[slots[r], kv, start:end])
            for h in range(group):
                for i in range(d_head):
                    out[r, at + h, i] = read[h, i] / totals[h]
    return out


@compiled
def turn_into_weights(scores, scale):
    """The numerators of a softmax, over the scores; returns their sum."""
    highest = f32(-np.inf)
    for t in range(scores.shape[0]):
        scores[t] *= scale
        highest = max(highest, scores[t])
    for t in range(scores.shape[0]):
        scores[t] = exp(max(scores[t] - highest, -LARGEST))
    total = f32(0)
    for t in range(scores.shape[0]):
        total += scores[t]
    return total


@compiled
def swiglu(gate_and_up):
    n_rows, width = gate_and_up.shape[0], gate_and_up.shape[1] // 2
    out = np.empty((n_rows, width), np.float32)
    for r in range(n_rows):
        gate, up = gate_and_up[r, :width], gate_and_up[r, width:]
        for i in range(width):
            out[r, i] = gate[i] / (f32(1) + exp(min(max(-gate[i], -LARGEST), LARGEST))) * up[i]
    return out


@compiled
def cumulative_frequencies(logits):
    n_rows, n = logits.shape
    out = np.empty((n_rows, n + 1), np.int64)
    weights = np.empty(n, np.float32)
    for r in range(n_rows):
        highest = f32(-np.inf)
        for i in range(n):
            highest = max(highest, logits[r, i])
        for i in range(n):
            weights[i] = exp(max(logits[r, i] - highest, -LARGEST)) * f32(LARGEST_FREQUENCY)
        total = np.int64(0)
        for i in range(n):
            out[r, i] = total
            total += np.int64(weights[i]) + 1
        out[r, n] = total
    return out
