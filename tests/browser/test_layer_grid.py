"""The grid in Chromium without a kernel: walked by keys, hostile names stay text, readable in both themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from llm101_widgets import LayerGrid
from tests.browser.widget_page import FAINT_TEXTS, HOSTILE, show_without_kernel, was_hacked

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("dark", [False, True])
def test_a_cell_is_chosen_by_keys_and_says_what_stands_behind_it(page: Page, dark: bool) -> None:
    page.emulate_media(color_scheme="dark" if dark else "light")
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
    assert page.evaluate(FAINT_TEXTS) == []
    assert not was_hacked(page)
