"""The chat console in Chromium: talked to and stopped by mouse and keys, in two views at once, looked into, cut off."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from llm101_widgets import ChatConsole
from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab
from tests.browser.widget_page import (
    HOSTILE,
    expect_python,
    faint_texts,
    show_without_kernel,
    was_hacked,
    write_notebook,
)
from tests.widgets import small_talk
from tests.widgets.small_talk import SmallTalk

pytestmark = pytest.mark.browser

TALK = Path(small_talk.__file__).read_text(encoding="utf-8")
CONSOLE = f"""
from llm101_widgets import ChatConsole
talk = SmallTalk(name={HOSTILE!r})
console = ChatConsole(talk)
"""
SHOW_AGAIN = "from IPython.display import display; display(console)"


def test_a_conversation_in_two_views_is_said_stopped_refused_and_begun_anew(
    lab: Lab, open_notebook: OpenNotebook
) -> None:
    notebook = open_notebook(write_notebook(lab, "chat.ipynb", TALK, CONSOLE, "console", SHOW_AGAIN))
    notebook.run_all()
    assert notebook.errors() == []
    page = notebook.page
    views = page.locator(".llm101-chat-root")
    expect(views).to_have_count(2)
    first, second = views.nth(0), views.nth(1)
    log, message, alert = first.get_by_role("log"), first.get_by_label("Your message"), first.get_by_role("alert")
    send, stop = first.get_by_role("button", name="▶ Send"), first.get_by_role("button", name="Stop")
    said = log.locator(".llm101-chat-said > span:first-child")

    first.get_by_label("System prompt").fill("Be brief.")
    message.fill(HOSTILE)
    message.press("Enter")
    expect(said).to_have_text([HOSTILE, f"You said: {HOSTILE}"])
    expect(message).to_have_value("")
    expect(first.locator(".llm101-chat-status")).to_contain_text("the text came to its end")
    expect(second.locator(".llm101-chat-said > span:first-child")).to_have_text([HOSTILE, f"You said: {HOSTILE}"])
    expect(second.get_by_label("System prompt")).to_have_value("Be brief.")
    expect(second.get_by_label("System prompt")).not_to_be_editable()

    message.fill("refuse")
    send.click()
    expect(alert).to_have_text("the template refuses this message")
    expect(message).to_have_value("refuse")
    message.fill("fail")
    send.click()
    expect(alert).to_have_text("out of words")
    expect(message).to_have_value("fail")
    expect(said).to_have_count(2)

    message.fill("slowly " * 40)
    send.dblclick()  # and not two answers
    expect(said).to_have_count(4)
    expect(said.nth(3)).to_contain_text("You said")
    expect(alert).to_be_hidden()
    expect(log.locator("[aria-busy=true]")).to_have_count(1)
    stop.click()
    expect(log.locator(".llm101-chat-note").last).to_have_text("stopped by you")
    expect(said.nth(3)).to_have_text(re.compile("^You said"))
    expect_python(notebook, "[len(console.turns), len(talk.asked), console.running]", [4, 3, False])

    message.fill("slowly " * 40)
    message.press("Enter")
    expect(said).to_have_count(6)
    first.get_by_role("button", name="Begin anew").click()
    expect(said).to_have_count(0)
    expect(second.get_by_role("log")).to_be_hidden()
    expect_python(notebook, "[console.turns, console.running, console.system]", [[], False, "Be brief."])
    expect(first.get_by_label("System prompt")).to_be_editable()
    assert not was_hacked(page)


def recorded() -> ChatConsole:
    console = ChatConsole(SmallTalk(name=HOSTILE, default=HOSTILE))
    console.say("Naïve <|im_start|>")
    console.say(HOSTILE)
    return console


def test_without_a_kernel_the_conversation_is_read_and_its_tokens_are_walked(page: Page) -> None:
    show_without_kernel(page, recorded())
    root, tokens = page.locator(".llm101-chat-root"), page.get_by_role("option")
    expect(root.locator(".llm101-chat-turn")).to_have_count(4)
    expect(root.locator(".llm101-chat-note").first).to_have_text(
        f"The template’s own: “{HOSTILE}”. Begin anew to change it."
    )
    expect(tokens).to_have_count(0)
    switch = page.get_by_role("switch", name="What the model really reads")
    switch.press("Space")
    expect(root.locator(".llm101-chat-usage")).to_contain_text(re.compile(r"\d+ tokens read, \d+ written: .* of 400\."))
    writers = page.get_by_role("group").evaluate_all("(groups) => groups.map((group) => group.ariaLabel)")
    assert writers == [
        *("Template", "User", "Template", "Its answer, as it is read again", "Template", "User", "Template"),
        "The model’s own tokens begin here",
    ]
    special = page.get_by_role("option", name=", special").all_inner_texts()
    assert special == ["<|im_start|>", "<|im_end|>"] * 5

    detail = root.locator(".llm101-chat-detail")
    tokens.nth(1).hover()
    expect(detail).to_contain_text("Token 2: id 2 · the template’s · 6 bytes 73 79 73 74 65 6D · “system”")
    switch.focus()
    page.keyboard.press("Tab")
    expect(tokens.nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(tokens.last).to_be_focused()
    expect(detail).to_contain_text("id 1 · written by the model · special")
    page.keyboard.press("ArrowLeft")
    expect(tokens.last).not_to_be_focused()
    assert faint_texts(page) == []
    assert not was_hacked(page)

    page.get_by_label("Your message").fill("Is anybody there?")
    page.get_by_role("button", name="▶ Send").click()
    expect(page.get_by_role("alert")).to_contain_text("The kernel does not answer", timeout=2000)
    expect(page.get_by_label("Your message")).to_have_value("Is anybody there?")


def test_without_colours_special_tokens_and_the_chosen_one_still_look_different(page: Page) -> None:
    page.emulate_media(forced_colors="active")
    console = recorded()
    console.show_tokens = True
    show_without_kernel(page, console)
    page.get_by_role("option").nth(2).focus()
    looks = page.get_by_role("option").evaluate_all(
        "(all) => all.slice(0, 3).map((one) => getComputedStyle(one)).map((its) => [its.borderStyle, its.outlineStyle])"
    )
    page.emulate_media(forced_colors="none")
    assert looks == [["double", "none"], ["solid", "none"], ["solid", "solid"]]
