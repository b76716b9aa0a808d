"""What widgets do when their kernel has gone: they say so within two seconds, and show nothing that is not so.

In JupyterLab the kernel is restarted and shut down; without it, a page's line to Python throws, or says nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.book_widgets import BOOK_WIDGETS
from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab, NotebookPage
from tests.browser.widget_page import mount, write_notebook

pytestmark = pytest.mark.browser

GONE, SILENT, WITHIN_MS = "kernel is gone", "kernel does not answer", 2000


def ask_console(page: Page) -> Locator:
    console = page.locator(".llm101-console")
    console.get_by_label("Type a beginning").fill("Another beginning")
    console.get_by_role("button", name="Continue").click()
    return console.get_by_role("alert")


def ask_chat(page: Page) -> Locator:
    chat = page.locator(".llm101-chat-root")
    chat.get_by_label("Your message").fill("Is anybody there?")
    chat.get_by_role("button", name="Send").click()
    return chat.get_by_role("alert")


def ask_stepper(page: Page) -> Locator:
    stepper = page.locator(".llm101-stepper-root")
    stepper.locator(".llm101-stepper-bar", has_not_text="●").first.click()
    return stepper.get_by_role("alert")


def ask_steering(page: Page) -> Locator:
    console = page.locator(".llm101-steering-root")
    console.get_by_label("Type a beginning").fill("Another beginning")
    console.get_by_role("button", name="▶ Write").click()
    return console.get_by_role("alert")


def ask_microscope(page: Page) -> Locator:
    scope = page.locator(".llm101-scope-grid")
    scope.get_by_role("listbox").select_option(index=1)
    return scope.get_by_role("status")


ASK: dict[str, Callable[[Page], Locator]] = {
    "chat_console": ask_chat,
    "completion_console": ask_console,
    "inference_stepper": ask_stepper,
    "steering_console": ask_steering,
    "parameter_microscope": ask_microscope,
}
"""For each widget that needs its kernel: a question that only Python answers, and where the reader is told of it."""

# Each as in the book, but small: no model is needed to lose a kernel.
SMALL = """
import struct
from types import SimpleNamespace
import numpy as np
from llm101_widgets import ChatConsole, CompletionConsole, InferenceStepper, ParameterMicroscope, SteeringConsole

class Parrot:
    end_ids = frozenset([29])
    def stream(self, prompt, *, latent=None, strength=0, max_tokens, temperature, seed):
        return (SimpleNamespace(id=i, text=f" {i}", logprob=-1.0) for i in range(max_tokens))
    def loss_nats(self, prompt, ids):
        return 1.0
    def prompt_ids(self, text):
        return [0, 1]
    def token_bytes(self, token_id):
        return f" t{token_id}".encode()
    def next_logits(self, ids):
        return np.float32([-abs(i - ids[-1] - 1) for i in range(30)])
    special_tokens = {}
    tokenizer = property(lambda self: self)
    def chat_prompt(self, messages):
        return SimpleNamespace(text="".join(m["content"] for m in messages), token_ids=[0], authors=[0])
    def stream_chat(self, messages, *, cancel, **settings):
        return self.stream("", **settings)

