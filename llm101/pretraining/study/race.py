"""The race: a small model and a recipe that learn to spell Shakespeare as fast as we know how on two CPU cores.

It knows shapes and recipes, no text. tests/benchmarks/bench_race.py runs them against a published recipe, and
tests/benchmarks/race_ablation.py takes away one ingredient at a time and writes race_ablation.json.

Reading order: RACE_CONFIG and RACE_RECIPE, then ablation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm101.model import ModelConfig
from llm101.outside.strict_json import strict_json
from llm101.pretraining.recipe import Recipe

ABLATION = Path(__file__).with_name("race_ablation.json")

RACE_CONFIG = ModelConfig(vocab_size=66, d_model=96, n_layers=3, n_heads=3, context_length=64, qk_norm=True)
"""Half as large as its opponent: 65 characters and the end of a text."""

RACE_RECIPE = Recipe(
    steps=300, batch_tokens=1024, micro_batch_tokens=1024, matrix_lr=0.04, other_lr=0.008, evaluate_every=10**9
)
"""Muon, little steps at high learning rates, which fall for more than half of the time."""


@dataclass(frozen=True)
class AblationRow:
    """What becomes of the recipe when one thing is different."""

    name: str
    """What is different, in words."""
    steps: int
    """As many as fit into the same time."""
    loss_nats: tuple[float, ...]
    """After training, of the validation text, in nats per character; one for each seed."""

    @property
    def mean(self) -> float:
        """Mean over the seeds.

        Example:
            >>> AblationRow("without Muon", 400, (2.0, 2.2)).mean
            2.1
        """
        return sum(self.loss_nats) / len(self.loss_nats)


def ablation(path: Path = ABLATION) -> tuple[dict[str, Any], tuple[AblationRow, ...]]:
    """The measured table: where, when and how it was measured, and its rows, the full recipe first."""
    table = strict_json(path.read_bytes())
    rows = (AblationRow(row["name"], row["steps"], tuple(row["loss_nats"])) for row in table["rows"])
    return table["about"], tuple(rows)
