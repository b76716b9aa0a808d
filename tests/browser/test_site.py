"""A page that was written for readers without a kernel: it opens from a file, works, and asks nobody for anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from llm101_site import page_with, write_page
from llm101_widgets import LayerGrid
from tests.browser.book_widgets import BOOK_WIDGETS
from tests.browser.widget_page import FAINT_TEXTS, HOSTILE, was_hacked

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every widget of the book on one page."""
    file = tmp_path_factory.mktemp("site") / "book.html"
    write_page(file, [make() for make in BOOK_WIDGETS.values()], title="All widgets")
    return file


def open_page(page: Page, file: Path) -> list[str]:
    """What went wrong, and who was asked, in a list that grows."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text))
    page.on("request", lambda request: found.append(request.url))
    page.goto(file.as_uri())
    return found


def test_a_page_opened_from_a_file_shows_every_widget_and_asks_nobody(page_of_its_own: Page, file: Path) -> None:
    page = page_of_its_own
    found = open_page(page, file)
    expect(page).to_have_title("All widgets")
    expect(page.locator(".llm101-place > div > [class^=llm101-]")).to_have_count(len(BOOK_WIDGETS))
    assert page.get_by_text("cannot be shown here").count() == 0
    expect(page.locator(".llm101-features-title")).to_be_visible()  # the largest: it is unpacked in the page
    expect(page.locator(".llm101-playground-token").first).to_be_visible()
    assert [one for one in found if not one.startswith(("file:", "blob:"))] == []
    assert [one for one in found if one.startswith("file:")] == [file.as_uri()]


def test_the_widgets_of_a_page_work_side_by_side(page_of_its_own: Page, file: Path) -> None:
    page = page_of_its_own
    open_page(page, file)
    page.get_by_role("slider", name="Machines").press("Home")
    expect(page.get_by_text("On one × a100: 196 years")).to_be_visible()
    page.get_by_role("slider", name="Moment of the training").press("Home")
    expect(page.locator(".llm101-film-status")).to_contain_text("Step 0 of")
    page.get_by_role("button", name="Tokenizer", exact=True).click()
    expect(page.locator(".llm101-map-heading")).to_have_text("Tokenizer")
    page.get_by_label("Type or paste any text").fill("the")
    expect(page.locator(".llm101-playground-count").first).to_have_text("1 token")


def test_every_text_can_be_read_in_both_themes_and_looks_do_not_hang_on_what_else_is_there(
    page_of_its_own: Page, file: Path
) -> None:
    """Looks: each widget with all others, and alone; every element of it has the same styles."""
    page = page_of_its_own
    open_page(page, file)
    expect(page.locator(".llm101-features-title")).to_be_visible()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert page.evaluate(FAINT_TEXTS) == []
    expect(page.locator(".llm101-playground-token").first).to_be_visible()
    looked_at, changed = page.evaluate("""() => {
      const places = [...document.querySelectorAll(".llm101-place")];
      const looks = (place) => [...place.querySelectorAll("div *")].map((node) =>
        ["color", "backgroundColor", "font", "margin", "padding", "border", "outline", "display", "minHeight"]
          .map((name) => getComputedStyle(node)[name]).join(";"));
      const changed = places.flatMap((place) => {
        const among = looks(place);
        const others = places.filter((other) => other !== place).map((other) => other.querySelector("style"));
        for (const style of others) style.disabled = true;
        const alone = looks(place);
        for (const style of others) style.disabled = false;
        return among.map((look, i) => [look, alone[i]]).filter(([a, b]) => a !== b);
      });
      return [places.flatMap(looks).length, changed];
    }""")
    assert looked_at > 1000
    assert changed == []


def test_text_stays_text_and_a_widget_that_does_not_run_is_said_to_leave_the_others_alone(page: Page) -> None:
    broken, hostile = (LayerGrid([[1.0]], rows=["r"], columns=["c"], title=title) for title in ("", HOSTILE))
    broken._esm = "export default { render() { throw Error('a broken widget'); } };"
    page.set_content(page_with([broken, hostile], title=HOSTILE))
    expect(page.locator(".llm101-place").first).to_have_text("This widget cannot be shown here: a broken widget")
    expect(page.locator(".llm101-grid-title")).to_have_text(HOSTILE)
    assert not was_hacked(page)
