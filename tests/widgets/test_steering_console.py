"""The console against a model made of a few words: what a reader asks for, sees, stops and keeps."""

from __future__ import annotations

import math
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from llm101_widgets import SteeringConsole
from llm101_widgets.steering_console.picture import mentions
from tests.widgets.page_side import page_sends, wait_until
from tests.widgets.still_picture import svg_of

HOSTILE = '<img src=x onerror="alert(1)"></script>\x00'
LATENTS = {7: "the bridge", 9: HOSTILE}


class Parrot:
    """Says "cat" as it is and "Bridges" when it is steered; `pause` is called before each word."""

    def __init__(self, pause: Callable[[int | None, int], None] = lambda latent, i: None) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.closed: list[int | None] = []
        self.pause = pause

    def stream(
        self, prompt: str, *, latent: int | None, strength: float, max_tokens: int, temperature: float, seed: int
    ) -> Iterator[SimpleNamespace]:
        self.asked.append((prompt, latent, strength, max_tokens, temperature, seed))
        if latent == 8:
            raise ValueError("there is no latent 8\nsecond line")
        try:
            for i in range(max_tokens):
                self.pause(latent, i)
                yield SimpleNamespace(id=i, text=" cat" if latent is None else " Bridges")
        finally:
            self.closed.append(latent)

    def loss_nats(self, prompt: str, ids: Sequence[int]) -> float:
        return len(ids) / 2


def console(model: Any = None, **settings: Any) -> SteeringConsole:
    settings = {"strength": 4.0, "concept": "bridge", "max_tokens": 3, **settings}
    return SteeringConsole(model or Parrot(), LATENTS, **settings)


def test_a_pair_goes_on_from_one_beginning_with_one_seed() -> None:
    parrot = Parrot()
    one = console(parrot, prompt="Once", temperature=0, seed=5)
    one.run()
    assert parrot.asked == [("Once", None, 4.0, 3, 0, 5), ("Once", 7, 4.0, 3, 0, 5)]
    settings = {"prompt": "Once", "max_tokens": 3, "temperature": 0, "seed": 5, "latent": 7, "strength": 4.0}
    plain, steered = ({"tokens": [word] * 3, "loss_nats": 1.5} for word in (" cat", " Bridges"))
    assert one.stories == [{**settings, "plain": plain, "steered": steered}]
    assert (one.writing, one.running, one.error) == ({}, "", "")


def test_several_pairs_have_one_seed_after_the_other() -> None:
    one = console(seed=3)
    one.run(3)
    assert [story["seed"] for story in one.stories] == [3, 4, 5]
    assert one.seed == 5


def test_a_plain_text_that_is_known_is_not_written_again() -> None:
    parrot = Parrot()
    one = console(parrot)
    one.run()
    one.run(strength=-2.5)
    one.run(latent=9)
    assert [asked[1:3] for asked in parrot.asked] == [(None, 4.0), (7, 4.0), (7, -2.5), (9, -2.5)]
    assert [story["plain"] for story in one.stories] == [one.stories[0]["plain"]] * 3
    one.run(seed=1)
    assert parrot.asked[-2][1] is None


def test_the_page_starts_a_run_that_does_not_block_and_sees_it_grow() -> None:
    gate = threading.Event()
    one = console(Parrot(pause=lambda latent, i: wait_until(gate.is_set)))
    page_sends(one, prompt="Once", latent=9, strength=1.5, max_tokens=2, temperature=1.0, seed=9, concept="x", n=2)
    wait_until(lambda: one.running == "plain")
    assert (one.writing["prompt"], one.writing["latent"], one.writing["plain"]) == ("Once", 9, {"tokens": []})
    gate.set()
    wait_until(lambda: len(one.stories) == 2 and not one.running)
    assert [(story["seed"], story["strength"]) for story in one.stories] == [(9, 1.5), (10, 1.5)]


def test_tokens_are_shown_as_they_come() -> None:
    shown: list[tuple[int, ...]] = []

    def look(change: Any) -> None:
        if change.new:
            shown.append(tuple(len(change.new[side]["tokens"]) for side in ("plain", "steered")))

    one = console(Parrot(pause=lambda latent, i: time.sleep(0.06)), max_tokens=2)
    one.observe(look, "writing")
    one.run()
    assert list(dict.fromkeys(shown)) == [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]


def test_stop_ends_a_run_and_leaves_what_was_written_on_the_page_but_not_among_the_stories() -> None:
    def stop_at_the_second(latent: int | None, i: int) -> None:
        time.sleep(0.06)  # so that each token is shown
        if latent == 7 and i == 1:
            page_sends(one)
            wait_until(one._stop.is_set)

    parrot = Parrot(pause=stop_at_the_second)
    one = console(parrot)
    one.run(5)
    assert one.writing["steered"] == {"tokens": [" Bridges", " Bridges"]}
    assert (one.stories, one.running, parrot.closed) == ([], "", [None, 7])


