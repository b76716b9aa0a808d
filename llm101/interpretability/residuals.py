"""Residual vectors of texts: what flows through one place of the model, one row per token.

It knows models and token ids; what is done with the rows is for others. The start token's own row is left out
unless asked for: it precedes every text, is the same in all of them, and several times as long as any other.

Reading order: text_ids, padded_batches, residual_rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from llm101.interpretability.capture import CaptureError, capture

if TYPE_CHECKING:
    from llm101.library import LanguageModel
    from llm101.model import Transformer

BATCH_TOKENS = 1024
"""In one batch, fillings included: more of them take more memory and no less time."""
Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


def text_ids(lm: LanguageModel, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
    """Token ids of whole texts as the model reads them: the start token before each, cut to the context.

    Raises:
        CaptureError: no texts, or one without a token.
    """
    limit = min(max_tokens or lm.model.config.context_length, lm.model.config.context_length)
    encoded = lm.tokenizer.encode_many(texts)
    if not encoded:
        raise CaptureError("there are no texts: give at least one")
    if not all(encoded):
        raise CaptureError(f"text {[bool(ids) for ids in encoded].index(False)} has no tokens: leave it out")
    return [[*lm.engine.start_ids, *ids][:limit] for ids in encoded]


@dataclass(frozen=True)
class Batch:
    """Texts of about the same length, side by side."""

    texts: list[int]
    """Which texts they are."""
    token_ids: Tensor
    """[batch, seq]; what fills up the shorter ones comes after them, where they cannot see it."""
    lengths: Tensor
    """[batch], tokens of each."""

    @property
    def is_token(self) -> Tensor:
        """[batch, seq]: True where there is a token and not a filling."""
        return torch.arange(self.token_ids.shape[1]) < self.lengths[:, None]


def padded_batches(ids: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> Iterator[Batch]:
    """The texts in batches, sorted by length so that little is filled up."""
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    while order:
        n = 1
        while n < len(order) and (n + 1) * len(ids[order[n]]) <= batch_tokens:
            n += 1
        texts, order = order[:n], order[n:]
        lengths = torch.tensor([len(ids[i]) for i in texts])
        token_ids = torch.zeros(n, int(lengths.max()), dtype=torch.long)
        for row, i in enumerate(texts):
            token_ids[row, : len(ids[i])] = torch.tensor(ids[i])
        yield Batch(texts, token_ids, lengths)


@dataclass(frozen=True)
class ResidualRows:
    """Residual vectors of many tokens, and which token each belongs to."""

    x: Tensor
    """[n_rows, d_model]."""
    token_ids: Tensor
    """[n_rows]: the token that is read there."""
    text: Tensor
    """[n_rows]: which text it stands in."""
    position: Tensor
    """[n_rows]: its place in that text, the start token counted."""


def residual_rows(
    model: Transformer,
    ids: Sequence[Sequence[int]],
    point: str,
    *,
    skip: int = 1,
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> ResidualRows:
    """What flows through a capture point, for every token of every text.

    Args:
        ids: one list per text, as text_ids gives them.
        point: a capture point of one vector per token, such as layers.3.resid_post.
        skip: how many positions at the beginning of each text to leave out.
        dtype: how to keep them; float16 halves the memory.

    Returns:
        Rows in the order of the texts and their tokens.
    """
    parts: list[tuple[Tensor, ...] | None] = [None] * len(ids)
    done = 0
    for batch in padded_batches(ids):
        seen = capture(model, batch.token_ids, point)[point]
        for row, (text, n) in enumerate(zip(batch.texts, batch.lengths.tolist())):
            position = torch.arange(skip, n)
            tokens = batch.token_ids[row, skip:n]
            parts[text] = (seen[row, skip:n].to(dtype), tokens, torch.full((len(position),), text), position)
        done += len(batch.texts)
        if progress:
            progress(done, len(ids))
    columns = [torch.cat(column) for column in zip(*(part for part in parts if part is not None))]
    return ResidualRows(*columns)


def sample_ids(
    lm: LanguageModel, sources: Sequence[Sequence[str]], n_tokens: int, seed: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Texts drawn at random until there are n_tokens, as many tokens from each source as far as they go.

    Args:
        sources: one list of texts per source.
        n_tokens: how many to draw in all, at least one text per source.
        seed: the same seed draws the same texts.

    Returns:
        Token ids of the texts drawn, in random order, and of those left over.
    """
    generator = np.random.default_rng(seed)
    drawn, left = [], []
    for texts in sources:
        order = generator.permutation(len(texts)).tolist()
        ids = text_ids(lm, [str(texts[i]) for i in order])
        n = 1 + int(np.searchsorted(np.cumsum([len(one) for one in ids]), n_tokens / len(sources)))
        drawn += ids[:n]
        left += ids[n:]
    return [drawn[i] for i in generator.permutation(len(drawn))], [left[i] for i in generator.permutation(len(left))]
