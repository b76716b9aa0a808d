"""What a reader sees who opens a notebook and runs nothing: JupyterLab trusts none that comes from somewhere else.

Of such a notebook it draws no widget. Its outputs have to hold something beside the widget that it does show.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from tests.browser.book_widgets import BOOK_WIDGETS
from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab

pytestmark = pytest.mark.browser

ITSELF_A_TEXT = ("completion_console",)
"""What it leaves behind is what it wrote."""


def test_every_widget_leaves_a_picture_that_is_shown_before_the_notebook_is_run(
    lab: Lab, open_notebook: OpenNotebook
) -> None:
    cells = []
    for name, make in BOOK_WIDGETS.items():
        data, _ = make()._repr_mimebundle_()
        cells.append(v4.new_code_cell(name, outputs=[v4.new_output("display_data", data=data)], execution_count=1))
    kernel = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), Path(lab.folder, "untrusted.ipynb"))
    notebook = open_notebook("untrusted.ipynb", anew=True)
    for index, name in enumerate(BOOK_WIDGETS):
        notebook.scroll_to_cell(index)
        output = notebook.page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-OutputArea-output")
        output.wait_for()
        if name in ITSELF_A_TEXT:
            assert "The little robot found a" in output.inner_text(), name
            continue
        assert output.get_attribute("data-mime-type") in ("text/html", "image/png"), name
        for picture in output.locator("img").all():
            assert picture.evaluate("(node) => node.decode().then(() => node.naturalWidth > 50)"), name
        assert output.evaluate("(node) => node.scrollWidth <= node.clientWidth"), name
