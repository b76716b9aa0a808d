"""The grid in Chromium without a kernel: walked by keys, hostile names stay text, readable in both themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from llm101_widgets import LayerGrid
from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab
from tests.browser.layout import FONTS, use_font
from tests.browser.widget_page import HOSTILE, faint_texts, show_without_kernel, was_hacked, write_notebook

pytestmark = pytest.mark.browser


def test_a_cell_is_chosen_by_keys_and_says_what_stands_behind_it(page: Page) -> None:
    details = [[[[" cat", 0.9]], []], [[], [[HOSTILE, 0.25]]]]
    grid = LayerGrid([[0.9, -0.5], [1, 0]], rows=["layer 0", "layer 1"], columns=[" a", HOSTILE], details=details)
    show_without_kernel(page, grid)
    said, more = page.locator(".llm101-grid-said"), page.locator(".llm101-grid-details li")
    expect(said).to_have_text("layer 0, at “␣a”: value 0.900")
    expect(more).to_contain_text("␣cat")
    page.locator(".llm101-grid-cell").first.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".llm101-grid-cell").last).to_be_focused()
    expect(more).to_contain_text("25 %")
    assert faint_texts(page) == []
    assert not was_hacked(page)


# Whether the chosen cell lies within the box that scrolls, and is covered by no name.
SEEN = """() => {
  const [cell, box] = [".llm101-grid-chosen", ".llm101-grid-scroll"].map(
    (name) => document.querySelector(name).getBoundingClientRect());
  const name = document.querySelector(".llm101-grid-table th[scope=row]").getBoundingClientRect();
  const down = cell.top >= box.top - 1 && cell.bottom <= box.bottom + 1;
  return down && cell.left >= name.right - 1 && cell.right <= box.right + 1;
}"""


def wide_grid(selected: tuple[int, int]) -> LayerGrid:
    rows, columns = [f"after layer {i}" for i in range(30)], [f" token{i}" for i in range(20)]
    return LayerGrid([[0.5] * 20] * 30, rows=rows, columns=columns, selected=selected)


@pytest.mark.parametrize("selected", [(0, 0), (29, 19), (15, 10)])
def test_the_cell_that_is_chosen_is_seen_on_any_width_in_any_letters(page: Page, selected: tuple[int, int]) -> None:
    show_without_kernel(page, wide_grid(selected))
    for letter, _ in FONTS.values():
        use_font(page, letter)
        for width in (1280, 900, 380):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(SEEN, timeout=5000)
    page.locator(".llm101-grid-chosen").press("End")
    assert page.evaluate(SEEN)
    page.keyboard.press("Home")
    assert page.evaluate(SEEN)


def test_thirteen_tokens_stand_side_by_side_on_a_laptop_with_the_sidebar_open(
    lab: Lab, open_notebook: OpenNotebook
) -> None:
    source = """from llm101_widgets import LayerGrid
words = [" cat", " named", " Max", " went", " to", " the", " park", ".", " Max", " was", " a", " very", " nice"]
rows = ["embedding", *(f"after layer {i}" for i in range(6))]
LayerGrid([[0.5] * 13] * 7, rows=rows, columns=words, cells=[words] * 7, selected=(5, 12))"""
    notebook = open_notebook(write_notebook(lab, "grid.ipynb", source))
    notebook.run_all()
    assert notebook.page.evaluate("() => window.jupyterapp.shell.leftCollapsed") is False
    grid = notebook.page.locator(".llm101-grid-scroll")
    grid.locator(".llm101-grid-chosen").wait_for()
    assert grid.evaluate("(box) => box.scrollWidth <= box.clientWidth")
