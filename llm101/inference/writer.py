"""From logits to one more token of a text: sample, turn into showable text, and see whether the text is over.

It knows the tokenizer and the rules of one completion, and nothing of models.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from llm101.inference.completion import Alternative, CompletionToken, Rules, ShownText, StopReason
from llm101.inference.sampling import Sampler, log_of_total, scores_of

if TYPE_CHECKING:
    from llm101.tokenizer import Tokenizer


class Writer:
    """Writes one text, a token at a time, after the ids of its prompt."""

    def __init__(
        self, tokenizer: Tokenizer, end_ids: Collection[int], rules: Rules, prompt_ids: Sequence[int] = ()
    ) -> None:
        self._tokenizer, self._end_ids, self._rules, self._n_made = tokenizer, end_ids, rules, 0
        self._sampler, self._shown = Sampler(rules.sampling, prompt_ids), ShownText(rules.stop)

    def next_token(self, logits: Tensor, room: int) -> CompletionToken:
        """Take the next token.

        Args:
            logits: [vocab_size], the model's scores for it.
            room: how many more tokens the context holds, this one included.
        """
        scores = scores_of(logits)[: self._tokenizer.vocab_size]  # some models pad their vocabulary
        token_id = self._sampler.next_id(scores)
        self._n_made += 1
        over = self._is_over(token_id, room)
        text = self._shown.add(b"" if over == "end" else self._tokenizer.token_bytes(token_id), last=over is not None)
        total = log_of_total(scores)
        return CompletionToken(
            id=token_id,
            text=text,
            logprob=float(scores[token_id]) - total,
            alternatives=self._alternatives(scores, total) if self._rules.n_alternatives else [],
            stop_reason="stop" if self._shown.stopped else over,
        )

    def _is_over(self, token_id: int, room: int) -> StopReason | None:
        if token_id in self._end_ids:
            return "end"
        if self._n_made == self._rules.max_tokens:
            return "length"
        return "context" if room <= 1 else None

    def _alternatives(self, scores: np.ndarray, total: float) -> list[Alternative]:
        likeliest = np.argsort(-scores, kind="stable")[: self._rules.n_alternatives].tolist()
        return [Alternative(i, self._tokenizer.decode([i]), math.exp(scores[i] - total)) for i in likeliest]
