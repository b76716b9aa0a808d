"""Walking about in the tree of continuations: the scores after any text, with little work for a neighbouring one.

It knows the engine, and nothing of screens; a widget that shows the tree takes a Walker as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from llm101.inference.engine import InferenceEngine


class Walker:
    """Remembers the text it read last: what a new text has in common with it is not read again.

    That is how chat services keep a conversation going without reading all of it for every answer ("prefix
    caching"; Zheng et al. 2023, arXiv 2312.07104, keep a whole tree of such texts).
    After a parameter was changed, what it remembers is out of date: make a new one.

    Attributes:
        end_ids: tokens after which a text is over.
        n_read: how many tokens the model has had to read so far.

    Example:
        >>> import llm101
        >>> walker = Walker(llm101.load("storyteller").engine)
        >>> ids = walker.prompt_ids("Once upon a")
        >>> scores = walker.next_logits(ids)
        >>> _ = walker.next_logits([*ids, int(scores.argmax())])
        >>> len(ids), walker.n_read
        (4, 5)
    """

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine, self._kv_cache, self._read = engine, engine.new_cache(), list[int]()
        self.end_ids, self.n_read = engine.end_ids, 0
        self._reading = threading.Lock()  # one text at a time: the cache holds the text that was read last

    def prompt_ids(self, text: str) -> list[int]:
        """Input tokens of a text; see InferenceEngine.prompt_ids."""
        return self._engine.prompt_ids(text)

    def token_bytes(self, token_id: int) -> bytes:
        """What a token stands for."""
        return self._engine.tokenizer.token_bytes(token_id)

    def next_logits(self, token_ids: Sequence[int]) -> np.ndarray:
        """The scores of every token to come next, float32 [vocab_size].

        Within 1e-4 of what `engine.prefill(token_ids)` gives, which adds the same numbers up in another order.

        Raises:
            ValueError: no ids, unknown ids, or more than the context holds.
        """
        ids = list(token_ids)
        with self._reading:
            shared = min(_n_shared(self._read, ids), max(0, len(ids) - 1))  # the last is always read: it has the scores
            self._kv_cache.truncate(shared)
            self._read = ids[:shared]
            logits = self._engine.prefill(ids[shared:], self._kv_cache)
            self._read = ids
            self.n_read += len(ids) - shared
        return logits.detach().float().cpu().numpy()[: self._engine.tokenizer.vocab_size]


def _n_shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many ids two texts share at their beginning."""
    return next((n for n, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
