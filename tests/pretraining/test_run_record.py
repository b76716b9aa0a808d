"""The record: a run writes where nothing would be lost, goes on where it has been, and leaves everything else alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from llm101.corpus import Corpus, CorpusError
from llm101.pretraining import RunFolderError
from llm101.pretraining.device import DeviceError
from llm101.pretraining.run import finish, start
from llm101.pretraining.run_record import MODEL_FILES, RunRecord
from llm101.tokenizer import Tokenizer
from tests.pretraining.conftest import CONFIG, RECIPE, stories

STORYTELLER = Path(__file__).parents[2] / "llm101" / "models" / "storyteller"
SETTINGS = {"model": {}, "recipe": {}, "corpus": "", "validation": {}}


def contents(folder: Path) -> dict[str, bytes | str | None]:
    """Everything in a folder, links as what they point to."""
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "stories.txt").write_text("<|endoftext|>".join(stories(200)))
    return tmp_path / "stories.txt"


def a_corpus_of_the_readers(out: Path) -> None:
    (out / "training" / "corpus").mkdir(parents=True)
    (out / "training" / "corpus" / "mine.txt").write_text("The cat sat.")


def a_prepared_corpus(out: Path) -> None:
    Corpus.from_texts(stories(9), Tokenizer.train(stories(9), 257), out / "training" / "corpus" / "train")


def a_half_written_thesis(out: Path) -> None:
    (out / "training").mkdir(parents=True)
    (out / "training" / "thesis.partial").write_text("three years of work")


def a_linked_folder(out: Path) -> None:
    a_corpus_of_the_readers(out.parent / "elsewhere")
    out.mkdir()
    (out / "training").symlink_to(out.parent / "elsewhere" / "training")


def settings_of_something_else(out: Path) -> None:
    (out / "training").mkdir(parents=True)
    (out / "training" / "settings.json").write_text('{"theme": "dark"}')


def a_file_called_training(out: Path) -> None:
    out.mkdir()
    (out / "training").write_text("not a folder")


def a_link_to_nowhere(out: Path) -> None:
    out.mkdir()
    (out / "training").symlink_to(out.parent / "nowhere")


def the_storyteller(out: Path) -> None:
    shutil.copytree(STORYTELLER, out)


def a_link_to_the_storyteller(out: Path) -> None:
    the_storyteller(out.parent / "elsewhere")
    out.symlink_to(out.parent / "elsewhere")


def somebodys_config(out: Path) -> None:
    out.mkdir()
    (out / "config.json").write_text("{}")


def a_link_under_a_models_name(out: Path) -> None:
    out.mkdir()
    (out / "model.safetensors").symlink_to(STORYTELLER / "model.safetensors")


@pytest.mark.parametrize(
    "make",
    [
        a_corpus_of_the_readers,
        a_prepared_corpus,
        a_half_written_thesis,
        a_linked_folder,
        settings_of_something_else,
        a_file_called_training,
        a_link_to_nowhere,
        the_storyteller,
        a_link_to_the_storyteller,
        somebodys_config,
        a_link_under_a_models_name,
    ],
)
@pytest.mark.parametrize("source", ["stories.txt", "missing.txt", "out/training/corpus"])
def test_what_a_run_did_not_make_is_refused_and_left_as_it_was(
    text: Path, tmp_path: Path, make: Callable[[Path], None], source: str
) -> None:
    make(tmp_path / "out")
    before = contents(tmp_path)
    with pytest.raises(RunFolderError, match="choose another folder|cannot write to .*training"):
        start([tmp_path / source], tmp_path / "out", CONFIG, RECIPE, device="cpu")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "a reader's notes", "an empty training"])
@pytest.mark.parametrize(
    "refused", ["missing source", "empty source", "short text", "long context", "large model", "vocabulary", "one name"]
)
def test_a_refused_run_leaves_nothing_behind(text: Path, tmp_path: Path, there: str, refused: str) -> None:
    out = tmp_path / "new" / "out"
    if there != "nothing":
        out.mkdir(parents=True)
    if there == "a reader's notes":
        (out / "notes.txt").write_text("mine")
    if there == "an empty training":
        (out / "training").mkdir()
    (tmp_path / "empty.txt").touch()
    (tmp_path / "short.txt").write_text("The cat sat on the mat. " * 3)
    sources = {"missing source": ["missing.txt"], "empty source": ["empty.txt"], "short text": ["short.txt"]}
    config = {
        "short text": replace(CONFIG, vocab_size=262),
        "long context": replace(CONFIG, context_length=2500),
        "large model": replace(CONFIG, d_model=2**30),
        "vocabulary": replace(CONFIG, vocab_size=60_000),
    }
    before = contents(tmp_path)
    with pytest.raises((ValueError, CorpusError, DeviceError)):
        start(
            [tmp_path / name for name in sources.get(refused, ["stories.txt"])],
            out,
            config.get(refused, CONFIG),
            RECIPE,
            valid=[text, text] if refused == "one name" else (),
            device="cpu",
        )
    assert contents(tmp_path) == before


def test_a_run_goes_on_where_it_has_been_and_beside_what_else_is_there(text: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    for _ in range(2):
        run = start([text], tmp_path / "out", CONFIG, RECIPE, device="cpu")
        list(run.pretrainer.moments())
        finish(run)
        run.close()
        assert {*MODEL_FILES, "training"} == set(RunRecord(tmp_path / "out").made() or [])
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_model_that_came_there_during_the_training_is_not_replaced(text: Path, tmp_path: Path) -> None:
    run = start([text], tmp_path / "out", CONFIG, RECIPE, device="cpu")
    list(run.pretrainer.moments())
    (tmp_path / "out" / "config.json").write_text("a reader's own")
    with pytest.raises(RunFolderError, match="holds a config.json that this run did not make and would replace"):
        finish(run)
    run.close()
    assert (tmp_path / "out" / "config.json").read_text() == "a reader's own"
    with pytest.raises(RunFolderError, match=r"holds a config.json"):
        start([text], tmp_path / "out", CONFIG, RECIPE, device="cpu")


def test_a_run_from_before_there_was_a_record_goes_on(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        run = start([text], out, CONFIG, RECIPE, device="cpu")
        list(run.pretrainer.moments())
        finish(run)
        run.close()
        assert run.pretrainer.step == RECIPE.steps
        (out / "training" / "run.json").unlink()  # as it was then
    (out / "training" / "settings.json").write_text(json.dumps(SETTINGS))
    assert RunRecord(out).made() == list(MODEL_FILES)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"made": 3}', b'{"else": []}'])
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "run.json").write_bytes(content)
    with pytest.raises(RunFolderError, match=r"run.json is damaged .*; choose another folder"):
        RunRecord(tmp_path).look()
