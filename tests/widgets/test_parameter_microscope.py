"""The microscope over small files made here: what it shows, what can be flipped, and what it sends."""

from __future__ import annotations

import math
import struct
import zlib
from base64 import b64decode
from types import SimpleNamespace

import numpy as np
import pytest

from llm101_widgets import ParameterMicroscope
from llm101_widgets.heat_map import as_png, numbers, overview

FORMATS = {"float16": "<e", "float32": "<f", "bfloat16": "<f", "int64": "<q"}


def parameters(**tensors: tuple[str, tuple[int, ...], list[float]]) -> SimpleNamespace:
    """A parameter file in memory: name=(dtype, shape, numbers)."""
    data, entries, offset = {}, {}, 100
    for name, (dtype, shape, values) in tensors.items():
        packed = [struct.pack(FORMATS[dtype], value) for value in values]
        data[name] = b"".join(number[2:] if dtype == "bfloat16" else number for number in packed)
        entries[name] = SimpleNamespace(shape=shape, dtype=dtype, offset=offset, n_bytes=len(data[name]))
        offset += len(data[name])
    return SimpleNamespace(path="folder/tiny.safetensors", n_bytes=offset, tensors=entries, raw=data.__getitem__)


def counting(rows: int, columns: int) -> SimpleNamespace:
    """A file with one float32 tensor whose numbers count 0, 1, 2 ..."""
    return parameters(w=("float32", (rows, columns), [float(i) for i in range(rows * columns)]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_every_kind_of_number_is_read_and_flipped(dtype: str) -> None:
    microscope = ParameterMicroscope(parameters(w=(dtype, (2, 2), [1.0, 0.5, -2.0, 3.0])), tensor="w", index=(1, 0))
    assert microscope.number["value"] == -2.0
    sign = len(microscope.number["bits"]) - 3
    microscope.flip(sign)
    assert microscope.number["value"] == 2.0
    before, after = (microscope.changed[0][key] for key in ("before", "after"))
    assert microscope.changed == [{"tensor": "w", "index": [1, 0], "before": before, "after": after}]
    assert before ^ after == 1 << sign


def test_a_third_is_taken_apart_as_by_hand() -> None:
    microscope = ParameterMicroscope(parameters(w=("float16", (), [1 / 3])))
    assert (microscope.number["bits"], microscope.number["value"]) == ("0 01101 0101010101", 0.333251953125)
    assert microscope.number["index"] == []


def test_a_bit_flipped_twice_leaves_no_trace_and_other_numbers_stay_changed() -> None:
    microscope = ParameterMicroscope(counting(2, 3), index=(0, 1))
    microscope.flip(5)
    microscope.look_at("w", 1, 2)
    microscope.flip(30)
    microscope.flip(30)
    assert [change["index"] for change in microscope.changed] == [[0, 1]]
    microscope.look_at("w", 0, 1)
    microscope.flip(5)
    assert microscope.changed == []


def test_whoever_observes_hears_of_every_flip() -> None:
    heard: list[list[dict[str, object]]] = []
    microscope = ParameterMicroscope(counting(2, 3))
    microscope.observe(lambda change: heard.append(change.new), "changed")
    microscope.flip(0)
    microscope.flip(1)
    assert [len(changed) for changed in heard] == [1, 1]
    assert microscope.number["after"] == 3


def test_the_page_gets_the_numbers_around_the_chosen_one() -> None:
    microscope = ParameterMicroscope(counting(100, 200), index=(50, 100))
    view = microscope.view
    seen = np.frombuffer(view["bytes"], "<f4").reshape(view["rows"], view["columns"])
    assert (view["rows"], view["columns"], view["matrix"]) == (32, 48, [100, 200])
    assert seen[50 - view["row"], 100 - view["column"]] == 50 * 200 + 100
    assert seen[0, 0] == 200 * view["row"] + view["column"]


def test_near_an_edge_the_window_stays_inside_the_tensor() -> None:
    microscope = ParameterMicroscope(counting(100, 200), index=(99, 199))
    view = microscope.view
    assert (view["row"], view["column"]) == (100 - 32, 200 - 48)
    assert numbers(view["bytes"], "float32")[-1] == 100 * 200 - 1


def test_nothing_is_sent_while_the_page_has_the_number_already() -> None:
    sent: list[object] = []
    microscope = ParameterMicroscope(counting(100, 200))
    microscope.observe(sent.append, "view")
    microscope.look_at("w", 31, 47)
    assert sent == []
    microscope.look_at("w", 32, 47)
    assert len(sent) == 1


def test_a_new_tensor_is_shown_from_a_number_that_it_has() -> None:
    two = parameters(big=("float32", (3, 3), [0.0] * 9), small=("float16", (2,), [1.0, 2.0]))
    microscope = ParameterMicroscope(two, tensor="big", index=(2, 2))
    microscope.tensor = "small"
    assert (microscope.index, microscope.number["value"], microscope.view["tensor"]) == (1, 2.0, "small")


def test_the_file_is_listed_with_all_its_tensors_and_only_those_of_floats_open() -> None:
    mixed = parameters(ids=("int64", (2,), [1, 2]), none=("float16", (0, 4), []), w=("float16", (1, 2), [1.0, 2.0]))
    microscope = ParameterMicroscope(mixed)
    assert [tensor[0] for tensor in microscope.tensors] == ["ids", "none", "w"]
    assert microscope.tensors[2] == ["w", [1, 2], "float16", 116, 4]
    assert microscope.file == {"name": "tiny.safetensors", "n_bytes": 120}
    assert microscope.tensor == "w"
    for name in ("ids", "none", "nothing"):
        with pytest.raises(ValueError, match=f"no tensor '{name}' to look at; there are w"):
            microscope.look_at(name)
    assert microscope.tensor == "w"


def test_a_file_without_floats_is_refused() -> None:
    with pytest.raises(ValueError, match="no tensor holds numbers of type float16, bfloat16, float32"):
        ParameterMicroscope(parameters(ids=("int64", (1,), [1])))


@pytest.mark.parametrize("place", [(2, 0), (0, 3), (-1, 0), (0,), (0, 0, 0)])
def test_a_place_that_the_tensor_does_not_have_is_refused(place: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\) has no number at"):
        ParameterMicroscope(counting(2, 3), index=place)


def test_an_index_or_a_bit_out_of_range_is_refused() -> None:
    microscope = ParameterMicroscope(counting(2, 3))
    for index in (-1, 6):
        with pytest.raises(ValueError, match=f"index must be a whole number from 0 to 5, got {index}"):
            microscope.index = index
    for bit in (-1, 32):
        with pytest.raises(ValueError, match=f"bit must be a whole number from 0 to 31, got {bit}"):
            microscope.flip(bit)
    assert (microscope.index, microscope.changed) == (0, [])


def test_a_tensor_of_nan_and_infinity_is_shown_without_a_warning() -> None:
    odd = parameters(w=("float32", (1, 4), [math.nan, math.inf, -math.inf, 3e38]))
    microscope = ParameterMicroscope(odd, index=(0, 0))
    assert math.isnan(microscope.number["value"])
    assert 0 < microscope.view["limit"] < math.inf
    microscope.flip(31)
    assert microscope._repr_mimebundle_()[0]["image/png"]


def test_the_overview_of_a_huge_tensor_looks_at_every_kth_row_only() -> None:
    rows = np.zeros((300_000, 3), np.float32)
    rows[:, 1] = 2.0
    seen = overview(rows)
    assert seen["overview_size"] == [128, 3]
    assert seen["overview"] == bytes([0, 255, 0]) * 128
    assert seen["limit"] == pytest.approx(3 * math.sqrt(4 / 3))


def test_a_tensor_of_zeros_has_a_limit_to_divide_by() -> None:
    assert overview(np.zeros((2, 2), np.float32)) == {"overview_size": [2, 2], "overview": bytes(4), "limit": 1.0}


def test_the_picture_left_behind_shows_blue_below_zero_and_orange_above() -> None:
    picture = as_png(np.array([[-1.0, 0.0, 1.0]], np.float32), limit=1.0, cell=1)
    at = picture.index(b"IDAT")
    length = int.from_bytes(picture[at - 4 : at], "big")
    line = zlib.decompress(picture[at + 4 : at + 4 + length])
    assert line == bytes([0, 30, 100, 200, 255, 255, 255, 214, 96, 0])


def test_it_leaves_a_picture_and_its_text_behind() -> None:
    microscope = ParameterMicroscope(counting(2, 3), index=(0, 1))
    data, _ = microscope._repr_mimebundle_()
    assert b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"].splitlines() == [
        "tiny.safetensors: 1 tensors in 124 bytes",
        "w [2, 3], float32, from byte 100",
        "number [0, 1]: 0 01111111 00000000000000000000000 = 1",
    ]
