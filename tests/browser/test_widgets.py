"""The widgets as readers meet them: in JupyterLab with mouse and keyboard, in both themes, and far from any kernel."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from llm101_widgets import CompletionConsole, ParameterMicroscope, SystemMap
from tests.browser.book_widgets import BOOK_WIDGETS
from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab, NotebookPage
from tests.browser.widget_page import (
    FAINT_TEXTS,
    HOSTILE,
    evaluate,
    expect_python,
    show_without_kernel,
    was_hacked,
    write_notebook,
)

pytestmark = pytest.mark.browser

# A parameter file of 100 rows and 200 columns, and a language model that says its prompt back, then markup.
FAKES = f"""
import struct, time
from types import SimpleNamespace
from llm101_widgets import CompletionConsole, ParameterMicroscope, SystemMap

HOSTILE = {HOSTILE!r}

class Parrot:
    name = HOSTILE
    def stream(self, prompt, *, max_tokens, temperature, seed):
        if "fail" in prompt:
            raise ValueError(HOSTILE)
        for i in range(max_tokens):
            if "slowly" in prompt:
                time.sleep(0.05)
            yield SimpleNamespace(text=f" {{seed}}:{{i}}" if i else HOSTILE, logprob=-float(i % 6), stop_reason=None)

raw = b"".join(struct.pack("<e", (i % 7 - 3) / 8) for i in range(20_000))
entry = SimpleNamespace(shape=(100, 200), dtype="float16", offset=100, n_bytes=40_000)
parameters = SimpleNamespace(path="tiny", n_bytes=40_100, tensors={{HOSTILE: entry}}, raw=lambda name: raw)
console = CompletionConsole(Parrot(), max_tokens=8)
drawn = SystemMap({{"parameters": {{"now": HOSTILE, "sentence": HOSTILE, "facts": [(HOSTILE, HOSTILE)]}},
                   "model": {{"chapter": "javascript:window.hacked=1"}}}})
