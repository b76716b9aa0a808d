"""The format of llama.cpp's parameter files, GGUF: how its header is read, byte by byte.

    24 bytes    "GGUF", version, how many tensors, how many pairs of metadata (all numbers little-endian)
    metadata    key, type, value: the model's shape, its tokenizer, its chat template
    tensors     name, axes (the last one first), kind of number, offset
    the rest    the tensors, each at a multiple of the alignment

It knows nothing of models, nor what the packed numbers mean (quantised.py); how a vocabulary is kept is in
gguf_metadata.py. PyPI `gguf` has a reader too, which
believes every size that a file claims; here each is compared with the bytes that there are. The names of the kinds of
number, and the sizes of their blocks, are that package's.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3 (2 differs in nothing that is read here).

Reading order: read_gguf_header, _Bytes, _value and _array, _entry, _check_places.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO

from llm101.outside.strict_json import shown
from llm101.parameters.gguf_metadata import GGUFMetadata, PackedTexts
from llm101.parameters.tensor_entry import TensorEntry, is_possible_shape

MAGIC = b"GGUF"

VERSIONS = (2, 3)

MAX_HEADER_BYTES = 100_000_000
"""As for safetensors; a vocabulary of 260,000 tokens with its merges takes about a tenth of it."""

MAX_AXES = 4
"""As many as llama.cpp computes with."""

MAX_NESTING = 4
"""Of arrays in arrays; none is in use."""

NUMBERS = {
    0: ("uint8", "<B"), 1: ("int8", "<b"), 2: ("uint16", "<H"), 3: ("int16", "<h"), 4: ("uint32", "<I"),
    5: ("int32", "<i"), 6: ("float32", "<f"), 10: ("uint64", "<Q"), 11: ("int64", "<q"), 12: ("float64", "<d"),
}  # fmt: skip
"""The types of metadata that are one number: by the format's code for each, its name and how `struct` reads it."""

BOOL, STRING, ARRAY = 7, 8, 9

TORCH_NAMES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
}  # fmt: skip
"""The kinds of number that are not packed."""


@dataclass(frozen=True)
class GGUFHeader:
    """All that stands before the numbers."""

    entries: list[TensorEntry]
    """In the order in which they lie in the file."""
    metadata: GGUFMetadata


def read_gguf_header(file: BinaryIO, n_bytes: int) -> GGUFHeader:
    """Read and check what stands before the numbers.

    Args:
        file: open at its beginning.
        n_bytes: size of the whole file.

    Raises:
        ValueError: what is wrong with it.
    """
    source = _Bytes(file, min(n_bytes, MAX_HEADER_BYTES), n_bytes)
    if source.take(4, "the file") != MAGIC:
        raise ValueError("not a GGUF file: it does not begin with GGUF")
    _check_version(source.number("<I", "the version"))
    n_tensors, n_pairs = source.number("<Q", "the number of tensors"), source.number("<Q", "the size of the metadata")
    metadata: dict[str, Any] = {}
    for _ in range(n_pairs):  # however many are claimed: each takes bytes, and these run out
        key = source.text("a key of the metadata")
        if key in metadata:
            raise ValueError(f"the key {shown(key)} occurs twice in the metadata")
        metadata[key] = _value(source, key, source.number("<I", f"the type of {shown(key)}"))
    fields = [_fields(source) for _ in range(n_tensors)]
    alignment = _alignment(metadata)
    begin = _rounded_up(source.position, alignment)
    entries = [_entry(*field, begin, alignment) for field in fields]
    return GGUFHeader(_check_places(entries, begin, alignment, n_bytes), GGUFMetadata(metadata))


def _check_version(version: int) -> None:
    if version in VERSIONS:
        return
    if version & 0xFFFF == 0:
        raise ValueError("a GGUF file for big-endian machines; llm101 reads little-endian ones, as nearly all are")
    raise ValueError(f"version {version} of GGUF; llm101 reads {' and '.join(map(str, VERSIONS))}")


class _Bytes:
    """A file read from the front; whatever is claimed, it hands out only what is there."""

    def __init__(self, file: BinaryIO, end: int, n_bytes: int) -> None:
        self.file, self.position, self.end, self.n_bytes = file, 0, end, n_bytes

    def take(self, n_bytes: int, what: str) -> bytes:
        """The next so many bytes."""
        if n_bytes > self.end - self.position:
            if self.end < self.n_bytes:
                raise ValueError(f"a header of more than {MAX_HEADER_BYTES:,} bytes: {what} would end beyond it")
            raise ValueError(
                f"{what} would end at byte {self.position + n_bytes:,}, the file at {self.n_bytes:,}; "
                "damaged, or an incomplete download"
            )
        self.position += n_bytes
        data = self.file.read(n_bytes)
        if len(data) < n_bytes:
            raise ValueError("the file became shorter while it was read")
        return data

    def number(self, kind: str, what: str) -> Any:
        """One number, as `struct` reads it."""
        return struct.unpack(kind, self.take(struct.calcsize(kind), what))[0]

    def text(self, what: str) -> str:
        """A text: its length in bytes, then UTF-8."""
        (length,) = struct.unpack("<Q", self.take(8, what))
        data = self.take(length, what)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{what} is not UTF-8 text: an odd byte at {error.start:,} of its {length:,}") from None


