"""Compression from file to file: nothing is written unless all of it is right."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llm101.atomic_file import atomic_file
from llm101.compression.compressor import compress, decompress
from llm101.compression.container import CompressionError
from llm101.compression.processors import Progress
from llm101.library import LanguageModel


@dataclass(frozen=True)
class CompressionReport:
    """What became of a file."""

    n_bytes_in: int
    n_bytes_out: int
    bits_per_byte: float
    """Bits of the compressed file per byte of the original."""
    seconds: float
    model: str


def compress_file(
    source: str | os.PathLike[str], out: str | os.PathLike[str], lm: LanguageModel, *, progress: Progress | None = None
) -> CompressionReport:
    """`compress` from file to file; what was at `out` is replaced once all is done.

    Raises:
        CompressionError: `out` is the source itself.
        OSError: as the system reports it.
    """
    return _file_to_file(compress, source, out, lm, progress)


def decompress_file(
    source: str | os.PathLike[str], out: str | os.PathLike[str], lm: LanguageModel, *, progress: Progress | None = None
) -> CompressionReport:
    """`decompress` from file to file; nothing is written unless all of it is right.

    Raises:
        CompressionError: as decompress, with the file's name; or `out` is the source itself.
        OSError: as the system reports it.
    """
    return _file_to_file(decompress, source, out, lm, progress)


def _file_to_file(
    convert: Callable[..., bytes],
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    lm: LanguageModel,
    progress: Progress | None,
) -> CompressionReport:
    start = time.perf_counter()
    source, out = Path(source), Path(out)
    data = source.read_bytes()
    if out.exists() and out.samefile(source):
        raise CompressionError(f"{out} would replace the file that it is made from; choose another name")
    try:
        result = convert(data, lm, progress=progress)
    except CompressionError as error:
        raise CompressionError(f"{source}: {error}") from None
    with atomic_file(out) as file:
        file.write(result)
    original, packed = (result, data) if convert is decompress else (data, result)
    bits_per_byte = 8 * len(packed) / max(len(original), 1)
    return CompressionReport(len(data), len(result), bits_per_byte, time.perf_counter() - start, lm.name)
