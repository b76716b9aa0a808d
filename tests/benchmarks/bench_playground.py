"""From a key pressed to its tokens painted, in Chromium: python tests/benchmarks/bench_playground.py [--json]

Real key presses, at the end of a text and in the middle of it, for one tokenizer and for three side by side. The
clock starts with the key's own time stamp and stops after the frame with the new tokens. Frames are not held back for
a screen (at 60 Hz every key would wait up to 16.7 ms for one, whatever the page does). The text is made of the
widget's own words, so that it needs no file.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page, sync_playwright

from llm101.tokenizer import Tokenizer
from llm101_widgets import TokenizerPlayground
from tests.benchmarks.history import record
from tests.browser.lab import CHROMIUM_FLAGS, MISSING_CHROMIUM, find_chromium
from tests.browser.test_widgets import show_without_kernel

GOAL_MS = {2_000: 16.0, 20_000: 50.0}
N_KEYS, PAUSE_MS = 40, 25
SHOWN = (["o200k_base"], ["gpt2", "o200k_base", "tekken"])

LISTEN = """() => {
  window.times = [];
  let pressed = 0;
  const text = document.querySelector("textarea");
  text.addEventListener("keydown", (event) => (pressed = event.timeStamp), true);
  text.addEventListener("input", () => requestAnimationFrame(() => {
    const painted = new MessageChannel(); // its message comes after the frame that is being made
    painted.port1.onmessage = () => window.times.push(performance.now() - pressed);
    painted.port2.postMessage(0);
  }));
}"""
GO_TO = "([share]) => { const t = document.querySelector('textarea'), at = Math.floor(share * t.value.length); " \
        "t.focus(); t.setSelectionRange(at, at); }"  # fmt: skip


def some_text(n_characters: int) -> str:
    """Sentences of English words, numbers and punctuation, with a new line now and then."""
    rng = random.Random(0)
    words = [
        t.decode() for t in Tokenizer.from_tiktoken("gpt2").ranks if t[:1] == b" " and t[1:].isalpha() and len(t) > 2
    ]
    text = ""
    while len(text) < n_characters:
        sentence = "".join(rng.choices(words[:5000], k=rng.randint(4, 14))).strip().capitalize()
        text += f"{sentence} {rng.randrange(10_000)}" + rng.choice([". ", "! ", ".\n", "; "])
    return text[:n_characters]


def press_keys(page: Page, text: str, share: float) -> list[float]:
    """Milliseconds for each of some keys, pressed at one place of the text."""
    page.locator("textarea").fill(text)
    page.evaluate(GO_TO, [share])
    page.wait_for_timeout(500)
    page.evaluate("() => { window.times.length = 0; }")
    for key in (" The keeper's 12 lamps; " * N_KEYS)[:N_KEYS]:
        page.keyboard.press(key)
        page.wait_for_timeout(PAUSE_MS)
    page.wait_for_timeout(500)
    times: list[float] = sorted(page.evaluate("() => window.times"))
    assert len(times) == N_KEYS
    return times


def measure(page: Page) -> Iterator[dict[str, Any]]:
    tokenizers = [Tokenizer.from_tiktoken(name) for name in SHOWN[-1]]
    show_without_kernel(page, TokenizerPlayground(tokenizers, text="", shown=SHOWN[-1]))
    page.evaluate(LISTEN)
    for n_characters, goal_ms in GOAL_MS.items():
        text = some_text(n_characters)
        for shown in SHOWN:
            for box in page.locator("input[type=checkbox][value]").all():
                box.set_checked(box.get_attribute("value") in shown)
            page.wait_for_timeout(1500)
            for place, share in (("end", 1.0), ("middle", 0.5)):
                times = press_keys(page, text, share)
                p50, p95 = times[len(times) // 2], times[int(0.95 * len(times))]
                row = {"n_characters": n_characters, "n_tokenizers": len(shown), "place": place}
                yield row | {"p50_ms": p50, "p95_ms": p95, "goal_ms": goal_ms}


def in_words(row: dict[str, Any]) -> str:
    return (
        f"{row['n_characters']:6,} characters, {row['n_tokenizers']} tokenizers, at the {row['place']:6}  "
        f"median {row['p50_ms']:5.1f} ms  p95 {row['p95_ms']:5.1f} ms  (goal: p95 at most {row['goal_ms']:.0f})"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        chromium = find_chromium(playwright)
        if chromium is None:
            print(MISSING_CHROMIUM)
            return 2
        flags = [*CHROMIUM_FLAGS, "--disable-frame-rate-limit", "--disable-gpu-vsync"]
        browser = playwright.chromium.launch(executable_path=str(chromium), args=flags)
        found: dict[str, dict[str, float]] = {}
        for row in measure(browser.new_page(viewport={"width": 1100, "height": 900})):
            where = f"{row['n_characters']}_characters.{row['n_tokenizers']}_tokenizers.{row['place']}"
            found[where] = {name: row[name] for name in ("p50_ms", "p95_ms")}
            print(json.dumps(row) if arguments.json else in_words(row), flush=True)
        browser.close()
    record("playground", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
