"""Numbers in every format are read as they are meant, and a matrix times some rows is what numpy says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="the compiled loops need numba")

from llm101.inference.compiled import kernels
from llm101.inference.compiled.formats import FORMATS, PIECE, padded
from llm101.inference.compiled.intrinsics import DECODED


def packed(kind: str, numbers: np.ndarray) -> kernels.Weights:
    """One matrix alone."""
    full = np.zeros((len(numbers), padded(numbers.shape[1])), np.float32)
    full[:, : numbers.shape[1]] = numbers
    if kind.startswith("Q"):
        from gguf import GGMLQuantizationType, quantize

        rows = quantize(full, GGMLQuantizationType[kind])
    else:
        rows = torch.from_numpy(full).to(getattr(torch, kind)).view(torch.uint8).numpy()
    return weights_of(kind, rows)


def weights_of(kind: str, rows: np.ndarray) -> kernels.Weights:
    table = np.array([(0, FORMATS[kind].code, *rows.shape)], np.int64)
    room = np.concatenate([rows.reshape(-1), np.full(64, 255, np.uint8)])  # what lies behind is never read as numbers
    none: Any = [np.empty((1, 0), np.float32)] * 7
    return kernels.Weights(room, table, *none, final_norm=np.empty(0, np.float32))


def widened(weights: kernels.Weights, n_in: int) -> np.ndarray:
    n_out = int(weights.matrices[0, 2])
    out = np.empty((n_out, n_in), np.float32)
    kernels.widened_rows(weights, 0, 0, n_out, out)
    return out


def test_every_format_has_its_size():
    assert {kind: DECODED[known.code][0] for kind, known in FORMATS.items()} == {
        kind: known.n_bytes for kind, known in FORMATS.items()
    }


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1"])
def test_blocks_are_unpacked_to_the_numbers_that_gguf_makes_of_them(kind):
    from gguf import GGMLQuantizationType, dequantize

    random = np.random.default_rng(0)
    rows = random.integers(0, 256, (50, 3 * FORMATS[kind].n_bytes), np.uint8)
    blocks = rows.reshape(-1, FORMATS[kind].n_bytes)
    n_scales = 2 if kind == "Q4_1" else 1
    blocks[:, : 2 * n_scales] = random.standard_normal((150, n_scales)).astype(np.float16).view(np.uint8)
    expected = dequantize(rows, GGMLQuantizationType[kind])
    assert np.array_equal(widened(weights_of(kind, rows), 3 * PIECE), expected)


def test_widening_halves_is_exact_for_all_finite_bit_patterns():
    bits = np.arange(65536, dtype=np.uint16).reshape(64, 1024)
    numbers = bits.view(np.float16).astype(np.float32)
    seen, finite = widened(weights_of("float16", bits.view(np.uint8)), 1024), np.isfinite(numbers)
    assert np.array_equal(seen[finite].view(np.int32), numbers[finite].view(np.int32))


def test_widening_bfloat16_is_exact_for_all_bit_patterns():
    bits = np.arange(65536, dtype=np.uint16).reshape(64, 1024)
    seen = widened(weights_of("bfloat16", bits.view(np.uint8)), 1024)
    assert np.array_equal(seen.view(np.uint32), bits.astype(np.uint32) << 16)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("n_in", [32, 96, 63, 12])
def test_a_matrix_of_any_shape_times_some_rows_is_numpys(kind, n_in):
    random = np.random.default_rng(n_in)
    for n_out in (1, 7, 8, 19):
        weights = packed(kind, random.standard_normal((n_out, n_in)).astype(np.float32))
        w = widened(weights, n_in).astype(np.float64)
        for n_rows in (1, 3, 4, 9):
            x = np.zeros((n_rows, padded(n_in)), np.float32)
            x[:, :n_in] = random.standard_normal((n_rows, n_in))
            out = np.full((n_rows, n_out + 3), 7, np.float32)  # what nobody asked for stays as it was
            kernels.project(weights, 0, x, out, 0, n_out)
            most = 2e-3 if kind.startswith("Q4") else 2e-4  # whose x is rounded to 16 bits
            np.testing.assert_allclose(out[:, :n_out], x[:, :n_in].astype(np.float64) @ w.T, rtol=0, atol=most)
            assert (out[:, n_out:] == 7).all()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("n_in", [64, 63])
def test_a_prompt_times_a_matrix_is_numpys(kind, n_in):
    random = np.random.default_rng(n_in)
    weights = packed(kind, random.standard_normal((131, n_in)).astype(np.float32))
    w = widened(weights, n_in).astype(np.float64)
    for n_rows in (1, 6, 7, 40):
        x = np.zeros((n_rows, padded(n_in)), np.float32)
        x[:, :n_in] = random.standard_normal((n_rows, n_in))
        for first, end in ((0, 131), (3, 10), (5, 21), (100, 131)):
            out = np.full((n_rows, 140), 7, np.float32)
            kernels.multiply(weights, 0, x, out, first, end, True)
            expected = x[:, :n_in].astype(np.float64) @ w[first:end].T
            most = 2e-3 if kind.startswith("Q4") else 2e-4  # fewer than six rows are rounded to 16 bits then
            np.testing.assert_allclose(out[:, first:end], expected, rtol=0, atol=most)
            assert (out[:, :first] == 7).all()
            assert (out[:, end:] == 7).all()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_row_among_others_gives_the_same_bits_as_alone(kind):
    random = np.random.default_rng(0)
    weights = packed(kind, random.standard_normal((67, 64)).astype(np.float32))
    x = random.standard_normal((7, 64)).astype(np.float32)
    together, alone, parts = (np.empty((7, 67), np.float32) for _ in range(3))
    kernels.project(weights, 0, x, together, 0, 67)
    for r in range(7):
        kernels.project(weights, 0, x[r : r + 1], alone[r : r + 1], 0, 67)
        for first, end in ((0, 5), (5, 6), (6, 67)):
            kernels.project(weights, 0, x[r:], parts[r:], first, end)
    assert np.array_equal(together, alone)
    assert np.array_equal(together, parts)


def test_a_matrix_is_told_from_one_with_another_number():
    numbers = np.random.default_rng(0).standard_normal((9, 40)).astype(np.float32)
    weights = packed("float32", numbers)
    assert not kernels.is_different(weights, 0, 0, numbers)
    assert not kernels.is_different(weights, 0, 3, numbers[3:])
    numbers[8, 39] += 1e-6
    assert kernels.is_different(weights, 0, 3, numbers[3:])


def test_a_checksum_sees_one_flipped_bit_and_two_numbers_that_change_places():
    numbers = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    before = kernels.checksum(numbers)
    numbers.view(np.uint32)[17] ^= 1
    flipped = kernels.checksum(numbers)
    numbers[[17, 18]] = numbers[[18, 17]]
    assert len({before, flipped, kernels.checksum(numbers)}) == 3
