"""One decode step spelled out in plain loops, which numba compiles to machine code.

A tiny model's decode step in torch is mostly the cost of calling torch, and a larger one's the fetching of its
weights from memory. Here all layers are one call, and the weights are read as they are kept, in 16, 8 or 4 bits
each: they are widened in the processor, so that only these bytes have to be fetched. Several threads can make the
same call: they take the work in pieces, some rows of a matrix at a time.

Reading order: step (one token through all layers), take (how threads share it), then the pieces it is made of. `rows`
are tokens throughout: several when a short prompt is read or a batch is decoded, one when a text is continued.
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
from numba import carray, config, njit  # pyright: ignore[reportPrivateImportUsage]

from llm101.inference.compiled.cache import folder
from llm101.inference.compiled.formats import FORMATS
from llm101.inference.compiled.intrinsics import (
    TILE_COLUMNS,
    TILE_ROWS,
    as_pointer,
    block_of_products,
    block_of_whole_products,
    count_up,
    counted,
    from_bits,
    tile,
    to_bits,
    widen,
)

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

Q, K, V, O, GATE, UP, DOWN = range(7)  # noqa: E741 - a layer's matrices, in the order in which they are laid out
PER_LAYER = 7
EMBEDDING, HEAD = -2, -1
"""The two last rows of `Weights.matrices`."""


class Weights(NamedTuple):
    """A model's numbers, as packed.py lays them out; what a model lacks has size 0."""

    numbers: np.ndarray
    """All matrices one after the other, as bytes."""
    matrices: np.ndarray
    """For each of 7 · n_layers + 2: where it begins, its format's code, how many rows it has, how many bytes a row."""
    attention_norm: np.ndarray
    """[n_layers, d_model]; so is mlp_norm. The others, in this order: [n_layers, as many numbers as it has]."""
    mlp_norm: np.ndarray
    q_bias: np.ndarray
    k_bias: np.ndarray
    v_bias: np.ndarray
    q_norm: np.ndarray
    k_norm: np.ndarray
    final_norm: np.ndarray
    """[d_model]"""


class Places(NamedTuple):
    """Where some tokens stand, of one text or of several: [rows] of each, or [rows, d_head]."""

    positions: np.ndarray
    cos: np.ndarray
    """Each position's row of the rotary table; so is sin."""
    sin: np.ndarray
    keys: np.ndarray
    """Where in memory its text's keys lie, [n_layers, n_kv_heads, capacity, d_head]; so is values."""
    values: np.ndarray
    capacities: np.ndarray
    n_kv_heads: int
    window: int
    """How many positions back a token sees, itself included."""
    is_prompt: bool
    """Whether they are many tokens of one text: then a token's sums may be added up in another order."""


class Shared(NamedTuple):
    """What the threads of one step write for each other, [rows, as many numbers as pieces have room for] each."""

    x: np.ndarray
    """The residual stream."""
    q: np.ndarray
    """[rows, n_heads * d_head]"""
    attended: np.ndarray
    hidden: np.ndarray
    part: np.ndarray
    """Whatever is made and used up in between."""
    logits: np.ndarray
    """[the last few rows or all, vocab_size]"""


@compiled
def step(weights, places, shared, eps, n_threads, turns):
    """Take tokens through all layers: shared.x becomes shared.logits, and the caches get their keys and values.

    Several threads may call it with the same arguments; n_threads: how many. turns: zeros [5 * n_layers + 1, 2], of
    which `take` says more.
    """
    x, q, attended, hidden, part, logits = shared
    h, turn = np.zeros_like(x), 0  # h is this thread's own
    for i in range(len(weights.attention_norm)):
        read_heads(weights, i, x, h, places, q, eps, turns[turn])
        attend_heads(i, places, q, attended, turns[turn + 1])
        if i == len(weights.attention_norm) - 1:  # only what the logits need goes on from here
            first = len(x) - len(logits)
            x, h, attended, hidden, part = x[first:], h[first:], attended[first:], hidden[first:], part[first:]
        add_product(weights, PER_LAYER * i + O, attended, part, x, places.is_prompt, n_threads, turns[turn + 2])
        fill_hidden(weights, i, x, h, hidden, part, eps, places.is_prompt, n_threads, turns[turn + 3])
        add_product(weights, PER_LAYER * i + DOWN, hidden, part, x, places.is_prompt, n_threads, turns[turn + 4])
        turn += 5
    score(weights, x, h, logits, eps, places.is_prompt, n_threads, turns[turn])


