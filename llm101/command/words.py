"""What the words of a command line are, texts, numbers or names of files, looked at before the work begins.

    add("file", type=InputFile)
    add("--out", type=OutputFile)

Such a word is a string like any other; `check_words` is called once, for all commands. It refuses what no command
can mean, and knows nothing of what is in the files.

Reading order: the types, then check_words.
"""

from __future__ import annotations

import argparse
import errno
import os
import stat
import sys
from pathlib import Path

from llm101.outside.output_target import check_output_file, check_output_folder

MODELS_FOLDER = Path(__file__).parents[1] / "models"


class Text(str):
    """A text, in UTF-8: Python keeps any other byte as half a character, which no tokenizer knows."""

    __slots__ = ()


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
        from llm101.corpus.documents import text_files

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


def check_words(options: argparse.Namespace) -> None:
    """See that texts are text and numbers finite, that what is to be read is there, and that what is written can be.

    Raises:
        ValueError: a text that is not UTF-8, a number that cannot be meant, an empty name, or - where standard
            output cannot be.
        OSError: a file to read that is not there, or is a folder.
        OutputTargetError: as check_output_file and check_output_folder.

    Example:
        >>> files = argparse.Namespace(file=InputFile(__file__), out=OutputFile(__file__))
        >>> check_words(files)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        llm101.outside.output_target.OutputTargetError: ... would replace the file that it is made from; ...
    """
    given = [(option, word) for option, value in vars(options).items() for word in _words(value)]
    for option, word in given:
        if isinstance(word, int | float):
            _check_number(option, word)
        elif isinstance(word, Text):
            _check_text(option, word)
        elif not word:
            raise ValueError(f"{option} is an empty name: say which is meant")
        elif isinstance(word, InputFile) and not (word == "-" and isinstance(word, InputStream)):
            _check_readable(word)
    names = [word for _, word in given if isinstance(word, Name)]
    inputs = [file for name in names for file in name.files()]
    for name in names:
        _check_target(name, inputs)


def _check_number(option: str, number: float) -> None:
    """What no setting can mean, and what arithmetic on 64 and 32 bits would stumble over."""
    if isinstance(number, int) and abs(number) >= 2**63:
        raise ValueError(f"{option} must be less than 2**63, got a number of {len(str(abs(number)))} digits")
    if not abs(number) < 3.4e38:
        raise ValueError(f"{option} must be a finite number below 3.4e38, got {number}")


def _check_text(option: str, text: Text) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{option} is not UTF-8 text: an odd byte after {error.start:,} characters") from None


def _check_readable(name: InputFile) -> None:
    if stat.S_ISDIR(os.stat(name).st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(name))


def _check_target(name: Name, inputs: list[Path]) -> None:
    if name == "-" and isinstance(name, OutputStream):
        if sys.stdout is None:
            raise ValueError("standard output is closed: give a file in the place of -")
    elif name == "-" and isinstance(name, OutputFile | OutputFolder):
        raise ValueError("standard output cannot take it: give a name, ./- if it is to be called -")
    elif isinstance(name, OutputFile):
        check_output_file(name, inputs)
    elif isinstance(name, OutputFolder):
        check_output_folder(name)


def _words(value: object) -> list[Text | Name | int | float]:
    return [
        word for word in (value if isinstance(value, list) else [value]) if isinstance(word, Text | Name | int | float)
    ]
