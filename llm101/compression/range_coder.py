"""A range coder: tokens and whole-number probabilities in, as few bytes as they are worth out; and back.

The whole message is one number. At the start it may lie anywhere; each token narrows the range to its own part, as
wide as it is likely, and in the end the shortest number within the range is written (G. N. N. Martin, "Range
encoding", 1979). Whole numbers only, so both directions agree on any machine.

Written here because the libraries for it take probabilities as floats and round them in their own way, which would
bind a file to one release of a library; and because it is 60 lines.

Reading order: RangeEncoder, RangeDecoder; BitCounter, which writes nothing and says what each token would cost.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from llm101.compression.arithmetic import Ints
from llm101.compression.container import CompressionError

TOP = 1 << 64
"""The range at the start."""

BOTTOM = 1 << 48
"""A range narrower than this is widened by writing 16 bits; a total of frequencies must be well below it."""


class Coder(Protocol):
    """What the walk over a text calls: the same walk for packing, unpacking and counting."""

    def code(self, cumulative: Ints, token_id: int | None) -> int:
        """Code one token.

        Args:
            cumulative: [n + 1], rising from 0; token i has the interval from cumulative[i] to cumulative[i + 1].
            token_id: the token, or None if it is to be found out.

        Returns:
            The token.
        """
        ...


class RangeEncoder:
    """Collects bytes.

    Example:
        >>> encoder = RangeEncoder()
        >>> for token_id in (1, 0, 1, 1):
        ...     _ = encoder.code(np.array([0, 1, 256]), token_id)
        >>> encoder.finish().hex()
        '0102'
    """

    def __init__(self) -> None:
        self._low, self._range, self._written = 0, TOP, bytearray()

    def code(self, cumulative: Ints, token_id: int | None) -> int:
        """Narrow the range to the token's part."""
        assert token_id is not None
        start, stop, total = int(cumulative[token_id]), int(cumulative[token_id + 1]), int(cumulative[-1])
        unit = self._range // total
        self._low += unit * start
        self._range = unit * (stop - start)
        if self._low >= TOP:
            self._low -= TOP
            self._carry()
        while self._range < BOTTOM:
            self._written += (self._low >> 48).to_bytes(2, "big")
            self._low = (self._low << 16) % TOP
            self._range <<= 16
        return token_id

    def _carry(self) -> None:
        """Add one to the number written so far."""
        at = len(self._written) - 1
        while self._written[at] == 0xFF:
            self._written[at] = 0
            at -= 1
        self._written[at] += 1

    def finish(self) -> bytes:
        """The bytes of the shortest number within the range; what is not written counts as zeros."""
        for n_bits in range(0, 65, 8):
            unit = TOP >> n_bits
            number = -(-self._low // unit) * unit
            if number < self._low + self._range:
                break
        if number >= TOP:
            number -= TOP
            self._carry()
        return bytes(self._written + number.to_bytes(8, "big")[: n_bits // 8])


class RangeDecoder:
    """Reads what a RangeEncoder wrote, given the same frequencies.

    Raises:
        CompressionError: in `code`, if more is asked for than the bytes can hold.

    Example:
        >>> decoder = RangeDecoder(bytes.fromhex("0102"))
        >>> [decoder.code(np.array([0, 1, 256])) for _ in range(4)]
        [1, 0, 1, 1]
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 8
        self._value = int.from_bytes(data[:8].ljust(8, b"\0"), "big")  # of the message, above the low end of the range
        self._range = TOP

    def code(self, cumulative: Ints, token_id: int | None = None) -> int:
        """Find the token whose part of the range the message lies in."""
        total = int(cumulative[-1])
        unit = self._range // total
        place = min(self._value // unit, total - 1)
        token_id = int(np.searchsorted(cumulative, place, side="right")) - 1
        start, stop = int(cumulative[token_id]), int(cumulative[token_id + 1])
        self._value -= unit * start
        self._range = unit * (stop - start)
        while self._range < BOTTOM:
            two_bytes = self._data[self._at : self._at + 2].ljust(2, b"\0")
            self._value = (self._value << 16) | int.from_bytes(two_bytes, "big")
            self._range <<= 16
            self._at += 2
        if self._at > len(self._data) + 8:  # 8 are read ahead
            raise CompressionError("damaged: its code ends before the text that it stands for")
        return token_id


class BitCounter:
    """Writes nothing; `bits` says what each token would have cost.

    Example:
        >>> counter = BitCounter()
        >>> _ = counter.code(np.array([0, 1, 256]), 0)
        >>> counter.bits
        [8.0]
    """

    def __init__(self) -> None:
        self.bits: list[float] = []

    def code(self, cumulative: Ints, token_id: int | None) -> int:
        """Count -log2 of the token's probability."""
        assert token_id is not None
        self.bits.append(math.log2(cumulative[-1] / (cumulative[token_id + 1] - cumulative[token_id])))
        return token_id
