"""Attention patterns: which token looks at which, in every head of every layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from llm101.interpretability.capture import capture
from llm101.model import Transformer


def attention_patterns(model: Transformer, token_ids: Tensor | Sequence[int]) -> Tensor:
    """Who looks at whom.

    Args:
        token_ids: one text's ids.

    Returns:
        [n_layers, n_heads, seq, seq]: row i says how token i spreads its attention over tokens 0 to i; it sums to 1.

    Raises:
        CaptureError: no ids, or ids that the model does not have.
    """
    names = [f"layers.{layer}.self_attn.attention_pattern" for layer in range(model.config.n_layers)]
    seen = capture(model, token_ids, *names)
    return torch.stack([seen[name][0] for name in names])


def offset_scores(patterns: Tensor, offset: int) -> Tensor:
    """How much each head looks exactly `offset` tokens back, on average: [n_layers, n_heads], from 0 to 1.

    A head that always looks one token back is a *previous token head* (Elhage et al. 2021, "A Mathematical Framework
    for Transformer Circuits").

    Args:
        patterns: [n_layers, n_heads, seq, seq].
        offset: 0 is the token itself.

    Raises:
        ValueError: the text is not that long.

    Example:
        >>> offset_scores(torch.eye(4).expand(1, 1, 4, 4), 0)
        tensor([[1.]])
    """
    seq = patterns.shape[-1]
    if not 0 <= offset < seq:
        raise ValueError(f"offset must lie between 0 and {seq - 1} for a text of {seq} tokens, got {offset}")
    return patterns.diagonal(-offset, dim1=-2, dim2=-1).mean(dim=-1)


def induction_scores(model: Transformer, n_tokens: int = 40, seed: int = 0) -> Tensor:
    """How much each head looks at what came after the same token the last time: [n_layers, n_heads], from 0 to 1.

    Random tokens are shown twice; from the second time on, an *induction head* looks at the successor of the token's
    first occurrence, which is how a model copies (Olsson et al. 2022, arXiv 2209.11895).

    Args:
        n_tokens: how many random tokens, each shown twice.
    """
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(model.config.vocab_size, (n_tokens,), generator=generator)
    patterns = attention_patterns(model, torch.cat((tokens, tokens)))
    return patterns[..., n_tokens:, :].diagonal(1, dim1=-2, dim2=-1).mean(dim=-1)
