"""The outside of a compressed file: a header that says what is in it, and what must be true before it is unpacked.

    8 bytes   \\x89llm101\\n
    1 byte    version of the format
    number    length of all that follows after the next 4 bytes
    4 bytes   CRC-32 of that
    8 bytes   checksum of the original (the beginning of a SHA-256)
    list      the runs, in the order of the original: for each, a number, its bytes, and 1 byte, how it is stored:
              0 as it was, 1 by the model, 2 by lzma
    then, if a run is stored by the model: 8 bytes, its digest (the beginning of a SHA-256); text, its name, for
    the message that asks for it; text, the separator between documents; number, texts read side by side; numbers,
    after which documents there is no separator; list of parts, for each its number of documents and its code
    then, if a run is stored by lzma: the code of all of them, as of one
    then the runs that are stored as they were

A number is 7 bits per byte, the last byte below 128; a list, a text and a code come after their lengths. Files of
version 1 (`_read_version_1`) are still read. It knows nothing of models, probabilities and lzma.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

MAGIC = b"\x89llm101\n"
VERSION = 2
PLAIN, BY_MODEL, BY_LZMA = 0, 1, 2
METHODS = {"plain": PLAIN, "model": BY_MODEL, "lzma": BY_LZMA}
DIGEST_BYTES = 8
MOST_ROWS = 255
Item = TypeVar("Item")
Buffer = bytes | memoryview


class CompressionError(ValueError):
    """A file that cannot be unpacked, or not with this model; the message says why."""


@dataclass(frozen=True)
class Run:
    """A stretch of the original, stored in one way."""

    n_bytes: int
    method: int


@dataclass(frozen=True)
class Part:
    """Documents that share one code, so that several processors can each take a part."""

    n_documents: int
    code: bytes


@dataclass(frozen=True)
class ByModel:
    """What the model made of its runs."""

    model_digest: bytes
    """The beginning of `Predictor.digest`."""
    name: str
    separator: bytes
    n_rows: int
    joined: list[int]
    """After which documents there is no separator, rising."""
    parts: list[Part]


@dataclass(frozen=True)
class Container:
    """What a compressed file holds.

    Example:
        >>> packed = Container(b"checksum", [Run(3, PLAIN)], plain=[b"abc"]).to_bytes()
        >>> Container.from_bytes(packed).runs
        [Run(n_bytes=3, method=0)]
        >>> Container.from_bytes(packed[:-1])
        Traceback (most recent call last):
        llm101.compression.container.CompressionError: truncated: 13 of the 14 bytes after its header are there
    """

    checksum: bytes
    runs: list[Run]
    by_model: ByModel | None = None
    by_lzma: Buffer = b""
    plain: list[Buffer] = field(default_factory=list)
    """The runs that are stored as they were."""

    def n_bytes(self, method: int | None = None) -> int:
        """Bytes of the original, all of them or those that are stored in one way."""
        return sum(run.n_bytes for run in self.runs if method in (None, run.method))

    @property
    def n_packed(self) -> int:
        """Bytes of the file."""
        return sum(map(len, self.pieces()))

    def pieces(self) -> list[Buffer]:
        """The file's contents, in pieces that are not copied."""
        body: list[Buffer] = [self.checksum, _list(_number(run.n_bytes) + bytes([run.method]) for run in self.runs)]
        if self.by_model:
            body.append(_model_bytes(self.by_model))
        if self.n_bytes(BY_LZMA):
            body += [_number(len(self.by_lzma)), self.by_lzma]
        body += self.plain
        crc = 0
        for piece in body:
            crc = zlib.crc32(piece, crc)
        return [MAGIC, bytes([VERSION]), _number(sum(map(len, body))), crc.to_bytes(4, "big"), *body]

    def to_bytes(self) -> bytes:
        """The file's contents."""
        return b"".join(self.pieces())

    @classmethod
    def from_bytes(cls, data: bytes) -> Container:
        """Read a file's contents.

        Raises:
            CompressionError: naming what is wrong.
        """
        version, body = _checked_body(data)
        read = _Reader(body)
        if version == 1:
            return _read_version_1(read)
        checksum, runs = read.bytes(DIGEST_BYTES), read.list_of(lambda: Run(read.number(), read.bytes(1)[0]))
        used = {run.method for run in runs}
        by_model = None
        if BY_MODEL in used:
            by_model = _read_model(read, read.bytes(DIGEST_BYTES), read.text().decode("utf-8", "replace"))
        by_lzma = read.view(read.number()) if BY_LZMA in used else b""
        plain: list[Buffer] = [read.view(run.n_bytes) for run in runs if run.method == PLAIN]
        if not used <= set(METHODS.values()) or any(run.n_bytes == 0 for run in runs) or read.rest:
            raise CompressionError("damaged: its header does not make sense")
        return cls(checksum, runs, by_model, by_lzma, plain)