def test_jupyters_own_stop_button_and_a_closed_console_end_a_run_cleanly() -> None:
    def interrupt(latent: int | None, i: int) -> None:
        if latent == 7 and i == 1:
            raise KeyboardInterrupt

    one = console(Parrot(pause=interrupt))
    one.run()
    assert (one.running, one.stories) == ("", [])

    parrot = Parrot(pause=lambda latent, i: closing.close())
    closing = console(parrot)
    closing.run(3)
    assert parrot.closed == [None]


def test_only_one_run_goes_on_at_a_time() -> None:
    def run_again(latent: int | None, i: int) -> None:
        with pytest.raises(RuntimeError, match="writing already"):
            one.run()

    one = console(Parrot(pause=run_again))
    one.run()
    assert len(one.stories) == 1


def test_the_page_shows_a_refusal_in_one_line_and_the_next_run_works() -> None:
    one = console()
    page_sends(one, latent=8, n=1)
    wait_until(lambda: bool(one.error))
    assert one.error == "there is no latent 8"
    page_sends(one, latent=7, seed=-1, n=1)
    wait_until(lambda: "seed" in one.error)
    assert one.error == "seed must be a number from 0 to 4294967295, got -1"
    one.run()
    assert (one.error, len(one.stories), one.running) == ("", 1, "")


def test_old_pairs_are_forgotten_before_there_are_too_many_for_a_page() -> None:
    one = console(max_tokens=1)
    one.run(45)
    assert [one.stories[0]["seed"], one.stories[-1]["seed"], len(one.stories)] == [5, 44, 40]


@pytest.mark.parametrize(
    ("setting", "value", "limits"),
    [
        ("strength", 8.1, "from -8.0 to 8.0"),
        ("strength", math.nan, "from -8.0 to 8.0"),
        ("strength", "much", "from -8.0 to 8.0"),
        ("latent", 1.5, "from 0 to 2147483647"),
        ("latent", True, "from 0 to 2147483647"),
        ("max_tokens", 0, "from 1 to 1024"),
        ("max_tokens", 1025, "from 1 to 1024"),
        ("temperature", 2.1, "from 0.0 to 2.0"),
        ("seed", 2**32, "from 0 to 4294967295"),
    ],
)
def test_settings_out_of_range_are_refused(setting: str, value: Any, limits: str) -> None:
    one = console()
    before = getattr(one, setting)
    with pytest.raises(ValueError, match=f"{setting} must be a number {limits}, got {value!r}"):
        setattr(one, setting, value)
    assert getattr(one, setting) == before
    if setting != "latent":
        with pytest.raises(ValueError, match=f"{setting} must be a number from"):
            console(**({setting: value, "strongest": 8.0}))


def test_the_slider_reaches_twice_as_far_as_the_first_strength_or_as_far_as_it_is_told() -> None:
    assert [console(strength=s).strongest for s in (60, -60, 0)] == [120.0, 120.0, 100.0]
    assert console(strength=60, strongest=80).strongest == 80.0


def test_a_model_that_cannot_be_steered_and_no_latents_are_refused() -> None:
    for model in ("storyteller", SimpleNamespace(stream=lambda: None)):
        with pytest.raises(ValueError, match=rf"needs a model with (stream|loss_nats)\(\), got {type(model).__name__}"):
            console(model)
    with pytest.raises(ValueError, match="needs latents with their names"):
        SteeringConsole(Parrot(), {}, strength=1.0, concept="bridge")


def test_it_leaves_its_last_pair_behind_as_words_and_as_a_picture() -> None:
    one = console(prompt=f"A bridge {HOSTILE}")
    assert repr(one) == "a steering console, nothing written yet"
    assert "text/html" not in one._repr_mimebundle_()[0]
    one.run()
    data = one._repr_mimebundle_()[0]
    assert data["text/plain"] == repr(one)
    assert repr(one).split("\n") == [
        f"as it is (0 × bridge): A bridge {HOSTILE} cat cat cat",
        f"latent 7 held at 4 (3 × bridge): A bridge {HOSTILE} Bridges Bridges Bridges",
    ]
    picture = ET.fromstring(svg_of(one))
    assert '<img src=x onerror="alert(1)"></script>' in "".join(picture.itertext())
    assert {node.tag.rpartition("}")[2] for node in picture.iter()} == {"svg", "title", "rect", "text", "tspan"}


def test_a_mention_begins_where_a_word_does() -> None:
    assert mentions("rain, Rainy; a train in the rain_2", "rain") == [(0, 4), (6, 11), (28, 34)]
    assert mentions("the Golden Gate (bridge)", "golden gate, (bridge") == [(4, 15), (16, 23)]
    assert mentions("anything", " , ") == []
