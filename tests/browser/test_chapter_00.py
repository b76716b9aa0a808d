"""The reader's first minute: type a beginning, and a model on this machine continues it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.book_widgets import storyteller
from tests.browser.conftest import ROOT, OpenNotebook
from tests.browser.lab import Witness

pytestmark = pytest.mark.browser

BEGINNING = "The little fox wanted to"
PICTURES = Path(os.environ.get("LLM101_PICTURES", ROOT / "test-results"))
"""Where the screenshot goes; `make pictures` sends it to book/images, for the README."""


def test_a_reader_types_a_beginning_and_sees_the_model_continue_it(
    open_notebook: OpenNotebook, witness: Witness
) -> None:
    notebook = open_notebook("00_the_map.ipynb", anew=True)
    notebook.run_all()
    assert notebook.errors() == []

    notebook.scroll_to_cell(2)  # a JupyterLab of 2024 draws no cell that is far away
    console = notebook.page.get_by_role("region", name="Completion console").first
    console.scroll_into_view_if_needed()
    console.get_by_label("Temperature").fill("0")
    console.get_by_label("Most tokens").fill("24")
    console.get_by_label("Type a beginning").fill(BEGINNING)
    console.get_by_label("Type a beginning").press("Enter")
    console.get_by_role("status").filter(has_text="24 tokens").wait_for()

    expected = storyteller().complete(BEGINNING, max_tokens=24, temperature=0).text
    assert console.locator(".llm101-console-text").inner_text().split() == (BEGINNING + expected).split()

    PICTURES.mkdir(exist_ok=True)
    notebook.scroll_to_cell(2)
    notebook.page.screenshot(path=PICTURES / "chapter-00.png")
    assert notebook.foreign_requests == []
    assert witness.requests == []
