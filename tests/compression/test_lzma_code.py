"""lzma without its frame: as small as xz makes it, in any pieces, and its costs add up."""

from __future__ import annotations

import lzma
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm101.compression.container import CompressionError
from llm101.compression.lzma_code import LzmaCosts, from_lzma_code, lzma_code

NOISE = random.Random(0).randbytes(30_000)
KINDS = {
    "nothing": b"",
    "one byte": b"x",
    "zeros": bytes(1_000_000),
    "noise": NOISE,
    "noise twice": NOISE * 2,
    "numbers": b"".join(b"%d," % (i * i) for i in range(20_000)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_is_inside_an_xz_file(kind: str) -> None:
    data = KINDS[kind]
    code = lzma_code([data], len(data))
    assert code in lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)  # which adds a header, an index and a check
    assert from_lzma_code(code, len(data)) == data


@given(st.lists(st.sampled_from([b"the cat ", b"\x00" * 50, b"x", b"", NOISE[:100]]), max_size=20))
def test_pieces_are_packed_as_one(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    code = lzma_code(pieces, len(data))
    assert code == lzma_code([data], len(data))
    assert from_lzma_code(code, len(data)) == data


@pytest.mark.parametrize("kind", KINDS)
def test_costs_add_up_to_the_code(kind: str) -> None:
    data = KINDS[kind]
    code = lzma_code([data], len(data))
    costs, middle = LzmaCosts(code, len(data)), len(data) // 3
    if data:
        assert costs.of(0, len(data)) == pytest.approx(len(code))
        assert costs.of(0, middle) + costs.of(middle, len(data)) == pytest.approx(len(code))


def test_costs_tell_where_lzma_found_nothing_to_repeat() -> None:
    data = bytes(20_000) + NOISE + bytes(20_000)
    costs = LzmaCosts(lzma_code([data], len(data)), len(data))
    assert costs.of(21_000, 49_000) == pytest.approx(28_000, rel=0.02)
    assert costs.of(0, 19_000) + costs.of(51_000, 70_000) < 500


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_is_refused_in_one_line(kind: str) -> None:
    data = KINDS[kind]
    code = lzma_code([data], len(data))
    for bad, n_bytes in ((code[:-1], len(data)), (code + b"\0", len(data)), (code, len(data) + 1)):
        with pytest.raises(CompressionError, match="^damaged: .*lzma"):
            from_lzma_code(bad, n_bytes)
    if data:
        with pytest.raises(CompressionError, match="^damaged: .*lzma"):
            from_lzma_code(code, len(data) - 1)
