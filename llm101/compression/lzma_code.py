"""What the standard library's lzma makes of bytes, set as `xz -9e` sets it, and without the frame of an .xz file.

It looks for what stood before, up to 64 MiB back, and writes where and how long; what repeats nothing it keeps as it
is. It knows nothing of models.

Reading order: lzma_code, from_lzma_code; LzmaCosts, which tells what each stretch has cost.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from llm101.compression.container import Buffer, CompressionError

LOOKS_BACK = 64 << 20
"""Bytes, as far as xz -9 does: it needs about ten times as much memory where a file is as long."""

CHUNK = 1 << 20
"""Bytes handed over at a time, so that Ctrl-C is heard between two of them."""


def lzma_code(pieces: Iterable[Buffer], n_bytes: int, watch: Callable[[], None] = lambda: None) -> bytes:
    """Some bytes, packed.

    Args:
        pieces: which together are the bytes.
        n_bytes: how many those are.
        watch: called now and then.

    Example:
        >>> code = lzma_code([b"the cat and "] * 1000, 12_000)
        >>> len(code) < 100, from_lzma_code(code, 12_000)[:12]
        (True, b'the cat and ')
    """
    packer = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=_filters(n_bytes))
    out: list[bytes] = []
    for piece in pieces:
        for at in range(0, len(piece), CHUNK):
            out.append(packer.compress(piece[at : at + CHUNK]))
            watch()
    return b"".join([*out, packer.flush()])


def from_lzma_code(code: Buffer, n_bytes: int) -> bytes:
    """The bytes again.

    Args:
        code: what lzma_code returned.
        n_bytes: how many bytes it must hold; no more are unpacked.

    Raises:
        CompressionError: it holds something else.
    """
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters(n_bytes))
    try:
        data = unpacker.decompress(code, max_length=n_bytes)
        more = b"" if unpacker.eof else unpacker.decompress(b"", max_length=1)  # reads the mark at the end
    except (lzma.LZMAError, EOFError) as error:
        raise CompressionError(f"damaged: lzma cannot unpack it ({error})") from None
    if len(data) != n_bytes or more or not unpacker.eof or unpacker.unused_data:
        raise CompressionError("damaged: what lzma unpacks is not as long as its header says")
    return data


class LzmaCosts:
    """Bytes of code that lzma took for each stretch of what it packed, found by unpacking it little by little.

    Example:
        >>> noise = np.random.default_rng(0).bytes(10_000)
        >>> costs = LzmaCosts(lzma_code([noise, noise], 20_000), 20_000)
        >>> [round(costs.of(at, at + 5_000), -3) for at in (0, 5_000, 10_000, 15_000)]  # the second time, nothing
        [5000.0, 5000.0, 0.0, 0.0]
    """

    def __init__(self, code: Buffer, n_bytes: int) -> None:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters(n_bytes))
        step = max(32, len(code) // 100_000)
        self._taken = np.minimum(np.arange(0, len(code) + step, step), len(code))
        made = [len(unpacker.decompress(code[at : at + step])) for at in range(0, len(code), step)]
        self._places = np.cumsum([0, *made])

    def of(self, start: int, stop: int) -> float:
        """What the bytes from start to stop - 1 took."""
        first, last = np.interp([start, stop], self._places, self._taken)
        return float(last - first)


def _filters(n_bytes: int) -> list[dict[str, Any]]:
    looks_back = max(4096, min(LOOKS_BACK, n_bytes))  # 4096 is lzma's least
    return [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": looks_back}]
