"""The commands compress and decompress: a file in, a smaller file out, and back."""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llm101.command.progress import SecondsLeft, say
from llm101.command.streams import standard_input
from llm101.command.words import InputModel, InputStream, OutputStream

if TYPE_CHECKING:
    from llm101.compression import CompressionReport

IN_WORDS = {"model": "by the model", "lzma": "by lzma", "plain": "as they are"}
BETWEEN_LINES = 3.0
"""Seconds."""


def compress_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    add = command.add_argument
    add("file", type=InputStream, help="any file, or - for standard input; the model's kind of text shrinks most")
    add("--method", choices=list(IN_WORDS), help="for all of it; left out, a sample tells which is best for which part")
    _common_options(command)


def decompress_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    command.add_argument("file", type=InputStream, help="what llm101 compress wrote, or - for standard input")
    _common_options(command)


def _common_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    out = "the file to write, or - for standard output"
    add("-o", "--out", type=OutputStream, required=True, metavar="OUT", help=out)
    add("--model", type=InputModel, default="storyteller", metavar="NAME", help="the same both ways (%(default)s)")


def compress(options: argparse.Namespace) -> dict[str, Any]:
    """Write a file in as few bytes as the model needs, or lzma where that is better."""
    from llm101.compression import compress_file

    return _converted(options, compress_file, method=options.method)


def decompress(options: argparse.Namespace) -> dict[str, Any]:
    """Write the original again."""
    from llm101.compression import decompress_file

    return _converted(options, decompress_file)


def _converted(options: argparse.Namespace, convert: Callable[..., CompressionReport], **how: Any) -> dict[str, Any]:
    from llm101.library import load

    to_output = options.out == "-"
    if to_output and options.json:
        raise ValueError("both -o - and --json want standard output: give a file to one of them")
    source = io.BytesIO(standard_input()) if options.file == "-" else options.file
    out = sys.stdout.buffer if to_output else options.out
    report = convert(source, out, load(options.model), progress=_progress(), **how)
    if not options.json:
        (say if to_output else print)(f"{options.out}: {_in_words(report)}")
    return vars(report)


def _in_words(report: CompressionReport) -> str:
    """One line.

    Example:
        >>> from llm101.compression import CompressionReport
        >>> _in_words(CompressionReport(10_000, 800, 0.64, 2.1, "storyteller", "mixed", {"plain": 100, "model": 9900}))
        '10,000 -> 800 bytes, 0.640 bits per byte (9,900 by the model, 100 as they are), 2.1 s'
    """
    found = f"{report.n_bytes_in:,} -> {report.n_bytes_out:,} bytes"
    if report.bits_per_byte is not None:
        shares = sorted(report.bytes_by_method.items(), key=lambda share: -share[1])
        ways = ", ".join(f"{n_bytes:,} {IN_WORDS[method]}" for method, n_bytes in shares)
        found += f", {report.bits_per_byte:.3f} bits per byte ({ways})"
    return f"{found}, {report.seconds:.1f} s"


def _progress() -> Callable[[int, int], None]:
    """Says every three seconds how far it is and how long it will take at the speed of late."""
    last, left = time.monotonic(), SecondsLeft(clock=time.monotonic)

    def show(done: int, total: int) -> None:
        nonlocal last
        seconds = left(done, total)
        if time.monotonic() - last <= BETWEEN_LINES:
            return
        last = time.monotonic()
        if done == 0:
            say(f"looking for the best way to store {total:,} bytes")
        elif done < total:
            say(f"{done:,} of {total:,} bytes" + ("" if seconds is None else f", {seconds:,.0f} s left"))

    return show


COMMANDS = (
    ("compress", "a file in fewer bytes, by the model or by lzma, whichever is better", compress_options, compress),
    ("decompress", "the original of a compressed file, byte for byte", decompress_options, decompress),
)
