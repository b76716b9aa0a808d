"""A text given in parts, some of them a template's and some a user's: where special tokens count, whose each token is.

It knows nothing of how text is encoded. Only the template's words can hold a special token: what a user writes is text,
also where it makes up one together with the words beside it.

Reading order: any_of, special_spans, sections, owners.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate, groupby

Part = tuple[str, bool]
"""A stretch of the text, and whether special tokens written in it count as such."""


def any_of(texts: Collection[str]) -> re.Pattern[str] | None:
    """Finds any of the texts, the longest where several begin; None if there are none.

    Example:
        >>> any_of(["<a>", "<a>b"]).findall("<a>b<a>")
        ['<a>b', '<a>']
    """
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True)))) if texts else None


def special_spans(
    parts: Iterable[Part], marks: re.Pattern[str] | None, special: Collection[str]
) -> Iterator[tuple[int, int]]:
    """Where the special tokens stand that count: those within words of the template.

    Args:
        parts: the text.
        marks: finds all added tokens.
        special: those of them that are special.

    Example:
        >>> marks = any_of(["<end>"])
        >>> list(special_spans([("a<end>", True), ("<end><e", False), ("nd>", True)], marks, ["<end>"]))
        [(1, 6)]
    """
    at = 0
    for is_template, stretch in groupby((part for part in parts if part[0]), key=lambda part: part[1]):
        text = "".join(words for words, _ in stretch)
        if is_template and marks:
            yield from ((at + m.start(), at + m.end()) for m in marks.finditer(text) if m[0] in special)
        at += len(text)


def sections(spans: Iterable[tuple[int, int]], length: int) -> Iterator[tuple[int, int, bool]]:
    """A text cut at spans: where each section begins and ends, and whether it is a span.

    Example:
        >>> list(sections([(1, 6)], 9))
        [(0, 1, False), (1, 6, True), (6, 9, False)]
    """
    at = 0
    for start, stop in spans:
        if start > at:
            yield at, start, False
        yield start, stop, True
        at = stop
    if length > at:
        yield at, length, False


def owners(starts: Iterable[int], ends: Sequence[int]) -> list[int]:
    """For each token, by the place where it begins, the part in which it does.

    Args:
        starts: places in the text.
        ends: where each part ends.

    Example:
        >>> owners([0, 2, 4], ends=[3, 3, 9])
        [0, 0, 2]
    """
    return [min(bisect_right(ends, start), len(ends) - 1) for start in starts]


def ends_of(parts: Iterable[Part]) -> list[int]:
    """Where each part ends in the whole text."""
    return list(accumulate(len(words) for words, _ in parts))
