"""llm101 inspect: a GGUF file's metadata and tensors, and one number down to its bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm101.cli import main
from llm101.parameters import ParameterFile, write_parameters
from tests.gguf_files import write_gguf

Capture = pytest.CaptureFixture[str]

METADATA = {
    "context_length": 7,
    "rope.freq_base": float("inf"),
    "tokenizer.ggml.tokens": [f"token {i}" for i in range(1000)],
    "tokenizer.chat_template": "{{ messages }}\n" * 99,
    "general.languages": ["en", "fr"],
    "general.odd\x1b[2J": True,
}


@pytest.fixture
def file(tmp_path: Path) -> ParameterFile:
    rows = np.random.default_rng(0).normal(size=(3, 256))
    write_gguf(tmp_path / "f.gguf", METADATA, {"rows": rows, "norm": np.linspace(0, 1, 5)}, "Q4_1")
    return ParameterFile(tmp_path / "f.gguf")


def lines_of(capsys: Capture, *arguments: object) -> list[str]:
    assert main(["inspect", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()


def json_of(capsys: Capture, *arguments: object) -> dict[str, Any]:
    assert main(["inspect", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def test_metadata_and_tensors_are_listed_each_in_a_line(capsys: Capture, file: ParameterFile) -> None:
    lines = lines_of(capsys, file.path)
    assert lines[0] == f"{file.path}: 773 parameters in {file.n_bytes:,} bytes"
    assert [line.split()[0] for line in lines[1:8]] == [
        "general.architecture", "llama.context_length", "llama.rope.freq_base", "tokenizer.ggml.tokens",
        "tokenizer.chat_template", "general.languages", r"'general.odd\x1b[2J'",
    ]  # fmt: skip
    assert lines[4].split("  ")[-1].strip().startswith("1,000 values: 'token 0', 'token 1', ")
    assert lines[4].endswith("'token 7', ...")
    assert lines[5].endswith(r"{{ message'... 1,485 characters")
    assert lines[6].endswith("['en', 'fr']")
    assert lines[8:] == [
        f"{file.tensors['rows'].offset:>12,}  Q4_1      3 x 256        rows",
        f"{file.tensors['norm'].offset:>12,}  float32   5              norm",
    ]


def test_json_has_texts_in_full_and_the_beginnings_of_long_lists(capsys: Capture, file: ParameterFile) -> None:
    found = json_of(capsys, file.path)
    assert found.keys() == {"path", "n_bytes", "n_parameters", "metadata", "tensors"}
    metadata = found["metadata"]
    assert metadata["tokenizer.ggml.tokens"] == {"length": 1000, "first": [f"token {i}" for i in range(8)]}
    assert metadata["tokenizer.chat_template"] == METADATA["tokenizer.chat_template"]
    assert (metadata["llama.rope.freq_base"], metadata["general.languages"]) == ("inf", ["en", "fr"])
    entry = file.tensors["rows"]
    assert found["tensors"][0] == {
        "name": "rows", "shape": [3, 256], "dtype": "Q4_1", "offset": entry.offset, "n_bytes": 480, "file": "f.gguf",
    }  # fmt: skip


def test_one_tensor_by_its_name(capsys: Capture, file: ParameterFile) -> None:
    lines = lines_of(capsys, file.path, "--tensor", "norm")
    assert len(lines) == 2
    assert lines[1].endswith("norm")
    assert [entry["name"] for entry in json_of(capsys, file.path, "--tensor", "norm")["tensors"]] == ["norm"]


def test_a_block_down_to_its_bits(capsys: Capture, file: ParameterFile) -> None:
    block = file.block("rows", 1, 40)
    lines = lines_of(capsys, file.path, "--tensor", "rows", "--at", 1, 40)
    assert lines[0] == f"rows [1, 40]: {block.value!r}, Q4_1"
    assert lines[1] == f"block   32 numbers in 20 bytes, from byte {block.offset:,}"
    assert lines[2] == f"scale   {block.stored_scale.bits} = {block.stored_scale.value!r}"
    assert lines[3].startswith("minimum 1 ")
    assert lines[4] == f"value   {block.formula}"
    assert [int(line[7:13], 2) for line in lines[5:]] == list(block.small)
    assert [line[0] for line in lines[5:]] == [">" if i == 8 else " " for i in range(32)]

    found = json_of(capsys, file.path, "--tensor", "rows", "--at", 1, 40)
    assert (found["offset"], found["position"], found["small"]) == (block.offset, 8, list(block.small))
    assert (found["values"], found["value"], found["bits"]) == (list(block.values), block.value, block.bits)
    assert found["scale"]["value"] == block.scale


def test_a_group_of_a_k_block(capsys: Capture, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "k.gguf", {}, {"rows": np.ones((2, 512))}, "Q6_K")
    block = ParameterFile(path).block("rows", 1, 300)
    lines = lines_of(capsys, path, "--tensor", "rows", "--at", 1, 300)
    assert lines[3] == f"group   2 of 16: scale {block.group_scales[2]}"
    assert len(lines) == 5 + 16
    assert json_of(capsys, path, "--tensor", "rows", "--at", 1, 300)["group_scales"] == list(block.group_scales)


def test_a_float_down_to_its_bits(capsys: Capture, tmp_path: Path) -> None:
    write_parameters(tmp_path / "f.safetensors", {"w": torch.tensor([[1.0, 1 / 3]], dtype=torch.float16)})
    third = ParameterFile(tmp_path / "f.safetensors").number("w", 0, 1)
    assert lines_of(capsys, third_path := tmp_path / "f.safetensors", "--tensor", "w", "--at", 0, 1) == [
        f"w [0, 1]: 0.333251953125, float16, from byte {third.offset}",
        "bits    0 01101 0101010101",
        "value   +1 × 2^(13 - 15) × (1 + 341/1024)",
    ]
    assert json_of(capsys, third_path, "--tensor", "w", "--at", 0, 1)["bits"] == third.bits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at", 0], "--at is a place in a tensor: say which one, with --tensor NAME"),
        (["--tensor", "rowz"], "there is no tensor 'rowz'; did you mean 'rows'?"),
        (["--tensor", "rows", "--at", 3, 0], "'rows' has shape (3, 256): no number at (3, 0)"),
        (["--tensor", "norm", "--at", 0, 0], "'norm' has shape (5,): no number at (0, 0)"),
    ],
)
def test_a_place_that_is_not_there_is_refused_in_a_line(
    capsys: Capture, file: ParameterFile, options: list[Any], message: str
) -> None:
    assert main(["inspect", str(file.path), *map(str, options)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
