"""The microscope over a quantised tensor as a reader meets it: the block, its small numbers by mouse and keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from llm101.parameters import ParameterFile
from llm101_widgets import ParameterMicroscope
from tests.browser.layout import LAYOUT_FAULTS
from tests.browser.test_layout import OUTPUT, faults, output  # noqa: F401 - a fixture
from tests.browser.widget_page import HOSTILE, faint_texts, mount, show_without_kernel, was_hacked
from tests.gguf_files import write_gguf

pytestmark = pytest.mark.browser


@pytest.fixture(params=["Q4_1", "Q6_K"])
def parameters(tmp_path: Path, request: pytest.FixtureRequest) -> ParameterFile:
    rows = np.random.default_rng(0).normal(size=(60, 512)) / 8
    write_gguf(tmp_path / "tiny.gguf", {}, {HOSTILE[:60]: rows, "blk.0.attn_norm.weight": np.ones(64)}, request.param)
    return ParameterFile(tmp_path / "tiny.gguf")


@pytest.fixture
def shown(page: Page, parameters: ParameterFile) -> ParameterMicroscope:
    microscope = ParameterMicroscope(parameters, index=(3, 40))
    show_without_kernel(page, microscope)
    return microscope


def value_text(value: float) -> str:
    """As the page writes it: five figures."""
    return np.format_float_positional(float(f"{value:.4e}"), trim="-").replace("-", "−")


def test_keys_and_mouse_choose_among_the_small_numbers(page: Page, shown: ParameterMicroscope) -> None:
    parameters, name = shown._parameters, shown.tensor
    value, origin = page.locator(".llm101-scope-value"), page.locator(".llm101-scope-origin")
    cells = page.get_by_role("group", name="The small numbers").get_by_role("button")
    block = parameters.block(name, 3, 40)
    expect(value).to_have_text(value_text(block.value))
    expect(cells).to_have_count(len(block.group))
    assert [text.split() for text in cells.all_inner_texts()] == [
        [str(block.small[i]).replace("-", "−"), f"{block.small[i]:0{block.n_bits}b}"] for i in block.group
    ]
    expect(page.locator("[aria-pressed=true]")).to_have_attribute("tabindex", "0")

    page.locator(".llm101-scope-cell[aria-pressed=true]").focus()
    page.keyboard.press("ArrowRight")
    expect(origin).to_contain_text("[3, 41]")
    expect(value).to_have_text(value_text(parameters.block(name, 3, 41).value))
    expect(page.locator(".llm101-scope-cell[aria-pressed=true]")).to_be_focused()
    page.keyboard.press("End")
    expect(origin).to_contain_text(f"[3, {40 - block.position + block.group.stop - 1}]")

    cells.first.click()
    expect(origin).to_contain_text(f"[3, {40 - block.position + block.group.start}]")
    cells.nth(2).hover()
    expect(page.locator(".llm101-scope-formula")).to_contain_text(f"Number {block.group.start + 2}, under the pointer.")
    page.get_by_role("listbox").hover()
    expect(page.locator(".llm101-scope-formula")).not_to_contain_text("under the pointer")
    assert not was_hacked(page)


def test_the_heat_map_leads_to_numbers_of_other_blocks(page: Page, shown: ParameterMicroscope) -> None:
    parameters, name = shown._parameters, shown.tensor
    value = page.locator(".llm101-scope-value")
    page.get_by_role("application").press("ArrowDown")
    expect(value).to_have_text(value_text(parameters.block(name, 4, 40).value))
    page.get_by_role("application").press("End")
    expect(value).to_contain_text("this page does not have these numbers")
    expect(page.locator(".llm101-scope-block")).to_be_hidden()


def test_every_text_can_be_read_and_nothing_is_cut_off(page: Page, shown: ParameterMicroscope) -> None:
    assert faint_texts(page) == []
    for width in (320, 380, 900):
        page.evaluate("(width) => { document.body.style.cssText = `margin: 0; width: ${width}px`; }", width)
        page.wait_for_timeout(100)
        assert page.evaluate(LAYOUT_FAULTS) == [], width


@pytest.mark.slow
def test_nothing_is_cut_off_or_covered_in_any_letters(page: Page, shown: ParameterMicroscope) -> None:
    found = faults(page, "(width) => { document.body.style.cssText = `margin: 0; width: ${width}px`; }")
    assert not found, "\n".join(found[:20])


@pytest.mark.slow
def test_among_jupyterlabs_styles_nothing_is_cut_off_or_covered(
    output: Page,  # noqa: F811
    parameters: ParameterFile,
) -> None:
    output.evaluate("(output) => document.querySelector(output).replaceChildren()", OUTPUT)
    mount(output, ParameterMicroscope(parameters, index=(3, 40)), OUTPUT)
    resize = f"(width) => {{ document.querySelector('{OUTPUT}').style.cssText = `flex: none; width: ${{width}}px`; }}"
    found = faults(output, resize)
    assert not found, "\n".join(found[:20])
