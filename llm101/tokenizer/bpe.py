"""Byte-pair encoding: learn, from text, which bytes belong together.

It knows nothing of token ids, files or models. Text is cut into words; each word starts as single
bytes; then the most frequent neighbouring pair becomes one piece, again and again. The list of
merges, in order, is all that a tokenizer needs (Sennrich et al. 2016, arXiv 1508.07909; on bytes
as in GPT-2, Radford et al. 2019).

Reading order: split_into_words, count_pairs, merge_pair, train_bpe_plainly (the idea in ten lines),
then train_bpe (the same merges, a thousand times sooner).
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import AnyStr

import regex

from llm101.outside import given

GPT2_WORD_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
"""How GPT-2 cuts text before merging: endings like 's, words and numbers with the space before them,
runs of punctuation, white space. No merge ever crosses such a cut."""

Merge = tuple[bytes, bytes]

_words = regex.compile(GPT2_WORD_PATTERN)
_wide_space = re.compile(r"\s\s+")


def split_into_words(text: str) -> list[str]:
    """Cut text where no merge may cross.

    Example:
        >>> split_into_words("Ben's dog ran, 12 times.")
        ['Ben', "'s", ' dog', ' ran', ',', ' 12', ' times', '.']
    """
    return _words.findall(text)


def count_pairs(pieces: Sequence[bytes]) -> Counter[Merge]:
    """How often each two neighbours occur.

    Example:
        >>> count_pairs([b"h", b"a", b"h", b"a"])
        Counter({(b'h', b'a'): 2, (b'a', b'h'): 1})
    """
    return Counter(pairwise(pieces))


def merge_pair(pieces: Sequence[bytes], pair: Merge) -> list[bytes]:
    """Join every occurrence of a pair, from left to right.

    Example:
        >>> merge_pair([b"a", b"a", b"a", b"b"], (b"a", b"a"))
        [b'aa', b'a', b'b']
    """
    merged, i = [], 0
    while i < len(pieces):
        if tuple(pieces[i : i + 2]) == pair:
            merged.append(pieces[i] + pieces[i + 1])
            i += 2
        else:
            merged.append(pieces[i])
            i += 1
    return merged


def train_bpe_plainly(text: str, n_merges: int) -> list[Merge]:
    """The idea without any cleverness: count all pairs of the whole text, merge the best one, repeat.

    Of equally frequent pairs the one whose pieces are older wins (single bytes by value, then merges by age).

    Example:
        >>> train_bpe_plainly("low lower lowest", 3)
        [(b'l', b'o'), (b'lo', b'w'), (b' ', b'low')]
    """
    words = [[bytes([b]) for b in word.encode()] for word in split_into_words(text)]
    age = {bytes([b]): b for b in range(256)}
    merges: list[Merge] = []
    for _ in range(n_merges):
        counts: Counter[Merge] = Counter()
        for word in words:
            counts.update(count_pairs(word))
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]]))
        merges.append(best)
        age.setdefault(b"".join(best), 255 + len(merges))
        words = [merge_pair(word, best) for word in words]
    return merges


def train_bpe(
    texts: Iterable[str], n_merges: int, *, on_merge: Callable[[Merge, int], None] | None = None
) -> list[Merge]:
    """Learn merges: the same list as train_bpe_plainly, found faster.

    Two observations make it fast. A text has few *different* words, so each is kept once with its count.
    And a merge changes only the words that hold the pair, so only their pairs are counted anew; a heap
    yields the best pair (entries go stale when a count changes, and are then skipped).

    Args:
        texts: pieces of text; words do not run across two of them, nor across a byte that is no UTF-8.
        n_merges: how many merges to learn; fewer come back if the words run out of pairs.
        on_merge: called with each merge and how often its pair occurred.

    Returns:
        The merges, most important first.

    Example:
        >>> train_bpe(["low lower", "lowest low"], 3)
        [(b'l', b'o'), (b'lo', b'w'), (b' ', b'low')]
    """
    word_counts = count_words(texts)
    words = [list(word.encode()) for word in word_counts]  # ids: bytes, then merges
    frequency = list(word_counts.values())
    piece = [bytes([b]) for b in range(256)]
    id_of = {p: i for i, p in enumerate(piece)}

    counts: Counter[tuple[int, int]] = Counter()
    homes: defaultdict[tuple[int, int], set[int]] = defaultdict(set)  # pair -> the words that hold it
    for index, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += frequency[index]
            homes[pair].add(index)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)

    merges: list[Merge] = []
    while len(merges) < n_merges and heap:
        count, pair = heapq.heappop(heap)
        if -count != counts[pair] or count == 0:
            continue
        merge = piece[pair[0]], piece[pair[1]]
        merges.append(merge)
        if on_merge:
            on_merge(merge, -count)
        new_id = id_of.setdefault(b"".join(merge), len(piece))
        piece.append(b"".join(merge))
        changed = set()
        for index in homes.pop(pair):
            old, new = words[index], _merge_ids(words[index], pair, new_id)
            words[index] = new
            for sign, version in ((-1, old), (1, new)):
                for neighbours in pairwise(version):
                    counts[neighbours] += sign * frequency[index]
                    changed.add(neighbours)
            for neighbours in pairwise(new):
                homes[neighbours].add(index)
        for neighbours in changed:
            if counts[neighbours] > 0:
                heapq.heappush(heap, (-counts[neighbours], neighbours))
    return merges


def _merge_ids(word: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """merge_pair on ids. Words that lost the pair since they were noted come back unchanged."""
    merged, i, last = [], 0, len(word) - 1
    while i <= last:
        if i < last and word[i] == pair[0] and word[i + 1] == pair[1]:
            merged.append(new_id)
            i += 2
        else:
            merged.append(word[i])
            i += 1
    return merged


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word (see split_into_words) occurs in all texts together.

    Running the pattern over every word of a large text is the slow part. But it never joins across a lone
    space between two visible characters, so the text is cut there first, equal chunks are counted in C,
    and the pattern runs once per *different* chunk.

    Example:
        >>> count_words(["a dog, a  cat"]) == Counter(["a", " dog", ",", " a", " ", " cat"])
        True
    """
    after_space: Counter[str] = Counter()  # chunks that follow a lone space, kept without it
    exact: Counter[str] = Counter()
    for text in (piece for one in given.texts(texts) for piece in given.unicode_pieces(one)[::2]):
        done = 0
        for start, end in [*_wide_space_regions(text), (len(text), len(text))]:
            head, *rest = text[done:start].split(" ")
            after_space.update(rest)
            exact[head] += 1
            exact[text[start:end]] += 1
            done = end
    words: Counter[str] = Counter()
    for chunks, prefix in ((exact, ""), (after_space, " ")):
        for chunk, count in chunks.items():
            for word in split_into_words(prefix + chunk):
                words[word] += count
    return words