@compiled
def take(turn):
    """The number of the next piece of work that nobody has taken yet.

    turn: two counters, of pieces taken and of pieces done. A thread takes pieces until there are no more, and goes on
    when all are done (`wait`): what it reads then is complete. One that comes when all is done just goes on.
    """
    return count_up(turn, 0)


@compiled
def give(turn):
    """Say that a piece is done."""
    count_up(turn, 1)


@compiled
def wait(turn, n_pieces):
    """Go on when all pieces are done."""
    while counted(turn, 1) < n_pieces:
        pass


@compiled
def read_heads(weights, layer, x, h, places, q, eps, turn):
    """The heads of q, k and v, a head a piece."""
    d_head = places.cos.shape[1]
    n_pieces = q.shape[1] // d_head + 2 * places.n_kv_heads
    mine = np.empty((len(x), q.shape[1]), np.float32)
    head, first = take(turn), True
    while head < n_pieces:
        if first:
            rms_norm(x, weights.attention_norm[layer], eps, h)
        project_head(weights, layer, head, h, mine, places, q, eps)
        give(turn)
        head, first = take(turn), False
    wait(turn, n_pieces)


@compiled
def attend_heads(layer, places, q, attended, turn):
    """What each head of each row reads, a head a piece."""
    n_heads = q.shape[1] // places.cos.shape[1]
    head = take(turn)
    while head < n_heads:
        if places.is_prompt and len(q) >= TILE_ROWS and places.cos.shape[1] >= TILE_COLUMNS:
            attend_prompt(layer, head, places, q, attended)
        else:
            for row in range(len(q)):
                attend(layer, row, head, places, q, attended)
        give(turn)
        head = take(turn)
    wait(turn, n_heads)


@compiled
def add_product(weights, m, h, part, x, is_prompt, n_threads, turn):
    """x += the product of matrix m with h."""
    n_out = weights.matrices[m, 2]
    size = piece_of(n_out, n_threads)
    n_pieces, piece = (n_out + size - 1) // size, take(turn)
    while piece < n_pieces:
        first, end = piece * size, min(n_out, (piece + 1) * size)
        multiply(weights, m, h, part, first, end, is_prompt)
        for r in range(len(x)):
            of_x, of_part = x[r, first:end], part[r, first:end]
            for i in range(end - first):
                of_x[i] += of_part[i]
        give(turn)
        piece = take(turn)
    wait(turn, n_pieces)


@compiled
def fill_hidden(weights, layer, x, h, hidden, part, eps, is_prompt, n_threads, turn):
    """hidden = silu(gate) * up, of what the residual stream holds."""
    gate, up = PER_LAYER * layer + GATE, PER_LAYER * layer + UP
    n_out = weights.matrices[gate, 2]
    size = piece_of(n_out, n_threads)
    n_pieces, piece, is_first = (n_out + size - 1) // size, take(turn), True
    while piece < n_pieces:
        if is_first:
            rms_norm(x, weights.mlp_norm[layer], eps, h)
        first, end = piece * size, min(n_out, (piece + 1) * size)
        multiply(weights, gate, h, hidden, first, end, is_prompt)
        multiply(weights, up, h, part, first, end, is_prompt)
        swiglu(hidden, part, first, end)
        give(turn)
        piece, is_first = take(turn), False
    wait(turn, n_pieces)


@compiled
def score(weights, x, h, logits, eps, is_prompt, n_threads, turn):
    """The logits of the residual stream."""
    n_out = logits.shape[1]
    size = piece_of(n_out, n_threads)
    n_pieces, piece, is_first = (n_out + size - 1) // size, take(turn), True
    while piece < n_pieces:
        if is_first:
            rms_norm(x, weights.final_norm, eps, h)
        first, end = piece * size, min(n_out, (piece + 1) * size)
        multiply(weights, np.int64(HEAD), h, logits, first, end, is_prompt)
        give(turn)
        piece, is_first = take(turn), False
    wait(turn, n_pieces)


@compiled
def piece_of(n_out, n_threads):
    """How many rows of a matrix are taken at once: about an eighth, by several threads, and by one all of them."""
    return (n_out + 255) // 256 * 32 if n_threads > 1 else n_out