def _read_version_1(read: _Reader) -> Container:
    """What follows the CRC-32 in a file of version 1: one run, its digests twice as long, in another order."""
    digest, checksum = read.bytes(16), read.bytes(16)
    name, run = read.text().decode("utf-8", "replace"), Run(read.number(), read.bytes(1)[0])
    if run.method == PLAIN:
        return Container(checksum, [run], plain=[read.view(len(read.rest))])
    by_model = _read_model(read, digest, name)
    if run.method != BY_MODEL or read.rest:
        raise CompressionError("damaged: its header does not make sense")
    return Container(checksum, [run], by_model)


def _read_model(read: _Reader, digest: bytes, name: str) -> ByModel:
    separator, n_rows = read.text(), read.number()
    joined, index = [], 0
    for step in read.list_of(read.number):
        index += step
        joined.append(index)
    parts = read.list_of(lambda: Part(read.number(), read.text()))
    if not 1 <= n_rows <= MOST_ROWS:
        raise CompressionError("damaged: its header does not make sense")
    return ByModel(digest, name, separator, n_rows, joined, parts)


def _model_bytes(model: ByModel) -> bytes:
    steps = (_number(index - before) for before, index in zip([0, *model.joined], model.joined))
    parts = (_number(part.n_documents) + _text(part.code) for part in model.parts)
    head = model.model_digest + _text(model.name.encode()) + _text(model.separator) + _number(model.n_rows)
    return head + _list(steps) + _list(parts)


def _checked_body(data: bytes) -> tuple[int, memoryview]:
    """The version, and what follows the CRC-32, once it is all there and unchanged."""
    if not data.startswith(MAGIC):
        what = "truncated within its first bytes" if data and MAGIC.startswith(data) else "not a file made by compress"
        raise CompressionError(what)
    read, cut = _Reader(memoryview(data)[len(MAGIC) :]), "truncated within its header"
    version = read.bytes(1, cut)[0]
    if version not in (1, VERSION):
        raise CompressionError(f"in version {version} of the format; this llm101 reads versions 1 to {VERSION}")
    length = int.from_bytes(read.bytes(8, cut), "big") if version == 1 else read.number(cut)
    crc, body = int.from_bytes(read.bytes(4, cut), "big"), read.rest
    if len(body) < length:
        raise CompressionError(f"truncated: {len(body):,} of the {length:,} bytes after its header are there")
    if len(body) > length:
        raise CompressionError(f"damaged: {len(body) - length:,} bytes too many at its end")
    if zlib.crc32(body) != crc:
        raise CompressionError("damaged: its bytes do not fit their CRC-32")
    return version, body


class _Reader:
    """Takes one thing after another from the front of some bytes."""

    def __init__(self, data: Buffer) -> None:
        self.rest = memoryview(data)

    def view(self, n: int, complaint: str = "damaged: its header claims more than there is") -> memoryview:
        if n > len(self.rest):
            raise CompressionError(complaint)
        taken, self.rest = self.rest[:n], self.rest[n:]
        return taken

    def bytes(self, n: int, *complaint: str) -> bytes:
        return bytes(self.view(n, *complaint))

    def number(self, *complaint: str) -> int:
        value = shift = 0
        while shift < 63:
            byte = self.bytes(1, *complaint)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
        raise CompressionError("damaged: a number in its header is too large")

    def text(self) -> bytes:
        return self.bytes(self.number())

    def list_of(self, item: Callable[[], Item]) -> list[Item]:
        count = self.number()
        if count > len(self.rest):  # each takes a byte at least
            raise CompressionError("damaged: its header claims more than there is")
        return [item() for _ in range(count)]


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _text(data: bytes) -> bytes:
    return _number(len(data)) + data


def _list(items: Iterable[bytes]) -> bytes:
    found = list(items)
    return _number(len(found)) + b"".join(found)
