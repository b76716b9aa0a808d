"""The format of a parameter file, safetensors: how it is read and written, byte by byte.

    8 bytes     length of the header, little-endian
    header      JSON: {name: {"dtype": "F16", "shape": [256, 64], "data_offsets": [begin, end]}, ...}
    the rest    the numbers themselves, tensor after tensor, without gaps

It knows nothing of models, and keeps no file open. A file may come from anywhere, so the header is checked before
it is believed, and no memory is set aside for what it merely claims.

Source: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from llm101.outside.atomic_file import atomic_file, reason
from llm101.outside.strict_json import shown, strict_json
from llm101.parameters.errors import ParameterFileError
from llm101.parameters.tensor_entry import TensorEntry, is_possible_shape

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu, "C64": torch.complex64,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""The format's names for the kinds of number, and torch's."""

PACKED = {"F4": (2, 1), "F6_E2M3": (4, 3), "F6_E3M2": (4, 3)}
"""Kinds of number of less than 8 bits, which torch does not have: how many of them stand in how many bytes."""

MAX_HEADER_BYTES = 100_000_000
"""What the safetensors library allows too; the largest published models need about a hundredth of it."""

MAX_AXES = 64
"""As many axes as torch computes with."""


def read_header(file: BinaryIO, n_bytes: int) -> tuple[list[TensorEntry], dict[str, str]]:
    """Read and check what stands before the numbers; this and write_parameters are the whole format.

    Args:
        file: open at its beginning.
        n_bytes: size of the whole file.

    Returns:
        the tensors in the order in which they lie in the file, and the metadata.

    Raises:
        ValueError: what is wrong with it.
    """
    if n_bytes < 8:
        raise ValueError(f"only {n_bytes} bytes, too short for a safetensors file; is the download complete?")
    length = int.from_bytes(file.read(8), "little")
    if length > min(n_bytes - 8, MAX_HEADER_BYTES):
        raise ValueError(
            f"the header claims {length:,} bytes, but the file has {n_bytes:,} and a header at most "
            f"{MAX_HEADER_BYTES:,}; not a safetensors file, or an incomplete download"
        )
    header = strict_json(file.read(length))
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("__metadata__ must be a table from text to text")
    entries = [_entry(name, fields, 8 + length) for name, fields in header.items()]
    entries.sort(key=lambda entry: (entry.offset, entry.n_bytes))  # an empty tensor before the one that begins there
    end = 8 + length
    for entry in entries:
        if entry.offset != end:
            wrong = "overlaps what lies before it" if entry.offset < end else "leaves a gap before it"
            raise ValueError(f"tensor {shown(entry.name)} begins at byte {entry.offset:,}, not {end:,}: it {wrong}")
        end += entry.n_bytes
    if end != n_bytes:
        raise ValueError(f"the tensors end at byte {end:,}, the file at {n_bytes:,}; is the download complete?")
    return entries, metadata


def _entry(name: str, fields: Any, data_offset: int) -> TensorEntry:
    """Check one tensor's line of the header."""
    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {shown(name)} needs exactly dtype, shape and data_offsets, got {shown(fields)}")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES | PACKED:
        known = ", ".join(DTYPES | PACKED)
        raise ValueError(f"tensor {shown(name)} has the unknown dtype {shown(dtype)}; known are {known}")
    if not _are_counts(shape) or len(shape) > MAX_AXES:
        raise ValueError(f"tensor {shown(name)} has the impossible shape {shown(shape)}")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"tensor {shown(name)} has the impossible data_offsets {shown(offsets)}")
    if not is_possible_shape(tuple(shape)):
        raise ValueError(f"tensor {shown(name)} has shape {shown(shape)}, more than a machine can count")
    torch_name = str(DTYPES.get(dtype, dtype)).removeprefix("torch.")
    entry = TensorEntry(name, tuple(shape), torch_name, data_offset + offsets[0], PACKED.get(dtype))
    if entry.block and entry.n_parameters % entry.block[0]:
        raise ValueError(f"tensor {shown(name)} of shape {shown(shape)} and dtype {dtype} does not fill whole bytes")
    if offsets[1] - offsets[0] != entry.n_bytes:
        raise ValueError(
            f"tensor {shown(name)} of shape {shown(shape)} and dtype {dtype} needs {entry.n_bytes:,} bytes, "
            f"but its data_offsets {shown(offsets)} span {offsets[1] - offsets[0]:,}"
        )
    return entry


def write_parameters(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file: all of it, or nothing. Wider numbers come first; else the order is kept.

    Raises:
        ParameterFileError: a name, dtype, layout or metadata that the format does not have, or a file that cannot be
            written.
    """
    # A stable sort, so that each number lies at a multiple of its own width, as fast readers want it.
    ordered = sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize)
    header = _header(ordered, dict(metadata or {}))
    try:
        with atomic_file(path) as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for _, tensor in ordered:
                file.write(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    except OSError as error:
        raise ParameterFileError(f"cannot write {path}: {reason(error)}; nothing was changed there") from None


def _header(ordered: list[tuple[str, Tensor]], metadata: dict[str, str]) -> bytes:
    """The JSON that describes the tensors, filled up with spaces to a multiple of 8 bytes."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise ParameterFileError(f"metadata must be text, got {shown(key)}: {shown(value)}")
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, tensor in ordered:
        if not isinstance(name, str) or name == "__metadata__":
            raise ParameterFileError(f"{shown(name)} cannot be the name of a tensor")
        if tensor.layout != torch.strided:
            kind = str(tensor.layout).removeprefix("torch.")
            raise ParameterFileError(
                f"{name!r} is a sparse tensor ({kind}), which safetensors cannot store: .to_dense()"
            )
        if tensor.dtype not in names:
            raise ParameterFileError(f"{name!r} holds {tensor.dtype}, which safetensors cannot store")
        begin, end = end, end + tensor.numel() * tensor.dtype.itemsize
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % 8)


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)
