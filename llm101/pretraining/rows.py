"""Rows: which stretch of the corpus the model sees at which step.

It knows token ids, nothing of models. A row starts where a text starts (a long text is cut into several
rows), so nearly every token is read with its beginning in view. The order is shuffled anew for every pass,
and is a pure function of the seed: step 700 sees the same rows whether or not the run was interrupted.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from llm101.corpus import Corpus, CorpusError


class ShuffledRows:
    """Rows of a corpus in shuffled order, without end.

    Args:
        corpus: where the ids come from.
        row_length: tokens per row; each row comes with one more, the last one's target.
        seed: of the shuffling.

    Raises:
        CorpusError: the corpus is smaller than one row.
    """

    def __init__(self, corpus: Corpus, row_length: int, seed: int) -> None:
        refuse_too_little(corpus.facts.n_tokens, row_length)
        self.corpus, self.row_length, self.seed = corpus, row_length, seed
        ends = np.append(corpus.document_starts[1:], corpus.facts.n_tokens - 1)
        self._pieces = -((corpus.document_starts - ends) // row_length)  # rows per text, rounded up
        self._order = lru_cache(maxsize=2)(self._shuffled_starts)

    def _shuffled_starts(self, epoch: int) -> npt.NDArray[np.int64]:
        random = np.random.default_rng((self.seed, epoch))
        text_starts = np.repeat(self.corpus.document_starts, self._pieces)
        piece = np.arange(len(text_starts)) - np.repeat(self._pieces.cumsum() - self._pieces, self._pieces)
        shift = random.integers(self.row_length)  # later rows of a long text start elsewhere in every pass
        starts = text_starts + np.maximum(piece * self.row_length - shift, 0)
        starts = np.minimum(starts, self.corpus.facts.n_tokens - self.row_length - 1)
        return random.permutation(starts)

    def take(self, first: int, count: int, every: int = 1) -> npt.NDArray[np.int64]:
        """Rows number first, first + every, ...: [count, row_length + 1] token ids."""
        n_starts = int(self._pieces.sum())
        numbers = range(first, first + count * every, every)
        starts = [self._order(number // n_starts)[number % n_starts] for number in numbers]
        ids = self.corpus.token_ids
        return np.stack([ids[start : start + self.row_length + 1] for start in starts]).astype(np.int64)


def refuse_too_little(n_tokens: int, row_length: int) -> None:
    """See that a corpus fills at least one row.

    Raises:
        CorpusError: it is smaller.
    """
    if n_tokens <= row_length:
        raise CorpusError(
            f"the corpus has {n_tokens:,} tokens, less than one row of {row_length} and its target; "
            "give more text or a shorter context"
        )


def rows_in_order(corpus: Corpus, row_length: int) -> list[tuple[int, int]]:
    """Cut a corpus into rows that score every token exactly once.

    A row ends with a whole text where one fits, and the next starts with the next text's beginning.

    Returns:
        (start, stop) of each row's inputs; its targets are the ids from start + 1 to stop + 1.
    """
    starts = np.append(corpus.document_starts, corpus.facts.n_tokens - 1)
    rows, start = [], 0
    while start < corpus.facts.n_tokens - 1:
        stop = int(starts[np.searchsorted(starts, start + row_length, side="right") - 1])
        if stop <= start:  # the text is longer than a row
            stop = min(start + row_length, corpus.facts.n_tokens - 1)
        rows.append((start, stop))
        start = stop
    return rows
