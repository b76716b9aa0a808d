"""A number that a reader sets, held to its limits. It knows nothing of widgets."""

from __future__ import annotations

from typing import Any

RUN = {"max_tokens": (1, 4096), "temperature": (0.0, 2.0), "seed": (0, 2**32 - 1)}
"""What a reader may ask of a model that writes."""


def within(name: str, value: Any, limits: tuple[float, float]) -> Any:
    """A number, if it lies within its limits; where they are whole numbers, so must it be.

    Args:
        name: what the number is, for the message.
        value: the number; anything that a reader, or a page, may give.
        limits: the lowest and the highest that are allowed.

    Raises:
        ValueError: it does not, or is no number.

    Example:
        >>> within("seed", 7, (0, 9)), within("strength", -2.5, (-10.0, 10.0))
        (7, -2.5)
        >>> within("seed", 1.5, (0, 9))
        Traceback (most recent call last):
        ValueError: seed must be a number from 0 to 9, got 1.5
    """
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, (int, type(low))) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low} to {high}, got {value!r}")
    return value
