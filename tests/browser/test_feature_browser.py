"""The feature browser in Chromium: searching, relatives, back and keys, with the kernel and with none."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from llm101_widgets import FeatureBrowser
from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab
from tests.browser.widget_page import (
    FAINT_TEXTS,
    expect_python,
    faint_texts,
    mount,
    show_without_kernel,
    was_hacked,
    write_notebook,
)
from tests.widgets.made_up_features import HOSTILE, packed, recording

pytestmark = pytest.mark.browser

IN_A_NOTEBOOK = f"""
from llm101_widgets import FeatureBrowser

browser = FeatureBrowser({packed(recording())!r}, keep=[2])
browser
"""


def options(page: Page) -> Locator:
    return page.locator(".llm101-features-option")


def chosen(page: Page) -> Locator:
    return page.locator(".llm101-features-option[aria-selected=true] .llm101-features-number")


def button(page: Page, name: str) -> Locator:
    return page.locator(".llm101-features-root").get_by_role("button", name=name)


def test_without_a_kernel_latents_are_searched_visited_and_found_again(page: Page) -> None:
    show_without_kernel(page, FeatureBrowser(packed(recording())))
    expect(page.locator(".llm101-features-status")).to_have_text("4 latents.")
    expect(button(page, "Back")).to_be_disabled()
    expect(button(page, "5  (0.20)")).to_be_disabled()  # a relative that was dead, so not recorded
    button(page, "7 bridges (0.61)").click()
    expect(chosen(page)).to_have_text("7")
    expect(button(page, "Back")).to_be_focused()

    search = page.get_by_label("Search latents")
    search.fill("rain")
    expect(page.locator(".llm101-features-status")).to_have_text("1 of 4 latents.")
    search.press("Enter")
    expect(page.locator(".llm101-features-title")).to_have_text("Latent 4: rain, fell")
    for name, latent in (("Back", "7"), ("Back", "2"), ("Forward", "7")):
        button(page, name).click()
        expect(page.locator(".llm101-features-title")).to_contain_text(f"Latent {latent}:")
    search.fill("<b>nothing")
    expect(page.locator(".llm101-features-status")).to_contain_text("No latent for “<b>nothing” among 4.")


def test_the_list_is_walked_by_keys_and_what_latents_say_stays_text(page: Page) -> None:
    show_without_kernel(page, FeatureBrowser(packed(recording()), query="bridge"))
    page.get_by_label("Search latents").press("ArrowDown")
    expect(options(page).first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(chosen(page)).to_have_text("7")
    expect(options(page).nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(chosen(page)).to_have_text("7")
    page.get_by_label("Search latents").fill("")
    options(page).last.click()
    expect(page.locator(".llm101-features-title")).to_have_text(f"Latent 9: {HOSTILE}")
    expect(page.locator(".llm101-features-level-4").first).to_have_text(HOSTILE)
    expect(page.locator(".llm101-features-peak")).to_contain_text("99")
    assert not was_hacked(page)


def test_it_can_be_read_in_both_themes_and_nothing_is_cut_off(page: Page) -> None:
    show_without_kernel(page, FeatureBrowser(packed(recording())))
    expect(options(page)).to_have_count(4)
    assert faint_texts(page) == []
    for width in (900, 420):
        page.set_viewport_size({"width": width, "height": 1100})
        assert page.locator(".llm101-features-root").evaluate("(node) => node.scrollWidth <= node.clientWidth"), width


def test_a_notebook_keeps_some_latents_and_the_kernel_sends_the_others(
    lab: Lab, open_notebook: OpenNotebook, page: Page
) -> None:
    show_without_kernel(page, FeatureBrowser(packed(recording()), keep=[2], latent=4))
    expect(page.locator(".llm101-features-status")).to_contain_text("2 latents. This notebook keeps these only")
    page.set_content("<!doctype html><title>A page whose kernel is gone</title>")
    mount(page, FeatureBrowser(packed(recording()), keep=[2], latent=4), "body", throws=True)
    expect(page.locator(".llm101-features-status")).to_contain_text("2 latents. This notebook keeps these only")
    options(page).last.click()
    expect(page.locator(".llm101-features-title")).to_contain_text("Latent 4:")

    notebook = open_notebook(write_notebook(lab, "features.ipynb", IN_A_NOTEBOOK))
    notebook.run_all()
    assert notebook.errors() == []
    expect(notebook.page.locator(".llm101-features-status")).to_have_text("4 latents.")
    options(notebook.page).nth(1).click()
    expect_python(notebook, "browser.latent", 4)
    options(notebook.page).nth(1).press("ArrowDown")
    expect_python(notebook, "browser.latent", 7)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.use_theme(theme)
        assert notebook.page.evaluate(FAINT_TEXTS) == [], theme
    assert notebook.console_errors == []
