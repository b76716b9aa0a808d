"""The kinds of number that the compiled loops read, as they lie in memory: in pieces of 32.

A row of a matrix is a run of such pieces; the last is filled up with zeros. It knows nothing of models and files.
"""

from __future__ import annotations

from typing import NamedTuple

PIECE = 32
"""Numbers in a piece: as many as share a scale in GGUF's smaller blocks."""


class Format(NamedTuple):
    """One kind of number."""

    code: int
    """What the loops call it."""
    n_bytes: int
    """Of 32 numbers."""


FORMATS = {
    "float32": Format(0, 128),
    "float16": Format(1, 64),
    "bfloat16": Format(2, 64),
    "Q8_0": Format(3, 34),
    "Q4_0": Format(4, 18),
    "Q4_1": Format(5, 20),
}
"""By the names that a parameter file has for them. How a block is laid out is in parameters/quantised_block.py."""


def padded(n: int) -> int:
    """How many numbers the pieces of a row of n have room for.

    Example:
        >>> padded(64), padded(65)
        (64, 96)
    """
    return -(-n // PIECE) * PIECE