def _wide_space_regions(text: str) -> Iterator[tuple[int, int]]:
    """Where spaces do not stand alone, with the visible neighbours: there the pattern needs to see more at once."""
    start = end = 0
    for match in _wide_space.finditer(text):
        if match.start() > end:  # out of reach of the region before
            if end:
                yield start, end
            start = max(text.rfind(" ", end, match.start()), end)
        following = text.find(" ", match.end())
        end = len(text) if following < 0 else following
    if end:
        yield start, end


def merges_of(ranks: dict[bytes, int]) -> list[Merge]:
    """Each merge, first learned first: the two tokens that a longer token is made of.

    Example:
        >>> merges_of({b"a": 0, b"b": 1, b"ab": 2, b"aba": 3})
        [(b'a', b'b'), (b'ab', b'a')]
    """
    long = (token for token in sorted(ranks, key=ranks.__getitem__) if token[1:])
    return [merge for token in long if (merge := last_merge(token, ranks))]


def last_merge(token: AnyStr, ranks: Mapping[AnyStr, int]) -> tuple[AnyStr, AnyStr] | None:
    """The two tokens that merging leaves of a token's bytes before it joins them; None if it leaves more.

    They are the only two of which it is ever made: where two tokens stand side by side in a longer text, no merge
    reached across their ends, so that what happened between was the same as here.

    Example:
        >>> last_merge(b"abc", {b"a": 0, b"b": 1, b"c": 2, b"bc": 3, b"abc": 4})
        (b'a', b'bc')
        >>> last_merge(b"abc", {b"a": 0, b"b": 1, b"c": 2, b"abc": 3})
    """
    pieces, never = [token[i : i + 1] for i in range(len(token))], math.inf
    while len(pieces) > 2:
        turns = [ranks.get(a + b, never) for a, b in pairwise(pieces)]
        first = min(turns)
        if first == never:
            return None
        at = turns.index(first)
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    left, right = pieces
    return (left, right) if left in ranks and right in ranks else None


def is_last_merge(left: AnyStr, right: AnyStr, ranks: Mapping[AnyStr, int], seam: Mapping[AnyStr, int]) -> bool:
    """Whether last_merge of the two together is the two; the same, found sooner where it is known what each is made of.

    It goes back in time: of the two tokens at the border the younger one is taken apart, and each time it is asked
    whether the two that met there would have been joined before it was made.

    Args:
        left, right: two tokens that together are a third, of bytes, or of characters that stand for bytes.
        ranks: token -> its turn. No token has its turn before what it is made of.
        seam: for every longer token whose turn comes before the third's, the length of the first of the two tokens
            that its last merge joins.

    Example:
        >>> ranks = {b"a": 0, b"b": 1, b"c": 2, b"bc": 3, b"ab": 4, b"abc": 5}
        >>> seam = {b"bc": 1, b"ab": 1}
        >>> is_last_merge(b"a", b"bc", ranks, seam), is_last_merge(b"ab", b"c", ranks, seam)
        (True, False)
    """
    limit = ranks[left + right]
    if (left not in seam and left[1:]) or (right not in seam and right[1:]):
        return False  # the one or the other is never made
    if left not in ranks or right not in ranks:
        return False
    while ranks.get(left + right, limit) >= limit:
        if left in seam and (right not in seam or ranks[left] > ranks[right]):
            limit, left = ranks[left], left[seam[left] :]
        elif right in seam:  # of two merges of one rank the one to the left comes first, hence + 1
            limit, right = ranks[right] + 1, right[: seam[right]]
        else:
            return True
    return False