tensors = {n: SimpleNamespace(shape=(10, 20), dtype="float16", offset=100, n_bytes=400) for n in ("first", "second")}
raw = {"first": struct.pack("<e", 0.5) * 200, "second": struct.pack("<e", -2.0) * 200}
parameters = SimpleNamespace(path="tiny", n_bytes=900, tensors=tensors, raw=raw.__getitem__)
chat = ChatConsole(Parrot(), max_tokens=8)
console = CompletionConsole(Parrot(), max_tokens=8)
console.run()
stepper = InferenceStepper(Parrot())
stepper.follow([2, 3])
stepper.selected = 0
steering = SteeringConsole(Parrot(), {7: "rain"}, strength=4, concept="rain", max_tokens=8)
steering.run()
microscope = ParameterMicroscope(parameters, tensor="first", index=(3, 17))
"""
CELLS = {
    "chat_console": "chat",
    "completion_console": "console",
    "inference_stepper": "stepper",
    "steering_console": "steering",
}
CELLS |= {"parameter_microscope": "microscope"}


@pytest.fixture
def notebook(lab: Lab, open_notebook: OpenNotebook) -> NotebookPage:
    notebook = open_notebook(write_notebook(lab, "gone.ipynb", SMALL, *CELLS.values()))
    notebook.run_all()
    assert notebook.errors() == []
    notebook.page.locator(".llm101-scope-bit").first.wait_for()
    return notebook


def test_after_a_restart_every_widget_that_asks_python_says_so_unasked_and_asked(notebook: NotebookPage) -> None:
    notebook.restart_kernel()
    for root in ("chat-root", "console", "stepper-root", "steering-root", "scope-grid"):
        expect(notebook.page.locator(f".llm101-{root}")).to_contain_text(GONE, timeout=WITHIN_MS)
    for ask in ASK.values():
        expect(ask(notebook.page)).to_contain_text(GONE, timeout=WITHIN_MS)


def test_after_a_shutdown_every_widget_that_asks_python_says_what_to_do(notebook: NotebookPage) -> None:
    notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    for ask in ASK.values():
        expect(ask(notebook.page)).to_contain_text("run the cells above again", ignore_case=True, timeout=WITHIN_MS)


def test_a_widget_that_is_made_anew_after_a_restart_works_again(notebook: NotebookPage) -> None:
    notebook.restart_kernel()
    notebook.run_all()
    assert notebook.errors() == []
    ask_console(notebook.page)
    expect(notebook.page.locator(".llm101-console-text")).to_have_text("Another beginning 0 1 2 3 4 5 6 7")
    ask_microscope(notebook.page)
    expect(notebook.page.locator(".llm101-scope-value")).to_have_text("−2")
    assert notebook.page.get_by_text(GONE).count() == 0


def show_cut_off(page: Page, name: str, *, throws: bool) -> None:
    page.set_content("<!doctype html><title>A page</title>")
    mount(page, BOOK_WIDGETS[name](), "body", throws=throws)


@pytest.mark.parametrize("throws", [True, False])
def test_without_jupyter_the_reader_is_told_what_to_do(page: Page, throws: bool) -> None:
    page.set_content("<!doctype html><title>A page</title>")
    for name in ASK:
        mount(page, BOOK_WIDGETS[name](), "body", throws=throws)
    for said in [ask(page) for ask in ASK.values()]:
        expect(said).to_contain_text("run the cells above again", ignore_case=True, timeout=WITHIN_MS)
        if not throws:
            expect(said).to_contain_text(SILENT)


@pytest.mark.parametrize("throws", [True, False])
def test_the_microscope_never_shows_numbers_of_one_tensor_under_the_name_of_another(page: Page, throws: bool) -> None:
    show_cut_off(page, "parameter_microscope", throws=throws)
    shown = page.locator(".llm101-scope-map"), page.locator(".llm101-scope-small"), page.locator(".llm101-scope-bits")
    value, listed = page.locator(".llm101-scope-value"), page.get_by_role("listbox")
    name, number = listed.input_value(), value.inner_text()
    listed.select_option("model.norm.weight")
    for part in shown:
        expect(part).to_be_hidden()
    expect(value).to_have_text("… in the kernel: this page does not have these numbers.")
    listed.select_option(name)  # these it has; a tensor is looked at from its first number on
    for part in shown[:2]:
        expect(part).to_be_visible()
    page.get_by_role("application").click()
    expect(shown[2]).to_be_visible()
    expect(value).not_to_have_text(number)


def test_the_steering_console_says_of_no_pair_but_its_own_that_it_was_written_before(page: Page) -> None:
    show_cut_off(page, "steering_console", throws=True)
    status, go = page.locator(".llm101-steering-status"), page.get_by_role("button", name="▶ Write")
    go.click()
    expect(status).to_contain_text("Written before with these settings")
    page.get_by_label("Type a beginning").press_sequentially("x")
    expect(status).to_be_empty()
    go.click()
    expect(page.get_by_role("alert")).to_contain_text(GONE)
    expect(status).to_be_empty()


def test_a_run_that_a_restart_has_cut_off_is_not_said_to_go_on(lab: Lab, open_notebook: OpenNotebook) -> None:
    slow = SMALL.replace("import struct", "import struct, time").replace(
        "return (SimpleNamespace(id=i, text", "return (time.sleep(0.05) or SimpleNamespace(id=i, text"
    )
    notebook = open_notebook(write_notebook(lab, "cut_off.ipynb", slow, "chat", "console", "steering", "stepper"))
    notebook.run_all()
    assert notebook.errors() == []
    page = notebook.page
    page.get_by_label("Your message").fill("Is anybody there?")
    for root, go in (("chat-root", "Send"), ("console", "Continue"), ("steering-root", "▶ Write")):
        page.locator(f".llm101-{root}").get_by_label("Most tokens").fill("900")
        page.locator(f".llm101-{root}").get_by_role("button", name=go).click()
    page.locator(".llm101-stepper-root").get_by_role("button", name="Run").click()
    running = page.get_by_role("button", name="Stop", disabled=False)
    expect(running).to_have_count(4)
    notebook.restart_kernel()
    expect(running).to_have_count(0, timeout=10_000)
    expect(page.get_by_text("on this machine …")).to_have_count(0)
