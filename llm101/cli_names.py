"""What a command reads and what it writes: told apart by the types of its arguments, looked at before it begins.

    add("file", type=InputFile)
    add("--out", type=OutputFile)

A name with such a type is a string like any other; `check_names` is called once, for all commands. It knows nothing
of what is in the files.

Reading order: the types, then check_names.
"""

from __future__ import annotations

import argparse
import errno
import os
import stat
from pathlib import Path

from llm101.output_target import check_output_file, check_output_folder

MODELS_FOLDER = Path(__file__).parent / "models"


class Name(str):
    """Of a model, a file, a folder: never empty."""

    __slots__ = ()

    def files(self) -> list[Path]:
        """The files that are read because of this name, as far as they are here."""
        return []


class InputModel(Name):
    """A model by its name, its folder or its file."""

    __slots__ = ()

    def files(self) -> list[Path]:
        """All files of its folder."""
        places = [MODELS_FOLDER / self, Path(self)]
        return [file for place in places for file in (place.iterdir() if os.path.isdir(place) else [place])]


class InputTexts(Name):
    """A text file, a folder of them, or a dataset of the hub."""

    __slots__ = ()

    def files(self) -> list[Path]:
        """Those that count as its texts."""
        from llm101.documents import text_files

        return text_files(Path(self)) if os.path.isdir(self) else [Path(self)]


class InputFile(Name):
    """A file to read."""

    __slots__ = ()

    def files(self) -> list[Path]:
        """The file."""
        return [Path(self)]


class InputStream(InputFile):
    """A file to read, or - for standard input."""

    __slots__ = ()

    def files(self) -> list[Path]:
        """The file; also that which a shell gave as standard input."""
        return [Path("/dev/stdin" if self == "-" else self)]


class OutputFile(Name):
    """A file to write."""

    __slots__ = ()


class OutputStream(OutputFile):
    """A file to write, or - for standard output."""

    __slots__ = ()


class OutputFolder(Name):
    """A folder to write into."""

    __slots__ = ()


def check_names(options: argparse.Namespace) -> None:
    """See that all that is to be read is there, that all can be written, and that neither is the other.

    Raises:
        ValueError: an empty name; or - where standard input and output cannot be meant.
        OSError: a file to read that is not there, or is a folder.
        OutputTargetError: as check_output_file and check_output_folder.

    Example:
        >>> check_names(argparse.Namespace(file=InputFile(__file__), out=OutputFile(__file__)))
        Traceback (most recent call last):
        llm101.output_target.OutputTargetError: ... would replace the file that it is made from; choose another name
    """
    given = [(option, name) for option, value in vars(options).items() for name in _names(value)]
    for option, name in given:
        if not name:
            raise ValueError(f"{option} is an empty name: say which is meant")
        if isinstance(name, InputFile) and not (name == "-" and isinstance(name, InputStream)):
            _check_readable(name)
    inputs = [file for _, name in given for file in name.files()]
    for _, name in given:
        if isinstance(name, OutputFile | OutputFolder) and name == "-":
            if not isinstance(name, OutputStream):
                raise ValueError("standard output cannot take it: give a name, ./- if it is to be called -")
        elif isinstance(name, OutputFile):
            check_output_file(name, inputs)
        elif isinstance(name, OutputFolder):
            check_output_folder(name)


def _check_readable(name: InputFile) -> None:
    if stat.S_ISDIR(os.stat(name).st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(name))


def _names(value: object) -> list[Name]:
    return [name for name in (value if isinstance(value, list) else [value]) if isinstance(name, Name)]
