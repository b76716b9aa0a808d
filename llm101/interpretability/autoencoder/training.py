"""Training a sparse autoencoder: rebuild residual vectors from k latents each, and leave no latent idle.

It knows rows of numbers and nothing of models or texts.

Reading order: AutoencoderRecipe, AutoencoderTrainer.step, batch_top_k, ChosenCalls, then how dead latents are woken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderConfig, SparseAutoencoder

THRESHOLD_MEMORY = 0.98
"""How much of the running threshold each step keeps."""
GUESS = 0.85
"""What lies below this share of the last batch's weakest is not looked at when the k strongest are chosen."""


@dataclass(frozen=True)
class AutoencoderRecipe:
    """How to train one."""

    steps: int = 500
    batch_rows: int = 2048
    """Residual vectors per step."""
    learning_rate: float = 3e-3
    """Adam's, after a warm-up over the first twentieth and before a linear decay over the last two fifths."""
    dead_after: int = 100_000
    """A latent counts as dead once it has been idle for so many rows."""
    k_aux: int = 64
    """How many dead latents at a time help with what the living ones left over."""
    aux_weight: float = 1 / 32
    """How much their part counts in the loss."""
    seed: int = 0
    """Of the first directions and the order of the rows."""
    bfloat16: bool = False
    """Call the latents in bfloat16, which some machines do about twice as fast."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_rows", "dead_after", "k_aux"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"{name} must be a whole number from 1 upwards, got {getattr(self, name)!r}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate must lie between 0 and 1, got {self.learning_rate!r}")


@dataclass(frozen=True)
class Moment:
    """What can be said after one step."""

    step: int
    unexplained: float
    """1 - explained variance of the step's batch."""
    n_dead: int


