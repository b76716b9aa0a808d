"""One JupyterLab and one Chromium for all browser tests; a fresh page for each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.browser.lab import MISSING_CHROMIUM, Lab, NotebookPage, Witness, find_chromium, launch, serve_jupyterlab

ROOT = Path(__file__).resolve().parents[2]
SMALL_LAPTOP = ViewportSize(width=1280, height=900)

OpenNotebook = Callable[[str], NotebookPage]


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


@pytest.fixture
def open_notebook(
    browser: Browser, lab: Lab, witness: Witness, request: pytest.FixtureRequest
) -> Iterator[OpenNotebook]:
    """`open_notebook("00_the_map.ipynb")`: a NotebookPage whose kernel is ready. The witness starts afresh."""
    witness.requests.clear()
    opened: list[NotebookPage] = []
    context = browser.new_context(viewport=SMALL_LAPTOP, reduced_motion="reduce")
    context.set_default_timeout(60_000)  # milliseconds; only a busy machine needs that long

    def open_in_new_page(name: str) -> NotebookPage:
        opened.append(NotebookPage(context.new_page()))  # before it is ready: a failure is pictured as well
        opened[-1].open(lab, name)
        return opened[-1]

    yield open_in_new_page
    for number, notebook in enumerate(opened):
        if request.node.stash.get(FAILED, False):
            picture = ROOT / "test-results" / f"{request.node.name}-{number}.png"
            notebook.page.screenshot(path=picture)
        notebook.close()
    context.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with nothing around it: no JupyterLab, no kernel."""
    page = browser.new_page(viewport={"width": 900, "height": 1100}, reduced_motion="reduce")
    yield page
    page.close()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """A picture of the page is worth a thousand lines of traceback: remember which test failed."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
    return report
