"""The outside of a compressed file: a header that says what is in it, and what must be true before it is unpacked.

    8 bytes   \\x89llm101\\n
    1 byte    version of the format
    8 bytes   length of all that follows after the next 4 bytes
    4 bytes   CRC-32 of that
    16 bytes  fingerprint of the model (the beginning of a SHA-256)
    16 bytes  checksum of the original (the beginning of a SHA-256)
    text      name of the model, for the message that asks for it
    number    bytes of the original
    1 byte    how it is stored: 0 as it was, 1 by the model
    then the original, or: text, the separator between documents; number, texts read side by side; numbers, after which
    documents there is no separator; number of parts, and for each its number of documents and the bytes of its code

A number is 7 bits per byte, the last byte below 128; a text, a list and a code come after their lengths. It knows
nothing of models and probabilities.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

MAGIC = b"\x89llm101\n"
VERSION = 1
PLAIN, BY_MODEL = 0, 1
MOST_ROWS = 255
Item = TypeVar("Item")


class CompressionError(ValueError):
    """A file that cannot be unpacked, or not with this model; the message says why."""


@dataclass(frozen=True)
class Part:
    """Documents that share one code, so that several processors can each take a part."""

    n_documents: int
    code: bytes


@dataclass(frozen=True)
class Container:
    """What a compressed file holds.

    Example:
        >>> packed = Container(b"f" * 16, b"c" * 16, "storyteller", 3, PLAIN, plain=b"abc").to_bytes()
        >>> Container.from_bytes(packed).plain
        b'abc'
        >>> Container.from_bytes(packed[:-1])
        Traceback (most recent call last):
        llm101.compression.container.CompressionError: truncated: 48 of the 49 bytes after its header are there
    """

    fingerprint: bytes
    checksum: bytes
    model: str
    n_bytes: int
    method: int
    plain: bytes = b""
    separator: bytes = b""
    n_rows: int = 1
    joined: list[int] = field(default_factory=list)
    """After which documents there is no separator, rising."""
    parts: list[Part] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """The file's contents."""
        body = self.fingerprint + self.checksum + _text(self.model.encode()) + _number(self.n_bytes)
        body += bytes([self.method])
        if self.method == PLAIN:
            body += self.plain
        else:
            body += _text(self.separator) + _number(self.n_rows) + _number(len(self.joined))
            for before, index in zip([0, *self.joined], self.joined):
                body += _number(index - before)
            body += _number(len(self.parts))
            body += b"".join(_number(part.n_documents) + _text(part.code) for part in self.parts)
        return MAGIC + bytes([VERSION]) + len(body).to_bytes(8, "big") + zlib.crc32(body).to_bytes(4, "big") + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Container:
        """Read a file's contents.

        Raises:
            CompressionError: naming what is wrong.
        """
        read = _Reader(_checked_body(data))
        head = read.bytes(16), read.bytes(16), read.text().decode("utf-8", "replace"), read.number()
        method = read.bytes(1)[0]
        if method == PLAIN:
            return cls(*head, method, plain=read.bytes(len(read.rest)))
        separator, n_rows = read.text(), read.number()
        joined, index = [], 0
        for step in read.list_of(read.number):
            index += step
            joined.append(index)
        parts = read.list_of(lambda: Part(read.number(), read.text()))
        if method != BY_MODEL or not 1 <= n_rows <= MOST_ROWS or read.rest:
            raise CompressionError("damaged: its header does not make sense")
        return cls(*head, method, separator=separator, n_rows=n_rows, joined=joined, parts=parts)


def _checked_body(data: bytes) -> bytes:
    """What follows the fixed part of the header, once it is all there and unchanged."""
    if not data.startswith(MAGIC):
        what = "truncated within its first bytes" if data and MAGIC.startswith(data) else "not a file made by compress"
        raise CompressionError(what)
    at = len(MAGIC)
    if len(data) < at + 13:
        raise CompressionError("truncated within its header")
    if data[at] != VERSION:
        raise CompressionError(f"in version {data[at]} of the format; this llm101 reads version {VERSION}")
    length, crc, body = int.from_bytes(data[at + 1 : at + 9], "big"), data[at + 9 : at + 13], data[at + 13 :]
    if len(body) < length:
        raise CompressionError(f"truncated: {len(body):,} of the {length:,} bytes after its header are there")
    if len(body) > length:
        raise CompressionError(f"damaged: {len(body) - length:,} bytes too many at its end")
    if zlib.crc32(body) != int.from_bytes(crc, "big"):
        raise CompressionError("damaged: its bytes do not fit their CRC-32")
    return body


class _Reader:
    """Takes one thing after another from the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.rest = memoryview(data)

    def bytes(self, n: int) -> bytes:
        if n > len(self.rest):
            raise CompressionError("damaged: its header claims more than there is")
        taken, self.rest = bytes(self.rest[:n]), self.rest[n:]
        return taken

    def number(self) -> int:
        value = shift = 0
        while shift < 63:
            byte = self.bytes(1)[0]
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
