"""LayerGrid: numbers by layer and position (or by any two things), each cell with what stands behind it.

For a logit lens, effects of patching, or an attention pattern.
"""

from collections.abc import Sequence
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.layer_grid.picture import as_svg, visible
from llm101_widgets.page import page_of
from llm101_widgets.svg import in_html

MOST_CELLS = 4096  # more than an eye can tell apart, and a page can hold


class LayerGrid(anywidget.AnyWidget):
    """Colour and a short text say how large each number is; a chosen cell says more.

    Args:
        values: [rows, columns] numbers, as lists or as a tensor or array; 1 and -1 have full colour.
        rows, columns: the names of both.
        cells: [rows, columns] short texts to stand in the cells; without them the numbers stand there.
        details: [rows, columns] lists of (text, share) that a chosen cell shows.
        title: what is to be seen.
        value_name: what a number is.
        selected: row and column of the cell that is chosen at first.
    """

    _esm, _css = page_of("layer_grid", root="llm101-grid-root")
    # the reader sets, here or in the page: row and column of the chosen cell
    selected = t.List().tag(sync=True)
    # the page reads
    title, value_name = t.Unicode().tag(sync=True), t.Unicode().tag(sync=True)
    rows, columns, values = t.List().tag(sync=True), t.List().tag(sync=True), t.List().tag(sync=True)
    cells, details = t.List().tag(sync=True), t.List().tag(sync=True)

    def __init__(
        self, values: Any, *, rows: Sequence[str], columns: Sequence[str], cells: Any = None, details: Any = None,
        title="", value_name="value", selected: Sequence[int] = (0, 0),
    ) -> None:  # fmt: skip
        shape = len(rows), len(columns)
        if not 0 < shape[0] * shape[1] <= MOST_CELLS:
            raise ValueError(f"a grid has from 1 to {MOST_CELLS:,} cells, got {shape[0]} rows of {shape[1]}")
        given = {"values": values, "cells": cells or [], "details": details or []}
        tables = {name: table.tolist() if hasattr(table, "tolist") else list(table) for name, table in given.items()}
        for name, table in tables.items():
            if (table or name == "values") and [len(row) for row in table] != [shape[1]] * shape[0]:
                raise ValueError(f"{name} must be {shape[0]} rows of {shape[1]}, as there are names for them")
        if not all(number - number == 0 for row in tables["values"] for number in row):
            raise ValueError("values must be finite numbers: one is NaN or infinite")
        names = {"rows": [str(name) for name in rows], "columns": [str(name) for name in columns]}
        super().__init__(**tables, **names, title=title, value_name=value_name)
        self.selected = list(selected)

    @t.validate("selected")
    def _is_inside(self, proposal: Any) -> list[int]:
        place, sizes = list(proposal["value"]), (len(self.rows), len(self.columns))
        if place and (len(place) != 2 or not all(i in range(size) for i, size in zip(place, sizes))):
            raise ValueError(f"selected must be a row below {sizes[0]} and a column below {sizes[1]}, got {place}")
        return place

    def _text(self, row: int, column: int) -> str:
        return visible(self.cells[row][column]) if self.cells else f"{self.values[row][column]:.2f}"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        texts = [[self._text(i, j) for j in range(len(self.columns))] for i in range(len(self.rows))]
        svg = as_svg(self.title, self.rows, self.columns, self.values, texts)
        return data | in_html(svg, repr(self)), metadata

    def __repr__(self) -> str:
        lines = [f"{self.title or 'a grid'}: {len(self.rows)} rows, {len(self.columns)} columns of {self.value_name}"]
        for i, name in enumerate(self.rows):
            cells = (f"{visible(self.columns[j])} → {self._text(i, j)}" for j in range(len(self.columns)))
            lines.append(f"{name}: {', '.join(cells)}")
        return "\n".join(lines)
