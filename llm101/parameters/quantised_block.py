"""One block of quantised numbers as the file keeps it: a scale, perhaps a minimum, and small whole numbers.

Where a float16 spends 16 bits on each number, a block spends 4 to 8 on each, and shares the rest among 32 of them:

    value = scale × (small - zero) + minimum

The "K" kinds pack 256 numbers, in groups of 32 or 16; each group has a small whole scale (and minimum) of its own, by
which the block's are multiplied. It knows nothing of files; parameter_file.py finds the bytes.

Source: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h, the structs block_q4_0 to block_q6_K.

Reading order: QuantisedBlock, then LAYOUTS and what unpacks them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from llm101.parameters.number import Number


@dataclass(frozen=True)
class _Layout:
    """Where the parts of a block lie, in bytes from its beginning."""

    n_bits: int
    """Of each small number."""
    n_numbers: int
    scale_at: int
    small_at: int
    """The small numbers, or their lower four bits."""
    minimum_at: int | None = None
    high_at: int | None = None
    """The bits of the small numbers beyond four."""
    zero: int = 0
    """The small number that stands for no distance from the minimum."""
    group: int = 0
    """How many numbers share a scale of their own; 0: all of them the block's."""
    groups_at: int = 0


LAYOUTS = {
    "Q8_0": _Layout(8, 32, scale_at=0, small_at=2),
    "Q4_0": _Layout(4, 32, scale_at=0, small_at=2, zero=8),
    "Q4_1": _Layout(4, 32, scale_at=0, minimum_at=2, small_at=4),
    "Q5_0": _Layout(5, 32, scale_at=0, high_at=2, small_at=6, zero=16),
    "Q5_1": _Layout(5, 32, scale_at=0, minimum_at=2, high_at=4, small_at=8),
    "Q4_K": _Layout(4, 256, scale_at=0, minimum_at=2, groups_at=4, small_at=16, group=32),
    "Q5_K": _Layout(5, 256, scale_at=0, minimum_at=2, groups_at=4, high_at=16, small_at=48, group=32),
    "Q6_K": _Layout(6, 256, small_at=0, high_at=128, groups_at=192, scale_at=208, zero=32, group=16),
}


@dataclass(frozen=True)
class QuantisedBlock:
    """The block in which one number of a quantised tensor lies, and that number in it.

    Example:
        >>> block = bytes.fromhex("0038 00bc") + bytes([0x52] * 16)           # scale 0.5, minimum -1, twos and fives
        >>> number = QuantisedBlock("blk.0.attn_q.weight", (3, 52), "Q4_1", offset=4096, raw=block)
        >>> number.scale, number.minimum, number.position, number.small[number.position]
        (0.5, -1.0, 20, 5)
        >>> number.value, number.formula, number.bits
        (1.5, '0.5 × 5 + (-1)', '0101')
        >>> number.stored_scale.bits, number.stored_scale.offset
        ('0 01110 0000000000', 4096)
    """

    tensor: str
    """Name of the tensor it belongs to."""
    index: tuple[int, ...]
    """The place of the number in that tensor: one whole number per axis, counted from 0."""
    dtype: str
    """The kind of block: a key of LAYOUTS."""
    offset: int
    """Where the block's first byte lies in the file."""
    raw: bytes
    """All its bytes."""

    @property
    def n_numbers(self) -> int:
        """How many numbers it holds, side by side in one row: 32 or 256."""
        return self._layout.n_numbers

    @property
    def n_bits(self) -> int:
        """How many bits each small number takes: 4, 5, 6 or 8."""
        return self._layout.n_bits

    @property
    def position(self) -> int:
        """Which number of the block it is, counted from 0."""
        return (self.index[-1] if self.index else 0) % self.n_numbers

    @property
    def stored_scale(self) -> Number:
        """The block's scale as the file has it, a float16 that can be taken apart."""
        return self._half(self._layout.scale_at)

    @property
    def stored_minimum(self) -> Number | None:
        """The block's minimum as the file has it, if this kind has one. K blocks store what is subtracted."""
        at = self._layout.minimum_at
        return None if at is None else self._half(at)

    @property
    def group(self) -> range:
        """The numbers of the block that share a scale with this one, itself included."""
        size = self._layout.group or self.n_numbers
        begin = self.position // size * size
        return range(begin, begin + size)

    @cached_property
    def group_scales(self) -> tuple[int, ...]:
        """The small whole scale of each group, by which the block's is multiplied; empty for blocks of 32."""
        return _group_scales(self.raw, self._layout)[0]

    @cached_property
    def group_minimums(self) -> tuple[int, ...]:
        """The small whole minimum of each group; empty if this kind has none."""
        return _group_scales(self.raw, self._layout)[1]

    @cached_property
    def small(self) -> tuple[int, ...]:
        """All small numbers of the block, as they are stored: from 0 upwards, in Q8_0 from -128."""
        return tuple(_small_numbers(self.raw, self._layout).tolist())

    @property
    def zero(self) -> int:
        """What is subtracted from each small number."""
        return self._layout.zero

    @property
    def scale(self) -> float:
        """What this number's group multiplies its small numbers by."""
        return self._scales_and_minimums[0][self.position]

    @property
    def minimum(self) -> float:
        """What this number's group then adds; 0 if there is no minimum."""
        return self._scales_and_minimums[1][self.position]

    @property
    def bits(self) -> str:
        """The small number's bits: as a whole number from 0 upwards, in Q8_0 with a sign (two's complement)."""
        return f"{self.small[self.position] % 2**self.n_bits:0{self.n_bits}b}"

    @cached_property
    def values(self) -> tuple[float, ...]:
        """What all numbers of the block are worth, in float32 arithmetic."""
        small = np.array(self.small, np.float32) - np.float32(self.zero)
        scales, minimums = (np.array(numbers, np.float32) for numbers in self._scales_and_minimums)
        with np.errstate(all="ignore"):  # a damaged scale may be NaN or infinity
            return tuple((scales * small + minimums).tolist())

    @property
    def value(self) -> float:
        """What this number is worth."""
        return self.values[self.position]

    @property
    def formula(self) -> str:
        """How the value follows from the bits, worked out in float32."""
        layout, group = self._layout, self.position // (self._layout.group or self.n_numbers)
        small = self.small[self.position]
        factor = f"({small} - {layout.zero})" if layout.zero else _term(small)
        scale, minimum = self.stored_scale.value, self.stored_minimum
        if not layout.group:
            return f"{_term(scale)} × {factor}" + (f" + {_term(minimum.value)}" if minimum else "")
        formula = f"{_term(scale)} × {_term(self.group_scales[group])} × {factor}"
        return formula + (f" - {_term(minimum.value)} × {self.group_minimums[group]}" if minimum else "")

    @property
    def _layout(self) -> _Layout:
        return LAYOUTS[self.dtype]

    def _half(self, at: int) -> Number:
        pattern = int.from_bytes(self.raw[at : at + 2], "little")
        return Number(self.tensor, self.index, "float16", self.offset + at, pattern)

    @cached_property
    def _scales_and_minimums(self) -> tuple[list[float], list[float]]:
        """For each number, what it is multiplied by and what is added, in float32."""
        size, minimum = self._layout.group or self.n_numbers, self.stored_minimum
        groups = np.array(self.group_scales or (1,), np.float32)
        added = np.array([-n for n in self.group_minimums] or (1,), np.float32)
        with np.errstate(all="ignore"):
            scales = np.float32(self.stored_scale.value) * groups
            minimums = np.float32(minimum.value) * added if minimum else np.zeros(len(groups), np.float32)
        return scales.repeat(size).tolist(), minimums.repeat(size).tolist()