def _value(source: _Bytes, key: str, kind: int, depth: int = 0) -> Any:
    """One value of the metadata."""
    what = f"the value of {shown(key)}"
    if kind == STRING:
        return source.text(what)
    if kind == BOOL:
        (truth,) = _truths(source.take(1, what), what)
        return truth
    if kind in NUMBERS:
        return source.number(NUMBERS[kind][1], what)
    if kind != ARRAY:
        raise ValueError(f"{what} has the unknown type {kind}")
    if depth == MAX_NESTING:
        raise ValueError(f"{what} is nested too deeply")
    return _array(source, key, what, depth)


def _array(source: _Bytes, key: str, what: str, depth: int) -> list[Any] | PackedTexts:
    inner, length = source.number("<I", what), source.number("<Q", what)
    if inner in NUMBERS:  # all at once: a vocabulary has 100,000 of them
        kind = NUMBERS[inner][1][1]
        return list(struct.unpack(f"<{length}{kind}", source.take(struct.calcsize(f"<{kind}") * length, what)))
    if inner == BOOL:
        return _truths(source.take(length, what), what)
    if inner == STRING and depth == 0:
        return PackedTexts(source.text(what) for _ in range(length))
    return [_value(source, key, inner, depth + 1) for _ in range(length)]


def _truths(data: bytes, what: str) -> list[bool]:
    if data.strip(b"\0\1"):
        raise ValueError(f"{what} must be true (1) or false (0)")
    return [byte == 1 for byte in data]


def _alignment(metadata: dict[str, Any]) -> int:
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 1 <= alignment <= 2**31 or alignment & (alignment - 1):
        raise ValueError(f"general.alignment must be a power of two, got {shown(alignment)}")
    return alignment


def _rounded_up(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _fields(source: _Bytes) -> tuple[str, tuple[int, ...], int, int]:
    """What the header says of one tensor: its name, shape, kind of number and offset."""
    name = source.text("the name of a tensor")
    what = f"what is said of tensor {shown(name)}"
    n_axes = source.number("<I", what)
    if n_axes > MAX_AXES:
        raise ValueError(f"tensor {shown(name)} has {n_axes:,} axes, more than {MAX_AXES}")
    sizes = struct.unpack(f"<{n_axes}Q", source.take(8 * n_axes, what))
    return name, sizes[::-1], source.number("<I", what), source.number("<Q", what)


def _entry(name: str, shape: tuple[int, ...], kind: int, offset: int, begin: int, alignment: int) -> TensorEntry:
    """Check what the header says of one tensor by itself."""
    if kind not in _kinds():
        raise ValueError(f"tensor {shown(name)} holds numbers of the unknown kind {kind}; a newer `gguf` may know it")
    dtype, (n_numbers, n_bytes) = _kinds()[kind]
    if not is_possible_shape(shape):
        raise ValueError(f"tensor {shown(name)} has shape {shown(list(shape))}, more than a machine can count")
    if offset % alignment:
        raise ValueError(f"tensor {shown(name)} begins {offset:,} bytes in, not at a multiple of {alignment}")
    if dtype in TORCH_NAMES:
        return TensorEntry(name, shape, TORCH_NAMES[dtype], begin + offset)
    if (shape[-1] if shape else 1) % n_numbers:
        raise ValueError(
            f"tensor {shown(name)} has shape {shown(list(shape))}, but {dtype} packs {n_numbers} numbers of a row "
            "into a block"
        )
    return TensorEntry(name, shape, dtype, begin + offset, (n_numbers, n_bytes))


@cache
def _kinds() -> dict[int, tuple[str, tuple[int, int]]]:
    """By the format's code for each kind of number: its name, and how many stand in how many bytes."""
    from gguf import GGML_QUANT_SIZES  # 0.1 s, for those who open such a file

    return {int(kind): (kind.name, sizes) for kind, sizes in GGML_QUANT_SIZES.items()}


def _check_places(entries: list[TensorEntry], begin: int, alignment: int, n_bytes: int) -> list[TensorEntry]:
    """See that tensors lie one after the other in the file; return them in that order."""
    entries = sorted(entries, key=lambda entry: (entry.offset, entry.n_bytes))
    if len({entry.name for entry in entries}) != len(entries):
        twice = next(name for name, count in Counter(entry.name for entry in entries).items() if count > 1)
        raise ValueError(f"the tensor {shown(twice)} occurs twice")
    end = begin
    for entry in entries:
        if entry.offset != _rounded_up(end, alignment):
            wrong = "overlaps what lies before it" if entry.offset < end else "leaves a gap before it"
            raise ValueError(f"tensor {shown(entry.name)} begins at byte {entry.offset:,}, not {end:,}: it {wrong}")
        end = entry.offset + entry.n_bytes
    if end > n_bytes:
        raise ValueError(f"the tensors end at byte {end:,}, the file at {n_bytes:,}; is the download complete?")
    return entries
