"""The range coder: what goes in comes out, in as many bits as it is worth, whatever the probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm101.compression.container import CompressionError
from llm101.compression.range_coder import BitCounter, RangeDecoder, RangeEncoder

Message = list[tuple[list[int], int]]


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Frequencies from 1 to the largest that a model gives, and a token for each."""
    frequencies = st.lists(st.one_of(st.integers(1, 3), st.integers(1, 2**24 + 1)), min_size=1, max_size=6)
    found = []
    for row in draw(st.lists(frequencies, max_size=60)):
        found.append((row, draw(st.integers(0, len(row) - 1))))
    return found


def cumulative(frequencies: list[int]) -> np.ndarray:
    return np.cumsum([0, *frequencies])


def encoded(message: Message) -> bytes:
    encoder = RangeEncoder()
    for frequencies, token_id in message:
        assert encoder.code(cumulative(frequencies), token_id) == token_id
    return encoder.finish()


def decoded(code: bytes, message: Message) -> list[int]:
    decoder = RangeDecoder(code)
    return [decoder.code(cumulative(frequencies)) for frequencies, _ in message]


@given(messages())
def test_what_goes_in_comes_out(message: Message) -> None:
    code = encoded(message)
    assert decoded(code, message) == [token_id for _, token_id in message]
    counter = BitCounter()
    for frequencies, token_id in message:
        counter.code(cumulative(frequencies), token_id)
    expected = sum(-math.log2(row[token_id] / sum(row)) for row, token_id in message)
    assert math.isclose(sum(counter.bits), expected, abs_tol=1e-9)
    assert len(code) <= math.ceil(expected / 8) + 1


def test_a_carry_runs_through_everything_written() -> None:
    """Half a range, then its very last part again and again: bytes of 0xFF that one more token lifts over."""
    halves, late = [2**24, 2**24], [2**24, 1]
    message = [(halves, 0), *[(late, 1)] * 30, (halves, 1), ([1, 2**24], 0), (halves, 1)]
    assert decoded(encoded(message), message) == [token_id for _, token_id in message]
    carried = [(halves, 0), *[([1, 1], 1)] * 100, ([1, 2**24, 1], 2), ([3, 1], 1)]
    assert encoded(carried)[:8] == bytes([0x7F] + [0xFF] * 7)
    assert decoded(encoded(carried), carried) == [token_id for _, token_id in carried]


def test_certainty_costs_nothing() -> None:
    assert encoded([([1], 0)] * 1000) == b""
    assert len(encoded([([2**24, 1], 0)] * 1000)) <= 1


def test_a_code_that_is_too_short_is_noticed() -> None:
    message = [([1, 1], i % 2) for i in range(400)]
    code = encoded(message)
    assert len(code) in (50, 51)
    with pytest.raises(CompressionError, match="damaged: its code ends before the text that it stands for"):
        decoded(code[:20], message)
