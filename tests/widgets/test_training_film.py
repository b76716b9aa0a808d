"""The film of the Storyteller's training in its widget: what is refused, and what it leaves behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llm101
from llm101_widgets import TrainingFilm
from llm101_widgets.training_film.picture import as_svg
from tests.widgets.still_picture import svg_of


@pytest.fixture(scope="module")
def film() -> dict[str, Any]:
    (path,) = [model.path for model in llm101.known_models() if model.name == "storyteller"]
    return json.loads((path / "film.json").read_text(encoding="utf-8"))


def test_each_moment_can_be_shown_and_no_other(film: dict[str, Any]) -> None:
    shown = TrainingFilm(film)
    assert shown.moment == 0
    shown.moment = len(film["moments"]) - 1
    for moment in (-1, len(film["moments"])):
        with pytest.raises(ValueError, match=f"moment must be from 0 to 36, got {moment}"):
            shown.moment = moment
    assert shown.moment == 36


@pytest.mark.parametrize("part", ["prompts", "groups", "steps", "moments"])
def test_what_is_no_film_is_refused(film: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=f"no film of a training run: it has no {part}"):
        TrainingFilm({name: value for name, value in film.items() if name != part})


def test_a_moment_that_lacks_something_is_refused(film: dict[str, Any]) -> None:
    broken = film | {"moments": [{k: v for k, v in film["moments"][0].items() if k != "positions"}]}
    with pytest.raises(ValueError, match="it has no positions"):
        TrainingFilm(broken)


def test_it_leaves_the_moment_behind_in_words_and_as_a_picture(film: dict[str, Any]) -> None:
    shown = TrainingFilm(film, moment=36)
    assert repr(shown).startswith("step 1,300 of 1,300; bits per byte: landmarks-valid 0.59, stories-valid 0.51")
    assert "Once upon a time, there was a little girl named Lily." in repr(shown)
    assert "like “dog”: cat, bird" in repr(shown)
    data = shown._repr_mimebundle_()[0]  # pyright: ignore[reportOptionalSubscript]
    assert data["text/plain"] == repr(shown)
    picture = svg_of(shown)
    assert picture == as_svg(film, 36)
    for words in film["groups"].values():
        assert all(f">{word}<" in picture for word in words)
    assert ">Where words lie after step 1,300<" in picture


def test_words_start_close_together_and_drift_apart(film: dict[str, Any]) -> None:
    def reach(moment: dict[str, Any]) -> float:
        return max(abs(v) for place in moment["positions"] for v in place)

    assert reach(film["moments"][0]) < 0.2 * reach(film["moments"][-1])
    assert as_svg(film, 0) != as_svg(film, 36)
