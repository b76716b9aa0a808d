"""Standard input, output and error as a command finds them: open, closed, or with nobody at the other end.

Reading order: fill_closed, then what each stream needs.
"""

from __future__ import annotations

import io
import os
import sys


def fill_closed() -> None:
    """Put something that swallows everything where a standard stream is closed.

    Its number would go to the next file that is opened; what a library then prints would land in that file. And what
    Python prints to a standard error that is None goes to standard output.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (open until the end)


def prepare_output() -> None:
    """Let results be printed whatever becomes of them: a terminal that lacks a character is no reason to fail."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (open until the end)
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def flush_output() -> None:
    """Here, because Python's own flush at exit could only complain."""
    if sys.stdout is not None:
        sys.stdout.flush()


def forget_output() -> None:
    """Let what could not be written go, or Python would try once more at exit and complain."""
    try:
        flush_output()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def standard_input() -> bytes:
    """All that another program sends.

    Raises:
        ValueError: standard input is closed.
    """
    if sys.stdin is None:
        raise ValueError("standard input is closed: give a text or a file in the place of -")
    return sys.stdin.buffer.read()


def text_of(given: str) -> str:
    """The text itself, or for - that from standard input, without the line break that `echo` puts at its end.

    Raises:
        ValueError: standard input is closed, or is not UTF-8 text.
    """
    if given != "-":
        return given
    try:
        text = standard_input().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"standard input is not UTF-8 text: an odd byte at offset {error.start:,}") from None
    return text.removesuffix("\n").removesuffix("\r")
