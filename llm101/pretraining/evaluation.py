"""Evaluation: how well the model predicts text that it was not trained on.

It knows models and corpora, nothing of optimizers or files. The result is in bits per byte, which models
with different tokenizers can be compared in; the loss per token is given too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from llm101.corpus import Corpus
from llm101.model import Transformer
from llm101.pretraining.rows import rows_in_order
from llm101.pretraining.workers import Workers

PADDING = -100
"""A target that is not scored (cross_entropy's own convention)."""


@dataclass(frozen=True)
class Evaluation:
    """What it costs the model to predict a text."""

    loss_nats: float
    """Mean negative log-probability of a token, in nats."""
    n_tokens: int
    n_bytes: float
    """Bytes of text scored (estimated from the share of tokens, if only a part was)."""

    @property
    def bits_per_byte(self) -> float:
        """Total bits over total bytes: what a perfect entropy coder would need with this model.

        Example:
            >>> Evaluation(loss_nats=math.log(2), n_tokens=100, n_bytes=400).bits_per_byte
            0.25
        """
        return self.loss_nats * self.n_tokens / math.log(2) / self.n_bytes


@torch.no_grad()
def evaluate(
    model: Transformer,
    corpus: Corpus,
    *,
    max_tokens: int | None = None,
    batch_rows: int = 4,
    workers: Workers | None = None,
    bfloat16: bool = False,
) -> Evaluation:
    """Score a corpus, each token once, with as much of its own text before it as the context holds.

    Args:
        model: in any mode; it is left as it was.
        corpus: encoded with the model's tokenizer.
        max_tokens: stop after about that many tokens; all of them if left out.
        batch_rows: rows scored together.
        workers: processes that share the work.
        bfloat16: compute in bfloat16, as in training: faster, a little less exact.
    """
    workers = workers or Workers()
    device = next(model.parameters()).device
    context_length = model.config.context_length
    rows = rows_in_order(corpus, context_length)
    if max_tokens is not None:
        rows = rows[: max(1, max_tokens // context_length)]
    mine = rows[workers.rank :: workers.count]
    ids = torch.from_numpy(corpus.token_ids[: rows[-1][1] + 1].astype("int64"))
    nats, n_tokens = 0.0, 0
    for at in range(0, len(mine), batch_rows):
        batch = mine[at : at + batch_rows]
        width = max(stop - start for start, stop in batch)
        inputs = torch.zeros(len(batch), width, dtype=torch.long)
        targets = torch.full((len(batch), width), PADDING)
        for i, (start, stop) in enumerate(batch):
            inputs[i, : stop - start] = ids[start:stop]
            targets[i, : stop - start] = ids[start + 1 : stop + 1]
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            logits = model(inputs.to(device))
        losses = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten().to(device), reduction="sum")
        nats += losses.item()
        n_tokens += sum(stop - start for start, stop in batch)
    nats, total = workers.total(nats, float(n_tokens))
    share = rows[-1][1] / (corpus.facts.n_tokens - 1)
    return Evaluation(nats / total, int(total), corpus.facts.n_bytes * share)
