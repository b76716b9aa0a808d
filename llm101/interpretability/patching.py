"""Activation patching: put one vector of one run into another, and see whether the answer follows.

Where it does, that place carried the difference (Meng et al. 2022, arXiv 2202.05262, call it causal tracing).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from llm101.interpretability.capture import CaptureError, capture, checked_ids, hooks
from llm101.interpretability.residuals import BATCH_TOKENS
from llm101.model import Transformer


def patching_effects(
    model: Transformer, clean_ids: Sequence[int], corrupted_ids: Sequence[int], answer_id: int, wrong_id: int
) -> Tensor:
    """How much of the clean answer comes back when one residual vector of the clean run is put into the corrupted run.

    Args:
        clean_ids: a text after which `answer_id` is likely.
        corrupted_ids: as many tokens, with the decisive one changed, so that `wrong_id` is likelier.

    Returns:
        [n_layers + 1, seq], first before layer 0, then after each layer. 0: nothing changed, 1: the corrupted run
        answers as the clean one does. Measured on logit(answer) - logit(wrong) at the last position.

    Raises:
        CaptureError: texts of different lengths, or two runs that do not differ in their answer.
    """
    clean, corrupted = checked_ids(model, clean_ids), checked_ids(model, corrupted_ids)
    if clean.shape != corrupted.shape:
        raise CaptureError(
            f"the two texts must have the same number of tokens, got {clean.shape[1]} and {corrupted.shape[1]}"
        )
    checked_ids(model, [answer_id, wrong_id])
    names = ["embedding", *(f"layers.{layer}.resid_post" for layer in range(model.config.n_layers))]
    residuals = capture(model, clean, *names)
    best, worst = (_margin(model, ids, answer_id, wrong_id).item() for ids in (clean, corrupted))
    if abs(best - worst) < 1e-6:
        raise CaptureError("the two texts lead to the same answer, so there is nothing to trace")
    effects = [_patched(model, corrupted, name, residuals[name], answer_id, wrong_id) for name in names]
    return (torch.stack(effects) - worst) / (best - worst)


def _patched(model: Transformer, ids: Tensor, name: str, clean: Tensor, answer_id: int, wrong_id: int) -> Tensor:
    """The margin with position i replaced, for each i, [seq]: one row each, a few rows at a time to save memory."""
    margins, seq = [], ids.shape[1]
    for here in torch.eye(seq, dtype=torch.bool, device=ids.device).split(max(1, BATCH_TOKENS // seq)):
        with hooks(model, {name: partial(torch.where, here[..., None], clean)}):  # row i is patched at position i
            margins.append(_margin(model, ids.expand(len(here), -1), answer_id, wrong_id))
    return torch.cat(margins)


@torch.no_grad()
def _margin(model: Transformer, ids: Tensor, answer_id: int, wrong_id: int) -> Tensor:
    """How much surer the model is of one next token than of another, in logits: [batch]."""
    logits = model(ids, last_only=True)[:, -1]
    return logits[:, answer_id] - logits[:, wrong_id]
