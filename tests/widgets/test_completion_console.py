"""The console against a language model made of three lines: what a reader types, sees and stops."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from llm101_widgets import CompletionConsole
from tests.widgets.page_side import page_sends, wait_until

WORDS = [" there", " was", " a", " bridge"]


class Parrot:
    """Says four words, then ends. `pause` is called before each, and remembers what it was asked for."""

    name = "Parrot"

    def __init__(self, pause: Callable[[int], None] = lambda _: None, logprob: float = math.log(0.25)) -> None:
        self.asked: list[tuple[str, int, float, int]] = []
        self.pause, self.logprob = pause, logprob

    def stream(self, prompt: str, *, max_tokens: int, temperature: float, seed: int) -> Iterator[SimpleNamespace]:
        self.asked.append((prompt, max_tokens, temperature, seed))
        if not prompt:
            raise ValueError("the prompt is empty\nsecond line")
        for i, word in enumerate(WORDS[:max_tokens]):
            self.pause(i)
            reason = "end" if word == WORDS[-1] else None
            yield SimpleNamespace(text=word, logprob=self.logprob, stop_reason=reason)


def test_a_completion_goes_on_from_the_prompt_and_is_kept_in_the_widget() -> None:
    console = CompletionConsole(Parrot())
    assert console.run("Once") == " there was a bridge"
    assert [text for text, _ in console.tokens] == WORDS
    assert (console.prompt, console.completed, console.running, console.error) == ("Once", "Once", False, "")
    assert console.report["end"] == "end"
    assert 0 <= console.report["first_s"] <= console.report["all_s"]


def test_a_page_that_looks_at_any_moment_sees_no_prompt_with_another_ones_tokens() -> None:
    console = CompletionConsole(Parrot())
    console.run("Once")
    seen: list[tuple[str, int, int]] = []
    console.observe(lambda _: seen.append((console.completed, len(console.tokens), len(console.report))))
    console.run("Then")
    assert ("Then", 0, 0) in seen
    assert all(n_tokens == len(WORDS) for _, n_tokens, n_facts in seen if n_facts)
    assert [prompt for prompt, n_tokens, _ in seen if n_tokens][-1] == "Then"
    first = [prompt for prompt, *_ in seen].index("Then")
    assert seen[first] == ("Then", 0, 0)


def test_the_model_gets_the_settings_that_the_reader_chose() -> None:
    parrot = Parrot()
    CompletionConsole(parrot, prompt="Hi", max_tokens=2, temperature=0, seed=7).run()
    assert parrot.asked == [("Hi", 2, 0, 7)]


def test_the_page_starts_a_run_that_does_not_block() -> None:
    gate = threading.Event()
    parrot = Parrot(pause=lambda _: wait_until(gate.is_set))
    console = CompletionConsole(parrot)
    page_sends(console, prompt="Once", max_tokens=3, temperature=1.5, seed=9)
    wait_until(lambda: console.running)
    assert console.tokens == []
    gate.set()
    wait_until(lambda: not console.running)
    assert parrot.asked == [("Once", 3, 1.5, 9)]
    assert (console.max_tokens, console.temperature, console.seed) == (3, 1.5, 9)
    assert [text for text, _ in console.tokens] == WORDS[:3]


def test_tokens_are_shown_as_they_come() -> None:
    shown: list[int] = []
    console = CompletionConsole(Parrot(pause=lambda _: time.sleep(0.05)))
    console.observe(lambda change: shown.append(len(change.new)), "tokens")
    console.run()
    assert shown == [1, 2, 3, 4]


def test_stop_ends_a_run_after_the_token_in_progress() -> None:
    stopped = threading.Event()

    def stop_at_the_second(i: int) -> None:
        if i == 1:
            page_sends(console)
            wait_until(console._stop.is_set)
            stopped.set()

    console = CompletionConsole(Parrot(pause=stop_at_the_second))
    page_sends(console, prompt="Once", max_tokens=4, temperature=1.0, seed=0)
    wait_until(lambda: stopped.is_set() and not console.running)
    assert [text for text, _ in console.tokens] == WORDS[:2]
    assert console.report["end"] == "stopped"


def test_jupyters_own_stop_button_ends_a_run_cleanly() -> None:
    def interrupt_at_the_third(i: int) -> None:
        if i == 2:
            raise KeyboardInterrupt

    console = CompletionConsole(Parrot(pause=interrupt_at_the_third))
    assert console.run() == " there was"
    assert (console.report["end"], console.running) == ("stopped", False)


def test_a_closed_console_completes_nothing_more() -> None:
    asked: list[int] = []

    def close_at_the_second(i: int) -> None:
        asked.append(i)
        if i == 1:
            console.close()

    console = CompletionConsole(Parrot(pause=close_at_the_second))
    console.run()
    assert asked == [0, 1]


def test_only_one_completion_runs_at_a_time() -> None:
    def run_again(_: int) -> None:
        with pytest.raises(RuntimeError, match="completing already"):
            console.run("another")

    console = CompletionConsole(Parrot(pause=run_again))
    assert console.run("Once") == "".join(WORDS)
    assert console.completed == "Once"


def test_after_a_failure_the_next_run_works() -> None:
    console = CompletionConsole(Parrot())
    with pytest.raises(ValueError, match="the prompt is empty"):
        console.run("")
    assert not console.running
    assert console.run("Once") == "".join(WORDS)


def test_the_page_shows_a_refusal_in_one_line() -> None:
    console = CompletionConsole(Parrot())
    page_sends(console, prompt="", max_tokens=4, temperature=1.0, seed=0)
    wait_until(lambda: bool(console.error))
    assert (console.error, console.running) == ("the prompt is empty", False)
    page_sends(console, prompt="Once", max_tokens=0, temperature=1.0, seed=0)
    wait_until(lambda: "max_tokens" in console.error)
    assert console.error == "max_tokens must be a number from 1 to 4096, got 0"


def test_an_impossible_token_can_still_be_sent_to_the_page() -> None:
    console = CompletionConsole(Parrot(logprob=-math.inf))
    console.run("Once")
    assert json.loads(json.dumps(console.tokens, allow_nan=False))[0] == [" there", -99.0]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_tokens", 0),
        ("max_tokens", 4097),
        ("max_tokens", 1.5),
        ("max_tokens", "many"),
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", math.nan),
        ("temperature", None),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_settings_out_of_range_are_refused(setting: str, value: Any) -> None:
    message = rf"{setting} must be a number from .* to .*, got {value!r}"
    with pytest.raises(ValueError, match=message):
        CompletionConsole(Parrot(), **{setting: value})
    console = CompletionConsole(Parrot())
    before = getattr(console, setting)
    with pytest.raises(ValueError, match=message):
        setattr(console, setting, value)
    assert getattr(console, setting) == before


def test_what_cannot_stream_is_no_language_model() -> None:
    with pytest.raises(ValueError, match=r"stream\(\) method, got str"):
        CompletionConsole("storyteller")


def test_it_leaves_its_text_behind_and_no_address_of_memory() -> None:
    console = CompletionConsole(Parrot())
    assert repr(console) == "Parrot waits for a beginning"
    console.run("Once")
    data = console._repr_mimebundle_()[0]  # pyright: ignore[reportOptionalSubscript]
    assert data["text/plain"] == "Parrot continues: Once there was a bridge"
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == console.model_id


def test_it_is_called_by_the_models_name_or_by_another() -> None:
    assert CompletionConsole(Parrot(), name="Polly").name == "Polly"
    assert CompletionConsole(SimpleNamespace(stream=lambda: None)).name == "SimpleNamespace"
