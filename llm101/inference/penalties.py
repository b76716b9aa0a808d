"""Penalties: what a text has already is made less likely to come again.

Three rules are in use, and differ in what they look at and what they do with a token's score:

    repetition   prompt and completion   a score above 0 is divided by it, one below 0 multiplied with it
    frequency    completion              the score loses it, times how often the token is there
    presence     completion              the score loses it, once

The first is of Keskar et al. 2019 (arXiv 1909.05858, section 4.1) and Hugging Face `generate`; the other two are
OpenAI's (platform.openai.com/docs/api-reference). It knows nothing of probabilities: scores go in and come out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np


class TokensSoFar:
    """A text as the penalties see it: which tokens, and how often.

    Args:
        prompt_ids: what the completion continues.

    Example:
        >>> so_far = TokensSoFar([0])
        >>> so_far.add(1)
        >>> so_far.add(1)
        >>> so_far.penalised(np.array([3.0, -1.0, 2.0]), repetition=2.0).tolist()
        [1.5, -2.0, 2.0]
        >>> so_far.penalised(np.array([3.0, -1.0, 2.0]), frequency=0.5, presence=0.25).tolist()
        [3.0, -2.25, 2.0]
    """

    def __init__(self, prompt_ids: Sequence[int] = ()) -> None:
        self._seen = set(prompt_ids)
        self._counts: Counter[int] = Counter()

    def add(self, token_id: int) -> None:
        """The completion has one more token."""
        self._seen.add(token_id)
        self._counts[token_id] += 1

    def penalised(
        self, scores: np.ndarray, repetition: float = 1.0, frequency: float = 0.0, presence: float = 0.0
    ) -> np.ndarray:
        """Scores [vocab_size] with all three taken into account; those given stay as they are."""
        scores = scores.copy()
        seen = np.fromiter((token_id for token_id in self._seen if token_id < len(scores)), np.int64)
        scores[seen] = np.where(scores[seen] > 0, scores[seen] / repetition, scores[seen] * repetition)
        made = np.fromiter(self._counts, np.int64)
        times = np.fromiter(self._counts.values(), np.float64)
        scores[made] -= frequency * times + presence
        return scores
