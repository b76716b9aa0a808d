"""Sampling: from the scores of all next tokens to the one token that is taken.

It knows nothing of models and texts: a vector of logits goes in, probabilities or one id come out.
The order is that of Hugging Face `generate`: temperature, top-k, top-p, min-p, each cut being made on
the renormalised probabilities that the one before it left.

Reading order: SamplingSettings, next_token_probabilities, Sampler.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


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

    def __post_init__(self) -> None:
        if not _is_number(self.temperature) or not 0 <= self.temperature < math.inf:
            raise ValueError(
                f"temperature must be a number from 0 (always the likeliest token) upwards, got {self.temperature!r}"
            )
        if not isinstance(self.top_k, int) or isinstance(self.top_k, bool) or self.top_k < 0:
            raise ValueError(f"top_k must be a whole number from 0 (off) upwards, got {self.top_k!r}")
        if not _is_number(self.top_p) or not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1 (off), got {self.top_p!r}")
        if not _is_number(self.min_p) or not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must lie from 0 (off) to 1, got {self.min_p!r}")
        if self.seed is not None and (
            not isinstance(self.seed, int) or isinstance(self.seed, bool) or not 0 <= self.seed < 2**63
        ):
            raise ValueError(f"seed must be a whole number from 0 to 2**63 - 1, or None, got {self.seed!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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
    logits = logits.float()
    if settings.temperature == 0:
        return torch.zeros_like(logits).scatter(-1, _likeliest(logits), 1.0)
    highest = logits.gather(-1, _likeliest(logits))
    # Subtracting the highest first keeps a tiny temperature from overflowing.
    probabilities = ((logits - highest) / settings.temperature).softmax(-1)
    if 0 < settings.top_k < logits.shape[-1]:
        probabilities = _keep_from(probabilities, probabilities.topk(settings.top_k).values[..., -1:])
    if settings.top_p < 1:
        probabilities = _keep_from(probabilities, _smallest_in_nucleus(probabilities, settings.top_p))
    if settings.min_p > 0:
        probabilities = _keep_from(probabilities, settings.min_p * probabilities.amax(-1, keepdim=True))
    return probabilities


def _likeliest(logits: Tensor) -> Tensor:
    """The id of the highest score, [..., 1]; this is where scores that are no numbers are noticed."""
    highest, token_id = logits.max(-1, keepdim=True)  # NaN counts as highest
    if not torch.isfinite(highest).all():
        raise ValueError("the model's scores are not finite (NaN or infinity): a parameter is damaged, load it again")
    return token_id


def _keep_from(probabilities: Tensor, threshold: Tensor) -> Tensor:
    """Drop what lies below the threshold [..., 1] and renormalise."""
    kept = probabilities * (probabilities >= threshold)
    return kept / kept.sum(-1, keepdim=True)


def _smallest_in_nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """The probability of the last token that is needed to reach the mass top_p, [..., 1].

    The nucleus is mostly a few dozen tokens, so the likeliest are looked at first and all of them only if need be.
    """
    vocab_size = probabilities.shape[-1]
    for n in (64, 1024, vocab_size):
        likeliest = probabilities.topk(min(n, vocab_size)).values
        reached = likeliest.cumsum(-1) >= top_p
        if n >= vocab_size or reached[..., -1].all():
            break
    reached[..., -1] = True  # float32 sums may end just below a top_p of nearly 1
    return likeliest.gather(-1, reached.int().argmax(-1, keepdim=True))


class Sampler:
    """Takes one token after the other, with a random generator of its own.

    Example:
        >>> sampler = Sampler(SamplingSettings(seed=1))
        >>> fair_coin = torch.zeros(2)
        >>> first = [sampler.next_id(fair_coin) for _ in range(20)]
        >>> sampler = Sampler(SamplingSettings(seed=1))
        >>> first == [sampler.next_id(fair_coin) for _ in range(20)]
        True
    """

    def __init__(self, settings: SamplingSettings) -> None:
        self.settings = settings
        self._generator = torch.Generator()
        if settings.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(settings.seed)

    def next_id(self, logits: Tensor) -> int:
        """The id of the token taken, given logits [vocab_size].

        One uniform number is drawn per token and looked up in the running sum of the probabilities
        (inverse transform sampling), so that a last-bit difference in the logits does not change the text.
        """
        if self.settings.temperature == 0:
            return int(_likeliest(logits))
        probabilities = next_token_probabilities(logits, self.settings)
        running_sum = probabilities.cpu().double().cumsum(-1)
        draw = torch.rand((), dtype=torch.float64, generator=self._generator) * running_sum[-1]
        # right=True: an id whose probability is 0 adds nothing to the sum and can never be hit
        return int(torch.searchsorted(running_sum, draw, right=True).clamp(max=running_sum.shape[0] - 1))
