"""One parameter seen as the computer keeps it: a sign, an exponent and a mantissa, bit by bit.

It knows nothing of files; parameter_file.py finds the bits, and writes back the ones that a reader changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

FLOAT_FORMATS = {"float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23), "float64": (11, 52)}
"""How many bits each kind of float spends on its exponent and on its mantissa (IEEE 754; bfloat16 is
float32 cut in half). One more bit is the sign."""


@dataclass(frozen=True)
class Number:
    """One number of a parameter file: the bits are what is stored, everything else is read off them.

    Example:
        >>> third = Number("lm_head.weight", (0, 3), "float16", offset=150, pattern=0b0_01101_0101010101)
        >>> third.value
        0.333251953125
        >>> third.bits
        '0 01101 0101010101'
        >>> third.formula
        '+1 × 2^(13 - 15) × (1 + 341/1024)'
        >>> third.flip_bit(14).value, third.flip_bit(15).value, third.with_value(-2).bits
        (21840.0, -0.333251953125, '1 10000 0000000000')
    """

    tensor: str
    """Name of the tensor it belongs to."""
    index: tuple[int, ...]
    """Its place in that tensor: one whole number per axis, counted from 0."""
    dtype: str
    """The kind of float: a key of FLOAT_FORMATS."""
    offset: int
    """Where its first byte lies in the file."""
    pattern: int
    """All its bits, read as one whole number."""

    @property
    def n_bits(self) -> int:
        """How many bits it takes: 16, 32 or 64."""
        return 1 + sum(FLOAT_FORMATS[self.dtype])

    @property
    def sign(self) -> int:
        """The sign bit: 0 for plus, 1 for minus."""
        return self.pattern >> (self.n_bits - 1)

    @property
    def exponent(self) -> int:
        """The exponent bits as a whole number; the power of two is this minus `bias`."""
        exponent_bits, mantissa_bits = FLOAT_FORMATS[self.dtype]
        return (self.pattern >> mantissa_bits) & (2**exponent_bits - 1)

    @property
    def mantissa(self) -> int:
        """The mantissa bits as a whole number: how far the value lies between two powers of two."""
        return self.pattern & (2 ** FLOAT_FORMATS[self.dtype][1] - 1)

    @property
    def bias(self) -> int:
        """What the stored exponent is shifted by, so that small numbers need no negative exponent."""
        return _bias(self.dtype)

    @property
    def bits(self) -> str:
        """The bits as text, grouped into sign, exponent and mantissa."""
        exponent_bits, mantissa_bits = FLOAT_FORMATS[self.dtype]
        return f"{self.sign} {self.exponent:0{exponent_bits}b} {self.mantissa:0{mantissa_bits}b}"

    @property
    def value(self) -> float:
        """What the bits are worth, exactly."""
        exponent_bits, mantissa_bits = FLOAT_FORMATS[self.dtype]
        sign = -1.0 if self.sign else 1.0
        if self.exponent == 2**exponent_bits - 1:  # all ones: kept free for "not a number" and infinity
            return math.nan if self.mantissa else sign * math.inf
        if self.exponent == 0:  # all zeros: no hidden 1, so that numbers fade out evenly down to 0
            return sign * math.ldexp(self.mantissa, 1 - self.bias - mantissa_bits)
        return sign * math.ldexp(2**mantissa_bits + self.mantissa, self.exponent - self.bias - mantissa_bits)

    @property
    def formula(self) -> str:
        """How the value follows from the three groups of bits."""
        exponent_bits, mantissa_bits = FLOAT_FORMATS[self.dtype]
        sign, fraction = "-1" if self.sign else "+1", f"{self.mantissa}/{2**mantissa_bits}"
        if self.exponent == 2**exponent_bits - 1:
            return "not a number" if self.mantissa else f"{sign} × infinity"
        if self.exponent == 0:
            return f"{sign} × 2^(1 - {self.bias}) × (0 + {fraction})"
        return f"{sign} × 2^({self.exponent} - {self.bias}) × (1 + {fraction})"

    def to_bytes(self) -> bytes:
        """The bits as they stand in a file, the lowest byte first."""
        return self.pattern.to_bytes(self.n_bits // 8, "little")

    def flip_bit(self, bit: int) -> Number:
        """The same number with one bit turned over: 0 is the last bit of the mantissa, n_bits - 1 the sign.

        Raises:
            ValueError: there is no such bit.
        """
        if not isinstance(bit, int) or not 0 <= bit < self.n_bits:
            raise ValueError(f"bit must be a whole number from 0 to {self.n_bits - 1} for {self.dtype}, got {bit!r}")
        return replace(self, pattern=self.pattern ^ (1 << bit))

    def with_value(self, value: float) -> Number:
        """The same place holding another value, rounded to the nearest one that the dtype has.

        Raises:
            ValueError: the value is not a finite number, or too large for the dtype.
        """
        return replace(self, pattern=nearest_pattern(value, self.dtype))


def _bias(dtype: str) -> int:
    return 2 ** (FLOAT_FORMATS[dtype][0] - 1) - 1


def nearest_pattern(value: float, dtype: str) -> int:
    """The bits of the float nearest to a value (ties to the even one, as IEEE 754 rounds).

    Example:
        >>> f"{nearest_pattern(1.0, 'float16'):016b}"
        '0011110000000000'
        >>> nearest_pattern(70000, "float16")
        Traceback (most recent call last):
        ValueError: 70000 does not fit float16, whose largest number is 65504
    """
    exponent_bits, mantissa_bits = FLOAT_FORMATS[dtype]
    try:
        size = abs(float(value))
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"a parameter must be a finite number, got {value!r}") from None
    if not math.isfinite(size):
        raise ValueError(f"a parameter must be a finite number, got {value!r}")
    lowest_power = 1 - _bias(dtype)
    power = max(math.frexp(size)[1] - 1, lowest_power) if size else lowest_power
    steps = round(math.ldexp(size, mantissa_bits - power))  # whole steps of 2^(power - mantissa_bits)
    # The hidden 1 of `steps` adds one to the exponent below it, and a mantissa rounded up to 2 carries into it too.
    pattern = ((power + _bias(dtype) - 1) << mantissa_bits) + steps
    infinity = (2**exponent_bits - 1) << mantissa_bits
    if pattern >= infinity:
        largest = Number("", (), dtype, 0, infinity - 1).value
        raise ValueError(f"{value!r} does not fit {dtype}, whose largest number is {largest:.6g}")
    negative = math.copysign(1.0, value) < 0
    return pattern | (negative << (exponent_bits + mantissa_bits))
