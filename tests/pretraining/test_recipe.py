"""The recipe refuses what cannot be trained by, naming the field and the value."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest

from llm101.pretraining import Recipe


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0), ("steps", -5), ("steps", 1.5), ("steps", True), ("steps", 2**63), ("batch_tokens", 0),
        ("micro_batch_tokens", 0), ("evaluate_every", 0), ("evaluate_tokens", 0), ("short_row_length", -1),
        ("warmup_steps", -1), ("snapshots", -1), ("seed", -1), ("seed", None), ("matrix_lr", 0.0),
        ("matrix_lr", math.nan), ("other_lr", -0.1), ("other_lr", math.inf), ("gradient_clip", 0.0),
        ("weight_decay", -0.1), ("weight_decay", math.nan), ("short_rows_fraction", 1.1), ("decay_fraction", -0.1),
        ("decay_fraction", math.nan),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{field} must .* got {value}"):
        Recipe(**({"steps": 10} | {field: value}))  # pyright: ignore[reportArgumentType]


def test_snapshots_are_dense_at_first() -> None:
    steps = sorted(Recipe(steps=1000, snapshots=11).snapshot_steps)
    assert (steps[0], steps[-1], len(steps)) == (0, 1000, 11)
    gaps = [b - a for a, b in pairwise(steps)]
    assert gaps == sorted(gaps)
    assert not Recipe(steps=1000, snapshots=0).snapshot_steps
    assert Recipe(steps=1000, snapshots=1).snapshot_steps == {1000}
