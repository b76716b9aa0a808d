"""One value of a config.json, taken as what it has to be, or refused by its name.

It does not know what the values mean.
"""

from __future__ import annotations

from typing import Any

from llm101.outside.strict_json import shown
from llm101.parameters.errors import ModelFolderError

MOST_LAYERS = 2**16
"""Lists with an entry for each layer are made of what a config.json claims."""


def count(values: dict[str, Any], key: str, *, standard: int | None = None, least: int = 1, most: int = 2**31) -> int:
    """A whole number.

    Raises:
        ModelFolderError: it is none, too small or too large; or missing, and there is no standard value.
    """
    if key not in values and standard is not None:
        return standard
    value = values.get(key)
    if type(value) is not int or not least <= value <= most:
        got, limit = shown(value) if key in values else "nothing", "2**31" if most == 2**31 else most
        raise ModelFolderError(f"config.json: {key} must be a whole number from {least} to {limit}, got {got}")
    return value


def count_of_layers(values: dict[str, Any]) -> int:
    """How many layers there are."""
    return count(values, "num_hidden_layers", most=MOST_LAYERS)


def real(values: dict[str, Any], key: str, standard: float) -> float:
    """A number above 0."""
    value = values.get(key, standard)
    if type(value) not in (int, float) or not 0 < value < 1e300:
        raise ModelFolderError(f"config.json: {key} must be a number above 0, got {shown(value)}")
    return float(value)


def flag(values: dict[str, Any], key: str, standard: bool = False) -> bool:
    """True or false."""
    value = values.get(key, standard)
    if not isinstance(value, bool):
        raise ModelFolderError(f"config.json: {key} must be true or false, got {shown(value)}")
    return value


def layer_numbers(values: dict[str, Any], key: str, n_layers: int) -> frozenset[int]:
    """Some of the layers, counted from 0; none if the key is missing. Layers that there are not do not count.

    Example:
        >>> layer_numbers({"mlp_only_layers": [0, 2, 99]}, "mlp_only_layers", 3)
        frozenset({0, 2})
    """
    numbers = values.get(key, [])
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise ModelFolderError(f"config.json: {key} must be a list of layers, got {shown(numbers)}")
    return frozenset(number for number in numbers if 0 <= number < n_layers)
