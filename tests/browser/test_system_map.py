"""The map in Chromium, in letters of any width."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from llm101_widgets import SystemMap
from tests.browser.layout import FONTS, use_font
from tests.browser.widget_page import show_without_kernel

pytestmark = pytest.mark.browser

# The words of each box that reach over its edge, and those between boxes that reach into one.
OUTSIDE = """() => {
  const inside = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
  const aside = (a, b) => a.right <= b.left + 1 || a.left >= b.right - 1;
  const apart = (a, b) => aside(a, b) || a.bottom <= b.top + 1 || a.top >= b.bottom - 1;
  const rect = (node) => node.getBoundingClientRect();
  const bodies = [...document.querySelectorAll(".llm101-map-body")].map(rect);
  const boxed = [...document.querySelectorAll(".llm101-map-box text")].filter((text) => text.textContent);
  const between = [...document.querySelectorAll(".llm101-map-arrow text")];
  return [
    ...boxed.filter((text) => !inside(rect(text), rect(text.parentElement.querySelector(".llm101-map-body")))),
    ...between.filter((text) => bodies.some((body) => !apart(rect(text), body))),
  ].map((text) => text.textContent);
}"""


@pytest.mark.parametrize("font", FONTS)
def test_every_word_stays_in_its_box_in_any_letters(page: Page, font: str) -> None:
    full = {name: {"now": "5.46 million numbers, each of them"} for name in ("parameters", "completion", "engine")}
    show_without_kernel(page, SystemMap(full))
    use_font(page, FONTS[font][0])
    for width in (700, 900, 380):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        assert page.evaluate(OUTSIDE) == [], width
