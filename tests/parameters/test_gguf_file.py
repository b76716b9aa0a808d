"""A GGUF file through ParameterFile: one file of numbers like any other, in one piece or several."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader, GGUFWriter, dequantize

from llm101.parameters import ParameterFile, ParameterFileError, write_parameters
from llm101.parameters.quantised import QUANTISED
from tests.gguf_files import Kind, write_gguf

ROWS = np.random.default_rng(0).normal(size=(3, 256)).astype(np.float32)
METADATA = {"context_length": 7, "tokenizer.ggml.tokens": ["a", "b"], "general.name": "made by a test"}


def small(path: Path, kind: str = "Q4_1") -> ParameterFile:
    write_gguf(path, METADATA, {"rows": ROWS, "norm": np.linspace(0, 1, 5)}, kind)
    return ParameterFile(path)


# Reading


def test_totals_and_metadata(tmp_path: Path) -> None:
    parameters = small(tmp_path / "small.gguf")
    size = (tmp_path / "small.gguf").stat().st_size
    assert repr(parameters) == f"ParameterFile('small.gguf'): 773 parameters in 2 tensors, Q4_1 + float32, {size} bytes"
    assert (parameters.n_parameters, parameters.tensors["rows"].n_bytes) == (3 * 256 + 5, 3 * 8 * 20)
    assert parameters.metadata == {"general.architecture": "llama", "general.name": "made by a test"}
    assert parameters.gguf_metadata["tokenizer.ggml.tokens"] == ["a", "b"]
    assert parameters.gguf_metadata["llama.context_length"] == 7


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", *QUANTISED])
def test_tensors_are_what_gguf_makes_of_them(tmp_path: Path, kind: str) -> None:
    parameters = small(tmp_path / "f.gguf", kind)
    theirs = {tensor.name: tensor for tensor in GGUFReader(tmp_path / "f.gguf").tensors}["rows"]
    expected = dequantize(theirs.data, theirs.tensor_type).reshape(3, 256)
    tensor = parameters.tensor("rows")
    assert tensor.dtype == {"F16": torch.float16, "BF16": torch.bfloat16}.get(kind, torch.float32)
    assert torch.equal(tensor.float(), torch.from_numpy(expected.copy()))
    assert parameters.raw("rows") == theirs.data.tobytes()
    assert torch.equal(parameters.tensor("norm"), torch.linspace(0, 1, 5))


@pytest.mark.parametrize("name", ["model.safetensors", "noname", "x.gguf"])
def test_a_file_is_known_by_its_first_bytes_whatever_its_name(tmp_path: Path, name: str) -> None:
    assert small(tmp_path / name).entry("rows").dtype == "Q4_1"
    write_parameters(tmp_path / name, {"a": torch.ones(2)})
    assert ParameterFile(tmp_path / name).entry("a").dtype == "float32"
    assert ParameterFile(tmp_path / name).gguf_metadata == {}


def test_a_safetensors_file_has_no_gguf_metadata_and_a_gguf_file_can_be_sent_to_another_process(tmp_path: Path) -> None:
    parameters = small(tmp_path / "f.gguf")
    copy = pickle.loads(pickle.dumps(parameters))
    assert (copy.gguf_metadata, copy.fingerprint()) == (parameters.gguf_metadata, parameters.fingerprint())


def test_what_a_file_says_can_be_changed_by_nobody(tmp_path: Path) -> None:
    metadata = small(tmp_path / "f.gguf").gguf_metadata
    with pytest.raises(TypeError):
        metadata["llama.context_length"] = 8  # type: ignore[index]
    metadata["tokenizer.ggml.tokens"].append("c")
    assert metadata["tokenizer.ggml.tokens"] == ["a", "b"]


def test_a_list_of_texts_is_kept_in_a_fifth_of_what_python_takes_for_it(tmp_path: Path) -> None:
    texts = ["", "é\0", *(f"Ġw{i}" for i in range(20_000))]
    write_gguf(tmp_path / "f.gguf", {"tokenizer.ggml.tokens": texts}, {"a": np.ones(1)}, "F32")
    metadata = ParameterFile(tmp_path / "f.gguf").gguf_metadata
    assert metadata["tokenizer.ggml.tokens"] == texts
    assert len(pickle.dumps(metadata)) < sum(map(sys.getsizeof, texts)) / 5


def test_a_number_of_a_float_tensor_has_its_bits(tmp_path: Path) -> None:
    parameters = small(tmp_path / "f.gguf", "F16")
    number = parameters.number("rows", 1, 7)
    assert number.value == np.float16(ROWS[1, 7])
    assert (tmp_path / "f.gguf").read_bytes()[number.offset : number.offset + 2] == number.to_bytes()


@pytest.mark.parametrize("kind", QUANTISED)
def test_a_number_of_a_quantised_tensor_has_its_block(tmp_path: Path, kind: str) -> None:
    parameters, content = small(tmp_path / "f.gguf", kind), (tmp_path / "f.gguf").read_bytes()
    values = parameters.tensor("rows")
    for place in ((0, 0), (1, 31), (1, 32), (2, 255)):
        block = parameters.block("rows", *place)
        assert block.value == values[place]
        assert (block.index, block.dtype, block.position) == (place, kind, place[1] % block.n_numbers)
        assert content[block.offset : block.offset + len(block.raw)] == block.raw
        begin = place[1] - block.position
        assert block.values == tuple(values[place[0], begin : begin + block.n_numbers].tolist())


def test_a_file_larger_than_memory_is_opened_without_being_read(tmp_path: Path) -> None:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    begin = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text("w") + struct.pack("<IQQIQ", 2, 2**16, 2**22, 3, 0)
    begin += bytes(-len(begin) % 32)
    with open(tmp_path / "f.gguf", "wb") as file:
        file.write(begin)
        try:
            file.truncate(len(begin) + 2**38 // 32 * 20)  # a hole: it takes no space on the disk
        except OSError:
            pytest.skip("this disk has no room for holes")
    start = time.process_time()
    parameters = ParameterFile(tmp_path / "f.gguf")
    assert (parameters.n_parameters, parameters.block("w", 2**22 - 1, 2**16 - 1).value) == (2**38, 0.0)
    assert time.process_time() - start < 0.5


def test_gguf_is_imported_only_for_such_a_file(tmp_path: Path) -> None:
    write_parameters(tmp_path / "f.safetensors", {"a": torch.ones(2)})
    program = "import sys; from llm101.parameters import *; ParameterFile(sys.argv[1]); print('gguf' in sys.modules)"
    command = [sys.executable, "-c", program, str(tmp_path / "f.safetensors")]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "False\n"


# Questions without an answer


def test_bits_of_the_other_kind_are_refused_with_a_hint(tmp_path: Path) -> None:
    parameters = small(tmp_path / "f.gguf")
    with pytest.raises(ParameterFileError, match=r"'rows' holds Q4_1 numbers; .*; \.block\(\) shows where"):
        parameters.number("rows", 0, 0)
    with pytest.raises(ParameterFileError, match="'norm' holds float32 numbers; blocks are those of Q8_0"):
        parameters.block("norm", 0)
    for place in ((3, 0), (0, 256), (0,), (-1, 0)):
        with pytest.raises(ParameterFileError, match=r"'rows' has shape \(3, 256\): no number at"):
            parameters.block("rows", *place)
    with pytest.raises(ParameterFileError, match="an index must be a whole number, got 0.5"):
        parameters.block("rows", 0, 0.5)  # type: ignore[arg-type]


def test_a_kind_that_is_not_run_is_listed_and_refused_by_its_name_when_it_is_used(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "f.gguf", "llama")
    writer.add_tensor("w", np.zeros((2, 84), np.uint8), raw_dtype=Kind.Q2_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parameters = ParameterFile(tmp_path / "f.gguf")
    assert (parameters.dtype, parameters.entry("w").shape, parameters.n_parameters) == ("Q2_K", (2, 256), 512)
    with pytest.raises(ParameterFileError, match="'w': Q2_K is not supported; llm101 runs float32"):
        parameters.tensor("w")
    with pytest.raises(ParameterFileError, match="'w' holds Q2_K numbers; blocks are those of Q8_0"):
        parameters.block("w", 0, 0)
    assert parameters.raw("w") == bytes(168)
    parameters.check_finite()


def test_a_scale_that_is_no_number_is_found(tmp_path: Path) -> None:
    parameters = small(tmp_path / "f.gguf")
    parameters.check_finite()
    with open(tmp_path / "f.gguf", "r+b") as file:
        file.seek(parameters.block("rows", 2, 40).offset)
        file.write(struct.pack("<e", float("nan")))
    with pytest.raises(ParameterFileError, match="'rows' holds NaN or infinity"):
        ParameterFile(tmp_path / "f.gguf").check_finite()


# Copies and identity


def test_a_copy_differs_in_exactly_the_changed_floats(tmp_path: Path) -> None:
    parameters = small(tmp_path / "f.gguf")
    copy = parameters.save_copy(tmp_path / "copy.gguf", [parameters.number("norm", 4).with_value(-2)])
    assert copy.tensor("norm").tolist() == [0.0, 0.25, 0.5, 0.75, -2.0]
    assert torch.equal(copy.tensor("rows"), parameters.tensor("rows"))
    assert copy.gguf_metadata == parameters.gguf_metadata
    assert copy.fingerprint() != parameters.fingerprint()


def test_a_quantised_number_cannot_be_changed_in_a_copy(tmp_path: Path) -> None:
    parameters = small(tmp_path / "f.gguf")
    with pytest.raises(ParameterFileError, match="'rows' holds Q4_1 numbers; bits can be shown for float16"):
        parameters.save_copy(tmp_path / "copy.gguf", [parameters.block("rows", 0, 0)])  # type: ignore[list-item]
    assert not (tmp_path / "copy.gguf").exists()


def test_a_fingerprint_follows_numbers_and_kind_and_not_metadata(tmp_path: Path) -> None:
    first = small(tmp_path / "a.gguf")
    write_gguf(tmp_path / "b.gguf", {}, {"norm": np.linspace(0, 1, 5), "rows": ROWS}, "Q4_1")
    assert ParameterFile(tmp_path / "b.gguf").fingerprint() == first.fingerprint()
    assert small(tmp_path / "c.gguf", "Q4_0").fingerprint() != first.fingerprint()


# Several files


def split(folder: Path, **more: Any) -> Path:
    """Three shards as llama.cpp's gguf-split names them; the first holds no tensors."""
    for number, tensors in enumerate(({}, {"rows": ROWS}, {"norm": np.ones(5)})):
        path = folder / f"model-0000{number + 1}-of-00003.gguf"
        writer = GGUFWriter(path, "llama")
        if number == 0:
            writer.add_uint32("llama.context_length", 7)
        for key, value in ({"split.no": number, "split.count": 3, "split.tensors.count": 2} | more).items():
            writer.add_uint16(key, value)
        for name, numbers in tensors.items():
            writer.add_tensor(name, numbers.astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return folder / "model-00001-of-00003.gguf"


@pytest.mark.parametrize("opened", [1, 2, 3])
def test_a_model_in_several_files_is_one_whichever_is_opened(tmp_path: Path, opened: int) -> None:
    split(tmp_path)
    parameters = ParameterFile(tmp_path / f"model-0000{opened}-of-00003.gguf")
    assert [file.path.name[-19:-5] for file in parameters.files] == [f"0000{i}-of-00003" for i in (1, 2, 3)]
    assert list(parameters.tensors) == ["rows", "norm"]
    assert torch.equal(parameters.tensor("rows"), torch.from_numpy(ROWS))
    assert parameters.file_of("norm").name == "model-00003-of-00003.gguf"
    assert (parameters.gguf_metadata["llama.context_length"], parameters.gguf_metadata["split.no"]) == (7, 0)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    first = split(tmp_path)
    (tmp_path / "model-00002-of-00003.gguf").unlink()
    with pytest.raises(ParameterFileError, match=r"model-00002-of-00003\.gguf: No such file.* lies in 3 files"):
        ParameterFile(first)


def test_shards_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    first, second = split(tmp_path), tmp_path / "model-00002-of-00003.gguf"
    second.write_bytes((tmp_path / "model-00003-of-00003.gguf").read_bytes())
    with pytest.raises(ParameterFileError, match=r"model-00002-of-00003\.gguf: split.no should be 1, and is 2"):
        ParameterFile(first)
    first = split(tmp_path, **{"split.tensors.count": 9})
    with pytest.raises(ParameterFileError, match="says that there are 9 tensors; all shards hold 2"):
        ParameterFile(first)
    for name in ("alone.gguf", "model-00001-of-00002.gguf", "model-00000-of-00003.gguf", "model-00004-of-00003.gguf"):
        first = first.rename(tmp_path / name)
        with pytest.raises(ParameterFileError, match=f"{name} says that it is one of 3 files, and so should be called"):
            ParameterFile(first)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    first = split(tmp_path)
    for number in (2, 3):
        writer = GGUFWriter(tmp_path / f"model-0000{number}-of-00003.gguf", "llama")
        writer.add_uint16("split.no", number - 1)
        writer.add_uint16("split.count", 3)
        writer.add_tensor("same", ROWS)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    with pytest.raises(ParameterFileError, match="a tensor lies in two of its 3 files"):
        ParameterFile(first)


def test_shards_are_not_joined_into_one_copy(tmp_path: Path) -> None:
    with pytest.raises(ParameterFileError, match="does not join GGUF shards; copy one of 3 files"):
        ParameterFile(split(tmp_path)).save_copy(tmp_path / "copy.gguf")
    assert not (tmp_path / "copy.gguf").exists()


# Files that are something else

OTHERS = {
    "a zip archive": (b"PK\3\4" + bytes(60), "a zip archive, as torch.save writes it: its numbers are pickled"),
    "a pickle": (b"\x80\x02" + bytes(60), "not a parameter file, but pickled, which can run code"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
    "a web page": (b"\n<!DOCTYPE html><html>Not found</html>", "not a parameter file, but a web page"),
    "JSON": (b'{"error": "not found", "code": 404}', "not a parameter file, but JSON text"),
    "an older model": (b"tjgg" + bytes(60), "llama.cpp's third format"),
}


@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf"])
@pytest.mark.parametrize("case", OTHERS)
def test_a_file_that_is_something_else_is_called_so(tmp_path: Path, name: str, case: str) -> None:
    content, message = OTHERS[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ParameterFileError, match=f"{name}: .*{message}"):
        ParameterFile(tmp_path / name)


def test_an_odd_file_is_not_called_an_incomplete_download_of_the_other_format(tmp_path: Path) -> None:
    (tmp_path / "f.gguf").write_bytes(b"nonsense" * 9)
    with pytest.raises(ParameterFileError, match="not a GGUF file, whatever its name: it begins with b'nonsense'"):
        ParameterFile(tmp_path / "f.gguf")
    content = small(tmp_path / "g").path.read_bytes()
    (tmp_path / "g.safetensors").write_bytes(content[:100])
    with pytest.raises(ParameterFileError, match="would end at byte .*, the file at 100; damaged, or an incomplete"):
        ParameterFile(tmp_path / "g.safetensors")
