"""Checking a reader's answer to an exercise: which input it fails on, or that it passes.

It knows nothing of the exercises themselves; their cases stand in the chapters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What became of a check. It never raises, so that a chapter runs on past an open exercise."""

    passed: bool
    message: str

    def __repr__(self) -> str:
        return self.message


def check(function: Callable[..., Any], cases: Mapping[Any, Any]) -> Outcome:
    """Call a function on each case, and name the first one on which it is wrong.

    Args:
        function: the reader's answer.
        cases: for each input (several inputs as a tuple) the right result; floats may differ in the last digits.

    Example:
        >>> def double(x): return x + x
        >>> check(double, {2: 4, "ab": "abab"})
        double is right on all 2 cases
        >>> check(double, {0: 0, (3,): 9})
        not yet: double(3) gives 6, but 9 is right
        >>> check(double, {None: 0})
        not yet: double(None) raises TypeError: unsupported operand type(s) for +: 'NoneType' and 'NoneType'
    """
    name = function.__name__
    for given, right in cases.items():
        inputs = given if isinstance(given, tuple) else (given,)
        call = f"{name}({', '.join(map(repr, inputs))})"
        try:
            result = function(*inputs)
        except Exception as error:  # whatever a half-written answer does
            return Outcome(False, f"not yet: {call} raises {type(error).__name__}: {error}")
        if not _same(result, right):
            return Outcome(False, f"not yet: {call} gives {result!r}, but {right!r} is right")
    return Outcome(True, f"{name} is right on all {len(cases)} cases")


def _same(result: Any, right: Any) -> bool:
    if isinstance(right, float) and isinstance(result, (int, float)):
        return math.isclose(result, right, rel_tol=1e-9) or (math.isnan(result) and math.isnan(right))
    return bool(result == right)
