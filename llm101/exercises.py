"""Checking a reader's answer to an exercise: which input it fails on, or that it passes.

It knows nothing of the exercises themselves; their cases stand in the chapters.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SIX_DIGITS = 1e-6
"""How far a float may be off, as a share of the right one: cases are written with six digits."""

LARGEST_ARRAY = 1_000_000
"""Numbers; a larger array is no answer to any exercise, and is not looked at."""


@dataclass(frozen=True)
class Outcome:
    """What became of a check. It never raises, so that a chapter runs on past an open exercise."""

    passed: bool
    message: str

    def __repr__(self) -> str:
        return self.message


def check(function: Callable[..., Any], cases: Mapping[Any, Any]) -> Outcome:
    """Call a function on each case, and name the first one on which it is wrong.

    Whatever the function does or gives back, this returns an Outcome; a reader's Stop is one too.

    Args:
        function: the reader's answer.
        cases: for each input (several inputs as a tuple) the right result. Floats need six right digits, wherever
            they stand in it; an array or a tensor is as good as the list of its numbers.

    Example:
        >>> def double(x): return x + x
        >>> check(double, {2: 4, "ab": "abab", 0.1: 0.2})
        double is right on all 3 cases
        >>> check(double, {0: 0, (3,): 9})
        not yet: double(3) gives 6, but 9 is right
        >>> check(double, {None: 0})
        not yet: double(None) raises TypeError: unsupported operand type(s) for +: 'NoneType' and 'NoneType'
    """
    name = getattr(function, "__name__", None) or type(function).__name__
    if not isinstance(cases, Mapping) or not cases:
        return Outcome(False, f"{name} cannot be checked: the cases must be a table from inputs to right results")
    for given, right in cases.items():
        inputs = given if isinstance(given, tuple) else (given,)
        call = f"{name}({', '.join(map(_shown, inputs))})"
        try:
            result = function(*inputs)
        except KeyboardInterrupt:
            return Outcome(False, f"not yet: {call} was stopped")
        except BaseException as error:  # whatever a half-written answer does: exit() too
            return Outcome(False, f"not yet: {call} raises {type(error).__name__}{_reason(error)}")
        if not _is_right(result, right):
            return Outcome(False, f"not yet: {call} gives {_shown(result)}, but {_shown(right)} is right")
    return Outcome(True, f"{name} is right on all {len(cases)} cases")


def _is_right(result: Any, right: Any) -> bool:
    try:
        return _same(result, right)
    except BaseException:  # things that cannot be compared: an == that raises, a list that holds itself
        return False


def _same(result: Any, right: Any) -> bool:
    result, right = _listed(result), _listed(right)
    if isinstance(right, float) and isinstance(result, (int, float)):
        nearly = math.isclose(result, right, rel_tol=SIX_DIGITS, abs_tol=1e-12 if right == 0 else 0.0)
        return nearly or (math.isnan(result) and math.isnan(right))
    if isinstance(right, (list, tuple)) and isinstance(result, type(right)):
        return len(result) == len(right) and all(_same(mine, one) for one, mine in zip(right, result))
    if isinstance(right, dict) and isinstance(result, dict):
        return result.keys() == right.keys() and all(_same(result[key], right[key]) for key in right)
    return bool(result == right)


def _listed(value: Any) -> Any:
    """An array or a tensor as plain numbers; anything else as it is."""
    if isinstance(value, type) or not hasattr(value, "tolist") or math.prod(value.shape) > LARGEST_ARRAY:
        return value
    return value.tolist()


_short = reprlib.Repr()
_short.maxlevel = 6
_short.maxlist = _short.maxtuple = _short.maxset = _short.maxfrozenset = _short.maxdict = _short.maxdeque = 40
_short.maxstring = _short.maxlong = _short.maxother = 300


def _shown(value: Any) -> str:
    """A value in one line, cut where it is long."""
    try:
        return " ".join(_short.repr(value).splitlines())
    except BaseException:
        return f"a {type(value).__name__} that cannot be shown"


def _reason(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = ""
    return f": {text[:300]}" if text else ""
