"""One block of quantised numbers: by hand, and as `gguf` works all of them out."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, dequantize

from llm101.parameters.quantised import QUANTISED, dequantised
from llm101.parameters.quantised_block import LAYOUTS, QuantisedBlock
from llm101.parameters.tensor_entry import TensorEntry
from tests.gguf_files import K_BLOCKS, Kind, quantised

HALF = {number: struct.pack("<e", number) for number in (0.5, -1.0, 2.0, 0.25)}


def block(dtype: str, raw: bytes, position: int = 0) -> QuantisedBlock:
    return QuantisedBlock("w", (0, position), dtype, 100, raw)


def random_row(kind: str, n_numbers: int = 1024) -> bytes:
    """Blocks with each kind of bits in them."""
    numbers = np.random.default_rng(0).normal(size=(1, n_numbers)).astype(np.float32)
    return quantised(numbers, kind).tobytes()


def test_every_kind_that_is_run_can_be_looked_into() -> None:
    assert set(LAYOUTS) == set(QUANTISED)
    for dtype, layout in LAYOUTS.items():
        n_numbers, n_bytes = GGML_QUANT_SIZES[Kind[dtype]]
        assert layout.n_numbers == n_numbers
        assert len(random_row(dtype)) == 1024 // n_numbers * n_bytes


def test_a_block_of_four_bits_worked_by_hand() -> None:
    # Scale 0.5, minimum -1; byte 3 is 0xA7: number 3 is 7, number 3 + 16 is 10.
    raw = HALF[0.5] + HALF[-1.0] + bytes([0, 0, 0, 0xA7]) + bytes(12)
    number = block("Q4_1", raw, position=3)
    assert (number.small[3], number.small[19]) == (7, 10)
    assert (number.value, number.formula, number.bits) == (2.5, "0.5 × 7 + (-1)", "0111")
    assert (number.values[19], number.values[0], number.group) == (4.0, -1.0, range(32))
    assert number.stored_minimum is not None
    assert (number.stored_scale.bits, number.stored_minimum.bits) == ("0 01110 0000000000", "1 01111 0000000000")
    assert (number.stored_scale.offset, number.stored_minimum.offset) == (100, 102)


def test_kinds_without_a_minimum_count_from_the_middle() -> None:
    q4_0, q8_0 = block("Q4_0", HALF[0.5] + bytes([0x3F] * 16)), block("Q8_0", HALF[0.25] + b"\xfe\x05" + bytes(30))
    assert (q4_0.value, q4_0.formula, q4_0.minimum, q4_0.stored_minimum) == (3.5, "0.5 × (15 - 8)", 0.0, None)
    assert (q8_0.value, q8_0.formula, q8_0.bits) == (-0.5, "0.25 × (-2)", "11111110")
    assert q8_0.values[1] == 1.25


def test_a_k_block_worked_by_hand() -> None:
    # Group 0: scale 3, minimum 2. Group 5 (of the last four): scale 0x2D = 45: lower bits 13, upper bits 2.
    scales = bytearray(12)
    scales[0], scales[4], scales[1], scales[9] = 3, 2, 2 << 6, 13
    raw = HALF[0.5] + HALF[2.0] + bytes(scales) + bytes([0x94] * 128)
    number = block("Q4_K", raw)
    assert (number.group_scales, number.group_minimums) == ((3, 0, 0, 0, 0, 45, 0, 0), (2, 0, 0, 0, 0, 0, 0, 0))
    assert (number.scale, number.minimum, number.small[0], number.small[32]) == (1.5, -4.0, 4, 9)
    assert (number.value, number.formula) == (2.0, "0.5 × 3 × 4 - 2 × 2")
    assert (number.group, block("Q4_K", raw, 255).group) == (range(32), range(224, 256))
    assert block("Q4_K", raw, 165).value == 0.5 * 45 * 9


@pytest.mark.parametrize("kind", QUANTISED)
def test_every_number_is_worth_what_gguf_says(kind: str) -> None:
    raw, (n_numbers, n_bytes) = random_row(kind), GGML_QUANT_SIZES[Kind[kind]]
    expected = dequantize(np.frombuffer(raw, np.uint8).reshape(1, -1), Kind[kind])
    entry = TensorEntry("w", (1, 1024), kind, 0, (n_numbers, n_bytes))
    assert torch.equal(dequantised(raw, entry), torch.from_numpy(expected.copy()))
    found = [block(kind, raw[i : i + n_bytes]).values for i in range(0, len(raw), n_bytes)]
    assert np.array_equal(np.array(found, np.float32).reshape(1, -1), expected)


@pytest.mark.parametrize("kind", QUANTISED)
def test_the_formula_gives_the_value(kind: str) -> None:
    raw, n_numbers = random_row(kind), LAYOUTS[kind].n_numbers
    for position in range(n_numbers):
        number = block(kind, raw[: GGML_QUANT_SIZES[Kind[kind]][1]], position)
        assert worked_out(number.formula) == pytest.approx(number.value, rel=1e-6, abs=1e-7), number.formula
        assert len(number.bits) == number.n_bits
        small = int(number.bits, 2)
        assert number.small[position] in (small, small - 256 if kind == "Q8_0" else small)


def worked_out(formula: str) -> float:
    """The value of sums and differences of products, read term by term."""
    formula = re.sub(r"\((-[\d.e-]+)\)", lambda found: found[1].replace("-", "~"), formula)  # ~: below zero
    formula = re.sub(r"\((\d+) - (\d+)\)", lambda found: str(int(found[1]) - int(found[2])).replace("-", "~"), formula)
    formula = re.sub(r"e-", "e~", formula)
    total, sign = 0.0, 1
    for part in re.split(r" ([+-]) ", formula):
        if part in "+-":
            sign = -1 if part == "-" else 1
            continue
        product = 1.0
        for factor in part.split(" × "):
            product *= float(factor.replace("~", "-"))
        total += sign * product
    return total


def test_a_scale_that_is_no_number_makes_none_and_no_warning() -> None:
    number = block("Q4_1", struct.pack("<ee", float("nan"), float("inf")) + bytes(16))
    assert np.isnan(number.value)
    assert torch.isnan(dequantised(number.raw, TensorEntry("w", (32,), "Q4_1", 0, (32, 20)))).all()


def test_a_kind_that_is_not_run_is_named() -> None:
    with pytest.raises(ValueError, match="Q2_K is not supported; llm101 runs float32, float16, bfloat16, Q8_0, "):
        dequantised(bytes(84), TensorEntry("w", (256,), "Q2_K", 0, (256, 84)))


def test_an_empty_tensor_is_empty() -> None:
    assert dequantised(b"", TensorEntry("w", (0, 32), "Q4_1", 0, (32, 20))).shape == (0, 32)
    assert dequantised(b"", TensorEntry("w", (3, 0), "Q4_K", 0, (256, K_BLOCKS["Q4_K"]))).shape == (3, 0)
