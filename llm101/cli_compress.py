"""The commands compress and decompress: a file in, a smaller file out, and back."""

from __future__ import annotations

import argparse
import time
from typing import Any

from llm101.cli_progress import say
from llm101.cli_words import InputModel, InputStream, OutputStream


def compress_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    command.add_argument("file", type=InputStream, help="any file; the model's kind of text shrinks most")
    _common_options(command)


def decompress_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    command.add_argument("file", type=InputStream, help="what llm101 compress wrote")
    _common_options(command)


def _common_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("-o", "--out", type=OutputStream, required=True, metavar="OUT", help="the file to write")
    add("--model", type=InputModel, default="storyteller", metavar="NAME", help="the same both ways (%(default)s)")


def compress(options: argparse.Namespace) -> dict[str, Any]:
    """Write a file in as few bytes as the model needs."""
    from llm101.compression import compress_file

    return _converted(compress_file, options)


def decompress(options: argparse.Namespace) -> dict[str, Any]:
    """Write the original again."""
    from llm101.compression import decompress_file

    return _converted(decompress_file, options)


def _converted(convert: Any, options: argparse.Namespace) -> dict[str, Any]:
    from llm101.library import load

    report = convert(options.file, options.out, load(options.model), progress=_progress())
    if not options.json:
        sizes = f"{report.n_bytes_in:,} -> {report.n_bytes_out:,} bytes"
        print(f"{options.out}: {sizes}, {report.bits_per_byte:.3f} bits per byte, {report.seconds:.1f} s")
    return vars(report)


def _progress() -> Any:
    """Says, after three seconds and then every three, how far it is and how long it will take."""
    start = last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 3 and done:
            last = now
            left = (now - start) * (total - done) / done
            say(f"{done:,} of {total:,} bytes, {left:,.0f} s left")

    return show


COMMANDS = (
    ("compress", "a file in fewer bytes, with the model as the compressor", compress_options, compress),
    ("decompress", "the original of a compressed file, byte for byte", decompress_options, decompress),
)
