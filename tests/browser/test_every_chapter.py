"""What only a browser sees: a diagram with a syntax error, a widget that does not draw, a page that phones home."""

from __future__ import annotations

import pytest

from tests.browser.conftest import ROOT, OpenNotebook
from tests.browser.lab import NotebookPage, Witness

pytestmark = pytest.mark.browser

TRAINS = ("04_training.ipynb", "05_introspection.ipynb")
"""They train a model, which takes minutes: test_walk.py looks at them."""
CHAPTERS = sorted(path.name for path in (ROOT / "book").glob("[0-9][0-9]_*.ipynb") if path.name not in TRAINS)
WIDGET, MERMAID = "application/vnd.jupyter.widget-view+json", "text/vnd.mermaid"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_everything_in_the_chapter_is_drawn_and_nothing_is_fetched(
    chapter: str, open_notebook: OpenNotebook, witness: Witness
) -> None:
    notebook = open_notebook(chapter)
    notebook.run_all()
    see_that_everything_is_drawn(notebook, witness)


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
