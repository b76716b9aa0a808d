"""A tokenizer's vocabulary as the page wants it: few bytes, and quickly turned into a table there.

It knows nothing of widgets. Reading order: packed_ranks, runs_of.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any


def packed_ranks(tokenizer: Any) -> dict[str, Any]:
    """Pattern and vocabulary of a tokenizer.

    Args:
        tokenizer: has name, pattern (a regular expression), ranks (bytes -> id) and vocab_size, which counts special
            tokens as well.

    Returns:
        pattern, vocab_size: as the tokenizer has them; runs: the ids, as [first, how many] of each stretch without a
        gap; packed: in the order of the ids, all lengths (a byte each), then all bytes, compressed by zlib.

    Raises:
        ValueError: a token of more than 255 bytes.
    """
    ranks: Mapping[bytes, int] = tokenizer.ranks
    tokens = sorted(ranks, key=ranks.__getitem__)
    longest = max(tokens, key=len)
    if len(longest) > 255:
        raise ValueError(f"{tokenizer.name}: a token of {len(longest)} bytes; the page takes up to 255")
    runs = runs_of(ranks[token] for token in tokens)
    packed = _compress(bytes(map(len, tokens)) + b"".join(tokens))
    return {"pattern": tokenizer.pattern, "vocab_size": tokenizer.vocab_size, "runs": runs, "packed": packed}


_compress = lru_cache(maxsize=16)(zlib.compress)


def runs_of(ids: Iterable[int]) -> list[list[int]]:
    """Ascending ids as stretches without a gap.

    Example:
        >>> runs_of([0, 1, 2, 7, 8])
        [[0, 3], [7, 2]]
    """
    runs: list[list[int]] = []
    for token_id in ids:
        if runs and token_id == sum(runs[-1]):
            runs[-1][1] += 1
        else:
            runs.append([token_id, 1])
    return runs
