"""A file that appears whole or not at all: what every writer of this library goes through.

It knows nothing of what is written. Only a plain file is ever replaced: os.replace onto a device, a pipe or a link
would replace *it*, and leave a machine without its /dev/null.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a new file beside `path`; it takes that name only once all of it is safely on the disk.

    Whatever goes wrong before that (disk full, Ctrl-C, an error in the block), the new file is removed
    and an older file at `path` stays as it was. A link stays a link: the file that it names is replaced.
    A terminal, a pipe or a device such as /dev/null stays what it is, and is handed the bytes once all are there.

    Raises:
        OSError: as the system reports it; `path` is a folder, a disk or a socket.

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
    with _through(path) if stays_in_place(path) else _replacing(path) as file:
        yield file


@contextmanager
def _replacing(path: str | Path) -> Iterator[BinaryIO]:
    real = Path(os.path.realpath(path))
    partial = real.with_name(f".{uuid.uuid4().hex[:12]}.partial")
    try:
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # without it a power cut may leave the new name with old or no contents
        os.replace(partial, real)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and error.filename == str(partial):  # nobody has heard of that name
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    with suppress(OSError):  # the folder's own entry; Windows cannot, and does not need to
        folder = os.open(real.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _through(path: str | Path) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:  # in which the block may seek, and of which nothing goes out if it fails
        yield file
        file.seek(0)
        with open(path, "wb") as out:
            shutil.copyfileobj(file, out)


def stays_in_place(path: str | Path) -> bool:
    """Whether something is there that takes bytes and cannot be replaced: what is written twice, it gets twice.

    Raises:
        OSError: it is a folder, a disk or a socket, which can be neither written through nor replaced.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not (stat.S_ISREG(mode) or takes_bytes(mode)):
        raise OSError(errno.EINVAL, "a disk or a socket, and not a place for a file", str(path))
    return not os.path.isfile(os.path.realpath(path))  # nor can a file be that has lost its name (/dev/stdout)


def takes_bytes(mode: int) -> bool:
    """Whether it takes bytes one after the other and is no file, as terminals, pipes and /dev/null do.

    Args:
        mode: st_mode of os.stat.
    """
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def reason(error: OSError) -> str:
    """The system's own words for what went wrong, without its codes: 'No space left on device'."""
    return error.strerror or str(error)
