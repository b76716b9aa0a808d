"""The bill in Chromium, with no kernel: sliders by keyboard, another machine, a price, both themes, a narrow page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from llm101.estimates import Bill, machine
from llm101_widgets import BillCalculator
from tests.browser.widget_page import FAINT_TEXTS, HOSTILE, show_without_kernel, was_hacked

pytestmark = pytest.mark.browser


def calculator(*names: str) -> BillCalculator:
    bill = Bill()
    return BillCalculator(
        [machine(name) for name in names],
        n_parameters=bill.n_parameters,
        n_tokens=bill.n_tokens,
        n_machines=bill.n_machines,
        utilisation=bill.utilisation,
        co2_per_kwh=bill.co2_per_kwh,
    )


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
    expect(summary).to_have_text("On one × laptop: 79,400 years, $0.")
    page.get_by_label("Dollars for an hour of one").fill("0.01")
    expect(summary).to_have_text("On one × laptop: 79,400 years, $6,960,000.")
    page.get_by_role("slider", name="Parameters").press("Home")
    expect(page.get_by_role("row", name="File 0.002 GB")).to_be_visible()
    again.click()
    expect(summary).to_have_text("On 6,000 × a100: 11.9 days, $1,980,000.")


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_can_be_read_and_hostile_text_stays_text(page: Page, dark: bool) -> None:
    page.emulate_media(color_scheme="dark" if dark else "light")
    shown = calculator("a100")
    shown.machines = {HOSTILE: shown.machines["a100"], **shown.machines}
    shown.machine = HOSTILE
    show_without_kernel(page, shown)
    expect(page.get_by_role("status")).to_contain_text("<img src=x")
    assert not was_hacked(page)
    assert page.evaluate(FAINT_TEXTS) == []
    for width in (900, 380):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator(".llm101-bill-root").evaluate("(node) => node.scrollWidth <= node.clientWidth")
