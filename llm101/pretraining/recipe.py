"""The recipe: every choice of a training run that is not the model's shape or its data."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Raises:
        ValueError: naming the field, the value it got and what would be allowed.
    """

    steps: int
    """How often the parameters move."""
    batch_tokens: int = 16_384
    """Tokens read per step, over all workers."""
    micro_batch_tokens: int = 4_096
    """Tokens put through the model at once; the gradients of a step's micro-batches are added up."""
    short_row_length: int = 0
    """Tokens per row at first, below the context length: shorter rows cost less attention. 0: never shorter."""
    short_rows_fraction: float = 0.8
    """For which share of the steps."""
    matrix_lr: float = 0.02
    """Muon's learning rate, for the matrices inside the layers."""
    other_lr: float = 0.004
    """AdamW's, for the embedding and the norms."""
    weight_decay: float = 0.01
    warmup_steps: int = 50
    """Steps in which the learning rate rises; at most a tenth of all."""
    decay_fraction: float = 0.6
    """The share of the steps, at the end, in which the learning rate falls to zero."""
    gradient_clip: float = 1.0
    """The gradient is scaled down to this length where it is longer."""
    muon: bool = True
    """False: AdamW for everything, at other_lr."""
    evaluate_every: int = 100
    """Steps between two looks at the validation text."""
    evaluate_tokens: int = 65_536
    """How much of each validation text is scored on the way; all of it at the end."""
    snapshots: int = 0
    """How many moments to keep the parameters of, close together at first, further apart later."""
    seed: int = 0
    """Of the first parameters and of the order of the text."""

    def __post_init__(self) -> None:
        lowest = {"steps": 1, "batch_tokens": 1, "micro_batch_tokens": 1, "evaluate_every": 1, "evaluate_tokens": 1}
        lowest |= {"short_row_length": 0, "warmup_steps": 0, "snapshots": 0, "seed": 0}
        for name, least in lowest.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**63:
                raise ValueError(f"{name} must be a whole number from {least} upwards, got {value!r}")
        for name in ("matrix_lr", "other_lr", "gradient_clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number above 0, got {getattr(self, name)}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be a number from 0 upwards, got {self.weight_decay}")
        for name in ("short_rows_fraction", "decay_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")

    @property
    def tokens_at_once(self) -> int:
        """Tokens put through the model at once: a micro-batch, or the batch where that is smaller.

        Example:
            >>> Recipe(steps=1).tokens_at_once, Recipe(steps=1, batch_tokens=512).tokens_at_once
            (4096, 512)
        """
        return min(self.batch_tokens, self.micro_batch_tokens)

    @property
    def snapshot_steps(self) -> frozenset[int]:
        """At which steps the parameters are kept: 0, the last, and evenly spaced on a square-root scale between.

        A single one is the last.

        Example:
            >>> sorted(Recipe(steps=100, snapshots=5).snapshot_steps)
            [0, 6, 25, 56, 100]
        """
        if self.snapshots < 2:
            return frozenset([self.steps] * self.snapshots)
        n = min(self.snapshots, 4 * self.steps + 1)  # so many are every step there is
        return frozenset(round(self.steps * (i / (n - 1)) ** 2) for i in range(n))
