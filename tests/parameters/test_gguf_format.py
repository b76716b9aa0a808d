"""A GGUF header, byte by byte: what is read is what `gguf` wrote, and what is damaged is refused in one line."""

from __future__ import annotations

import io
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from llm101.parameters.gguf_format import MAX_HEADER_BYTES, read_gguf_header
from tests.gguf_files import write_gguf

F32, F16, Q4_1 = 0, 1, 3


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: str, sizes: tuple[int, ...], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def header(
    pairs: tuple[bytes, ...] = (), tensors: tuple[bytes, ...] = (), *, version: int = 3, counts: Any = None
) -> bytes:
    n_tensors, n_pairs = counts or (len(tensors), len(pairs))
    begin = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_pairs) + b"".join(pairs + tensors)
    return begin + bytes(-len(begin) % 32)


def read(data: bytes) -> Any:
    return read_gguf_header(io.BytesIO(data), len(data))


def test_a_file_worked_by_hand() -> None:
    data = header(
        (pair("answer", 4, struct.pack("<I", 42)),), (tensor("w", (3, 2), F32, 0), tensor("v", (4,), F16, 32))
    )
    found = read(data + bytes(32 + 8))
    assert found.metadata == {"answer": 42}
    first, second = found.entries
    assert (first.name, first.shape, first.dtype, first.offset, first.n_bytes) == (
        "w",
        (2, 3),
        "float32",
        len(data),
        24,
    )
    assert (second.name, second.shape, second.dtype, second.offset) == ("v", (4,), "float16", len(data) + 32)


def test_every_kind_of_value_is_read_as_gguf_writes_it(tmp_path: Path) -> None:
    numbers = {
        "UINT8": 255, "INT8": -128, "UINT16": 65535, "INT16": -32768, "UINT32": 2**32 - 1, "INT32": -(2**31),
        "UINT64": 2**64 - 1, "INT64": -(2**63), "FLOAT32": 0.5, "FLOAT64": 0.1, "BOOL": True, "STRING": "é\n",
    }  # fmt: skip
    writer = GGUFWriter(tmp_path / "f", "llama")
    for kind, value in numbers.items():
        writer.add_key_value(f"a.{kind}", value, GGUFValueType[kind])
        writer.add_key_value(f"b.{kind}", [value] * 3, GGUFValueType.ARRAY, sub_type=GGUFValueType[kind])
    writer.add_array("nested", [[1, 2], [3]])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read((tmp_path / "f").read_bytes()).metadata
    assert found == {
        "general.architecture": "llama", "nested": [[1, 2], [3]],
        **{f"a.{kind}": value for kind, value in numbers.items()},
        **{f"b.{kind}": [value] * 3 for kind, value in numbers.items()},
    }  # fmt: skip
    assert [type(found[f"a.{kind}"]) for kind in numbers] == [type(value) for value in numbers.values()]


