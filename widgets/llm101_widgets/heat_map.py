"""Bytes as numbers, and numbers as a picture: what the parameter microscope computes in Python.

It knows nothing of files or widgets. Reading order: FLOATS, numbers, bits_of, flat_index, number_at and flipped (one
number), as_matrix, view_of (which uses window and overview), as_png (many).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FLOATS = {"float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23)}
"""The kinds of number that can be looked at, with their bits for exponent and mantissa; one more is the sign."""

Numbers = npt.NDArray[np.float32]


def numbers(raw: bytes, dtype: str) -> Numbers:
    """Little-endian bytes as numbers.

    Example:
        >>> numbers(bytes.fromhex("003c 00c0"), "float16"), numbers(bytes.fromhex("803f"), "bfloat16")
        (array([ 1., -2.], dtype=float32), array([1.], dtype=float32))
    """
    if dtype == "float16":
        return np.frombuffer(raw, "<f2").astype(np.float32)
    if dtype == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(raw, "<f4")


def bits_of(pattern: int, dtype: str) -> dict[str, Any]:
    """A number's bits in their three groups, and what they are worth.

    Example:
        >>> bits_of(0x3555, "float16")
        {'bits': '0 01101 0101010101', 'value': 0.333251953125}
    """
    exponent, mantissa = FLOATS[dtype]
    bits = f"{pattern:0{1 + exponent + mantissa}b}"
    value = numbers(pattern.to_bytes(len(bits) // 8, "little"), dtype)[0]
    return {"bits": f"{bits[0]} {bits[1 : 1 + exponent]} {bits[1 + exponent :]}", "value": float(value)}


def flat_index(place: Sequence[int], shape: Sequence[int]) -> int:
    """A number counted along the rows, from one place per axis; without places, the first.

    Raises:
        ValueError: the tensor has no such place.

    Example:
        >>> flat_index((1, 2), (4, 256)), flat_index((), (4, 256))
        (258, 0)
    """
    place = place or [0] * len(shape)
    if len(place) != len(shape) or not all(0 <= i < size for i, size in zip(place, shape)):
        raise ValueError(f"a tensor of shape {tuple(shape)} has no number at {tuple(place)}")
    index = 0
    for i, size in zip(place, shape):
        index = index * size + i
    return index


def number_at(raw: bytes, name: str, entry: Any, index: int, changed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One number of a tensor, as it is in the file and as it is now.

    Args:
        raw: all bytes of the tensor called `name`.
        entry: its shape and dtype.
        index: which number, counted along the rows.
        changed: numbers with flipped bits, in the form in which they are returned here.

    Returns:
        tensor; index, one place per axis; before and after, all its bits as a whole number, in the file and now;
        bits and value as they are now.

    Example:
        >>> from types import SimpleNamespace
        >>> number_at(bytes.fromhex("003c 00c0"), "w", SimpleNamespace(shape=(1, 2), dtype="float16"), 1, [])
        {'tensor': 'w', 'index': [0, 1], 'before': 49152, 'after': 49152, 'bits': '1 10000 0000000000', 'value': -2.0}
    """
    size = (1 + sum(FLOATS[entry.dtype])) // 8
    place = [int(i) for i in np.unravel_index(index, entry.shape)]
    before = int.from_bytes(raw[size * index : size * (index + 1)], "little")
    known = (change["after"] for change in changed if change["tensor"] == name and change["index"] == place)
    after = next(known, before)
    return {"tensor": name, "index": place, "before": before, "after": after, **bits_of(after, entry.dtype)}


def flipped(changed: Sequence[Mapping[str, Any]], number: Mapping[str, Any], bit: int) -> list[dict[str, Any]]:
    """The changed numbers once a bit of one is flipped; a number that is as it was at first drops out.

    Args:
        number: as number_at returns it.
        bit: 0 for the last bit of the mantissa, up to the sign.

    Raises:
        ValueError: it has no such bit.

    Example:
        >>> flipped([], {"tensor": "w", "index": [0, 1], "before": 0, "after": 0, "bits": "0 00000 0000000000"}, bit=14)
        [{'tensor': 'w', 'index': [0, 1], 'before': 0, 'after': 16384}]
    """
    n_bits = len(number["bits"]) - 2
    if bit not in range(n_bits):
        raise ValueError(f"bit must be a whole number from 0 to {n_bits - 1}, got {bit!r}")
    same = ("tensor", "index", "before")
    others = [dict(change) for change in changed if any(change[field] != number[field] for field in same)]
    after = number["after"] ^ 1 << bit
    return others + [{**{field: number[field] for field in same}, "after": after}] * (after != number["before"])


