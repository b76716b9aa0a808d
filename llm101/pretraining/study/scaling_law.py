"""The scaling law: how low the loss of a model will be, from its size and from how much it reads.

It knows numbers of parameters, numbers of tokens and losses, nothing of models. The runs that come with the book
are in scaling_runs.json; tests/benchmarks/scaling_runs.py trained them.

Source: Hoffmann et al. 2022, "Training compute-optimal large language models" (arXiv 2203.15556), section 3.3.

Reading order: ScalingRun, ScalingLaw.loss_nats, ScalingLaw.fit.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from llm101.outside.strict_json import strict_json

RUNS = Path(__file__).with_name("scaling_runs.json")
ZOOMS = 12
"""How often the grid of exponents is drawn finer: 2^12 times finer in the end."""

Number = TypeVar("Number", float, npt.NDArray[np.float64])


@dataclass(frozen=True)
class ScalingRun:
    """One finished training run."""

    d_model: int
    n_layers: int
    n_parameters: int
    """All of them, the embedding counted once."""
    n_tokens: int
    """Tokens read in training."""
    batch_tokens: int
    """Tokens read per step."""
    steps: int
    loss_nats: float
    """Of the validation text, per token."""
    bits_per_byte: float
    """The same loss, in bits per byte of text."""
    cpu_seconds: float
    """Training and validation."""


def scaling_runs(path: Path = RUNS) -> tuple[ScalingRun, ...]:
    """The runs of a table; by default those that come with the book."""
    return tuple(ScalingRun(**run) for run in strict_json(path.read_bytes())["runs"])


@dataclass(frozen=True)
class ScalingLaw:
    """loss = E + A / N^alpha + B / D^beta, for N parameters and D tokens read, in nats per token.

    E is what no model can avoid, the entropy of the text; the second term is what a model loses for being finite,
    the third what it loses for having read too little.

    Example:
        >>> law = ScalingLaw(E=1.0, A=100.0, alpha=0.5, B=1000.0, beta=0.5)
        >>> law.loss_nats(n_parameters=10_000, n_tokens=1_000_000)
        3.0
        >>> law
        loss = 1 + 100 / N^0.5 + 1e+03 / D^0.5
    """

    E: float
    A: float
    alpha: float
    B: float
    beta: float

    def __repr__(self) -> str:
        return f"loss = {self.E:.3g} + {self.A:.3g} / N^{self.alpha:.3g} + {self.B:.3g} / D^{self.beta:.3g}"

    def loss_nats(self, n_parameters: Number, n_tokens: Number) -> Number:
        """The loss to expect, in nats per token; numbers or arrays."""
        loss = self.E + self.A / n_parameters**self.alpha + self.B / n_tokens**self.beta
        return loss  # pyright: ignore[reportReturnType] - numpy annotates powers of arrays as Any

    def optimal(self, flops: float) -> tuple[float, float]:
        """Parameters and tokens that give the lowest loss for an amount of arithmetic, at 6 FLOPs for each pair.

        Example:
            >>> n_parameters, n_tokens = ScalingLaw(E=1.0, A=100.0, alpha=0.5, B=1000.0, beta=0.5).optimal(6e12)
            >>> round(n_parameters), round(n_tokens)
            (100000, 10000000)
        """
        pairs = flops / 6
        ratio = self.alpha * self.A / (self.beta * self.B)
        n_parameters = (ratio * pairs**self.beta) ** (1 / (self.alpha + self.beta))
        return n_parameters, pairs / n_parameters

    @classmethod
    def fit(cls, runs: Sequence[ScalingRun], E: float | None = None) -> ScalingLaw:
        """The law that is closest to some runs: least squares of the relative errors.

        For every pair of exponents the best E, A and B follow from a linear equation, so only the exponents are
        searched for, on a grid that is drawn finer and finer. (The source descends to the least Huber loss.)

        Args:
            runs: at least as many as there are unknowns, of at least two sizes and two numbers of tokens.
            E: the floor in nats per token, where it is known; else it is fitted, too.

        Raises:
            ValueError: too few runs to tell, or a floor above their losses.
        """
        unknowns = 5 if E is None else 4
        sizes, budgets = {run.n_parameters for run in runs}, {run.n_tokens for run in runs}
        if len(runs) < unknowns or len(sizes) < 2 or len(budgets) < 2:
            raise ValueError(
                f"{unknowns} unknowns need at least {unknowns} runs, of 2 sizes and 2 numbers of tokens or more; "
                f"got {len(runs)} runs, {len(sizes)} sizes and {len(budgets)} numbers of tokens"
            )
        lowest = min(run.loss_nats for run in runs)
        if E is not None and not 0 <= E < lowest:
            raise ValueError(f"E must lie between 0 and the lowest loss, {lowest}, got {E}")
        alpha, beta, width = 0.8, 0.8, 0.8
        for _ in range(ZOOMS):
            near = np.linspace(-width, width, 17)
            laws = [
                law
                for x, y in itertools.product(alpha + near, beta + near)
                if min(x, y) > 0 and (law := _with_exponents(float(x), float(y), runs, E))
            ]
            best = min(laws, key=lambda law: law.error(runs))
            alpha, beta, width = best.alpha, best.beta, width / 2
        return best

    def error(self, runs: Sequence[ScalingRun]) -> float:
        """Root mean square of the relative errors over some runs: 0.01 is one per cent."""
        relative = [self.loss_nats(run.n_parameters, run.n_tokens) / run.loss_nats - 1 for run in runs]
        return float(np.sqrt(np.mean(np.square(relative))))


def _with_exponents(alpha: float, beta: float, runs: Sequence[ScalingRun], E: float | None) -> ScalingLaw | None:
    """The best law with these exponents, or None where it would have a negative part."""
    sizes, tokens, losses = np.array([(run.n_parameters, run.n_tokens, run.loss_nats) for run in runs]).T
    columns = [sizes**-alpha, tokens**-beta] + ([np.ones_like(losses)] if E is None else [])
    matrix, target = np.stack(columns, axis=1) / losses[:, None], (losses - (E or 0.0)) / losses
    solution = np.linalg.lstsq(matrix, target, rcond=None)[0].tolist()
    if min(solution) < 0:
        return None
    A, B, floor = solution if E is None else (*solution, E)
    return ScalingLaw(floor, A, alpha, B, beta)