microscope = ParameterMicroscope(parameters, index=(3, 17))
"""


@pytest.fixture
def notebook(lab: Lab, open_notebook: OpenNotebook) -> NotebookPage:
    """All three widgets, one under the other."""
    notebook = open_notebook(write_notebook(lab, "widgets.ipynb", FAKES, "console", "drawn", "microscope"))
    notebook.run_all()
    assert notebook.errors() == []
    notebook.page.locator(".llm101-scope-bit").first.wait_for()
    return notebook


def test_the_console_completes_stops_and_refuses(notebook: NotebookPage) -> None:
    console = notebook.page.locator(".llm101-console")
    prompt, text = console.get_by_label("Type a beginning"), console.locator(".llm101-console-text")
    status, alert = console.locator(".llm101-console-status"), console.get_by_role("alert")
    prompt.fill("Once")
    prompt.press("Enter")
    expect(status).to_contain_text("8 tokens · ")
    expect(text).to_have_text(f"Once{HOSTILE} 0:1 0:2 0:3 0:4 0:5 0:6 0:7")
    console.get_by_role("button", name="Again").click()
    expect(text).to_contain_text("1:7")
    expect_python(notebook, "[console.seed, len(console.tokens), console.prompt]", [1, 8, "Once"])

    console.get_by_label("Most tokens").fill("400")
    prompt.fill("slowly")
    console.get_by_role("button", name="Continue").click()
    expect(text).to_have_text(re.compile("^slowly.* 1:3"))
    console.get_by_role("button", name="Stop").click()
    expect(status).to_contain_text("stopped by you")
    assert 3 < evaluate(notebook, "len(console.tokens)") < 400

    prompt.fill("  ")
    prompt.press("Enter")
    expect(alert).to_contain_text("Type a beginning first")
    prompt.fill("fail")
    prompt.press("Enter")
    expect(alert).to_have_text(HOSTILE)
    assert not was_hacked(notebook.page)


def test_the_map_is_walked_by_keyboard_and_leads_to_its_chapter(notebook: NotebookPage, lab: Lab) -> None:
    write_notebook(lab, "01_parameters.ipynb", "1")
    page, panel = notebook.page, notebook.page.locator(".llm101-map-panel")
    expect(panel.get_by_role("link")).to_have_count(0)  # that of the model's box is no chapter, but a script
    page.get_by_role("button", name="Text", exact=True).focus()
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("What you write to the model.")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(panel).to_contain_text("Your text as a list of numbers")
    expect(page.locator(".llm101-map-box[aria-pressed=true]")).to_be_focused()
    expect_python(notebook, "drawn.selected", "input")
    panel.get_by_role("button", name="Inference engine").press("Enter")
    expect(panel).to_contain_text("each time for one more token")

    page.locator(".llm101-map-box").nth(2).click()
    expect(panel.locator("dd")).to_have_text(HOSTILE)
    assert not was_hacked(page)
    panel.get_by_role("link", name="Open chapter 01 parameters").click()
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget?.context?.path.endsWith('01_parameters.ipynb')")
    assert len(page.context.pages) == 1, "the chapter opens in the same JupyterLab"


def test_a_flipped_bit_reaches_python_and_the_kernel_sends_what_the_page_lacks(notebook: NotebookPage) -> None:
    scope = notebook.page.locator(".llm101-scope-grid")
    value, map_ = scope.locator(".llm101-scope-value"), scope.get_by_role("application")
    expect(value).to_have_text("−0.25")
    scope.get_by_role("button", name="bit 14", exact=True).click()
    expect(value).to_have_text("−16384was −0.25")
    changed = [{"tensor": HOSTILE, "index": [3, 17], "before": 0xB400, "after": 0xF400}]
    expect_python(notebook, "microscope.changed", changed)
    assert evaluate(notebook, "microscope.flip(15)") is None
    expect(value).to_have_text("16384was −0.25")
    scope.get_by_role("button", name="Undo all").click()
    expect(value).to_have_text("−0.25")
    expect_python(notebook, "microscope.changed", [])

    map_.focus()
    for key in ("PageDown", "PageDown", "PageDown", "End"):
        notebook.page.keyboard.press(key)
    expect(scope.locator(".llm101-scope-origin")).to_contain_text("[51, 199]")
    expect(scope.locator(".llm101-scope-legend")).to_contain_text("columns 152–199 of 200")
    expect_python(notebook, "microscope.index", 51 * 200 + 199)
    map_.click(position={"x": 2, "y": 2})
    expect(scope.locator(".llm101-scope-legend")).to_contain_text("columns 152–199 of 200")
    expect_python(notebook, "microscope.index % 200", 152)
    assert not was_hacked(notebook.page)


def test_every_text_can_be_read_in_both_themes_and_nothing_is_cut_off(notebook: NotebookPage) -> None:
    page = notebook.page
    page.locator(".llm101-console-prompt").press("Enter")
    page.locator(".llm101-console-below details summary").click()
    page.locator(".llm101-scope-bit").nth(1).click()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.use_theme(theme)
        assert page.evaluate(FAINT_TEXTS) == [], theme
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    for width in (1280, 600):
        page.set_viewport_size({"width": width, "height": 900})
        for name in ("console", "map", "scope-grid"):
            assert page.locator(f".llm101-{name}").evaluate("(node) => node.scrollWidth <= node.clientWidth"), name


def fakes() -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(FAKES, namespace)
    return namespace


def test_without_a_kernel_bits_can_still_be_flipped(page: Page) -> None:
    microscope: ParameterMicroscope = fakes()["microscope"]
    show_without_kernel(page, microscope)
    page.get_by_role("button", name="bit 15", exact=True).click()
    expect(page.locator(".llm101-scope-value")).to_have_text("0.25was −0.25")
    page.get_by_role("application").press("ArrowLeft")
    expect(page.locator(".llm101-scope-value")).to_have_text("−0.375")
    for _ in range(3):
        page.get_by_role("application").press("PageDown")
    expect(page.locator(".llm101-scope-value")).to_contain_text("this page does not have these numbers")
    assert not was_hacked(page)


def test_without_a_kernel_the_map_opens_its_boxes(page: Page) -> None:
    drawn: SystemMap = fakes()["drawn"]
    show_without_kernel(page, drawn)
    page.locator(".llm101-map-box").nth(2).click()
    expect(page.locator(".llm101-map-panel dd")).to_have_text(HOSTILE)
    assert not was_hacked(page)


def test_without_a_kernel_the_last_completion_is_still_there_and_a_new_one_waits(page: Page) -> None:
    console: CompletionConsole = fakes()["console"]
    console.run("Once")
    show_without_kernel(page, console)
    expect(page.locator(".llm101-console-text")).to_contain_text("Once")
    expect(page.locator(".llm101-console-text")).to_contain_text("0:7")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".llm101-console-error")).to_contain_text("The kernel does not answer")
    assert not was_hacked(page)


NUMBERS = {
    "chat_console": ("Most tokens", "Seed"),
    "completion_console": ("Most tokens", "Seed"),
    "steering_console": ("Number", "Most tokens", "Temperature", "Seed"),
}
"""The number fields of each widget, by their labels."""


@pytest.mark.parametrize(
    ("widget", "label"), [(widget, label) for widget, labels in NUMBERS.items() for label in labels]
)
def test_a_number_field_that_is_left_shows_the_number_that_is_used(page: Page, widget: str, label: str) -> None:
    show_without_kernel(page, BOOK_WIDGETS[widget]())
    field = page.get_by_role("spinbutton", name=label)
    before = field.input_value()
    field.fill("")
    field.blur()
    expect(field).to_have_value(before)
    field.fill("99999999999")
    field.blur()
    expect(field).to_have_value(field.get_attribute("max") or "")
    field.fill("-5")
    field.press("Tab")
    expect(field).to_have_value(field.get_attribute("min") or "")
