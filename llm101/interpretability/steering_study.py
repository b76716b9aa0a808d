"""What steering does, measured: how often a concept turns up, and what that costs in fluency.

No judge but arithmetic: a repeated three-token sequence is the commonest sign of a broken text, and the loss under
the unsteered model says how odd a text is.

Reading order: write_stories, outcome, then the directions that steering is compared with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from llm101.inference import KVCache, SamplingSettings, next_token_probabilities
from llm101.interpretability.residuals import padded_batches, residual_rows
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


@torch.no_grad()
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

    The engine's own batches take its compiled path, which a hook rules out; here torch takes all texts in one go, the
    shorter prompts filled up on the left. The same seed draws the same random numbers whatever the hooks do.
    """
    settings = SamplingSettings(temperature=temperature, top_p=top_p)
    ids = [lm.engine.prompt_ids(prompt) for prompt in prompts]
    width, n = max(map(len, ids)), len(ids)
    token_ids, is_token = torch.zeros(n, width, dtype=torch.long), torch.ones(n, width + max_tokens, dtype=torch.bool)
    for row, one in enumerate(ids):
        token_ids[row, width - len(one) :] = torch.tensor(one)
        is_token[row, : width - len(one)] = False
    positions = (is_token.cumsum(dim=1) - 1).clamp(min=0)
    kv_cache, generator = KVCache(lm.model.config, n), torch.Generator().manual_seed(seed)
    new, made = token_ids, torch.empty(n, 0, dtype=torch.long)
    for _ in range(max_tokens):
        past, end = kv_cache.length, kv_cache.length + new.shape[1]
        here = positions[:, past:end]
        mask = _may_look(here, positions[:, :end], is_token[:, :end], lm.model.config.sliding_window)
        logits = lm.model(new, kv_cache, positions=here, attention_mask=mask, last_only=True)[:, -1]
        running = next_token_probabilities(logits[:, : lm.tokenizer.vocab_size], settings).cumsum(dim=-1)
        draws = torch.rand(n, 1, generator=generator) * running[:, -1:]
        new = torch.searchsorted(running, draws, right=True).clamp(max=running.shape[1] - 1)
        made = torch.cat((made, new), dim=1)
        if all(not lm.engine.end_ids.isdisjoint(row) for row in made.tolist()):
            break
    return [_story(lm, prompt_ids, row) for prompt_ids, row in zip(ids, made.tolist())]


def _may_look(query: Tensor, key: Tensor, is_token: Tensor, window: int | None) -> Tensor:
    """[n, 1, n_queries, n_keys]: True where a token may look, given positions in each text."""
    query, key = query[:, None, :, None], key[:, None, None, :]
    near = key <= query if window is None else (key <= query) & (key > query - window)
    return near & is_token[:, None, None, :]


def _story(lm: LanguageModel, prompt_ids: list[int], made: list[int]) -> Story:
    ends = [at for at, token_id in enumerate(made) if token_id in lm.engine.end_ids]
    token_ids = made[: ends[0]] if ends else made
    return Story(prompt_ids, token_ids, lm.tokenizer.decode(token_ids))


@dataclass(frozen=True)
class Outcome:
    """What a set of stories is like."""

    concept_rate: float
    """Share of the stories that mention the concept."""
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
    found = [re.search(concept, story.text, re.IGNORECASE) is not None for story in stories]
    return Outcome(
        concept_rate=sum(found) / len(stories),
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
        logits = model(batch.token_ids)
        for row, text in enumerate(batch.texts):
            start, end = len(stories[text].prompt_ids), len(ids[text])
            targets = batch.token_ids[row, start:end]
            total += float(F.cross_entropy(logits[row, start - 1 : end - 1], targets, reduction="sum"))
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