@compiled
def project_head(weights, layer, head, h, mine, places, q, eps):
    """One of the heads of q, k and v, counted on through all three: made ready, and put where it belongs."""
    d_head, n_kv_heads = places.cos.shape[1], places.n_kv_heads
    n_heads = q.shape[1] // d_head
    kind, own, bias, norm = Q, head, weights.q_bias[layer], weights.q_norm[layer]
    if head >= n_heads + n_kv_heads:
        kind, own, bias = V, head - n_heads - n_kv_heads, weights.v_bias[layer]
    elif head >= n_heads:
        kind, own, bias, norm = K, head - n_heads, weights.k_bias[layer], weights.k_norm[layer]
    first, end = own * d_head, (own + 1) * d_head
    multiply(weights, PER_LAYER * layer + kind, h, mine, first, end, places.is_prompt)
    add_bias(mine, bias, first, end)
    if kind != V:
        turn(mine, first, norm, places.cos, places.sin, eps)
    for r in range(len(h)):
        if kind == Q:
            q[r, first:end] = mine[r, first:end]
        else:
            cache = cached(places.keys if kind == K else places.values, places, r, layer)
            cache[own, places.positions[r]] = mine[r, first:end]


@compiled
def cached(starts, places, row, layer):
    """A layer's cached keys or values of a row's text: [n_kv_heads, capacity, d_head]."""
    shape = (layer + 1, places.n_kv_heads, places.capacities[row], places.cos.shape[1])
    return carray(as_pointer(starts[row]), shape, np.float32)[layer]


# Four rows of weights at once, or two for four tokens: eight sums each, because the smaller processors have sixteen
# places for eight numbers, and need some for w and x.
four_by_one, two_by_four, one_by_one = block_of_products(4, 1), block_of_products(2, 4), block_of_products(1, 1)
four_whole, one_whole = block_of_whole_products(4), block_of_whole_products(1)
HALF_BYTES = FORMATS["Q4_0"].code
"""From this code on, the numbers of a matrix are half bytes."""


@compiled
def multiply(weights, m, x, out, first, end, is_prompt):
    """See project; the rows of a prompt take another way."""
    if is_prompt and end - first >= TILE_COLUMNS and len(x) >= TILE_ROWS:
        project_prompt(weights, m, x, out, first, end)
    else:
        project(weights, m, x, out, first, end)


@compiled
def project(weights, m, x, out, first, end):
    """out[:, first:end] becomes x [rows, n_in] times the transpose of the rows first to end - 1 of matrix m.

    n_in: as many numbers as the pieces of a row have room for; those that fill it up are zeros. Four tokens share each
    pass over a row of weights, so that its numbers are fetched and widened once for all four.
    """
    start, code, _, row_bytes = weights.matrices[m]
    if code >= HALF_BYTES and m % PER_LAYER not in (O, DOWN):  # into these go a few numbers far larger than the rest
        project_half_bytes(weights, m, x, out, first, end)
        return
    numbers, n_rows = weights.numbers, len(x)
    fours = n_rows - n_rows % 4
    twos = first + (end - first) // 2 * 2
    for o in range(first, twos, 2):
        at = start + o * row_bytes
        for r in range(0, fours, 4):
            two_by_four(numbers, at, row_bytes, code, x[r:], out[r:], o, 1)
    for r in range(n_rows):
        done = twos if r < fours else first
        n = (end - done) // 4
        last, row, own = done + 4 * n, x[r:], out[r:]
        four_by_one(numbers, start + done * row_bytes, row_bytes, code, row, own, done, n)
        one_by_one(numbers, start + last * row_bytes, row_bytes, code, row, own, last, end - last)


