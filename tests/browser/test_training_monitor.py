"""The monitor in JupyterLab: a run is paused, resumed, stopped and interrupted; a page is loaded anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.book_widgets import BOOK_WIDGETS
from tests.browser.conftest import Desk
from tests.browser.lab import Lab, NotebookPage
from tests.browser.widget_page import (
    FAINT_TEXTS,
    HOSTILE,
    expect_python,
    mount,
    was_hacked,
    write_notebook,
)

pytestmark = pytest.mark.browser

RUN = f"""
import tempfile, torch
from llm101 import Corpus, ModelConfig, Tokenizer, Transformer
from llm101.pretraining import LiveRun, Pretrainer, Recipe
from llm101_widgets import TrainingMonitor

torch.set_num_threads(1)
if "run" in globals():
    run.stop()
texts = ["The cat sat on the mat.", "The dog sat on the hill."] * 20
tokenizer = Tokenizer.train(texts, 270)
corpus = Corpus.from_texts(texts, tokenizer, tempfile.mkdtemp())
config = ModelConfig(vocab_size=270, d_model=8, n_layers=1, n_heads=1, context_length=16)
recipe = Recipe(steps=1_000_000, batch_tokens=32, evaluate_every=50, evaluate_tokens=64)
pretrainer = Pretrainer(Transformer(config).initialise(0), corpus, {{"v": corpus}}, recipe, device="cpu")
run = LiveRun(pretrainer, tokenizer, prompt={HOSTILE!r}[:9], sample_tokens=3).start()
"""


def button(notebook: NotebookPage, name: str) -> None:
    notebook.page.get_by_role("region", name="Training monitor").get_by_role("button", name=name).click()


@pytest.fixture(scope="module")
def opened(lab: Lab, desk: Desk) -> Iterator[NotebookPage]:
    yield desk.open(write_notebook(lab, "monitor.ipynb", RUN, "TrainingMonitor(run)"))
    desk.tidy()


@pytest.fixture
def notebook(opened: NotebookPage) -> NotebookPage:
    """With a run of its own for each test."""
    opened.run_all()
    assert opened.errors() == []
    return opened


def test_a_run_is_paused_resumed_stopped_and_seen_again_on_a_page_loaded_anew(notebook: NotebookPage, lab: Lab) -> None:
    status = notebook.page.locator(".llm101-monitor-status")
    expect(status).to_contain_text("Training, in the kernel")
    expect_python(notebook, "len(run.points) > 100", True)
    button(notebook, "Pause")
    expect(status).to_contain_text("Paused")
    expect_python(notebook, "run.state", "paused")
    button(notebook, "Go on")
    expect_python(notebook, "run.state", "running")
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.use_theme(theme)
        assert notebook.page.evaluate(FAINT_TEXTS) == []
    button(notebook, "Stop")
    expect(status).to_contain_text("Stopped")
    expect_python(notebook, "run.wait()", "stopped")
    seen = notebook.page.locator(".llm101-monitor-numbers dd").first.inner_text()
    n_samples = notebook.page.locator(".llm101-monitor-samples li").count()
    assert n_samples > 2
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    notebook.page.evaluate("() => { window.onbeforeunload = null; }")
    notebook.open(lab, "monitor.ipynb")
    expect(notebook.page.locator(".llm101-monitor-numbers dd").first).to_have_text(seen)
    expect(notebook.page.locator(".llm101-monitor-samples li")).to_have_count(n_samples)
    button(notebook, "Go on")
    expect(notebook.page.locator(".llm101-monitor-status")).to_contain_text("Training, in the kernel")
    button(notebook, "Stop")
    expect_python(notebook, "run.state", "stopped")
    assert not was_hacked(notebook.page)


@pytest.mark.parametrize("waiting", ["run.wait()", "await run.ended()"])
def test_jupyters_own_stop_button_ends_a_cell_that_waits(notebook: NotebookPage, lab: Lab, waiting: str) -> None:
    code = f"print('ended:', {waiting}, pretrainer.model.training)"
    notebook.page.evaluate(
        """code => { const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        window.said = ""; const future = kernel.requestExecute({ code });
        future.onIOPub = ({ content }) => { window.said += content.text ?? content.evalue ?? ""; }; }""",
        code,
    )
    notebook.page.wait_for_timeout(1500)
    if "await" in waiting:
        button(notebook, "Pause")
        expect(notebook.page.locator(".llm101-monitor-status")).to_contain_text("Paused")
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    notebook.page.wait_for_function("() => window.said.includes('ended: stopped False')")


def test_after_a_restart_it_says_unasked_and_asked_that_its_kernel_is_gone(notebook: NotebookPage) -> None:
    status = notebook.page.locator(".llm101-monitor-status")
    expect(status).to_contain_text("Training, in the kernel")
    notebook.restart_kernel()
    expect(status).to_contain_text("kernel is gone")
    button(notebook, "Stop")
    expect(status).to_contain_text("kernel is gone")


@pytest.mark.parametrize("throws", [True, False])
def test_without_jupyter_a_command_that_nobody_hears_is_said_to_be_unheard(page: Page, throws: bool) -> None:
    page.set_content("<!doctype html><title>A page</title>")
    mount(page, BOOK_WIDGETS["training_monitor"](), "body", throws=throws)
    page.get_by_role("button", name="Pause").click()
    said = "kernel is gone" if throws else "Jupyter’s own ■ ends a cell that waits"
    expect(page.locator(".llm101-monitor-status")).to_contain_text(said)
