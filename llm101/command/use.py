"""The commands for a reader of the book: read, doctor, models, inspect (inspection.py), tokens."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from llm101.command.inspection import inspect, inspect_options
from llm101.command.progress import say
from llm101.command.streams import standard_input
from llm101.command.words import InputModel, Name, OutputFolder
from llm101.reader import doctor, reading


def read_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    command.add_argument(
        "folder", nargs="?", type=OutputFolder, help="where the chapters go, if llm101 was installed (./llm101-book)"
    )
    command.add_argument(
        "--chapter", type=Name, default=reading.FIRST_CHAPTER, help="which notebook to open (%(default)s)"
    )
    command.add_argument("--port", type=int, default=8888, help="port on this machine (%(default)s)")
    command.add_argument("--no-browser", action="store_true", help="start the server without a browser window")
    command.add_argument("--copy-only", action="store_true", help="make the folder ready and start nothing")


def read(options: argparse.Namespace) -> dict[str, Any] | None:
    """Open the book in JupyterLab."""
    book = reading.open_book(options.folder)
    if book.kept:
        say(f"edited, so left as they are: {', '.join(book.kept)}")
    if book.beside:
        say(f"this version of them is in: {', '.join(book.beside)}")
    if options.copy_only:
        if not options.json:
            print(f"the book is in {book.folder}")
        return {**vars(book), "folder": str(book.folder), "chapters": book.chapters}
    command = reading.jupyterlab_command(book.folder, options.chapter, options.port, not options.no_browser)
    reading.compile_beside()
    options.exit_code = min(abs(_start(command)), 1)
    return None


def _start(command: list[str]) -> int:
    """JupyterLab, with a home folder for this session only where the reader's own cannot be written to."""
    unwritable = reading.first_unwritable(reading.jupyter_folders())
    if unwritable is None:
        return reading.start_jupyterlab(command)
    say(f"{unwritable} cannot be written to: JupyterLab's settings are kept for this session only")
    with tempfile.TemporaryDirectory(prefix="llm101-home-") as home:
        return reading.start_jupyterlab(command, Path(home))


def doctor_options(command: argparse.ArgumentParser) -> None:
    """None: it looks at everything."""


def run_doctor(options: argparse.Namespace) -> dict[str, Any]:
    """Say whether this machine is ready, one line per check."""
    found = doctor.checks()
    if not options.json:
        for check in found:
            print(f"{'ok     ' if check.ok else 'PROBLEM'} {check.name:<12} {check.found}")
            if not check.ok:
                print(f"        {'':<12} {check.remedy}")
    options.exit_code = 0 if all(check.ok for check in found) else 1
    return {"ready": options.exit_code == 0, "checks": [vars(check) for check in found]}


def models_options(command: argparse.ArgumentParser) -> None:
    """None: it lists them all."""


def models(options: argparse.Namespace) -> dict[str, Any]:
    """List the models that can be loaded by name."""
    from llm101.library import known_models

    rows = [model.facts() for model in known_models()]
    if not options.json:
        for row in rows:
            size = "not here"
            if row["installed"]:
                size = f"{row['n_parameters']:,} parameters, {row['n_bytes'] / 1e6:.1f} MB"
            print(f"{row['name']:<14} {size}  ({row['origin']})")
    return {"models": rows}


def tokens_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    command.add_argument("text", help="a text, or - for standard input")
    command.add_argument(
        "--tokenizer",
        action="append",
        type=InputModel,
        metavar="NAME",
        help="storyteller, a model folder, or one of tiktoken's such as o200k_base; may be given several times",
    )


def tokens(options: argparse.Namespace) -> dict[str, Any]:
    """Show the tokens of a text, UTF-8 or not, for one tokenizer or several."""
    from llm101.library import load_tokenizer

    data = standard_input() if options.text == "-" else options.text.encode("utf-8", "surrogateescape")
    results = []
    for name in options.tokenizer or ["storyteller"]:
        tokenizer = load_tokenizer(name)
        ids = tokenizer.encode_bytes(data)
        pieces = [tokenizer.token_bytes(token_id) for token_id in ids]
        results.append({"tokenizer": name, "n_tokens": len(ids), "ids": ids, "bytes": [p.hex() for p in pieces]})
        if not options.json:
            print(f"{name}: {len(ids)} tokens for {len(data)} bytes")
            shown = (f"{i}:{piece.decode('utf-8', 'backslashreplace')!r}" for i, piece in zip(ids, pieces, strict=True))
            print("  " + " ".join(shown))
    return results[0] if len(results) == 1 else {"tokenizers": results}


COMMANDS = (
    ("read", "open the book in JupyterLab", read_options, read),
    ("doctor", "is this machine ready? one line per check, with the remedy", doctor_options, run_doctor),
    ("models", "which models can be loaded here", models_options, models),
    ("inspect", "the tensors of a parameter file, one of its numbers down to the bits", inspect_options, inspect),
    ("tokens", "the tokens of a text", tokens_options, tokens),
)
