"""The command line: each command is a call that a notebook could make.

It knows how to ask and how to show; the work is done elsewhere. Exit codes: 0 done, 1 cannot, 2 misused.
Results go to standard output, as a line or table or (with --json) as one object; progress goes to standard error.

Reading order: main, then the commands in the order of the table in `parser`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from llm101 import cli_pretrain, cli_use


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="llm101", description="Open, run, take apart and rebuild a large language model.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, says, options, run in (*cli_use.COMMANDS, *cli_pretrain.COMMANDS):
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
    try:
        result = run(options)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stdout = None  # or Python would complain at exit that it cannot flush
        return 0
    except (ValueError, OSError) as error:
        print(f"llm101: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("llm101: interrupted", file=sys.stderr)
        return 1
    if options.json and result is not None:
        print(json.dumps(result, ensure_ascii=False))
    return getattr(options, "exit_code", 0)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__
