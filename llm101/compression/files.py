"""Compression from file to file: nothing is written unless all of it is right.

A file is read whole. With what is made of it, packing takes up to three times its size, and 0.7 GB for lzma where it
has 64 MB or more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llm101.compression.compressor import pack, unpack
from llm101.compression.container import METHODS, Buffer, CompressionError, Container
from llm101.compression.processors import Progress
from llm101.library import LanguageModel
from llm101.outside.atomic_file import atomic_file
from llm101.outside.output_target import check_output_file

File = str | os.PathLike[str] | BinaryIO
"""A file by its name, or one that is open."""


@dataclass(frozen=True)
class CompressionReport:
    """What became of a file."""

    n_bytes_in: int
    n_bytes_out: int
    bits_per_byte: float | None
    """Bits of the compressed file per byte of the original; None if the original has none."""
    seconds: float
    model: str
    method: str
    """How it is stored: by the "model", by "lzma", "plain" as it was, or "mixed"."""
    bytes_by_method: dict[str, int]
    """How many of the original's bytes are stored in each way, where any are."""


def compress_file(
    source: File, out: File, lm: LanguageModel, *, method: str | None = None, progress: Progress | None = None
) -> CompressionReport:
    """`compress` from file to file; what was at `out` is replaced once all is done.

    Raises:
        OutputTargetError: nothing can be written at `out`, or it is the source itself.
        OSError: as the system reports it.
    """
    start = time.perf_counter()
    _check(source, out)
    data = _read(source)
    container = pack(data, lm, method=method, progress=progress)
    pieces = container.pieces()
    _write(out, pieces)
    n_packed = sum(map(len, pieces))
    return _report(container, lm, n_packed, start, n_bytes_in=len(data), n_bytes_out=n_packed)


def decompress_file(
    source: File, out: File, lm: LanguageModel, *, progress: Progress | None = None
) -> CompressionReport:
    """`decompress` from file to file; nothing is written unless all of it is right.

    Raises:
        CompressionError: as decompress, with the file's name.
        OutputTargetError: nothing can be written at `out`, or it is the source itself.
        OSError: as the system reports it.
    """
    start = time.perf_counter()
    _check(source, out)
    packed = _read(source)
    try:
        container = Container.from_bytes(packed)
        data = unpack(container, lm, progress=progress)
    except CompressionError as error:
        name = os.fspath(source) if isinstance(source, str | os.PathLike) else "what was sent"
        raise CompressionError(f"{name}: {error}") from None
    _write(out, [data])
    return _report(container, lm, len(packed), start, n_bytes_in=len(packed), n_bytes_out=len(data))


def _check(source: File, out: File) -> None:
    if isinstance(out, str | os.PathLike):
        check_output_file(out, [source] if isinstance(source, str | os.PathLike) else [])


def _read(source: File) -> bytes:
    return Path(source).read_bytes() if isinstance(source, str | os.PathLike) else source.read()


def _write(out: File, pieces: Sequence[Buffer]) -> None:
    if isinstance(out, str | os.PathLike):
        with atomic_file(Path(out)) as file:
            file.writelines(pieces)
    else:
        out.writelines(pieces)
        out.flush()


def _report(
    container: Container, lm: LanguageModel, n_packed: int, start: float, *, n_bytes_in: int, n_bytes_out: int
) -> CompressionReport:
    shares = {name: container.n_bytes(method) for name, method in METHODS.items() if container.n_bytes(method)}
    return CompressionReport(
        n_bytes_in=n_bytes_in,
        n_bytes_out=n_bytes_out,
        bits_per_byte=8 * n_packed / container.n_bytes() if shares else None,
        seconds=time.perf_counter() - start,
        model=lm.name,
        method="mixed" if len(shares) > 1 else next(iter(shares), "plain"),
        bytes_by_method=shares,
    )
