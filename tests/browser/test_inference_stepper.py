"""The stepper in Chromium: bars, keys, branches and copies, with the kernel and with none, in both themes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from llm101_widgets import InferenceStepper
from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab, NotebookPage
from tests.browser.widget_page import (
    FAINT_TEXTS,
    HOSTILE,
    expect_python,
    faint_texts,
    show_without_kernel,
    was_hacked,
    write_notebook,
)

pytestmark = pytest.mark.browser

ENGINE = f"""
import numpy as np
from llm101_widgets import InferenceStepper

class Counter:
    '''Thirty tokens; the likeliest follows its neighbour, the one after it is half as likely, and so on.'''
    end_ids = frozenset([29])
    def prompt_ids(self, text):
        if text == "fail":
            raise ValueError({HOSTILE!r})
        return [0, 1]
    def token_bytes(self, token_id):
        return {HOSTILE!r}.encode() if token_id == 5 else b"<end>" if token_id == 29 else f" t{{token_id}}".encode()
    def next_logits(self, ids):
        return np.float32([-np.log(2) * ((i - ids[-1] - 1) % 30) for i in range(30)])

stepper = InferenceStepper(Counter(), prompt={HOSTILE!r})
"""


def made() -> InferenceStepper:
    namespace: dict[str, Any] = {}
    exec(ENGINE, namespace)
    stepper = namespace["stepper"]
    stepper.follow([2, 3, 4])
    stepper.selected = 1
    stepper.follow([5, 29])
    stepper.selected = 1
    return stepper


def bar(page: Page, name: str) -> Any:
    return page.locator(f".llm101-stepper-bar[aria-label^='␣{name},']")


def texts(page: Page, name: str) -> list[str]:
    return page.locator(f".llm101-stepper-{name}").all_inner_texts()


@pytest.fixture
def notebook(lab: Lab, open_notebook: OpenNotebook) -> NotebookPage:
    notebook = open_notebook(write_notebook(lab, "stepper.ipynb", ENGINE, "stepper"))
    notebook.run_all()
    assert notebook.errors() == []
    notebook.page.locator(".llm101-stepper-bar").first.wait_for()
    return notebook


def test_without_a_kernel_the_tree_is_walked_by_keyboard(page: Page) -> None:
    show_without_kernel(page, made())
    chosen = page.locator(".llm101-stepper-item[aria-selected=true]")
    expect(chosen).to_have_text("␣t2")
    chosen.press("ArrowRight")
    expect(chosen).to_have_text("␣t3")
    chosen.press("ArrowDown")
    expect(chosen).to_have_text(HOSTILE.replace(" ", "␣"))
    chosen.press("ArrowRight")
    expect(page.locator(".llm101-stepper-about")).to_contain_text("The text is over here")
    expect(page.get_by_role("button", name="Step")).to_be_disabled()
    chosen.press("ArrowLeft")
    chosen.press("ArrowUp")
    expect(chosen).to_be_focused()
    expect(chosen).to_have_text("␣t3")
    chosen.press("Home")
    expect(chosen).to_have_text("prompt")
    chosen.press("ArrowRight")
    page.locator(".llm101-stepper-item").filter(has_text="t4").click()
    assert texts(page, "made .llm101-stepper-text") == ["␣t2", "␣t3", "␣t4"]
    assert not was_hacked(page)


def test_without_a_kernel_the_sliders_work_and_recorded_tokens_can_be_chosen(page: Page) -> None:
    show_without_kernel(page, made())
    assert texts(page, "share")[:3] == ["50 %", "25 %", "12 %"]
    assert texts(page, "mark")[:4] == ["●", "", "●", ""]
    page.get_by_role("slider", name="Top-p").fill("0.7")
    assert texts(page, "share")[:3] == ["67 %", "33 %", "cut"]
    expect(page.locator(".llm101-stepper-others")).to_contain_text("The other 10 tokens together: 0 %. 2 of 30 can")
    page.get_by_role("slider", name="Temperature").press("Home")
    assert texts(page, "share")[:2] == ["100 %", "cut"]
    page.get_by_role("button", name="The model’s own").click()
    assert texts(page, "share")[:2] == ["50 %", "25 %"]

    bar(page, "t4").click()
    expect(page.locator(".llm101-stepper-error")).to_contain_text("what has a ● can be walked", timeout=5000)
    bar(page, "t3").focus()
    page.keyboard.press("Enter")
    assert texts(page, "made .llm101-stepper-text") == ["␣t2", "␣t3"]


def test_bars_are_walked_by_arrow_keys(page: Page) -> None:
    show_without_kernel(page, made())
    bars = page.locator(".llm101-stepper-bar")
    bars.first.focus()
    page.keyboard.press("ArrowDown")
    expect(bars.nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(bars.first).to_be_focused()
    expect(bars.first).to_have_attribute("aria-label", "␣t3, 50 %, the model's own: 50 %, in the tree")
    assert bars.locator("visible=true").count() == 20
    assert page.locator(".llm101-stepper-bar[tabindex='0']").count() == 1


def test_text_ids_and_logprobs_can_be_copied_also_where_there_is_no_clipboard(page: Page) -> None:
    stepper = made()
    stepper.selected = 3
    show_without_kernel(page, stepper)
    copied = {}
    for what in ("text", "ids", "logprobs"):
        page.get_by_role("button", name=f"Copy {what}").click()
        copied[what] = page.get_by_label("To be copied").input_value()
        assert page.evaluate("() => getSelection().toString()") == copied[what]
    assert copied["text"] == f"{HOSTILE} t2 t3 t4"
    assert json.loads(copied["ids"]) == [0, 1, 2, 3, 4]
    half = [round(float(np.log(0.5)), 5)] * 3
    assert [round(logprob, 5) for _, _, logprob in json.loads(copied["logprobs"])] == half


def test_the_kernel_goes_on_where_the_reader_points_and_remembers_the_tree(notebook: NotebookPage) -> None:
    page = notebook.page
    bar(page, "t3").click()
    expect(page.locator(".llm101-stepper-about")).to_contain_text("1 token after a prompt of 2; the last had 25 %")
    page.get_by_role("button", name="Back").click()
    bar(page, "t2").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".llm101-stepper-item")).to_have_count(3)
    page.get_by_role("slider", name="Temperature").press("Home")
    page.get_by_role("button", name="Step").click()
    expect(page.locator(".llm101-stepper-here")).to_contain_text("t3")
    page.wait_for_timeout(1200)  # then the page has the tree saved
    parents = [-1, 0, 0, 2]
    expect_python(notebook, "[stepper.token_ids, [n['parent'] for n in stepper.nodes]]", [[2, 3], parents])
    expect_python(notebook, "[stepper.temperature, stepper.selected]", [0, 3])
    assert not was_hacked(page)


def test_it_runs_until_the_text_is_over_or_the_reader_stops_it(notebook: NotebookPage) -> None:
    page = notebook.page
    page.get_by_role("slider", name="Temperature").press("Home")
    page.get_by_role("button", name="Run ▶▶").click()
    expect(page.locator(".llm101-stepper-made").nth(3)).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    page.wait_for_timeout(300)
    count = page.locator(".llm101-stepper-made").count()
    assert 4 <= count < 27
    page.wait_for_timeout(500)
    assert page.locator(".llm101-stepper-made").count() == count
    page.get_by_role("button", name="Run ▶▶").click()
    expect(page.locator(".llm101-stepper-about")).to_contain_text("The text is over here", timeout=20_000)
    expect(page.get_by_role("button", name="Run ▶▶")).to_be_disabled()


# Where everything stands that a reader may be about to click.
PLACES = """() => {
  const root = document.querySelector(".llm101-stepper-root").getBoundingClientRect();
  const nodes = document.querySelectorAll(".llm101-stepper-controls button, .llm101-stepper-choice");
  return [...nodes].map((node) => node.getBoundingClientRect()).map(({ x, y }) => [x - root.x, y - root.y]);
}"""


@pytest.mark.parametrize("width", [900, 430])
def test_nothing_slides_away_from_the_mouse_while_the_text_grows(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1100})
    namespace: dict[str, Any] = {}
    exec(ENGINE, namespace)
    stepper = InferenceStepper(namespace["Counter"](), prompt="Once")
    stepper.follow([2, 3, 4, *range(6, 27)])
    stepper.selected = 0
    show_without_kernel(page, stepper)
    before = page.evaluate(PLACES)
    item = page.locator(".llm101-stepper-item[aria-selected=true]")
    item.press("ArrowRight")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
        assert page.evaluate(PLACES) == before
    assert len(texts(page, "made .llm101-stepper-text")) > 12
    last = page.locator(".llm101-stepper-here")
    assert last.evaluate("(last) => last.offsetTop > last.parentElement.firstChild.offsetTop"), "in another line by now"
    assert last.evaluate(
        "(last) => last.getBoundingClientRect().bottom <= last.parentElement.getBoundingClientRect().bottom"
    )


def test_on_a_narrow_page_the_whole_beginning_can_be_read(page: Page) -> None:
    page.set_viewport_size({"width": 430, "height": 1100})
    namespace: dict[str, Any] = {}
    exec(ENGINE, namespace)
    begun = "Once upon a time, a little robot found a red ball in the garden behind the house"
    show_without_kernel(page, InferenceStepper(namespace["Counter"](), prompt=begun))
    prompt = page.get_by_label("Beginning")
    expect(prompt).to_have_value(begun)
    assert prompt.evaluate(
        "(node) => node.scrollWidth <= node.clientWidth && node.scrollHeight <= node.clientHeight + 1"
    )


def test_a_new_prompt_begins_a_new_tree_and_a_refused_one_is_explained(notebook: NotebookPage) -> None:
    page = notebook.page
    bar(page, "t2").click()
    expect(page.locator(".llm101-stepper-item")).to_have_count(2)
    page.get_by_label("Beginning").fill("fail")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(HOSTILE)
    expect(page.locator(".llm101-stepper-item")).to_have_count(2)
    page.get_by_label("Beginning").fill("other")
    page.get_by_role("button", name="Begin anew").click()
    expect(page.locator(".llm101-stepper-item")).to_have_count(1)
    expect_python(notebook, "[stepper.prompt, len(stepper.nodes)]", ["other", 1])
    assert not was_hacked(page)


def test_every_text_can_be_read_in_both_themes(notebook: NotebookPage) -> None:
    notebook.page.get_by_role("slider", name="Top-k").press("ArrowRight")
    bar(notebook.page, "t2").click()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.use_theme(theme)
        assert notebook.page.evaluate(FAINT_TEXTS) == [], theme


def test_without_jupyter_it_can_be_read_too_and_nothing_is_cut_off(page: Page) -> None:
    show_without_kernel(page, made())
    page.get_by_role("slider", name="Top-k").fill("3")
    assert faint_texts(page) == []
    for width in (900, 500):
        page.set_viewport_size({"width": width, "height": 1100})
        root = page.locator(".llm101-stepper-root")
        assert root.evaluate("(node) => node.scrollWidth <= node.clientWidth"), width
