"""Through every widget of every chapter in JupyterLab, in both themes: on a laptop as it starts, and narrow.

To look at them as well: LLM101_LOOK=FOLDER pytest -m slow tests/browser/test_walk.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Locator

from tests.browser.conftest import ROOT, SMALL_LAPTOP, OpenNotebook
from tests.browser.lab import NotebookPage, Witness
from tests.browser.layout import LAYOUT_FAULTS
from tests.browser.test_every_chapter import see_that_everything_is_drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHAPTERS = sorted(path.name for path in (ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
HEIGHT = 2400  # px: so that a picture holds all of a widget
NARROW = 620  # px, with the sidebar closed
SETTLED_MS = 400  # after the window or the theme has changed


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_in_every_widget_of_the_chapter_nothing_is_covered_cut_off_or_too_wide(
    chapter: str, open_notebook: OpenNotebook, witness: Witness
) -> None:
    notebook = open_notebook(chapter)
    notebook.run_all(seconds=1200)  # two chapters train
    see_that_everything_is_drawn(notebook, witness)
    cells = widget_cells(notebook)
    found = []
    for width in (SMALL_LAPTOP["width"], NARROW):
        if width == NARROW:
            notebook.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        notebook.page.set_viewport_size({"width": width, "height": HEIGHT})
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            notebook.use_theme(theme)
            notebook.page.wait_for_timeout(SETTLED_MS)
            for index in cells:
                cell = in_view(notebook, index)
                found += [f"cell {index}, {theme}, {width} px: {fault}" for fault in cell.evaluate(LAYOUT_FAULTS)]
                keep_picture(cell, f"{Path(chapter).stem}-{index:02}-{theme.split()[-1].lower()}-{width}")
    assert not found, "\n".join(found)


def widget_cells(notebook: NotebookPage) -> list[int]:
    """The numbers of the cells that have a widget; each has been drawn."""
    kind = "application/vnd.jupyter.widget-view+json"
    outputs = notebook.outputs()
    cells = [i for i, shown in enumerate(outputs) if any(kind in output.get("data", {}) for output in shown)]
    for index in cells:
        in_view(notebook, index).locator(".jp-OutputArea-output [class*=llm101-]").first.wait_for()
    return cells


def in_view(notebook: NotebookPage, index: int) -> Locator:
    notebook.scroll_to_cell(index)
    return notebook.page.locator(".jp-Notebook .jp-Cell").nth(index)


def keep_picture(cell: Locator, name: str) -> None:
    """Of a cell's output, in the folder that LLM101_LOOK names, if it does."""
    if folder := os.environ.get("LLM101_LOOK"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        cell.locator(".jp-Cell-outputArea").screenshot(path=Path(folder, f"{name}.png"))
