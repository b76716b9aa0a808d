"""The moment: what happened up to a step, and how long the rest will take.

It knows numbers, nothing of where they come from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from llm101.pretraining.evaluation import Evaluation


@dataclass(frozen=True)
class Moment:
    """What happened up to a step."""

    step: int
    """Steps done so far."""
    steps: int
    """Steps in all."""
    tokens_seen: int
    train_loss_nats: float
    """Mean loss of the step's tokens before the step, in nats per token."""
    learning_rate_factor: float
    """The schedule's share of the full learning rates."""
    gradient_norm: float
    """Length of the gradient before clipping."""
    seconds: float
    """Training time so far, over all sessions."""
    tokens_per_second: float
    """Of this step."""
    seconds_left: float
    valid: dict[str, Evaluation] | None = None
    """Evaluations by name, at the steps that have them."""


class Pace:
    """Times steps. The first of a session, in which the machine warms up, counts only while it is the only one.

    Example:
        >>> pace = Pace()
        >>> for seconds in (9.0, 1.0, 3.0):
        ...     pace.add(seconds)
        >>> pace.seconds_for(10)
        20.0
    """

    def __init__(self) -> None:
        self._first, self._seconds, self._steps = 0.0, 0.0, 0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Time what is done inside as one step."""
        began = time.perf_counter()
        yield
        self.add(time.perf_counter() - began)

    def add(self, seconds: float) -> None:
        """One more step has been done."""
        if self._steps == 0:
            self._first = seconds
        else:
            self._seconds += seconds
        self._steps += 1

    def seconds_for(self, steps: int) -> float:
        """How long so many more will take."""
        if self._steps < 2:
            return self._first * steps
        return self._seconds / (self._steps - 1) * steps
