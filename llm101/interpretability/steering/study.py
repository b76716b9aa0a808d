"""What steering does, measured: how often a concept turns up, and what that costs in fluency.

No judge but arithmetic: a repeated three-token sequence is the commonest sign of a broken text, and the loss under
the unsteered model says how odd a text is.

Reading order: write_stories, outcome, the directions that steering is compared with; then compare, which tries them
all on equal terms.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from llm101.inference import Completion
from llm101.interpretability.capture import capture
from llm101.interpretability.losses import sum_of_losses
from llm101.interpretability.residuals import padded_batches, residual_rows
from llm101.interpretability.steering.steering import EVERYWHERE, NEVER, Steering
from llm101.model import Transformer

if TYPE_CHECKING:
    from llm101.library import LanguageModel


@dataclass(frozen=True)
class Story:
    """A beginning and what the model made of it."""

    prompt_ids: list[int]
    token_ids: list[int]
    """What was written, the end token left out."""
    text: str
    """The same as text, without the beginning."""


def write_stories(
    lm: LanguageModel,
    prompts: Sequence[str],
    *,
    max_tokens: int = 100,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
) -> list[Story]:
    """Continue many beginnings side by side, through whatever hooks hang in the model.

    The first is written with the seed, each after it with the next one: a hook changes none of the draws, and
    `lm.complete(prompts[i], seed=seed + i, ...)` writes the story i once more.
    """
    completions = lm.engine.complete_batch(
        prompts,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=range(seed, seed + len(prompts)),
    )
    return [_story(lm, completion) for completion in completions]


def _story(lm: LanguageModel, completion: Completion) -> Story:
    written = [token_id for token_id in completion.token_ids if token_id not in lm.engine.end_ids]
    return Story(completion.prompt_ids, written, completion.text)


@dataclass(frozen=True)
class Outcome:
    """What a set of stories is like."""

    concept_rate: float
    """Share of the stories that mention the concept."""
    mentions: float
    """How often a story mentions it, on average."""
    repeated_trigrams: float
    """Share of three-token sequences that already stood in the same story, averaged over stories."""
    loss_nats: float
    """Loss per written token under the unsteered model, which is given the beginning alone."""
    n_tokens: float
    """Tokens written per story."""


def outcome(lm: LanguageModel, stories: Sequence[Story], concept: str) -> Outcome:
    """Measure stories; call it outside the block that steers.

    Args:
        concept: a regular expression, looked for without regard to case.
    """
    found = [len(re.findall(concept, story.text, re.IGNORECASE)) for story in stories]
    return Outcome(
        concept_rate=sum(n > 0 for n in found) / len(stories),
        mentions=sum(found) / len(stories),
        repeated_trigrams=sum(repeated_trigrams(story.token_ids) for story in stories) / len(stories),
        loss_nats=loss_of_stories(lm.model, stories),
        n_tokens=sum(len(story.token_ids) for story in stories) / len(stories),
    )


def repeated_trigrams(token_ids: Sequence[int]) -> float:
    """The share of three-token sequences that stood in the text before.

    Example:
        >>> repeated_trigrams([1, 2, 3, 4]), repeated_trigrams([1, 1, 1, 1, 1])
        (0.0, 0.6666666666666667)
    """
    trigrams = list(zip(token_ids, token_ids[1:], token_ids[2:]))
    return 1 - len(set(trigrams)) / len(trigrams) if trigrams else 0.0


@torch.no_grad()
def loss_of_stories(model: Transformer, stories: Sequence[Story]) -> float:
    """Nats per written token, all stories together."""
    total, n = 0.0, 0
    ids = [[*story.prompt_ids, *story.token_ids] for story in stories]
    for batch in padded_batches(ids):
        normed = capture(model, batch.token_ids, "normed")["normed"]
        for row, text in enumerate(batch.texts):
            start, end = len(stories[text].prompt_ids), len(ids[text])
            total += sum_of_losses(model, normed[row, start - 1 : end - 1], batch.token_ids[row, start:end])
            n += end - start
    return total / max(1, n)


def mean_difference(
    model: Transformer, point: str, with_it: Sequence[Sequence[int]], without: Sequence[Sequence[int]]
) -> Tensor:
    """The direction from texts without a concept to texts with it: a steering vector that needs no autoencoder.

    (Marks and Tegmark 2023, arXiv 2310.06824; a strong control in AxBench, Wu et al. 2025, arXiv 2501.17148.)

    Returns:
        [d_model], the difference of the mean residual vectors.
    """
    means = [residual_rows(model, ids, point).x.mean(dim=0) for ids in (with_it, without)]
    return means[0] - means[1]


def random_direction(d_model: int, seed: int = 0) -> Tensor:
    """A direction that means nothing, [d_model]."""
    return torch.randn(d_model, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Way:
    """A way to bring a concept into stories, as far as it was tried."""

    name: str
    strength: float
    """What is held or added; 0 for what has none."""
    outcome: Outcome
    repeated_ratio: float
    """Repeated three-token sequences, as a multiple of the plain stories'."""
    extra_nats: float
    """Loss per written token under the unsteered model, above that of the plain stories."""