def _term(number: float) -> str:
    """A number in a formula, in full; one below zero in brackets."""
    text = str(number).removesuffix(".0")
    return f"({text})" if number < 0 else text


def _small_numbers(raw: bytes, layout: _Layout) -> np.ndarray:
    """The small numbers in the order of the row; [n_numbers]."""
    if layout.n_bits == 8:
        return np.frombuffer(raw, np.int8, layout.n_numbers, layout.small_at).astype(int)
    low = np.frombuffer(raw, np.uint8, layout.n_numbers // 2, layout.small_at)
    # Lower halves first, then upper ones: of 16 bytes at a time, of 32 in K blocks, of 64 in Q6_K.
    stretch = {32: 16, 256: 64 if layout.n_bits == 6 else 32}[layout.n_numbers]
    small = np.stack([low.reshape(-1, stretch) & 15, low.reshape(-1, stretch) >> 4], axis=1).reshape(-1).astype(int)
    if layout.high_at is None:
        return small
    return small | _high_bits(raw, layout) << 4


def _high_bits(raw: bytes, layout: _Layout) -> np.ndarray:
    """The bits of the small numbers beyond four; [n_numbers]."""
    width = layout.n_bits - 4
    high = np.frombuffer(raw, np.uint8, layout.n_numbers * width // 8, layout.high_at or 0).astype(int)
    if layout.n_numbers == 32:  # one bit after the other
        return (high[:, None] >> np.arange(8) & 1).reshape(-1)
    # K blocks: each byte has the bits of numbers that lie 32 apart, the lowest first.
    shifts = np.arange(0, 8, width)[:, None]
    return (high.reshape(-1, 1, 32) >> shifts & 2**width - 1).reshape(-1)


def _group_scales(raw: bytes, layout: _Layout) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The groups' small scales and minimums."""
    if not layout.group:
        return (), ()
    if layout.minimum_at is None:
        return tuple(np.frombuffer(raw, np.int8, layout.n_numbers // layout.group, layout.groups_at).tolist()), ()
    # Six bits each for 8 scales and 8 minimums, in 12 bytes: of the first four of both, bytes 0-3 and 4-7 have the
    # lower six bits; of the last four, bytes 8-11 the lower four (scale, minimum), and what those left free the rest.
    first, second, last = np.frombuffer(raw, np.uint8, 12, layout.groups_at).astype(int).reshape(3, 4)
    scales = [*(first & 63), *(last & 15 | first >> 6 << 4)]
    minimums = [*(second & 63), *(last >> 4 | second >> 6 << 4)]
    return tuple(map(int, scales)), tuple(map(int, minimums))
