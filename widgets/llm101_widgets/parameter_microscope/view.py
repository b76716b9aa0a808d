"""What the microscope shows of a tensor, floats or quantised numbers: a window, a look at all of it, one number.

Floats are heat_map.py's. Of quantised tensors the page gets whole blocks, and unpacks them itself (blocks.js); their
numbers as floats, and a block's description, come from the parameter file.

Reading order: KINDS, view_of, seen, number_of, flipped, in_words.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from llm101_widgets import heat_map
from llm101_widgets.heat_map import FLOATS, Numbers

BLOCKS = ("Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1", "Q6_K", "Q5_K", "Q4_K")
"""The kinds of block that the page unpacks."""

KINDS = (*FLOATS, *BLOCKS)
"""All kinds of number that can be looked at."""

STRETCH = 64
"""So many quantised numbers of a row are seen at a time; the page has the whole blocks that they lie in."""


def view_of(parameters: Any, raw: bytes, name: str, entry: Any, index: int, before: Mapping[str, Any]) -> Any:
    """What the page needs in order to show one number and those around it; `before`, if that has it already."""
    if entry.dtype in FLOATS:
        return heat_map.view_of(raw, name, entry, index, before)
    matrix = prod(entry.shape[:-1]), entry.shape[-1]
    row, column = divmod(index, matrix[1])
    if before.get("tensor") != name:
        whole = heat_map.overview(_floats(parameters, name, matrix))
        return {"tensor": name, "matrix": list(matrix), **whole, **_window(raw, matrix, entry.block[0], row, column)}
    down, right = row - before["row"], column - before["column"]
    inside = 0 <= down < before["rows"] and 0 <= right < before["columns"]
    return before if inside else {**before, **_window(raw, matrix, entry.block[0], row, column)}


def seen(parameters: Any, view: Mapping[str, Any], entry: Any, index: int) -> Numbers:
    """The numbers of the heat map around the chosen one, for a picture of it; [rows, columns]."""
    if entry.dtype in FLOATS:
        return heat_map.numbers(view["bytes"], entry.dtype).reshape(view["rows"], -1)
    matrix = tuple(view["matrix"])
    first = view["column"] + (index % matrix[1] - view["column"]) // STRETCH * STRETCH
    last = min(first + STRETCH, view["column"] + view["columns"])
    return _floats(parameters, view["tensor"], matrix)[view["row"] : view["row"] + view["rows"], first:last]


def number_of(
    parameters: Any, raw: bytes, name: str, entry: Any, index: int, changed: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One number: heat_map.number_at for a float; else tensor, index, bits and value, and its working as `formula`."""
    if entry.dtype in FLOATS:
        return heat_map.number_at(raw, name, entry, index, changed)
    place = [int(i) for i in np.unravel_index(index, entry.shape)]
    block = parameters.block(name, *place)
    return {"tensor": name, "index": place, "bits": block.bits, "value": block.value, "formula": block.formula}


def flipped(changed: Sequence[Mapping[str, Any]], number: Mapping[str, Any], bit: int) -> list[dict[str, Any]]:
    """As heat_map.flipped.

    Raises:
        ValueError: it has no such bit, or is packed in a block.
    """
    if "formula" in number:
        raise ValueError(f"bits can be flipped in {', '.join(FLOATS)}, not in a number that is packed in a block")
    return heat_map.flipped(changed, number, bit)


def in_words(name: str, entry: Any, number: Mapping[str, Any]) -> str:
    """The chosen tensor and number, a line each."""
    working = f" = {number['formula']}" if "formula" in number else ""
    return (
        f"{name} {list(entry.shape)}, {entry.dtype}, from byte {entry.offset:,}\n"
        f"number {number['index']}: {number['bits']}{working} = {number['value']:g}"
    )


def _floats(parameters: Any, name: str, matrix: tuple[int, ...]) -> Numbers:
    return np.asarray(parameters.tensor(name), np.float32).reshape(matrix)


def _window(raw: bytes, matrix: tuple[int, int], n_numbers: int, row: int, column: int) -> dict[str, Any]:
    """As heat_map.window, in whole blocks, at least as many as a stretch lies in."""
    n_blocks = max(1, STRETCH // n_numbers)
    block = column // n_numbers // n_blocks * n_blocks  # so that no stretch lies in two windows
    cut = heat_map.window(raw, (matrix[0], matrix[1] // n_numbers), row, block + n_blocks // 2, columns=n_blocks)
    return cut | {"column": cut["column"] * n_numbers, "columns": cut["columns"] * n_numbers}
