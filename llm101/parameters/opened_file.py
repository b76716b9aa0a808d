"""A file that was opened once, and is looked at again only when something of it is asked for.

Nothing is kept open in between, so the file can be replaced or removed at any time; one that changed since then is
reported, not misread. It does not know what the bytes mean.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llm101.outside.atomic_file import reason
from llm101.parameters.errors import ParameterFileError

PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class OpenedFile:
    """A file as it was when it was opened.

    Raises:
        ParameterFileError: by every method: it is not there any more, or not the same.
    """

    path: Path
    n_bytes: int
    changed_ns: int
    """When it was last changed: with the size, that tells whether another file has taken its place."""

    @classmethod
    def at(cls, path: Path) -> OpenedFile:
        """The file of that name, as it is now."""
        if path.exists() and not path.is_file():
            raise ParameterFileError(f"{path}: not a file")
        with _open(path) as file:
            return cls(path, *_size_and_time(file))

    def open(self) -> BinaryIO:
        """Open it again; the caller closes it."""
        file = _open(self.path)
        if _size_and_time(file) != (self.n_bytes, self.changed_ns):
            file.close()
            raise ParameterFileError(f"{self.path} has changed since it was opened; open it again")
        return file

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Some of its bytes."""
        with self.open() as file:
            file.seek(offset)
            return file.read(n_bytes)

    def pieces(self, offset: int, n_bytes: int) -> Iterator[bytes]:
        """The same bytes, never more than a megabyte of them in memory."""
        with self.open() as file:
            file.seek(offset)
            for begin in range(0, n_bytes, PIECE_BYTES):
                yield file.read(min(PIECE_BYTES, n_bytes - begin))

    def mapped(self, offset: int, n_bytes: int) -> memoryview:
        """The same bytes, read from the disk as they are used; a change to them stays in memory."""
        skip = offset % mmap.ALLOCATIONGRANULARITY  # a mapping must begin at a page of memory
        with self.open() as file:
            window = mmap.mmap(file.fileno(), skip + n_bytes, access=mmap.ACCESS_COPY, offset=offset - skip)
        return memoryview(window)[skip:]


def _open(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise ParameterFileError(f"{path}: {reason(error)}") from None


def _size_and_time(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
