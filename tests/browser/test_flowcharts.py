"""The flowcharts as JupyterLab's Mermaid draws them: the same in both themes, for it draws them only once."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from llm101.diagrams import COLOURS
from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab, NotebookPage
from tests.browser.widget_page import write_notebook

pytestmark = pytest.mark.browser

CHART = "from llm101.diagrams import flowchart\nflowchart('training', here='pretraining', values={'data': '10 TB'})"


def colours_of_the_chart(notebook: NotebookPage) -> set[str]:
    drawing = notebook.page.locator(".jp-RenderedMermaid img")
    drawing.wait_for()
    svg = unquote(drawing.get_attribute("src") or "")
    assert "10 TB" in svg
    return set(re.findall(r"#[0-9a-f]{6}\b|rgba?\([^)]*\)|hsla?\([^)]*\)", svg))


def test_a_flowchart_has_the_same_colours_in_whichever_theme_it_was_drawn(
    lab: Lab, open_notebook: OpenNotebook
) -> None:
    notebook = open_notebook(write_notebook(lab, "chart.ipynb", CHART))
    found = []
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.use_theme(theme)
        notebook.run_all()
        assert notebook.errors() == []
        found.append(colours_of_the_chart(notebook))
    assert found[0] == found[1]
    assert found[0] >= set(COLOURS.values())
