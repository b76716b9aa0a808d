"""The film in Chromium, with no kernel: the slider, the play button, the keyboard, both themes, a narrow page."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

import llm101
from llm101_widgets import TrainingFilm
from tests.browser.widget_page import HOSTILE, faint_texts, show_without_kernel, was_hacked

pytestmark = pytest.mark.browser


@pytest.fixture
def film() -> TrainingFilm:
    (path,) = [model.path for model in llm101.known_models() if model.name == "storyteller"]
    story = json.loads((path / "film.json").read_text(encoding="utf-8"))
    story["moments"][3]["samples"][0] = HOSTILE
    story["moments"][3]["neighbours"][" dog"] = [HOSTILE]
    return TrainingFilm(story)


def test_without_a_kernel_it_is_scrubbed_and_played(page_of_its_own: Page, film: TrainingFilm) -> None:
    page = page_of_its_own
    show_without_kernel(page, film)
    status = page.locator(".llm101-film-status")
    expect(status).to_contain_text("Step 0 of 1,300")
    slider = page.get_by_role("slider", name="Moment of the training")
    slider.press("ArrowRight")
    expect(status).to_contain_text("Step 1 of 1,300")
    slider.press("End")
    expect(status).to_contain_text("Step 1,300 of 1,300")
    expect(page.locator(".llm101-film-samples")).to_contain_text("there was a little girl named Lily")
    page.clock.install()  # or a busy machine would show the test some moments only
    page.get_by_role("button", name="From the start").click()
    page.clock.run_for(900)  # ms: two moments later
    expect(status).to_contain_text("Step 5 of 1,300")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Play").wait_for()


def test_every_text_can_be_read_and_hostile_text_stays_text(page: Page, film: TrainingFilm) -> None:
    film.moment = 3
    show_without_kernel(page, film)
    expect(page.locator(".llm101-film-samples")).to_contain_text("<img src=x")
    assert not was_hacked(page)
    assert faint_texts(page) == []
    for width in (900, 420):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator(".llm101-film").evaluate("(node) => node.scrollWidth <= node.clientWidth")
