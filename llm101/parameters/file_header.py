"""What stands before the numbers of a parameter file, whichever of the two formats it has: its first bytes decide.

It knows neither format in detail (safetensors_format.py, gguf_format.py), and goes by no file's name.

Reading order: FileHeader, header_of, other_kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from llm101.outside.atomic_file import reason
from llm101.parameters.errors import ParameterFileError
from llm101.parameters.gguf_format import MAGIC, read_gguf_header
from llm101.parameters.gguf_metadata import GGUFMetadata
from llm101.parameters.opened_file import OpenedFile
from llm101.parameters.safetensors_format import read_header
from llm101.parameters.tensor_entry import TensorEntry

OTHER_KINDS = {
    b"PK\3\4": "a zip archive, as torch.save writes it: its numbers are pickled, which can run code; "
    "get the safetensors version",
    b"\x80\x02": "pickled, which can run code; get the safetensors version",
    b"version https://git-lfs": "a pointer of Git LFS in the place of the file itself; get that with git lfs pull",
    b"<": "a web page; was the download refused?",
    b"{": "JSON text",
    b"\x1f\x8b": "compressed with gzip",
    b"\x89HDF": "an HDF5 file",
    b"lmgg": "of llama.cpp's first format (ggml); get its GGUF version",
    b"fmgg": "of llama.cpp's second format (ggmf); get its GGUF version",
    b"tjgg": "of llama.cpp's third format (ggjt); get its GGUF version",
}
"""How files begin that are something else."""


@dataclass(frozen=True)
class FileHeader:
    """The tensors of one file, and what else its header says."""

    tensors: dict[str, TensorEntry]
    """By their names, in the order in which they lie in the file."""
    metadata: Mapping[str, str]
    """Texts."""
    gguf_metadata: GGUFMetadata = field(default_factory=GGUFMetadata)
    """In a GGUF file: all values, texts included."""


def header_of(file: OpenedFile) -> FileHeader:
    """Read a file's header, and check it.

    Raises:
        ParameterFileError: it cannot be read, or is no valid file of either format.
    """
    with file.open() as opened:
        try:
            begin = opened.read(32)
            opened.seek(0)
            return _gguf(opened, file) if begin.startswith(MAGIC) else _safetensors(opened, file, begin)
        except OSError as error:
            raise ParameterFileError(f"{file.path}: {reason(error)}") from None
        except ValueError as error:
            raise ParameterFileError(f"{file.path}: {error}") from None


def _gguf(opened: BinaryIO, file: OpenedFile) -> FileHeader:
    header = read_gguf_header(opened, file.n_bytes)
    return FileHeader({entry.name: entry for entry in header.entries}, header.metadata.texts, header.metadata)


def _safetensors(opened: BinaryIO, file: OpenedFile, begin: bytes) -> FileHeader:
    try:
        entries, metadata = read_header(opened, file.n_bytes)
    except ValueError:
        other = other_kind(begin)
        if other is not None:
            raise ValueError(f"not a parameter file, but {other}") from None
        if file.path.suffix == ".gguf":
            raise ValueError(f"not a GGUF file, whatever its name: it begins with {begin[:8]!r}") from None
        raise
    return FileHeader({entry.name: entry for entry in entries}, metadata)


def other_kind(begin: bytes) -> str | None:
    """What a file is that begins with these bytes, if that is something well-known.

    Example:
        >>> other_kind(b"\\x1f\\x8b\\x08\\0"), other_kind(b"\\x28\\0\\0\\0\\0\\0\\0\\0")
        ('compressed with gzip', None)
    """
    text = begin.lstrip()
    return next((kind for start, kind in OTHER_KINDS.items() if (text or begin).startswith(start)), None)
