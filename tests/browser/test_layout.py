"""Each widget as the book shows it, in narrow, wide and doubled letters, three widths, a bare page and JupyterLab's.

The letters are boxes that the test makes, so that the fonts of the machine have no say.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.book_widgets import BOOK_WIDGETS
from tests.browser.conftest import Desk
from tests.browser.lab import Lab
from tests.browser.layout import DOUBLE_THE_TEXT, FONTS, LAYOUT_FAULTS, use_font
from tests.browser.widget_page import mount, show_without_kernel, write_notebook

pytestmark = pytest.mark.browser

WIDTHS = (320, 380, 900)  # px: WCAG's narrowest page, a phone, a laptop
NEXT_FRAME = "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
OUTPUT = ".jp-OutputArea-output"


@pytest.fixture(scope="module")
def output(lab: Lab, desk: Desk) -> Iterator[Page]:
    """JupyterLab with a cell that has an output, into which anything can be put."""
    notebook = desk.open(write_notebook(lab, "layout.ipynb", "print('an output')"))
    notebook.run_all()
    notebook.page.set_viewport_size({"width": 1280, "height": 1100})
    notebook.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    yield notebook.page
    desk.tidy()


def faults(page: Page, set_width: str) -> list[str]:
    """Everything wrong in any letters on any width; `set_width` is JavaScript that takes the width."""
    found = []
    for font, (letter, times) in FONTS.items():
        use_font(page, letter)
        if times == 2:
            page.evaluate(DOUBLE_THE_TEXT)
        for width in WIDTHS:
            page.evaluate(set_width, width)
            page.evaluate(NEXT_FRAME)
            found += [f"{font}, {width} px: {fault}" for fault in page.evaluate(LAYOUT_FAULTS)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOK_WIDGETS)
def test_on_a_bare_page_nothing_is_cut_off_or_covered_in_any_letters(page: Page, name: str) -> None:
    show_without_kernel(page, BOOK_WIDGETS[name]())
    found = faults(page, "(width) => { document.body.style.cssText = `margin: 0; width: ${width}px`; }")
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("name", BOOK_WIDGETS)
def test_among_jupyterlabs_styles_nothing_is_cut_off_or_covered_in_any_letters(output: Page, name: str) -> None:
    output.evaluate("(output) => document.querySelector(output).replaceChildren()", OUTPUT)
    mount(output, BOOK_WIDGETS[name](), OUTPUT)
    resize = f"(width) => {{ document.querySelector('{OUTPUT}').style.cssText = `flex: none; width: ${{width}}px`; }}"
    found = faults(output, resize)
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("name", ["training_monitor", "training_film", "merge_replay"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_words_in_a_drawing_stay_large_enough_to_be_read(page: Page, name: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    show_without_kernel(page, BOOK_WIDGETS[name]())
    smallest = page.evaluate(
        "() => Math.min(...[...document.querySelectorAll('svg text')].map((text) =>"
        " parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a))"
    )
    assert smallest >= 9  # px


FAULTY = {
    "wider than its box": "<p style='width: 40px; white-space: nowrap'>a long line of words</p>",
    "two texts on each other": "<div>first line</div><div style='margin-top: -20px'>second line</div>",
    "a text on a control": "<label>a label<input type='number' style='margin-left: -30px'></label>",
    "cut off": "<p style='height: 12px; overflow: hidden'>one line<br>another</p>",
    "cut off by a drawing": "<svg viewBox='0 0 100 20' width='100'><text x='60' y='15'>out it goes</text></svg>",
}


@pytest.mark.parametrize("what", FAULTY)
def test_the_test_sees(page: Page, what: str) -> None:
    page.set_content(f"<div class='llm101-x' style='font: 16px/1.5 sans-serif; width: 300px'>{FAULTY[what]}</div>")
    assert page.evaluate(LAYOUT_FAULTS) != []


def test_the_test_leaves_alone_what_scrolls_and_what_is_hidden(page: Page) -> None:
    page.set_content(
        "<div class='llm101-x' style='font: 16px/1.5 sans-serif; width: 300px'><p>One line.</p><p>Another.</p>"
        "<div style='width: 90px; overflow: auto; white-space: nowrap'>a long line that scrolls aside</div>"
        "<p hidden style='margin-top: -40px'>not there</p><input type='number' value='1'> a unit</div>"
    )
    assert page.evaluate(LAYOUT_FAULTS) == []


@pytest.mark.parametrize("width", [width for width, _ in FONTS.values()])
def test_the_letters_are_as_wide_as_they_say_on_any_machine(page: Page, width: float) -> None:
    page.set_content("<span class='llm101-x' style='font-size: 100px; white-space: nowrap'>iW–東é</span>")
    use_font(page, width)
    assert page.locator("span").evaluate("(node) => node.getBoundingClientRect().width") == pytest.approx(500 * width)