@compiled
def project_half_bytes(weights, m, x, out, first, end):
    """The same for Q4_0 and Q4_1: x as whole numbers of 16 bits, a row after the other.

    Not for what attention and the MLP hand back: rounded as well, SmolLM2's logits would be off by up to 0.017 instead
    of 0.009.
    """
    start, code, _, row_bytes = weights.matrices[m]
    n_in = x.shape[1]
    whole = np.empty(n_in, np.int16)
    scales, sums = np.empty(n_in // 32, np.float32), np.empty(n_in // 32, np.float32)
    n, numbers = (end - first) // 4, weights.numbers
    last = first + 4 * n
    for r in range(len(x)):
        round_to_whole(x[r], whole, scales, sums)
        at = start + first * row_bytes
        four_whole(numbers, at, row_bytes, code, whole, scales, sums, out[r], first, n)
        at = start + last * row_bytes
        one_whole(numbers, at, row_bytes, code, whole, scales, sums, out[r], last, end - last)


@compiled
def round_to_whole(x, whole, scales, sums):
    """Each 32 numbers of x as whole ones from -32767 to 32767 times a scale; and their sums.

    That is half the rounding of float16 at worst, for the largest of them.
    """
    for k in range(len(scales)):
        piece = x[32 * k : 32 * k + 32]
        largest, total = f32(0), f32(0)
        for number in piece:
            largest = max(largest, abs(number))
            total += number
        scales[k], sums[k] = largest / f32(32767), total
        factor = f32(32767) / largest if largest > f32(0) else f32(0)
        for i in range(len(piece)):
            whole[32 * k + i] = np.int16(np.rint(piece[i] * factor))


@compiled
def project_prompt(weights, m, x, out, first, end):
    """The same for the rows of a prompt: some rows of the matrix are widened, and then used for all of x.

    At least one tile has to fit. What does not fill another is left to one that overlaps the tile before, which finds
    the same numbers again.
    """
    n_in = x.shape[1]
    n_tiles = max(1, min(4, 49152 // n_in))  # side by side, so that they stay in the processor's second cache
    rows, right = np.empty((TILE_COLUMNS, n_in), np.float32), np.empty((n_tiles, n_in, TILE_COLUMNS), np.float32)
    for at in range(first, end, n_tiles * TILE_COLUMNS):
        here = min(n_tiles, (end - at + TILE_COLUMNS - 1) // TILE_COLUMNS)
        for t in range(here):
            columns_of_tile(weights, m, min(at + t * TILE_COLUMNS, end - TILE_COLUMNS), rows, right[t])
        for r in range(0, len(x), TILE_ROWS):
            top = min(r, len(x) - TILE_ROWS)
            for t in range(here):
                tile(x[top:], right[t], out[top:, min(at + t * TILE_COLUMNS, end - TILE_COLUMNS) :])


@compiled
def columns_of_tile(weights, m, o, rows, right):
    """right [n_in, 16]: sixteen rows of matrix m from o on, as its columns; rows: room for them."""
    start, code, _, row_bytes = weights.matrices[m]
    for column in range(TILE_COLUMNS):
        widen(weights.numbers, start + (o + column) * row_bytes, code, rows[column])
    for i in range(len(right)):
        for column in range(TILE_COLUMNS):
            right[i, column] = rows[column, i]


@compiled
def widened_rows(weights, m, first, end, out):
    """out [rows, n_in]: the rows first to end - 1 of matrix m as float32, without what fills up their pieces."""
    start, code, _, row_bytes = weights.matrices[m]
    n_in = out.shape[1]
    row = np.empty((n_in + 31) // 32 * 32, np.float32)
    for o in range(first, end):
        if n_in % 32 == 0:
            widen(weights.numbers, start + o * row_bytes, code, out[o - first])
        else:
            widen(weights.numbers, start + o * row_bytes, code, row)
            out[o - first] = row[:n_in]


@compiled
def is_different(weights, m, first, numbers):
    """Whether the rows of matrix m from `first` on are any other than these numbers [rows, n_in]."""
    row = np.empty((1, numbers.shape[1]), np.float32)
    for o in range(len(numbers)):
        widened_rows(weights, m, first + o, first + o + 1, row)
        n = 0
        for i in range(numbers.shape[1]):
            n += row[0, i] != numbers[o, i]
        if n:
            return True
    return False


@compiled
def checksum(numbers):
    """Two sums over the bits of float32 numbers; one that is changed, or two that change places, change a sum."""
    bits, plain, placed = numbers.view(np.uint32), np.uint64(0), np.uint64(0)
    for i in range(len(bits)):
        plain += np.uint64(bits[i])
        placed += np.uint64(bits[i]) * np.uint64(i)
    return plain, placed


@compiled
def attend(layer, row, head, places, q, out):
    """What one head of a row reads from the tokens up to its own place: d_head numbers of out [rows, n_heads * d_head].

    q: [rows, n_heads * d_head].
    """
    d_head = places.cos.shape[1]
    kv, here = head * d_head * places.n_kv_heads // q.shape[1], slice(head * d_head, (head + 1) * d_head)
    end = places.positions[row] + 1
    start = max(0, end - places.window)
    seen = np.empty(end - start, np.float32)
    scores(cached(places.keys, places, row, layer)[kv, start:end], q[row, here], seen)
    soften(seen, f32(1) / np.sqrt(f32(d_head)))
    out[row, here] = f32(0)
    add_weighted(out[row, here], seen, cached(places.values, places, row, layer)[kv, start:end])


@compiled
def attend_prompt(layer, head, places, q, out):
    """The same for all rows of a prompt, which lie one behind the other in their text: six of them at a time."""
    n_rows, d_head = len(q), places.cos.shape[1]
    kv, at = head * d_head * places.n_kv_heads // q.shape[1], head * d_head
    length = places.positions[n_rows - 1] + 1
    keys, values = cached(places.keys, places, 0, layer)[kv], cached(places.values, places, 0, layer)[kv]
    n_keys = (length + TILE_COLUMNS - 1) // TILE_COLUMNS * TILE_COLUMNS
    turned, seen = np.zeros((d_head, n_keys), np.float32), np.empty((TILE_ROWS, n_keys), np.float32)
    for t in range(length):
        for i in range(d_head):
            turned[i, t] = keys[t, i]
    for r in range(0, n_rows, TILE_ROWS):
        top = min(r, n_rows - TILE_ROWS)
        end = places.positions[top] + TILE_ROWS
        start = max(0, places.positions[top] + 1 - places.window) // TILE_COLUMNS * TILE_COLUMNS
        for t in range(start, end, TILE_COLUMNS):
            tile(q[top:, at : at + d_head], turned[:, t:], seen[:, t:])
        for row in range(TILE_ROWS):
            last = places.positions[top] + row + 1
            first = max(0, last - places.window)
            soften(seen[row, first:last], f32(1) / np.sqrt(f32(d_head)))
            seen[row, start:first] = f32(0)
            seen[row, last:end] = f32(0)
        for column in range(0, d_head, TILE_COLUMNS):
            i = min(column, d_head - TILE_COLUMNS)
            tile(seen[:, start:end], values[start:end, i:], out[top:, at + i :])


@compiled
def scores(keys, q, out):
    """The products of keys [n, d_head] with q [d_head]: out [n]."""
    for t in range(len(keys)):
        s = f32(0)
        for i in range(len(q)):
            s += keys[t, i] * q[i]
        out[t] = s


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
def turn(x, at, norm, cos, sin, eps):
    """A query or key in each row, which begins at column `at`: normalised where the model does so, then turned."""
    d_head = cos.shape[1]
    half = d_head // 2
    for r in range(len(x)):
        head = x[r, at : at + d_head]
        if norm.size:
            squares = f32(0)
            for i in range(d_head):
                squares += head[i] * head[i]
            factor = f32(1) / np.sqrt(squares / f32(d_head) + eps)
            for i in range(d_head):
                head[i] *= factor * norm[i]
        for i in range(half):
            first, second = head[i], head[half + i]
            head[i] = first * cos[r, i] - second * sin[r, i]
            head[half + i] = second * cos[r, half + i] + first * sin[r, half + i]


@compiled
def rms_norm(x, weight, eps, out):
    """out: each row of x divided by its root mean square, times the weight; what fills up a row stays zero."""
    n_rows, width = len(x), len(weight)
    for r in range(n_rows):
        squares = f32(0)
        for i in range(width):
            squares += x[r, i] * x[r, i]
        factor = f32(1) / np.sqrt(squares / f32(width) + eps)
        for i in range(width):
            out[r, i] = x[r, i] * factor * weight[i]


@compiled
def swiglu(gate, up, first, end):
    """silu(gate) * up, written over gate, in the columns first to end - 1."""
    for r in range(len(gate)):
        own, other = gate[r, first:end], up[r, first:end]
        for i in range(end - first):
            own[i] = own[i] / (f32(1) + exp(-own[i])) * other[i]


@compiled
def add_bias(x, bias, first, end):
    """The bias added to each row, in the columns first to end - 1, if there is one."""
    if bias.size:
        for r in range(len(x)):
            for i in range(first, end):
                x[r, i] += bias[i]


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
