"""What a model loses on tokens, from its last residual vectors on, with a few logits at a time.

It knows a model's output layer and nothing of what lies below. All logits of a batch at once are the largest thing
that a model makes: a number per token *and* word of the vocabulary, 200 kB for each token of SmolLM2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from llm101.model import Transformer

LOGITS_AT_ONCE = 2**21
"""Numbers: 8 MB, and as much again on the way from logits to losses."""


@torch.no_grad()
def sum_of_losses(model: Transformer, normed: Tensor, targets: Tensor) -> float:
    """The loss on each token, summed, in nats.

    Args:
        model: the model whose output layer reads the vectors.
        normed: [n, d_model], what flows through the capture point `normed` before each of the tokens.
        targets: [n], the tokens' ids.

    Example:
        >>> import llm101
        >>> from llm101.interpretability.capture import capture
        >>> model = llm101.load("storyteller").model
        >>> normed = capture(model, [1, 2], "normed")["normed"][0]
        >>> logits, targets = model(torch.tensor([[1, 2]]))[0], torch.tensor([2, 3])
        >>> plain = float(F.cross_entropy(logits.detach(), targets, reduction="sum"))
        >>> abs(sum_of_losses(model, normed, targets) - plain) < 1e-3
        True
    """
    parts = zip(normed.split(tokens_at_once(model)), targets.split(tokens_at_once(model)))
    return sum(float(F.cross_entropy(model.lm_head(some), their, reduction="sum")) for some, their in parts)


def tokens_at_once(model: Transformer) -> int:
    """For how many tokens, at least one, logits are made at a time."""
    return max(1, LOGITS_AT_ONCE // model.config.vocab_size)
