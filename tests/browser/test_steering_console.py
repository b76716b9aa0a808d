"""The steering console in Chromium: written, steered and stopped by mouse and keys; walked without a kernel."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from llm101_widgets import SteeringConsole
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

pytestmark = pytest.mark.browser

# A model that says its seed; steered it says markup and its strength, or for latent 8 nothing but an error.
FAKE = f"""
import time
from types import SimpleNamespace
from llm101_widgets import SteeringConsole

HOSTILE = {HOSTILE!r}

class Parrot:
    def stream(self, prompt, *, latent, strength, max_tokens, temperature, seed):
        if latent == 8:
            raise ValueError(HOSTILE)
        for i in range(max_tokens):
            if "slowly" in prompt:
                time.sleep(0.05)
            word = f" s{{seed}}" if latent is None else (HOSTILE if i == 0 else f" bridge:{{strength}}")
            yield SimpleNamespace(id=i, text=word)

    def loss_nats(self, prompt, ids):
        return 1.25

console = SteeringConsole(Parrot(), {{7: "the bridge", 8: HOSTILE}}, strength=4, concept="bridge", max_tokens=4)
"""


def test_a_pair_is_written_steered_otherwise_and_stopped(lab: Lab, open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(write_notebook(lab, "steering.ipynb", FAKE, "console"))
    notebook.run_all()
    assert notebook.errors() == []
    root = notebook.page.locator(".llm101-steering-root")
    prompt, texts = root.get_by_label("Type a beginning"), root.locator(".llm101-steering-text")
    idle = root.get_by_role("button", name="▶ Write")
    prompt.fill("Once")
    prompt.press("Enter")
    expect(texts.nth(0)).to_have_text("Once s0 s0 s0 s0")
    expect(texts.nth(1)).to_have_text(f"Once{HOSTILE} bridge:4 bridge:4 bridge:4")
    expect(root.locator("mark")).to_have_count(3)
    expect(root.locator("td").nth(6)).to_have_text("3 ×")
    expect(root.locator("td").nth(5)).to_have_text("1.25 nats")
    expect_python(notebook, "[len(console.stories), console.prompt, console.running]", [1, "Once", ""])

    expect(idle).to_be_visible()
    root.get_by_role("slider").press("ArrowRight")  # one of its 40 steps to either side
    expect(texts.nth(1)).to_contain_text("bridge:4.2")
    expect(root.locator("h4").nth(1)).to_have_text("Latent 7 held at 4.2")
    root.get_by_role("button", name="Next seed").click()
    expect(texts.nth(0)).to_have_text("Once s1 s1 s1 s1")
    expect(root.locator("td").nth(7)).to_have_text("in 2 of 2 (100 %)")
    expect(root.locator("td").nth(1)).to_have_text("in 0 of 2 (0 %)")
    expect_python(notebook, "[console.seed, round(console.strength, 3), console.stories[-1]['seed']]", [1, 4.2, 1])

    root.get_by_role("button", name="Write 10").click()
    expect_python(notebook, "[pair['seed'] for pair in console.stories]", [0, 0, *range(1, 12)])
    expect(root.locator("td").nth(1)).to_have_text("in 0 of 12 (0 %)")

    expect(idle).to_be_visible()
    root.get_by_label("Most tokens").fill("400")
    prompt.fill("slowly")
    prompt.press("Enter")
    expect(texts.nth(0)).to_have_text(re.compile("^slowly s11 s11"))
    root.get_by_role("button", name="Stop").click()
    expect(idle).to_be_visible()
    expect(texts.nth(0)).to_have_text(re.compile("^slowly s11 s11"))
    expect_python(notebook, "[len(console.stories), console.writing['steered']['tokens']]", [13, []])

    root.get_by_role("combobox").press("ArrowDown")
    root.get_by_label("Most tokens").fill("4")
    prompt.fill("Once")
    prompt.press("Enter")
    expect(root.get_by_role("alert")).to_have_text(HOSTILE)
    assert not was_hacked(notebook.page)


class Recorded:
    def stream(self, prompt: str, *, latent: int | None, strength: float, seed: int, **_: Any) -> Any:
        words = [" a", f" cat{seed}"] if latent is None else [HOSTILE, f" bridge{seed} at {strength:g}"]
        return (SimpleNamespace(id=i, text=word) for i, word in enumerate(words))

    def loss_nats(self, prompt: str, ids: list[int]) -> float:
        return 2.5


def recorded() -> SteeringConsole:
    console = SteeringConsole(Recorded(), {7: HOSTILE}, strength=4, concept=f"bridge, {HOSTILE[:4]}", prompt=HOSTILE)
    console.run(2)
    return console


def test_recorded_pairs_are_walked_without_a_kernel_and_said_to_be_what_they_are(page: Page) -> None:
    show_without_kernel(page, recorded())
    root = page.locator(".llm101-steering-root")
    texts, about = root.locator(".llm101-steering-text"), root.locator(".llm101-steering-about")
    expect(texts.nth(1)).to_have_text(f"{HOSTILE}{HOSTILE} bridge1 at 4")
    expect(about).to_contain_text("with seed 1, temperature 0.8, at most 60 tokens.")
    expect(about).not_to_contain_text("Your settings")
    root.get_by_label("Seed", exact=True).fill("4294967295")
    root.get_by_role("button", name="Next seed").press("Enter")  # to 0, which was recorded
    expect(texts.nth(0)).to_have_text(f"{HOSTILE} a cat0")
    expect(root.locator(".llm101-steering-status")).to_contain_text("Written before with these settings")

    root.get_by_role("slider").press("Home")  # a strength that was not
    expect(root.locator("output")).to_have_text("-8")
    expect(about).to_contain_text("Your settings are others by now: press Write.")
    expect(root.locator("h4").nth(1)).to_have_text("Latent 7 held at 4")
    expect(root.get_by_role("alert")).to_contain_text("The kernel does not answer")
    root.get_by_label("Count mentions of").fill("cat")
    expect(root.locator("mark")).to_have_text(["cat1"])
    assert faint_texts(page) == []
    assert not was_hacked(page)
