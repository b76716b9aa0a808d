"""Through every chapter in JupyterLab: what only a browser sees.

A diagram with a syntax error, a widget that does not draw, a page that phones home; and of every widget, in both
themes, on a laptop as it starts and narrow: texts that are covered or cut off.

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

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHAPTERS = sorted(path.name for path in (ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
HEIGHT = 2400  # px: so that a picture holds all of a widget
NARROW = 620  # px, with the sidebar closed
SETTLED_MS = 400  # after the window or the theme has changed
WIDGET, MERMAID = "application/vnd.jupyter.widget-view+json", "text/vnd.mermaid"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_everything_is_drawn_nothing_is_fetched_and_no_widget_is_covered_cut_off_or_too_wide(
    chapter: str, open_notebook: OpenNotebook, witness: Witness
) -> None:
    notebook = open_notebook(chapter, anew=True)
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


def see_that_everything_is_drawn(notebook: NotebookPage, witness: Witness) -> None:
    assert notebook.errors() == []
    for index, outputs in enumerate(notebook.outputs()):
        shown = {kind for output in outputs for kind in output.get("data", {})}
        cell = notebook.page.locator(".jp-Notebook .jp-Cell").nth(index)
        if shown & {WIDGET, MERMAID}:
            notebook.scroll_to_cell(index)
        if WIDGET in shown:
            cell.locator(".jp-OutputArea-output [class*=llm101-]").first.wait_for()
        if MERMAID in shown:
            cell.locator(".jp-RenderedMermaid img, .jp-RenderedMermaid svg").first.wait_for()
    assert notebook.page.locator(".jp-mod-warning, .jp-RenderedMermaid.jp-mod-error").count() == 0
    assert notebook.console_errors == []
    assert notebook.foreign_requests == []
    assert witness.requests == []


def widget_cells(notebook: NotebookPage) -> list[int]:
    """The numbers of the cells that have a widget; each has been drawn."""
    outputs = notebook.outputs()
    cells = [i for i, shown in enumerate(outputs) if any(WIDGET in output.get("data", {}) for output in shown)]
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