class AutoencoderTrainer:
    """Trains a sparse autoencoder on rows of residual vectors.

    The loss of a batch is its unexplained variance, sum |x - x_hat|^2 / sum |x - mean|^2, and a 32nd of the same for
    the *auxiliary* latents: the dead ones (Gao et al. 2024, arXiv 2406.04093, appendix A.2) are asked to rebuild
    what was left over, by which they move to where they are needed. Rows are centred by their mean and scaled to a
    mean square of 1 per number; both are folded into the parameters at the end, so that nobody has to know.

    Args:
        rows: [n_rows, d_model], float32 or float16.
        config: shape of the autoencoder.
        recipe: how to train it.
    """

    def __init__(self, rows: Tensor, config: AutoencoderConfig, recipe: AutoencoderRecipe) -> None:
        self.rows, self.config, self.recipe = rows, config, recipe
        self._generator = torch.Generator().manual_seed(recipe.seed)
        sample = rows[torch.randint(len(rows), (min(len(rows), 50_000),), generator=self._generator)].float()
        self._mean = sample.mean(dim=0)
        self._scale = float((sample - self._mean).pow(2).mean().sqrt().clamp(min=1e-6))
        directions = torch.randn(config.d_sae, config.d_model, generator=self._generator)
        self.W_dec = F.normalize(directions, dim=1).requires_grad_()
        self.W_enc = self.W_dec.detach().clone().requires_grad_()  # [d_sae, d_model]: it first reads what it writes
        self.b_enc = torch.zeros(config.d_sae, requires_grad=True)
        self.b_dec = torch.zeros(config.d_model, requires_grad=True)
        self._idle = torch.zeros(config.d_sae, dtype=torch.long)
        self._weakest, self._threshold = torch.zeros(()), torch.zeros(1)
        self._optimizer = torch.optim.Adam(
            [self.W_enc, self.b_enc, self.W_dec, self.b_dec], lr=recipe.learning_rate, betas=(0.9, 0.99), fused=True
        )

    def moments(self) -> Iterator[Moment]:
        """Train to the end, one step at a time."""
        for step, index in enumerate(self._batches()):
            yield self.step(step, self.rows[index].float().sub_(self._mean).div_(self._scale))

    def step(self, step: int, x: Tensor) -> Moment:
        """One step on a batch of centred and scaled rows [batch, d_model]."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * schedule(step, self.recipe.steps)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bfloat16):
            pre = F.linear(x, self.W_enc, self.b_enc)  # [batch, d_sae]
        row, latent = batch_top_k(pre, self.config.k, GUESS * float(self._weakest))
        strength = ChosenCalls.apply(x, self.W_enc, self.b_enc, pre, row, latent)
        error = x - sums_of_rows(self.W_dec, row, latent, strength, len(x)) - self.b_dec
        variance = (x - x.mean(dim=0)).pow(2).sum()
        unexplained = error.pow(2).sum() / variance
        loss = unexplained + self.recipe.aux_weight * self._auxiliary(x, pre, error.detach())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._keep_length_one()
        self._idle += len(x)
        self._idle[latent] = 0
        if len(strength):
            self._weakest = strength.detach().min()
            self._threshold.lerp_(self._weakest, 1 - THRESHOLD_MEMORY if step else 1.0)
        return Moment(step + 1, unexplained.item(), int((self._idle > self.recipe.dead_after).sum()))

    def _auxiliary(self, x: Tensor, pre: Tensor, left_over: Tensor) -> Tensor | float:
        """How badly the dead latents would rebuild what the living ones left over; 0 if none is dead."""
        dead = (self._idle > self.recipe.dead_after).nonzero().squeeze(1)
        if not len(dead):
            return 0.0
        k = min(self.recipe.k_aux, len(dead))
        row, latent = torch.arange(len(x)).repeat_interleave(k), dead[pre[:, dead].topk(k, dim=1).indices].flatten()
        strength = ChosenCalls.apply(x, self.W_enc, self.b_enc, pre, row, latent).relu()
        written = sums_of_rows(self.W_dec, row, latent, strength, len(x))
        return (left_over - written).pow(2).sum() / left_over.pow(2).sum()

    def _keep_length_one(self) -> None:
        """Move the parameters, and let the rows of W_dec turn but never grow."""
        assert self.W_dec.grad is not None
        with torch.no_grad():
            along = (self.W_dec.grad * self.W_dec).sum(dim=1, keepdim=True)
            self.W_dec.grad -= along * self.W_dec
            self._optimizer.step()
            self.W_dec.copy_(F.normalize(self.W_dec, dim=1))

    def _batches(self) -> Iterator[Tensor]:
        """Row numbers for each step: every row once, in random order, before any comes again."""
        order, at = torch.empty(0, dtype=torch.long), 0
        size = min(self.recipe.batch_rows, len(self.rows))
        for _ in range(self.recipe.steps):
            if at + size > len(order):
                order, at = torch.randperm(len(self.rows), generator=self._generator), 0
            yield order[at : at + size]
            at += size

    def autoencoder(self) -> SparseAutoencoder:
        """What has been learned so far, for rows as the model has them: neither centred nor scaled."""
        sae = SparseAutoencoder(self.config)
        with torch.no_grad():
            sae.W_enc.copy_(self.W_enc.T)
            sae.b_enc.copy_(self._scale * self.b_enc - self.W_enc @ self._mean)
            sae.W_dec.copy_(self.W_dec)
            sae.b_dec.copy_(self._scale * self.b_dec + self._mean)
            sae.threshold.copy_(self._scale * self._threshold)
        return sae.eval()


class ChosenCalls(torch.autograd.Function):
    """`pre[row, latent]` as float32, where `pre = x W_enc^T + b_enc`; backwards, only what was chosen is looked at.

    Left to itself, torch would lay the gradient of a few numbers a row into zeros of the size of `pre`, and multiply
    them all by `x`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, W_enc: Tensor, b_enc: Tensor, pre: Tensor, row: Tensor, latent: Tensor) -> Tensor:
        """The chosen numbers, [n_chosen]."""
        ctx.save_for_backward(x, row, latent)
        ctx.d_sae = len(W_enc)
        return pre[row, latent].float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Of the loss by W_enc and b_enc: each latent sums up the rows that it was chosen for."""
        x, row, latent = ctx.saved_tensors
        latent, order = latent.sort(stable=True)
        gradient = gradient[order]
        by_W_enc = sums_of_rows(x, latent, row[order], gradient, ctx.d_sae)
        by_b_enc = torch.zeros(ctx.d_sae).index_add_(0, latent, gradient)
        return None, by_W_enc, by_b_enc, None, None, None


def sums_of_rows(table: Tensor, group: Tensor, which: Tensor, weight: Tensor, n_groups: int) -> Tensor:
    """For each group the sum of its rows of a table, each times its weight, and nothing is ever multiplied by zero.

    Args:
        table: [n_rows, width].
        group: [n], the group that each belongs to; ascending.
        which: [n], the row of the table that it takes.
        weight: [n].
        n_groups: how many groups there are; one that nothing belongs to is 0.

    Returns:
        [n_groups, width].

    Example:
        >>> table, weight = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([2.0, 3.0, 5.0])
        >>> sums_of_rows(table, torch.tensor([0, 0, 2]), torch.tensor([0, 1, 1]), weight, 3).tolist()
        [[2.0, 3.0], [0.0, 0.0], [0.0, 5.0]]
    """
    starts = torch.searchsorted(group, torch.arange(n_groups))
    return F.embedding_bag(which, table, starts, mode="sum", per_sample_weights=weight)


def batch_top_k(pre: Tensor, k: int, guess: float = 0.0) -> tuple[Tensor, Tensor]:
    """The strongest positive calls of a whole batch: k per row on average, more where a row needs more.

    Args:
        pre: [batch, d_sae].
        k: at least 1.
        guess: a number that the weakest of them will probably exceed; it saves time and changes nothing.

    Returns:
        row and latent of each, in the order of the rows.

    Example:
        >>> row, latent = batch_top_k(torch.tensor([[5.0, 4.0, 0.0], [1.0, 0.5, -1.0]]), k=1)
        >>> row.tolist(), latent.tolist()
        ([0, 0], [0, 1])
    """
    n = k * len(pre)
    row, latent = (pre > guess).nonzero(as_tuple=True)
    if len(row) < n and guess > 0:
        return batch_top_k(pre, k)
    if len(row) > n:
        called = pre[row, latent]
        strongest = called.topk(n, sorted=False).indices.sort().values
        row, latent = row[strongest], latent[strongest]
    return row, latent


def schedule(step: int, steps: int) -> float:
    """The learning rate's share at a step (from 0): up over the first 5 %, level, down over the last 40 %.

    Example:
        >>> [round(schedule(step, 100), 2) for step in (0, 4, 50, 80, 99)]
        [0.2, 1.0, 1.0, 0.5, 0.03]
    """
    return min(1.0, (step + 1) / max(1, steps // 20), (steps - step) / max(1.0, 0.4 * steps))
