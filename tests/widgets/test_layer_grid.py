"""The grid against a few numbers: what it takes, refuses and leaves behind."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

from llm101_widgets import LayerGrid
from tests.widgets.still_picture import svg_of

HOSTILE = '<img src=x onerror="alert(1)"></script>\x00'


def grid(values: Any = ((0.5, -1.0), (0.0, 2.0)), **more: Any) -> LayerGrid:
    return LayerGrid(values, **{"rows": ["layer 0", "layer 1"], "columns": [" a", HOSTILE], **more})


def test_it_takes_lists_and_arrays_alike() -> None:
    for values in ([[0.5, -1.0], [0.0, 2.0]], np.array([[0.5, -1.0], [0.0, 2.0]])):
        assert grid(values).values == [[0.5, -1.0], [0.0, 2.0]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"values": [[1.0, 2.0]]}, "values must be 2 rows of 2"),
        ({"values": []}, "values must be 2 rows of 2"),
        ({"values": [[1.0, math.nan], [0.0, 0.0]]}, "values must be finite numbers"),
        ({"cells": [["a"], ["b"]]}, "cells must be 2 rows of 2"),
        ({"details": [[[]], [[]]]}, "details must be 2 rows of 2"),
        ({"rows": []}, "a grid has from 1 to 4,096 cells, got 0 rows of 2"),
        ({"rows": ["x"] * 4097, "columns": ["y"]}, "a grid has from 1 to 4,096 cells, got 4097 rows of 1"),
        ({"selected": (2, 0)}, r"selected must be a row below 2 and a column below 2, got \[2, 0\]"),
        ({"selected": (0,)}, r"selected must be a row below 2 and a column below 2, got \[0\]"),
    ],
)
def test_tables_of_another_size_and_cells_that_are_not_there_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        grid(**change)


def test_it_leaves_a_picture_and_words_behind() -> None:
    one = grid(cells=[[" cat", "dog"], ["\n", "fish"]], title="lens")
    assert repr(one).split("\n")[0] == "lens: 2 rows, 2 columns of value"
    assert repr(one).split("\n")[1].startswith("layer 0: ␣a → ␣cat, ")
    data = one._repr_mimebundle_()[0]
    assert data["text/plain"] == repr(one)
    picture = ET.fromstring(svg_of(one))
    words = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"lens", "␣cat", "⏎", "fish", "layer 1"} <= set(words)
    assert {node.tag.rpartition("}")[2] for node in picture.iter()} == {"svg", "title", "rect", "text"}


def test_in_the_picture_rows_can_be_told_apart_by_their_names() -> None:
    names = [f"after layer {i}, residual stream" for i in range(12)]
    svg = svg_of(LayerGrid([[0.5]] * 12, rows=names, columns=["x"]))
    shown = {node.text for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {text[:14] for text in shown if text} >= {name[:14] for name in names}


def test_without_texts_the_numbers_stand_in_the_cells() -> None:
    assert repr(grid()).split("\n")[2].endswith("→ 2.00")
