"""One JupyterLab and one Chromium for all browser tests, a fresh notebook for each; a fresh page where that counts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.browser.lab import MISSING_CHROMIUM, Lab, NotebookPage, Witness, find_chromium, launch, serve_jupyterlab

ROOT = Path(__file__).resolve().parents[2]
SMALL_LAPTOP = ViewportSize(width=1280, height=900)
BARE = ViewportSize(width=900, height=1100)


class OpenNotebook(Protocol):
    def __call__(self, name: str, *, anew: bool = False) -> NotebookPage: ...


@pytest.fixture(scope="session")
def witness() -> Iterator[Witness]:
    witness = Witness()
    yield witness
    witness.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = find_chromium(playwright)
        if chromium is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING_CHROMIUM)
        browser = launch(playwright, str(chromium))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(browser: Browser, witness: Witness, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab over a copy of the book, so that running a chapter never changes the checkout."""
    folder = tmp_path_factory.mktemp("lab") / "book"
    shutil.copytree(ROOT / "book", folder, ignore=shutil.ignore_patterns(".*"))
    with serve_jupyterlab(folder, "00_the_map.ipynb", tmp_path_factory.mktemp("jupyter"), witness) as lab:
        yield lab


class Desk:
    """The page that tests use one after the other: JupyterLab loads in 4 s, a notebook opens in 2."""

    def __init__(self, browser: Browser, lab: Lab) -> None:
        self._context = browser.new_context(viewport=SMALL_LAPTOP, reduced_motion="reduce")
        self._context.set_default_timeout(60_000)  # milliseconds; only a busy machine needs that long
        self._lab = lab
        self.notebook: NotebookPage | None = None

    def open(self, name: str, *, anew: bool = False) -> NotebookPage:
        if self.notebook and not anew:
            self.notebook.open_beside_nothing(name)
        else:
            self.throw_away()
            self.notebook = NotebookPage(self._context.new_page())  # before it is ready: a failure is pictured as well
            self.notebook.open(self._lab, name)
        return self.notebook

    def tidy(self) -> None:
        if self.notebook:
            self.notebook.page.set_viewport_size(SMALL_LAPTOP)
            self.notebook.close_all()

    def throw_away(self) -> None:
        if self.notebook:
            self.notebook.close()
            self.notebook = None

    def close(self) -> None:
        self.throw_away()
        self._context.close()


@pytest.fixture(scope="session")
def desk(browser: Browser, lab: Lab) -> Iterator[Desk]:
    desk = Desk(browser, lab)
    yield desk
    desk.close()


@pytest.fixture
def open_notebook(desk: Desk, witness: Witness, request: pytest.FixtureRequest) -> Iterator[OpenNotebook]:
    """`open_notebook("00_the_map.ipynb")`: a NotebookPage whose kernel is ready, with nothing else open beside it.

    With anew=True JupyterLab itself is loaded anew: for what must hold of its first moment. The witness starts afresh.
    """
    witness.requests.clear()

    yield desk.open
    if request.node.stash.get(FAILED, False):
        desk.throw_away()  # nobody knows what is the matter with it
    desk.tidy()


@pytest.fixture(scope="session")
def bare_page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport=BARE, reduced_motion="reduce")
    yield page
    page.close()


@pytest.fixture
def page(bare_page: Page) -> Page:
    """A page with nothing around it: no JupyterLab, no kernel. It is one for all tests, emptied before each."""
    bare_page.goto("about:blank")
    bare_page.emulate_media(color_scheme="light")
    bare_page.set_viewport_size(BARE)
    return bare_page


@pytest.fixture
def page_of_its_own(browser: Browser) -> Iterator[Page]:
    """Such a page for a test that leaves something in it which emptying does not take away, such as a clock."""
    page = browser.new_page(viewport=BARE, reduced_motion="reduce")
    yield page
    page.close()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """A picture of the page is worth a thousand lines of traceback."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
        desk = getattr(item, "funcargs", {}).get("desk")
        if desk and desk.notebook:
            desk.notebook.page.screenshot(path=ROOT / "test-results" / f"{item.name}.png")
    return report