def compare(
    lm: LanguageModel,
    steering: Steering,
    difference: Tensor,
    prompts: Sequence[str],
    *,
    concept: str = "bridge",
    asking: str = "This is a story about the Golden Gate Bridge.",
    max_tokens: int = 100,
    seed: int = 0,
    n_tuning: int = 40,
    limit_nats: float = 0.5,
) -> Iterator[Way]:
    """Try a steering and its controls on the same beginnings, with the same seed.

    Each direction is held as the steering is (same places, same strength), and also at its own best strength, there
    and everywhere: the one with the most mentions among those that cost no more than the limit, on n_tuning
    beginnings with seeds of their own.

    Args:
        steering: what is tried.
        difference: a direction from texts without the concept to texts with it (see mean_difference).
        concept: a regular expression, looked for without regard to case.
        asking: what a reader would write before the beginning; only what comes after that counts.
        n_tuning: 0 leaves the best strengths out.
    """
    trial = _Trial(lm, prompts, concept, max_tokens, seed)
    tuning = _Trial(lm, prompts[:n_tuning], concept, max_tokens, seed + len(prompts)) if n_tuning else None
    yield trial.way("plain")
    yield trial.way("asking for it", asking=asking)
    random = random_direction(len(steering.direction))
    yield trial.way("the latent", steering)
    yield trial.way("the wrong sign", dataclasses.replace(steering, strength=-steering.strength))
    others = {"the latent": steering.direction, "difference in means": difference, "a random direction": random}
    for name, direction in others.items():
        there = dataclasses.replace(steering, direction=direction / direction.norm())
        if direction is not steering.direction:
            yield trial.way(f"{name}, same places, same strength", there)
        if tuning:
            yield trial.way(f"{name}, same places, its best strength", tuning.best(there, SHARES_THERE, limit_nats))
            everywhere = dataclasses.replace(there, reach=EVERYWHERE, enough=NEVER)
            yield trial.way(f"{name}, everywhere", tuning.best(everywhere, SHARES_EVERYWHERE, limit_nats))


SHARES_THERE = (0.3, 0.5, 0.7, 1.0, 1.4)
"""Which strengths are tried where a steering acts at few tokens, as shares of its own."""
SHARES_EVERYWHERE = (0.05, 0.1, 0.14, 0.17, 0.2, 0.25)
"""The same, where it acts at every token."""


class _Trial:
    """Beginnings, and what the plain model makes of them."""

    def __init__(self, lm: LanguageModel, prompts: Sequence[str], concept: str, max_tokens: int, seed: int) -> None:
        self._lm, self._prompts, self._concept = lm, prompts, concept
        self._max_tokens, self._seed = max_tokens, seed
        self._plain = self._outcome(None, "")

    def way(self, name: str, steering: Steering | None = None, asking: str = "") -> Way:
        """Write stories that way and compare them with the plain ones."""
        found = self._outcome(steering, asking) if steering or asking else self._plain
        ratio = found.repeated_trigrams / max(self._plain.repeated_trigrams, 1e-9)
        extra = found.loss_nats - self._plain.loss_nats
        return Way(name, steering.strength if steering else 0.0, found, ratio, extra)

    def best(self, steering: Steering, shares: Sequence[float], limit_nats: float) -> Steering:
        """The strength with the highest concept rate within the limit; the weakest if none is."""
        tried = [dataclasses.replace(steering, strength=steering.strength * share) for share in shares]
        ways = [self.way("", one) for one in tried]
        rates = [way.outcome.concept_rate if way.extra_nats <= limit_nats else -1.0 for way in ways]
        return tried[rates.index(max(rates))]

    def _outcome(self, steering: Steering | None, asking: str) -> Outcome:
        prompts = [f"{asking} {prompt}".strip() for prompt in self._prompts]
        with steering.on(self._lm.model) if steering else nullcontext():
            stories = write_stories(self._lm, prompts, max_tokens=self._max_tokens, seed=self._seed)
        beginnings = [self._lm.engine.prompt_ids(prompt) for prompt in self._prompts]
        own = [dataclasses.replace(story, prompt_ids=ids) for story, ids in zip(stories, beginnings)]
        return outcome(self._lm, own, self._concept)
