"""The harness itself: it must drive a real widget, and it must notice whoever reaches for the network."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab, Witness
from tests.browser.widget_page import faint_texts, write_notebook

pytestmark = pytest.mark.browser

ECHO_WIDGET = '''
import anywidget, traitlets

class Shout(anywidget.AnyWidget):
    _esm = """
    function render({ model, el }) {
      const said = document.createElement("input"), heard = document.createElement("output");
      said.setAttribute("aria-label", "say");
      said.addEventListener("input", () => { model.set("said", said.value); model.save_changes(); });
      model.on("change:heard", () => { heard.textContent = model.get("heard"); });
      el.append(said, heard);
    }
    export default { render };
    """
    said = traitlets.Unicode("").tag(sync=True)
    heard = traitlets.Unicode("").tag(sync=True)

    @traitlets.observe("said")
    def _shout(self, change):
        self.heard = change.new.upper()

Shout()
'''


def test_what_a_reader_types_into_a_widget_reaches_the_kernel_and_comes_back(
    lab: Lab, open_notebook: OpenNotebook, witness: Witness
) -> None:
    notebook = open_notebook(write_notebook(lab, "echo.ipynb", ECHO_WIDGET, "6 * 7"), anew=True)
    notebook.run_all()
    assert notebook.errors() == []
    assert notebook.outputs()[1][0]["data"]["text/plain"] == "42"
    notebook.page.get_by_label("say").fill("once upon a time")
    notebook.page.get_by_text("ONCE UPON A TIME").wait_for()
    assert notebook.requests
    assert notebook.foreign_requests == []
    assert witness.requests == []
    assert notebook.page.get_by_text("official Jupyter news").count() == 0


def test_an_error_in_a_cell_is_reported_and_later_cells_do_not_run(lab: Lab, open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(write_notebook(lab, "error.ipynb", "raise ValueError('too hot')", "1 + 1"))
    notebook.run_all()
    assert notebook.errors() == ["ValueError: too hot"]
    assert notebook.outputs()[1] == []


def test_a_kernel_that_reaches_for_the_network_is_noticed(
    lab: Lab, open_notebook: OpenNotebook, witness: Witness
) -> None:
    fetch = (
        "import urllib.request\ntry:\n    urllib.request.urlopen('http://kernel.invalid/')\nexcept OSError:\n    pass"
    )
    open_notebook(write_notebook(lab, "kernel.ipynb", fetch)).run_all()
    assert ["kernel.invalid" in request for request in witness.requests] == [True]


def test_a_page_that_reaches_for_the_network_is_noticed(lab: Lab, open_notebook: OpenNotebook) -> None:
    picture = 'from IPython.display import HTML\nHTML(\'<img alt="" src="http://page.invalid/a.png">\')'
    notebook = open_notebook(write_notebook(lab, "page.ipynb", picture))
    with notebook.page.expect_event("requestfailed", lambda request: "page.invalid" in request.url):
        notebook.run_all()
    assert notebook.foreign_requests == ["http://page.invalid/a.png"]


def test_both_themes_can_be_looked_at(lab: Lab, open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(write_notebook(lab, "theme.ipynb", "1"))
    background = "() => getComputedStyle(document.body).getPropertyValue('--jp-layout-color0').trim()"
    notebook.use_theme("JupyterLab Dark")
    dark = notebook.page.evaluate(background)
    notebook.use_theme("JupyterLab Light")
    assert notebook.page.evaluate(background) != dark


def test_a_text_that_is_faint_in_one_theme_only_is_found(page: Page) -> None:
    style = "@media (prefers-color-scheme: dark) { .llm101-lamp { color: #ccc } }"
    page.set_content(f"<!doctype html><style>{style}</style><p class=llm101-lamp>a lamp</p><p class=llm101-key>a key")
    assert faint_texts(page) == ["dark: llm101-lamp: a lamp"]
