"""May a command write there? Asked before its work, so that no hour of it ends at a bad name.

It opens nothing, changes nothing and does not know what is to be written; atomic_file.py does the writing.

Reading order: check_output_file, check_output_folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from llm101.outside.atomic_file import reason, takes_bytes

PathLike = str | os.PathLike[str]


class OutputTargetError(ValueError):
    """Nothing can be written there, or something would be lost; the message says why and what to do."""


def check_output_file(path: PathLike, inputs: Iterable[PathLike] = ()) -> None:
    """See that a file can be written under this name, and that it is none of those it is made from.

    A link is followed to what it names. Terminals, pipes and devices that take bytes one after the other are allowed
    (atomic_file writes into them); disks and sockets are not.

    Args:
        path: the file to be.
        inputs: what will be read for it; what does not exist is passed over.

    Raises:
        OutputTargetError: an empty name, a folder, a folder that is missing or write-protected, a write-protected
            file, a disk or socket, or one of the inputs, under this or any other name.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> check_output_file(f"{folder}/out.bin")
        >>> check_output_file("")
        Traceback (most recent call last):
        llm101.outside.output_target.OutputTargetError: the name of the file to write is empty
    """
    mode = _mode(path, "file")
    if (mode is not None and stat.S_ISDIR(mode)) or os.fspath(path).endswith(("/", os.sep)):
        raise OutputTargetError(f"{path} is a folder: give the name of a file in it")
    for source in inputs:
        if mode is None or stat.S_ISCHR(mode):  # nobody minds that a terminal is read and written
            break
        if os.path.exists(source) and os.path.samefile(path, source):
            raise OutputTargetError(f"{path} would replace the file that it is made from; choose another name")
    if mode is not None and not stat.S_ISREG(mode) and not takes_bytes(mode):
        raise OutputTargetError(f"{path} is a disk or a socket, and not a place for a file: choose another name")
    if mode is not None and not os.access(path, os.W_OK):
        raise OutputTargetError(f"{path} is write-protected: choose another name")
    if mode is None or stat.S_ISREG(mode):
        _check_writable(Path(os.path.realpath(path)).parent, path)


def check_output_folder(path: PathLike) -> None:
    """See that a folder is there, or can be made, and that files can be written in it.

    Raises:
        OutputTargetError: an empty name, something that is no folder, or a place where nothing can be written.
    """
    mode = _mode(path, "folder")
    if mode is not None and not stat.S_ISDIR(mode):
        raise OutputTargetError(f"cannot write to {path}: it is not a folder; choose another name")
    folder = Path(os.path.realpath(path))
    while not os.path.lexists(folder):
        folder = folder.parent
    _check_writable(folder, path)


def _mode(path: PathLike, what: str) -> int | None:
    """What kind of thing has this name, links followed; None if nothing has."""
    if not os.fspath(path):
        raise OutputTargetError(f"the name of the {what} to write is empty")
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputTargetError(f"cannot write to {path}: {reason(error)}") from None
    except ValueError:  # a zero byte
        raise OutputTargetError(f"cannot write to {os.fspath(path)!r}: that is no name for a {what}") from None


def _check_writable(folder: Path, path: PathLike) -> None:
    if not folder.exists():
        raise OutputTargetError(f"cannot write to {path}: there is no folder {folder}; make it first")
    if not folder.is_dir():
        raise OutputTargetError(f"cannot write to {path}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputTargetError(f"cannot write to {path}: the folder {folder} is write-protected")
