"""The command line: each command is a call that a notebook could make.

It knows how to ask and how to show; the work is done elsewhere. Exit codes: 0 done, 1 cannot, 2 misused.
Results go to standard output, as a line or table or (with --json) as one object; progress goes to standard error.

Reading order: main, then the commands in the order of the table in `parser`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from llm101 import cli_compress, cli_estimate, cli_features, cli_pretrain, cli_use
from llm101.atomic_file import reason
from llm101.cli_names import check_names

COMMAND_MODULES = (cli_use, cli_pretrain, cli_compress, cli_features, cli_estimate)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    says = "Open, run, take apart and rebuild a large language model."
    top = argparse.ArgumentParser(prog="llm101", description=says)
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
        0: done. 1: cannot be done, and one line on standard error says why. argparse exits with 2 by itself.
    """
    options = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], Any] = options.run
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a character is no reason to fail
    try:
        check_names(options)
        result = run(options)
        if options.json and result is not None:
            print(json.dumps(result))
        sys.stdout.flush()  # here, because Python's own flush at exit could only complain
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        _forget_output()
        return 0
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):  # torch's way of saying MemoryError
            raise
        print(f"llm101: {_one_line(error)}", file=sys.stderr)
        _forget_output()
        return 1
    except KeyboardInterrupt:
        print("llm101: interrupted", file=sys.stderr)
        return 1
    return getattr(options, "exit_code", 0)


def _one_line(error: Exception) -> str:
    if isinstance(error, MemoryError | RuntimeError):
        return "there is not enough memory for that; try something smaller"
    if isinstance(error, OSError):
        return f"{error.filename}: {reason(error)}" if error.filename else reason(error)
    return " ".join(str(error).split()) or type(error).__name__


def _forget_output() -> None:
    """Let what could not be written go, or Python would try once more at exit and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
