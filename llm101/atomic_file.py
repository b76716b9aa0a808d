"""A file that appears whole or not at all: what every writer of this library goes through.

It knows nothing of what is written.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a new file beside `path`; it takes that name only once all of it is safely on the disk.

    Whatever goes wrong before that (disk full, Ctrl-C, an error in the block), the new file is removed
    and an older file at `path` stays as it was.

    Raises:
        OSError: as the system reports it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "numbers.bin"
        >>> with atomic_file(path) as file:
        ...     _ = file.write(b"123")
        ...     path.exists()
        False
        >>> path.read_bytes()
        b'123'
    """
    path = Path(path)
    partial = path.with_name(f".{uuid.uuid4().hex[:12]}.partial")
    try:
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # without it a power cut may leave the new name with old or no contents
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # the folder's own entry; Windows cannot, and does not need to
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def reason(error: OSError) -> str:
    """The system's own words for what went wrong, without its codes: 'No space left on device'."""
    return error.strerror or str(error)
