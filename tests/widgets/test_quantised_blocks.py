"""The microscope over quantised tensors: whole blocks for the page, which unpacks them as `gguf` does."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, dequantize

from llm101.parameters import ParameterFile
from llm101.parameters.quantised import QUANTISED
from llm101_widgets import ParameterMicroscope
from llm101_widgets.parameter_microscope.view import BLOCKS, STRETCH
from tests.gguf_files import Kind, quantised, write_gguf

NODE = shutil.which("node")
SCRIPT = Path(__file__).parent / "unpack_blocks.mjs"

ROWS = np.random.default_rng(0).normal(size=(100, 512)).astype(np.float32)


@pytest.fixture(params=["Q4_1", "Q8_0", "Q6_K"])
def parameters(tmp_path: Path, request: pytest.FixtureRequest) -> ParameterFile:
    write_gguf(tmp_path / "tiny.gguf", {}, {"rows": ROWS, "norm": np.linspace(-1, 1, 64)}, request.param)
    return ParameterFile(tmp_path / "tiny.gguf")


def numbers_in_view(microscope: ParameterMicroscope, kind: str) -> np.ndarray:
    view = microscope.view
    blocks = np.frombuffer(view["bytes"], np.uint8).reshape(view["rows"], -1)
    return dequantize(blocks, Kind[kind])


def test_the_page_can_unpack_every_kind_that_is_run() -> None:
    assert set(BLOCKS) == set(QUANTISED)


@pytest.mark.skipif(NODE is None, reason="Node.js is missing: see make test-widgets")
@pytest.mark.parametrize("kind", BLOCKS)
def test_the_page_works_out_every_number_as_gguf_does(kind: str) -> None:
    blocks = quantised(ROWS[:2], kind)
    sent = json.dumps({"dtype": kind, "blocks": base64.b64encode(blocks.tobytes()).decode()})
    result = subprocess.run(
        [str(NODE), str(SCRIPT)], input=sent, capture_output=True, text=True, timeout=60, check=True
    )
    found = json.loads(result.stdout)
    expected = dequantize(blocks, Kind[kind]).reshape(-1)
    assert np.array_equal(np.array([value for value, _ in found], np.float32), expected)
    assert all(" × " in working for _, working in found)


@pytest.mark.parametrize("place", [(0, 0), (50, 300), (99, 511), (31, 63), (0, 64)])
def test_the_page_gets_whole_blocks_around_the_chosen_number(parameters: ParameterFile, place: tuple[int, int]) -> None:
    microscope = ParameterMicroscope(parameters, tensor="rows", index=place)
    view, kind = microscope.view, parameters.entry("rows").dtype
    n_numbers = GGML_QUANT_SIZES[Kind[kind]][0]
    assert (view["rows"], view["columns"], view["matrix"]) == (32, max(STRETCH, n_numbers), [100, 512])
    assert view["column"] % n_numbers == 0
    begin = view["row"], view["column"]
    expected = parameters.tensor("rows").numpy()[begin[0] : begin[0] + 32, begin[1] : begin[1] + view["columns"]]
    assert np.array_equal(numbers_in_view(microscope, kind), expected)
    assert 0 <= place[0] - begin[0] < 32
    assert 0 <= place[1] - begin[1] < view["columns"]


def test_within_a_block_nothing_is_sent(parameters: ParameterFile) -> None:
    sent: list[object] = []
    microscope = ParameterMicroscope(parameters, tensor="rows", index=(40, 0))
    microscope.observe(sent.append, "view")
    for column in range(32):
        microscope.look_at("rows", 40, column)
    assert sent == []
    microscope.look_at("rows", 40, 256)
    assert len(sent) == 1


def test_a_number_says_where_it_comes_from_and_cannot_be_flipped(parameters: ParameterFile) -> None:
    microscope = ParameterMicroscope(parameters, tensor="rows", index=(3, 40))
    block = parameters.block("rows", 3, 40)
    assert microscope.number == {
        "tensor": "rows", "index": [3, 40], "bits": block.bits, "value": block.value, "formula": block.formula,
    }  # fmt: skip
    with pytest.raises(ValueError, match="bits can be flipped in float16, bfloat16, float32, not in a number that is"):
        microscope.flip(0)
    microscope.look_at("norm", 5)
    microscope.flip(31)
    assert microscope.changed[0]["tensor"] == "norm"


def test_it_leaves_a_picture_and_its_text_behind(parameters: ParameterFile) -> None:
    microscope = ParameterMicroscope(parameters, tensor="rows", index=(3, 40))
    data, _ = microscope._repr_mimebundle_()
    picture = b64decode(data["image/png"])
    assert picture.startswith(b"\x89PNG")
    assert (int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")) == (10 * STRETCH, 320)
    number, entry = parameters.block("rows", 3, 40), parameters.entry("rows")
    assert data["text/plain"].splitlines() == [
        f"tiny.gguf: 2 tensors in {parameters.n_bytes:,} bytes",
        f"rows [100, 512], {entry.dtype}, from byte {entry.offset:,}",
        f"number [3, 40]: {number.bits} = {number.formula} = {number.value:g}",
    ]


def test_a_kind_that_the_page_cannot_unpack_is_listed_and_not_opened(tmp_path: Path) -> None:
    write_gguf(tmp_path / "f.gguf", {}, {"rows": ROWS, "norm": np.ones(4)}, "MXFP4")
    microscope = ParameterMicroscope(ParameterFile(tmp_path / "f.gguf"))
    assert [tensor[2] for tensor in microscope.tensors] == ["MXFP4", "float32"]
    assert microscope.tensor == "norm"
