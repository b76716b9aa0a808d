"""The bill in Chromium, with no kernel: sliders by keyboard, another machine, a price, both themes, a narrow page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from llm101.estimates import Bill, machine
from llm101_widgets import BillCalculator
from tests.browser.widget_page import HOSTILE, faint_texts, show_without_kernel, was_hacked

pytestmark = pytest.mark.browser


def calculator(*names: str) -> BillCalculator:
    return BillCalculator(Bill(), machines=[machine(name) for name in names])


def test_without_a_kernel_the_bill_follows_what_is_set(page: Page) -> None:
    show_without_kernel(page, calculator("a100", "laptop"))
    summary = page.get_by_role("status")
    expect(summary).to_have_text("On 6,000 × a100: 11.9 days, $1,980,000.")
    expect(page.get_by_role("row", name="File 138 GB")).to_be_visible()
    again = page.get_by_role("button", name="Back to the start")
    expect(again).to_be_disabled()
    page.get_by_role("slider", name="Machines").press("Home")
    expect(summary).to_have_text("On one × a100: 196 years, $1,980,000.")
    page.get_by_role("combobox", name="Machine").select_option("laptop")
    expect(summary).to_have_text("On one × laptop: 79,400 years; no price is set.")
    page.get_by_label("Dollars for an hour of one").fill("0.01")
    page.keyboard.press("Enter")
    expect(summary).to_have_text("On one × laptop: 79,400 years, $6,960,000.")
    page.get_by_role("slider", name="Parameters").press("Home")
    expect(page.get_by_role("row", name="File 0.002 GB")).to_be_visible()
    again.click()
    expect(summary).to_have_text("On 6,000 × a100: 11.9 days, $1,980,000.")


def test_any_number_can_be_written_and_the_field_shows_the_one_in_use(page: Page) -> None:
    show_without_kernel(page, calculator("a100"))
    parameters = page.get_by_role("textbox", name="Parameters")
    tokens, alert = page.get_by_role("textbox", name="Tokens of text"), page.get_by_role("alert")
    parameters.fill("8 billion")
    tokens.fill("15T")
    tokens.press("Enter")
    expect(tokens).to_have_value("15 trillion")
    expect(page.get_by_role("row", name="Operations 7.20 × 10²³ FLOP")).to_be_visible()
    expect(page.get_by_role("slider", name="Parameters")).to_have_attribute("aria-valuetext", "8 billion")
    parameters.fill("")
    parameters.blur()
    expect(parameters).to_have_value("8 billion")
    expect(alert).to_be_empty()
    for wrong, why in (("lots", "“lots” is no number"), ("0", "Parameters: from 1 to")):
        parameters.fill(wrong)
        parameters.press("Tab")
        expect(alert).to_contain_text(why)
        expect(parameters).to_have_value("8 billion")
    page.get_by_role("textbox", name="Share of its peak reached").fill("40%")
    page.keyboard.press("Enter")
    expect(alert).to_be_empty()
    expect(page.get_by_role("row", name="÷ (312 TFLOP/s × 40 %)")).to_be_visible()


def test_every_text_can_be_read_and_hostile_text_stays_text(page: Page) -> None:
    hostile = replace(machine("a100"), name=HOSTILE)
    shown = BillCalculator(Bill(machine=hostile), machines=[machine("a100"), hostile])
    show_without_kernel(page, shown)
    expect(page.get_by_role("status")).to_contain_text("<img src=x")
    assert not was_hacked(page)
    assert faint_texts(page) == []
    for width in (900, 380):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator(".llm101-bill-root").evaluate("(node) => node.scrollWidth <= node.clientWidth")
