"""The walk over many documents, a token of each at a time: the same steps for packing, unpacking and counting.

Several documents are read side by side, because the model's matrices have to be fetched only once for all of them.
Whoever is free takes the next document, and each document starts afresh. What comes out does not depend on which
documents are side by side, only the order of tokens in the code does; so a walk that knows the tokens and one that
finds them out take the same steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from llm101.compression.arithmetic import Ints
from llm101.compression.forward import ExactModel
from llm101.compression.range_coder import Coder

Watch = Callable[[list[int]], None]
"""Told, after each step, the tokens that were coded in it; may raise to stop the walk."""


class _Reading:
    """One document on its way through the model."""

    def __init__(self, slot: int, document: list[int], known: Sequence[int] | None, start_id: int, context: int):
        self.slot, self.document, self._known, self._context = slot, document, known, context
        self._start_id, self._to_read, self.place = start_id, deque([start_id]), -1

    def next_token(self) -> int:
        """The token to read now."""
        self.place += 1
        return self._to_read.popleft()

    @property
    def is_up_to_date(self) -> bool:
        """Whether all that is known has been read, so that the next token can be coded."""
        return not self._to_read

    def code(self, coder: Coder, cumulative: Ints) -> int:
        """One more token of the document. Where the context is full, its last quarter is read again, as a new start.

        (Measured on one long text of stories and on Shakespeare: half would give no shorter code and take longer, and
        without the end token before it both grow by up to 0.5 %.)
        """
        token_id = coder.code(cumulative, self._known[len(self.document)] if self._known else None)
        self.document.append(token_id)
        if self.place + 1 < self._context:
            self._to_read.append(token_id)
        else:
            kept = len(self.document) - self._context // 4
            self._to_read.extend([self._start_id, *self.document[max(kept, 0) :]])
            self.place = -1
        return token_id


def walk(
    model: ExactModel,
    coder: Coder,
    end_id: int,
    n_documents: int,
    n_rows: int,
    known: Sequence[Sequence[int]] | None = None,
    watch: Watch = lambda coded: None,
) -> list[list[int]]:
    """Code documents.

    Args:
        model, coder: what predicts, and what turns predictions into bytes or back.
        end_id: comes before each document and ends it.
        n_documents: how many there are.
        n_rows: how many are read side by side.
        known: the documents' tokens, each ending with end_id; left out if the coder finds them.
        watch: told of every step.

    Returns:
        The documents' tokens.
    """
    documents: list[list[int]] = []
    waiting = iter(range(n_documents))

    def reading(slot: int, i: int) -> _Reading:
        documents.append([])  # only now: a damaged file may claim any number of documents
        return _Reading(slot, documents[i], known[i] if known else None, end_id, model.context_length)

    active = [reading(slot, i) for slot, i in zip(range(n_rows), waiting)]
    cache = model.new_cache(len(active))
    while active:
        token_ids = [r.next_token() for r in active]
        tables = model.step(cache, [r.slot for r in active], token_ids, [r.place for r in active])
        coded, going_on = [], []
        for r, cumulative in zip(active, tables):
            if r.is_up_to_date:
                coded.append(r.code(coder, cumulative))
                if coded[-1] == end_id:
                    going_on += [reading(r.slot, i) for i in islice(waiting, 1)]
                    continue
            going_on.append(r)
        active = going_on
        watch(coded)
    return documents
