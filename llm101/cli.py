"""The command line: each command is a call that a notebook could make.

It knows how to ask and how to show; the work is done elsewhere. Exit codes: 0 done, 1 cannot, 2 misused, 130 stopped.
Results go to standard output, as a line or table or (with --json) as one object; progress goes to standard error.

Reading order: main, then the commands in the order of the table in `parser`.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from llm101 import __version__
from llm101.command import compress, estimate, features, pretrain, use, write
from llm101.command.progress import say
from llm101.command.streams import fill_closed, flush_output, forget_output, prepare_output
from llm101.command.words import check_words
from llm101.outside.atomic_file import reason

COMMAND_MODULES = (use, write, pretrain, compress, features, estimate)
DONE, CANNOT, MISUSED, STOPPED = 0, 1, 2, 130
LONGEST_COMPLAINT = 240
"""In characters: a number or a name may be as long as somebody cares to make it."""


class Parser(argparse.ArgumentParser):
    """argparse, whose complaints are one line here, in a reader's words."""

    def __init__(self, **settings: Any) -> None:
        """As argparse's own."""
        super().__init__(**settings)
        self.register("type", int, _whole_number)
        self.register("type", float, _number)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where to read on."""
        self.exit(MISUSED, _cut(f"{self.prog}: {message}") + f"; {self.prog} --help says what can be given\n")

    def print_help(self, file: Any = None) -> None:
        """As argparse's own, which keeps silent when it cannot be written, as on a full disk."""
        print(self.format_help(), end="", file=file)


class PrintVersion(argparse.Action):
    """argparse's own keeps silent when it cannot be written."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it, and that is all."""
        print(f"llm101 {__version__}")
        parser.exit()


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    says = "Open, run, take apart and rebuild a large language model."
    more = "With LLM101_TRACEBACK=1 in the environment, an error shows where in the code it arose."
    top = Parser(prog="llm101", description=says, epilog=more)
    top.add_argument("--version", action=PrintVersion, nargs=0, help="print which version this is, and nothing else")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, says, options, run in (command for module in COMMAND_MODULES for command in module.COMMANDS):
        command = commands.add_parser(name, help=says, description=says[0].upper() + says[1:] + ".")
        command.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        options(command)
        command.set_defaults(run=run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0: done. 1: cannot be done, and one line on standard error says why. 130: stopped by Ctrl-C.
        argparse exits with 2 (misused) by itself.
    """
    fill_closed()
    try:
        with _plain_warnings():
            return _run(arguments)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        forget_output()
        return DONE
    except Exception as error:
        if os.environ.get("LLM101_TRACEBACK"):
            raise
        say(f"llm101: {_one_line(error)}")
        forget_output()
        return CANNOT
    except KeyboardInterrupt:
        say("llm101: stopped")
        forget_output()
        return STOPPED


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = parser().parse_args(arguments)
    finally:
        flush_output()  # of --help
    _check_current_folder()
    check_words(options)
    prepare_output()
    result: dict[str, Any] | None = options.run(options)
    if options.json and result is not None:
        print(json.dumps(result))
    flush_output()
    return getattr(options, "exit_code", DONE)


def _check_current_folder() -> None:
    """PyTorch's arithmetic library ends the process if it cannot tell where it is."""
    try:
        os.getcwd()
    except OSError:
        raise ValueError("the current folder was deleted: go to another one (cd ..)") from None


def _one_line(error: Exception) -> str:
    if _is_lack_of_memory(error):
        return "there is not enough memory for that; try something smaller"
    text = " ".join(str(error).split())
    if isinstance(error, ImportError):
        return _cut(f"{error.name or 'a package'} is missing or damaged ({text}); `llm101 doctor` says what to do")
    if isinstance(error, OSError):
        text = f"{error.filename}: {reason(error)}" if error.filename else reason(error)
        return _cut(" ".join(text.split()))
    if isinstance(error, ValueError) and text:
        return _cut(text)
    kind = type(error).__name__
    return _cut(f"a mistake in llm101 ({kind}: {text})") + "; LLM101_TRACEBACK=1 shows where, for whoever will mend it"


def _is_lack_of_memory(error: Exception) -> bool:
    """PyTorch, and the loader of its libraries, have their own ways of saying MemoryError."""
    if isinstance(error, RuntimeError | ImportError):
        return any(words in str(error) for words in ("memory", "failed to map segment"))
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def _cut(text: str, length: int = LONGEST_COMPLAINT) -> str:
    """Leave the middle of a line out that is too long, as the end often says what to do.

    Example:
        >>> _cut("seed is " + 30 * "9" + ": too large", 30)
        'seed is 99999 … 99: too large'
    """
    half = length // 2 - 2
    return text if len(text) <= length else f"{text[:half]} … {text[-half:]}"


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """A warning is one line, without the line of code that gave it."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(f"llm101: {_cut(' '.join(str(message).split()))}")
        yield
