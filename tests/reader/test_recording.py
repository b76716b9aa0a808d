"""A recording stands in for a model that is missing, says so each time, and never does where the model is there."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from llm101.reader.recording import RECORD, NotRecordedError, Recording


@pytest.fixture(autouse=True)
def nobody_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RECORD, raising=False)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a model of one line said when it was there."""
    monkeypatch.setenv(RECORD, "yes")
    recorded = Recording(tmp_path / "recordings" / "talk.json", of="a model", live=True)

    @recorded
    def answer(question: str, system: str | None = None) -> str:
        return f"{system}: {question}"

    answer("2 + 2?")
    answer("2 + 2?", "Be brief.")
    answer("2 + 2?")
    monkeypatch.delenv(RECORD)
    return recorded.path


def answer(question: str, system: str | None = None) -> str:
    raise AssertionError("there is no model to ask")


def test_where_the_model_is_missing_each_result_says_that_it_was_recorded_and_when(path, capsys) -> None:
    replayed = Recording(path, of="a model", live=False)(answer)
    assert replayed("2 + 2?", "Be brief.") == "Be brief.: 2 + 2?"
    assert capsys.readouterr().out == f"[recorded {date.today()}] "
    assert replayed("2 + 2?") == "None: 2 + 2?"
    assert capsys.readouterr().out == f"[recorded {date.today()}] "


def test_what_was_never_asked_is_not_made_up(path: Path) -> None:
    replayed = Recording(path, of="a model", live=False)(answer)
    line = r"answer\('3 \+ 3\?'\) was not recorded: it needs a model, which is not installed"
    with pytest.raises(NotRecordedError, match=line):
        replayed("3 + 3?")


def test_where_the_model_is_there_a_function_stays_what_it_is(path: Path) -> None:
    assert Recording(path, of="a model", live=True)(answer) is answer


def test_it_says_at_once_whether_what_follows_is_live(path: Path) -> None:
    assert repr(Recording(path, of="a model", live=True)) == "a model is here: everything below runs on this machine"
    assert repr(Recording(path, of="a model", live=False)).startswith(
        f"a model is not installed: what it did on {date.today()}"
    )


def test_a_call_that_is_made_twice_is_kept_once(path: Path) -> None:
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["of"] == "a model"
    assert kept["results"] == {"answer": [[["2 + 2?", "Be brief."], "Be brief.: 2 + 2?"], [["2 + 2?"], "None: 2 + 2?"]]}


def test_a_result_that_no_file_can_hold_is_refused_when_it_is_recorded(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(RECORD, "yes")
    recorded = Recording(tmp_path / "talk.json", of="a model", live=True)
    with pytest.raises(TypeError, match="not JSON serializable"):
        recorded(lambda: {1, 2})()