@pytest.mark.parametrize("alignment", [1, 8, 32, 1024])
def test_tensors_lie_where_gguf_says_that_they_do(tmp_path: Path, alignment: int) -> None:
    tensors = {"a": np.ones((3, 64)), "b": np.ones(5), "c": np.ones((2, 2, 32))}
    metadata = {"general.alignment": alignment} if alignment != 32 else {}
    path = write_gguf(tmp_path / "f.gguf", {}, tensors, "Q4_1")
    if metadata:
        writer = GGUFWriter(path, "llama")
        writer.add_custom_alignment(alignment)
        for name, numbers in tensors.items():
            writer.add_tensor(name, numbers.astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    ours = read(path.read_bytes()).entries
    theirs = GGUFReader(path).tensors
    assert [(t.name, t.data_offset, t.n_bytes, t.shape.tolist()[::-1]) for t in theirs] == [
        (entry.name, entry.offset, entry.n_bytes, list(entry.shape)) for entry in ours
    ]


def test_version_2_is_read_as_version_3() -> None:
    assert read(header((pair("a", 7, b"\1"),), version=2)).metadata == {"a": True}


ARRAY = struct.pack("<IQ", 9, 1)
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the file would end at byte 4, the file at 0"),
    "only its name": (b"GGUF", "the version would end at byte 8, the file at 4; damaged, or an incomplete download"),
    "another file": (b"PNG." + bytes(60), "not a GGUF file"),
    "version 1": (header(version=1), "version 1 of GGUF; llm101 reads 2 and 3"),
    "big-endian": (header(version=0x03000000), "for big-endian machines"),
    "more pairs than bytes": (header(counts=(0, 2**64 - 1)), "would end at byte .*, the file at 32"),
    "more tensors than bytes": (header(counts=(2**64 - 1, 0)), "would end at byte .*, the file at 32"),
    "a long key": (header() [:16] + struct.pack("<QQ", 1, 2**63), "a key of the metadata would end at byte"),
    "a long text": (header((pair("a", 8, struct.pack("<Q", 2**40)),)), "the value of 'a' would end at byte"),
    "a long array": (header((pair("a", 9, struct.pack("<IQ", 4, 2**62)),)), "the value of 'a' would end at byte"),
    "a long array of texts": (header((pair("a", 9, struct.pack("<IQ", 8, 2**62)),)), "the value of 'a' would end"),
    "arrays in arrays": (header((pair("a", 9, ARRAY * 9),)), "the value of 'a' is nested too deeply"),
    "an unknown type": (header((pair("a", 13, b""),)), "the value of 'a' has the unknown type 13"),
    "half a truth": (header((pair("a", 7, b"\2"),)), r"the value of 'a' must be true \(1\) or false \(0\)"),
    "half truths": (header((pair("a", 9, struct.pack("<IQ", 7, 2) + b"\1\3"),)), "must be true"),
    "a key twice": (header((pair("a", 7, b"\1"),) * 2), "the key 'a' occurs twice"),
    "no text": (header((pair("a", 8, text(b"ab\xff")),)), "the value of 'a' is not UTF-8 text: an odd byte at 2 "),
    "an odd alignment": (header((pair("general.alignment", 4, struct.pack("<I", 24)),)), "a power of two, got 24"),
    "no alignment": (header((pair("general.alignment", 4, bytes(4)),)), "must be a power of two, got 0"),
    "a worded alignment": (header((pair("general.alignment", 8, text("8")),)), "must be a power of two, got '8'"),
    "many axes": (header((), (tensor("w", (1,) * 5, F32, 0),)), "tensor 'w' has 5 axes, more than 4"),
    "a huge tensor": (header((), (tensor("w", (2**40, 2**40), F32, 0),)), "more than a machine can count"),
    "a tensor beyond the end": (header((), (tensor("w", (2**20,), F32, 0),)), "the tensors end at byte .*complete"),
    "an unknown kind": (header((), (tensor("w", (1,), 4, 0),)), "tensor 'w' holds numbers of the unknown kind 4"),
    "half a block": (header((), (tensor("w", (48,), Q4_1, 0),)), "but Q4_1 packs 32 numbers of a row into a block"),
    "an odd place": (header((), (tensor("w", (1,), F32, 7),)), "tensor 'w' begins 7 bytes in, not at a multiple of 32"),
    "a name twice": (header((), (tensor("w", (0,), F32, 0),) * 2), "the tensor 'w' occurs twice"),
    "an overlap": (
        header((), (tensor("a", (16,), F32, 0), tensor("b", (1,), F32, 32))) + bytes(99), "'b' begins .* overlaps",
    ),
    "a gap": (header((), (tensor("a", (1,), F32, 64),)) + bytes(99), "'a' begins at byte .* leaves a gap"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_header_that_is_not_what_it_claims_is_refused_in_one_line(case: str) -> None:
    data, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_header_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = write_gguf(
        tmp_path / "f", {"context_length": 7, "tokenizer.ggml.tokens": ["a", "b"]}, {"w": np.ones((2, 8))}
    )
    data = path.read_bytes()
    for n_bytes in range(len(data)):
        with pytest.raises(ValueError, match="the file at|not a GGUF"):
            read(data[:n_bytes])


def test_a_header_has_a_longest_size(tmp_path: Path) -> None:
    begin = header((pair("a", 8, struct.pack("<Q", MAX_HEADER_BYTES)),))
    with pytest.raises(ValueError, match="a header of more than 100,000,000 bytes: the value of 'a'"):
        read_gguf_header(io.BytesIO(begin), 10**12)


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused(tmp_path: Path) -> None:
    data = header((pair("answer", 4, struct.pack("<I", 42)),))
    with pytest.raises(ValueError, match="the file became shorter while it was read"):
        read_gguf_header(io.BytesIO(data[:40]), len(data))


def test_claims_cost_no_memory() -> None:
    tracemalloc.start()
    try:
        for case, (data, _) in REFUSED.items():
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            with suppress(ValueError):
                read(data)
            assert tracemalloc.get_traced_memory()[1] - before < 100_000, case
    finally:
        tracemalloc.stop()
