"""Sampling: from the scores of all next tokens to the one token that is taken.

It knows nothing of models and texts: a vector of logits goes in, probabilities or one id come out.
The order is that of Hugging Face `generate`: penalties, temperature, top-k, top-p, min-p, each cut being made on
the renormalised probabilities that the one before it left. What the penalties do is in penalties.py.

Reading order: SamplingSettings, next_token_probabilities, Sampler.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from llm101.inference.penalties import TokensSoFar
from llm101.outside.given import real, whole
from llm101.outside.strict_json import shown

FLOAT32_STEP = 2.0**-23
"""How far a float32 near 1 lies from its neighbour: probabilities are not known any closer."""

MOST_SAMPLES = 10_000
"""Of one prompt; who wants more means something else."""


@dataclass(frozen=True)
class SamplingSettings:
    """How freely the next token is chosen.

    Raises:
        ValueError: naming the setting, its allowed range and the value it got.

    Example:
        >>> SamplingSettings(temperature=-1)
        Traceback (most recent call last):
        ValueError: temperature must be a number from 0 (always the likeliest token) upwards, got -1
    """

    temperature: float = 1.0
    """Divides the logits. 1: the model's own probabilities; below 1 surer, above 1 bolder; 0: always the likeliest."""
    top_k: int = 0
    """Only the k likeliest tokens (Fan et al. 2018, arXiv 1805.04833). 0: all."""
    top_p: float = 1.0
    """Only the likeliest tokens that together reach this mass (Holtzman et al. 2019, arXiv 1904.09751). 1: all."""
    min_p: float = 0.0
    """Only tokens at least this fraction as likely as the likeliest (Nguyen et al. 2024, arXiv 2407.01082). 0: all."""
    seed: int | None = None
    """The same seed gives the same text. None: different every time."""
    repetition_penalty: float = 1.0
    """Makes what stands in the text or its prompt less likely (Keskar et al. 2019, arXiv 1909.05858). 1: off."""
    frequency_penalty: float = 0.0
    """Taken off a token's score for every time that the completion has it already (as in OpenAI's API). 0: off."""
    presence_penalty: float = 0.0
    """Taken off once if the completion has the token already (as in OpenAI's API). 0: off."""

    @property
    def penalises(self) -> bool:
        """Whether what is written already makes a difference."""
        return (self.repetition_penalty, self.frequency_penalty, self.presence_penalty) != (1.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for name, taken, is_allowed, allowed in (
            (
                "temperature",
                real,
                lambda t: 0 <= t < math.inf,
                "be a number from 0 (always the likeliest token) upwards",
            ),
            ("top_k", whole, lambda k: k >= 0, "be a whole number from 0 (off) upwards"),
            ("top_p", real, lambda p: 0 < p <= 1, "be above 0 and at most 1 (off)"),
            ("min_p", real, lambda p: 0 <= p <= 1, "lie from 0 (off) to 1"),
            ("repetition_penalty", real, lambda p: 0.01 <= p <= 100, "lie from 0.01 to 100, with 1 for off"),
            ("frequency_penalty", real, lambda p: -100 <= p <= 100, "lie from -100 to 100, with 0 for off"),
            ("presence_penalty", real, lambda p: -100 <= p <= 100, "lie from -100 to 100, with 0 for off"),
            ("seed", whole, lambda seed: 0 <= seed < 2**63, "be a whole number from 0 to 2**63 - 1, or None"),
        ):
            given = getattr(self, name)
            if given is None and name == "seed":
                continue
            value = taken(given)
            if value is None or not is_allowed(value):
                raise ValueError(f"{name} must {allowed}, got {shown(given)}")
            object.__setattr__(self, name, value)  # the dataclass is frozen for everybody else

    def samples(self, n: int) -> list[SamplingSettings]:
        """These settings for n samples of one prompt: the seeds count on from this one.

        Raises:
            ValueError: n below 1.

        Example:
            >>> [one.seed for one in SamplingSettings(seed=7).samples(3)]
            [7, 8, 9]
        """
        count = whole(n)
        if count is None or not 1 <= count <= MOST_SAMPLES:
            raise ValueError(f"n must be a whole number from 1 to {MOST_SAMPLES}, got {shown(n)}")
        if self.seed is None:
            return [self] * count
        return [replace(self, seed=(self.seed + i) % 2**63) for i in range(count)]


def next_token_probabilities(logits: Tensor, settings: SamplingSettings) -> Tensor:
    """The probability of each token to be the next one, under these settings.

    Args:
        logits: [..., vocab_size], the model's scores.

    Returns:
        [..., vocab_size] in float32; each row sums to 1, and the likeliest token is always in it. Tokens that
        tie with the last one kept are kept too, so the result does not depend on how ties are sorted.

    Raises:
        ValueError: a score is NaN or +infinity, which a damaged parameter can cause.

    Example:
        >>> logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
        >>> next_token_probabilities(logits, SamplingSettings(top_k=2))
        tensor([0.6250, 0.3750, 0.0000, 0.0000])
        >>> next_token_probabilities(logits, SamplingSettings(top_p=0.7))
        tensor([0.6250, 0.3750, 0.0000, 0.0000])
        >>> next_token_probabilities(logits, SamplingSettings(temperature=0))
        tensor([1., 0., 0., 0.])
    """
    rows = [_probabilities(row, settings) for row in scores_of(logits).reshape(-1, logits.shape[-1])]
    return torch.from_numpy(np.stack(rows)).reshape(logits.shape)


def scores_of(logits: Tensor) -> np.ndarray:
    """The logits for numpy, whose calls are quicker than torch's: for one row of numbers that is what counts."""
    return logits.detach().float().cpu().numpy()


def log_of_total(scores: np.ndarray) -> float:
    """log(sum(exp(scores))): a score less this is the natural logarithm of the model's own probability."""
    highest = scores.max()
    return float(highest) + math.log(np.exp(scores - highest).sum())


def _probabilities(scores: np.ndarray, settings: SamplingSettings) -> np.ndarray:
    """next_token_probabilities of one row."""
    likeliest = _likeliest(scores)
    if settings.temperature == 0:
        return (np.arange(len(scores)) == likeliest).astype(np.float32)
    # Subtracting the highest first keeps a tiny temperature from overflowing.
    shifted = (scores - scores[likeliest]) / np.float32(max(settings.temperature, 1e-30))
    probabilities = np.exp(shifted)
    probabilities /= probabilities.sum()
    if 0 < settings.top_k < len(scores):
        probabilities = _kept(probabilities, np.partition(probabilities, -settings.top_k)[-settings.top_k])
    if settings.top_p < 1:
        probabilities = _kept(probabilities, _smallest_in_nucleus(probabilities, settings.top_p))
    if settings.min_p > 0:
        probabilities = _kept(probabilities, np.float32(settings.min_p) * probabilities[likeliest])
    return probabilities


def _likeliest(scores: np.ndarray) -> int:
    """The id of the highest score; this is where scores that are no numbers are noticed."""
    token_id = int(scores.argmax())  # NaN counts as highest
    if not math.isfinite(scores[token_id]):
        raise ValueError("the model's scores are not finite (NaN or infinity): a parameter is damaged, load it again")
    return token_id


def _kept(probabilities: np.ndarray, lowest: float) -> np.ndarray:
    """What is at least `lowest`, renormalised."""
    kept = probabilities * (probabilities >= lowest)
    kept /= kept.sum()
    return kept


def _smallest_in_nucleus(probabilities: np.ndarray, top_p: float) -> float:
    """The probability of the last token that is needed to reach the mass top_p.

    All tokens below (1 - top_p) / vocab_size together cannot hold the mass that may be left out, so the
    nucleus lies among the others, and only those few have to be sorted.
    """
    candidates = probabilities[probabilities >= (1 - top_p) / len(probabilities)]
    descending = np.sort(candidates)[::-1]
    reached = descending.cumsum(dtype=np.float64)
    n_needed = int(reached.searchsorted(top_p - FLOAT32_STEP))  # 0.5 + 0.3 is 0.8, though their floats fall short of it
    return descending[min(n_needed, len(descending) - 1)]  # rounded sums may end just below a top_p of nearly 1


class Sampler:
    """Takes one token after the other, with a random generator of its own.

    Args:
        settings: how freely.
        prompt_ids: the text so far, which a repetition penalty looks at.

    Example:
        >>> sampler = Sampler(SamplingSettings(seed=1))
        >>> fair_coin = torch.zeros(2)
        >>> first = [sampler.next_id(fair_coin) for _ in range(20)]
        >>> sampler = Sampler(SamplingSettings(seed=1))
        >>> first == [sampler.next_id(fair_coin) for _ in range(20)]
        True
    """

    def __init__(self, settings: SamplingSettings, prompt_ids: Sequence[int] = ()) -> None:
        self.settings = settings
        self._so_far = TokensSoFar(prompt_ids) if settings.penalises else None
        self._generator = torch.Generator()
        if settings.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(settings.seed)

    def next_id(self, logits: Tensor | np.ndarray) -> int:
        """The id of the token taken, given logits [vocab_size].

        One uniform number is drawn per token and looked up in the running sum of the probabilities
        (inverse transform sampling), so that a last-bit difference in the logits does not change the text.
        """
        scores = logits if isinstance(logits, np.ndarray) else scores_of(logits)
        if self._so_far is None:
            return self._taken(scores)
        s = self.settings
        token_id = self._taken(
            self._so_far.penalised(scores, s.repetition_penalty, s.frequency_penalty, s.presence_penalty)
        )
        self._so_far.add(token_id)
        return token_id

    def _taken(self, scores: np.ndarray) -> int:
        if self.settings.temperature == 0:
            return _likeliest(scores)
        probabilities = _probabilities(scores, self.settings)
        possible = np.flatnonzero(probabilities > 0)  # few, after a cut; the others would add nothing to the sum
        running_sum = probabilities[possible].cumsum(dtype=np.float64)
        draw = torch.rand((), dtype=torch.float64, generator=self._generator).item() * running_sum[-1]
        return int(possible[min(int(running_sum.searchsorted(draw, side="right")), len(possible) - 1)])