def as_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns to lay a tensor out in, its last axis running along the rows.

    A vector has no rows of its own: it is wrapped at its greatest divisor from 8 to 48, if it has one.

    Example:
        >>> as_matrix((4096, 256)), as_matrix((2, 3, 5)), as_matrix((256,)), as_matrix((257,)), as_matrix(())
        ((4096, 256), (6, 5), (8, 32), (1, 257), (1, 1))
    """
    if len(shape) != 1:
        return math.prod(shape[:-1]), shape[-1] if shape else 1
    width = max((divisor for divisor in range(8, 49) if shape[0] % divisor == 0), default=shape[0])
    return shape[0] // width, width


def view_of(raw: bytes, name: str, entry: Any, index: int, before: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the page needs in order to show one number and those around it; `before`, if that has it already.

    Args:
        raw: all bytes of the tensor.
        entry: its shape, a tuple, and its dtype.
        index: the number, counted along the rows.
        before: what was seen last, empty at first.
    """
    matrix = as_matrix(tuple(entry.shape))
    row, column = divmod(index, matrix[1])
    if before.get("tensor") != name:
        whole = overview(numbers(raw, entry.dtype).reshape(matrix))
        return {"tensor": name, "matrix": list(matrix), **whole, **window(raw, matrix, row, column)}
    down, right = row - before["row"], column - before["column"]
    inside = 0 <= down < before["rows"] and 0 <= right < before["columns"]
    return before if inside else {**before, **window(raw, matrix, row, column)}


def window(
    raw: bytes, matrix: tuple[int, int], row: int, column: int, rows: int = 32, columns: int = 48
) -> dict[str, Any]:
    """Cut the numbers around one place out of a tensor's bytes.

    Args:
        matrix: rows and columns of the whole tensor.
        row, column: the place in the middle; near an edge, the window stays inside.
        rows, columns: how much to cut, if there is as much.

    Returns:
        where the window begins (row, column), its size (rows, columns) and its bytes.

    Example:
        >>> window(bytes(range(24)), (3, 4), row=2, column=3, rows=2, columns=2)
        {'row': 1, 'column': 2, 'rows': 2, 'columns': 2, 'bytes': b'\\x0c\\r\\x0e\\x0f\\x14\\x15\\x16\\x17'}
    """
    size = len(raw) // (matrix[0] * matrix[1])
    rows, columns = min(rows, matrix[0]), min(columns, matrix[1])
    row = min(max(0, row - rows // 2), matrix[0] - rows)
    column = min(max(0, column - columns // 2), matrix[1] - columns)
    starts = [size * (i * matrix[1] + column) for i in range(row, row + rows)]
    cut = b"".join(raw[start : start + size * columns] for start in starts)
    return {"row": row, "column": column, "rows": rows, "columns": columns, "bytes": cut}


def overview(matrix: Numbers, most_rows: int = 128, most_columns: int = 128) -> dict[str, Any]:
    """How large the numbers are in each part of a tensor, for a small picture of all of it.

    Of a very long tensor every k-th row is looked at, so that any size takes a moment only.

    Args:
        matrix: [rows, columns], not empty; NaN and infinity count as 0.

    Returns:
        overview_size: rows and columns of blocks; overview: the root mean square of each block, as a byte (255 for
        the largest); limit: three times the root mean square of all, where a heat map's colours may end.

    Example:
        >>> overview(np.array([[3, 4], [0, 0]], np.float32), most_rows=2, most_columns=1)
        {'overview_size': [2, 1], 'overview': b'\\xff\\x00', 'limit': 7.5}
    """
    matrix = matrix[:: -(-len(matrix) // 1024)]
    squares = np.square(np.where(np.isfinite(matrix), matrix, 0), dtype=np.float64)
    limit = 3 * float(np.sqrt(squares.mean()))
    for axis, most in ((0, most_rows), (1, most_columns)):
        length = squares.shape[axis]
        starts = np.arange(min(most, length)) * length // min(most, length)
        squares = np.add.reduceat(squares, starts, axis) / np.expand_dims(np.diff(starts, append=length), 1 - axis)
    sizes = 255 * np.sqrt(squares / (squares.max() or 1))
    return {"overview_size": list(squares.shape), "overview": sizes.astype(np.uint8).tobytes(), "limit": limit or 1.0}


def as_png(matrix: Numbers, limit: float, cell: int = 10) -> bytes:
    """A heat map as a PNG picture: blue below zero, orange above, white at zero; full colour from `limit` on.

    Example:
        >>> as_png(np.zeros((2, 3), np.float32), limit=1.0)[:8]
        b'\\x89PNG\\r\\n\\x1a\\n'
    """
    share = np.clip(np.where(np.isfinite(matrix), matrix, 0).astype(np.float64) / limit, -1, 1)[..., None]
    colour = np.where(share < 0, np.array([30, 100, 200]), np.array([214, 96, 0]))
    pixels = (255 + (colour - 255) * np.abs(share)).astype(np.uint8).repeat(cell, 0).repeat(cell, 1)
    height, width, _ = pixels.shape
    lines = np.insert(pixels.reshape(height, 3 * width), 0, 0, axis=1)  # each line says first: "no filter"
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
