"""A run from text to model folder: what is refused, what can be tried again, and that a rerun gives the same file."""

from __future__ import annotations

import errno
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm101.corpus import Corpus, CorpusError
from llm101.library import load
from llm101.model import ModelConfig
from llm101.pretraining import PretrainingError, Recipe, RunFolderError, run_folder
from llm101.pretraining.device import DeviceError
from llm101.pretraining.run import Run, finish, start
from llm101.tokenizer import Tokenizer, TokenizerError

CONFIG = ModelConfig(vocab_size=280, d_model=16, n_layers=1, n_heads=2, n_kv_heads=1, d_mlp=32, context_length=16)
RECIPE = Recipe(steps=4, batch_tokens=64, micro_batch_tokens=32, evaluate_every=2)


def write_stories(path: Path, n: int = 80) -> Path:
    animals, places = ["cat", "dog", "hen", "old owl"], ["mat", "hill", "red roof"]
    texts = [f"The {animals[i % 4]} sat on the {places[i % 3]}, {i} times." for i in range(n)]
    path.write_text("\n<|endoftext|>\n".join(texts))
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write_stories(tmp_path / "stories.txt")


def begin(text: Path, out: Path, config: ModelConfig = CONFIG, recipe: Recipe = RECIPE, **more: Any) -> Run:
    return start([text], out, config, recipe, device="cpu", **more)


def complete(text: Path, out: Path, **more: Any) -> Run:
    run = begin(text, out, **more)
    for _ in run.pretrainer.moments():
        pass
    finish(run)
    run.close()
    return run


def test_text_becomes_a_model_that_can_be_loaded(text: Path, tmp_path: Path) -> None:
    run = begin(text, tmp_path / "out")
    list(run.pretrainer.moments())
    evaluations = finish(run)
    run.close()
    assert list(evaluations) == ["held_back"]
    lm = load(tmp_path / "out")
    assert lm.parameters.dtype == "float16"
    assert lm.parameters.metadata["steps"] == "4"
    assert lm.parameters.metadata["tokens_seen"] == "256"
    assert lm.complete("The cat", max_tokens=5, seed=0).token_ids
    # The score is that of the file, not of the float32 numbers behind it.
    held_back = Corpus(tmp_path / "out" / "training" / "corpus" / "valid" / "held_back")
    from llm101.pretraining import evaluate

    assert evaluate(lm.model, held_back).loss_nats == pytest.approx(evaluations["held_back"].loss_nats, rel=1e-6)


def test_the_same_seed_gives_the_same_file(text: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        complete(text, tmp_path / name, recipe=replace(RECIPE, seed=seed))
    one, two, three = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


def test_an_interrupted_run_gives_the_same_file_as_one_without_a_break(text: Path, tmp_path: Path) -> None:
    complete(text, tmp_path / "straight")
    run = begin(text, tmp_path / "broken")
    next(run.pretrainer.moments())
    run.pretrainer.save()
    run.close()
    (tmp_path / "elsewhere").mkdir()
    resumed = complete(text.rename(tmp_path / "elsewhere" / text.name), tmp_path / "broken")
    assert resumed.pretrainer.step == 4
    files = ("model.safetensors", "tokenizer.json", "config.json")
    for file in files:
        assert (tmp_path / "straight" / file).read_bytes() == (tmp_path / "broken" / file).read_bytes()


def test_a_finished_run_can_be_asked_for_again(text: Path, tmp_path: Path) -> None:
    complete(text, tmp_path / "out")
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    again = complete(text, tmp_path / "out")
    assert again.pretrainer.step == 4
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before


def test_texts_to_judge_it_on_keep_their_names(text: Path, tmp_path: Path) -> None:
    valid = [write_stories(tmp_path / "valid-a.txt", 9), write_stories(tmp_path / "valid-b.txt", 9)]
    run = begin(text, tmp_path / "out", valid=valid)
    assert list(run.pretrainer.valid) == ["valid-a", "valid-b"]
    run.close()
    (tmp_path / "more").mkdir()
    twin = write_stories(tmp_path / "more" / "valid-a.txt", 9)
    with pytest.raises(CorpusError, match="two validation texts are called valid-a .*; rename one"):
        begin(text, tmp_path / "other", valid=[valid[0], twin])


def test_a_folder_to_judge_it_on_may_be_called_dot(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "judge").mkdir()
    write_stories(tmp_path / "judge" / "a.txt", 9)
    monkeypatch.chdir(tmp_path / "judge")
    run = begin(text, tmp_path / "out", valid=["."])
    assert list(run.pretrainer.valid) == ["judge"]
    run.close()


def test_a_finished_run_can_be_given_more_steps(text: Path, tmp_path: Path) -> None:
    complete(text, tmp_path / "out")
    first = (tmp_path / "out" / "model.safetensors").read_bytes()
    run = begin(text, tmp_path / "out", recipe=replace(RECIPE, steps=6))
    assert run.changed == {"recipe.steps": (4, 6)}
    assert [moment.step for moment in run.pretrainer.moments()] == [5, 6]
    finish(run)
    run.close()
    longer = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert load(tmp_path / "out").parameters.metadata["steps"] == "6"
    assert longer != first
    assert begin_and_close(text, tmp_path / "out", recipe=replace(RECIPE, steps=6)).changed == {}  # it is that run now
    with pytest.raises(RunFolderError, match="recipe.steps is 6 there and 4 here"):
        begin(text, tmp_path / "out")


def test_more_steps_are_the_same_more_steps_with_and_without_a_break(text: Path, tmp_path: Path) -> None:
    for name, breaks in (("straight", [8]), ("broken", [5, 6, 8])):
        complete(text, tmp_path / name)
        for stop in breaks:
            run = begin(text, tmp_path / name, recipe=replace(RECIPE, steps=8))
            for moment in run.pretrainer.moments():
                if moment.step == stop:
                    break
            run.pretrainer.save()
            finish(run)
            run.close()
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "broken")]
    assert files[0] == files[1]


@pytest.mark.parametrize("failing_step", [0, 2])
def test_after_a_loss_that_is_no_number_the_lower_learning_rate_is_taken_in_the_same_folder(
    text: Path, tmp_path: Path, failing_step: int
) -> None:
    run = begin(text, tmp_path / "out", checkpoint_seconds=0)
    usual, losses = run.pretrainer._loss, 0

    def loss(ids: Any, targets: Any) -> Any:
        nonlocal losses
        losses += 1
        return usual(ids, targets) * (math.nan if losses > 2 * failing_step else 1.0)  # two micro-batches a step

    run.pretrainer._loss = loss
    with pytest.raises(PretrainingError, match=r"a lower learning rate would help .*; in the same folder it goes on"):
        list(run.pretrainer.moments())
    run.close()
    lower = replace(RECIPE, matrix_lr=RECIPE.matrix_lr / 2, other_lr=RECIPE.other_lr / 4)
    resumed = begin(text, tmp_path / "out", recipe=lower)
    assert resumed.pretrainer.step == failing_step
    assert resumed.changed == {"recipe.matrix_lr": (0.02, 0.01), "recipe.other_lr": (0.004, 0.001)}
    assert [moment.step for moment in resumed.pretrainer.moments()] == list(range(failing_step + 1, 5))
    resumed.close()
    with pytest.raises(RunFolderError, match=r"recipe.matrix_lr is 0.01 there and 0.02 here"):
        begin(text, tmp_path / "out")


def begin_and_close(*arguments: Any, **more: Any) -> Run:
    run = begin(*arguments, **more)
    run.close()
    return run


def test_other_settings_are_refused_and_named(text: Path, tmp_path: Path) -> None:
    complete(text, tmp_path / "out")
    with pytest.raises(RunFolderError, match="recipe.steps is 4 there and 2 here"):
        begin(text, tmp_path / "out", recipe=replace(RECIPE, steps=2))
    with pytest.raises(RunFolderError, match="model.n_layers is 1 there and 2 here"):
        begin(text, tmp_path / "out", config=replace(CONFIG, n_layers=2))


def test_other_text_is_refused_and_named(text: Path, tmp_path: Path) -> None:
    complete(text, tmp_path / "out")
    other = write_stories(tmp_path / "other.txt", 90)
    with pytest.raises(RunFolderError, match=r"a run on other text \(280 tokens of stories.txt \d+, not 280 "):
        begin(other, tmp_path / "out")


def test_a_start_that_was_refused_can_be_tried_again(tmp_path: Path) -> None:
    text, out = tmp_path / "stories.txt", tmp_path / "out"
    text.write_text("The cat sat on the mat. " * 3)
    with pytest.raises(TokenizerError, match=r"yields only \d+ tokens, 280 were asked for; .* a smaller vocab_size"):
        begin(text, out)
    small = replace(CONFIG, vocab_size=262, context_length=64)
    with pytest.raises(CorpusError, match="too little to hold 2% back"):
        begin(text, out, config=small)
    write_stories(text, 20)
    with pytest.raises(CorpusError, match="less than one row of 4000 and its target; give more text or a shorter"):
        begin(text, out, config=replace(CONFIG, context_length=4000))
    begin(text, out, config=small).close()  # more text, a shorter context, another vocabulary: all forgiven


def test_a_missing_source_is_refused_and_can_be_put_right(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no file or folder"):
        begin(tmp_path / "nowhere.txt", tmp_path / "out")
    begin(write_stories(tmp_path / "stories.txt"), tmp_path / "out").close()


def test_a_file_as_output_folder_is_refused(text: Path) -> None:
    with pytest.raises(RunFolderError, match="cannot write to .*stories.txt: it is not a folder"):
        begin(text, text)


@pytest.mark.parametrize("minutes", [0, -1, math.nan, math.inf])
def test_an_impossible_number_of_minutes_is_refused_before_anything_is_written(
    text: Path, tmp_path: Path, minutes: float
) -> None:
    with pytest.raises(PretrainingError, match="minutes must be a number above 0, got"):
        begin(text, tmp_path / "out", minutes=minutes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, -math.inf])
def test_a_time_after_which_nothing_would_be_saved_is_refused_before_anything_is_written(
    text: Path, tmp_path: Path, seconds: float
) -> None:
    with pytest.raises(PretrainingError, match="checkpoint_seconds must be a number from 0 upwards, got"):
        begin(text, tmp_path / "out", checkpoint_seconds=seconds)
    assert not (tmp_path / "out").exists()


def test_too_long_a_context_is_refused_before_the_text_is_read_and_before_a_model_is_made(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Transformer", "prepare"):
        monkeypatch.setattr(f"llm101.pretraining.run.{name}", lambda *_: pytest.fail("too late"))
    match = r"the corpus has [\d,]+ bytes, less than one row of 99999999 and its target; give more text or a shorter"
    with pytest.raises(CorpusError, match=match):
        begin(text, tmp_path / "out", config=replace(CONFIG, context_length=99_999_999))
    monkeypatch.undo()
    n_bytes = text.stat().st_size  # fewer tokens than bytes, which only shows once they have been counted
    monkeypatch.setattr("llm101.pretraining.run.Transformer", lambda *_: pytest.fail("too late"))
    with pytest.raises(CorpusError, match="the corpus has [\\d,]+ tokens, less than one row"):
        begin(text, tmp_path / "out", config=replace(CONFIG, context_length=n_bytes))


def test_a_step_that_does_not_fit_into_memory_is_refused_before_the_text_is_read(text: Path, tmp_path: Path) -> None:
    wide = replace(CONFIG, d_model=2**20, d_head=2**19, d_mlp=2**20)
    with pytest.raises(DeviceError, match=r"takes about [\d,.]+ GB of memory, and this machine has [\d.,]+ GB; choose"):
        begin(text, tmp_path / "out", config=wide)
    assert not (tmp_path / "out").exists()


def test_minutes_become_steps_and_stay_the_same_steps_when_resumed(text: Path, tmp_path: Path) -> None:
    run = begin(text, tmp_path / "out", minutes=1e-4)
    steps = run.pretrainer.recipe.steps
    run.close()
    settings = json.loads((tmp_path / "out" / "training" / "settings.json").read_text())
    assert settings["recipe"]["steps"] == steps >= 1
    again = begin(text, tmp_path / "out", minutes=100)
    assert again.pretrainer.recipe.steps == steps
    again.close()


def test_a_failed_start_lets_others_in(text: Path, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError):
        begin(text, tmp_path / "out", config=replace(CONFIG, vocab_size=60_000))
    run_folder.RunFolder(tmp_path / "out").close()


def test_a_disk_that_is_full_at_the_end_loses_no_training(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(text, tmp_path / "out")
    list(run.pretrainer.moments())
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(os, "fsync", full)
        with pytest.raises(ValueError, match="cannot write .*: No space left on device"):
            finish(run)
    run.close()
    assert not (tmp_path / "out" / "model.safetensors").exists()
    complete(text, tmp_path / "out")
    assert load(tmp_path / "out").parameters.metadata["steps"] == "4"


def test_progress_is_told_what_is_done_and_how_far(text: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    begin(text, tmp_path / "out", progress=lambda what: lambda done, total: told.append((what, done, total))).close()
    for what in (f"learning 280 tokens from {text}", f"encoding {text}"):
        counts = [done for said, done, _ in told if said == what]
        assert counts == sorted(counts)
        assert 0 < counts[-1] <= text.stat().st_size
    assert {total for *_, total in told} == {text.stat().st_size}


def test_the_tokenizer_is_that_of_the_text(text: Path, tmp_path: Path) -> None:
    complete(text, tmp_path / "out")
    tokenizer = Tokenizer.from_file(tmp_path / "out" / "tokenizer.json")
    assert (tokenizer.vocab_size, tokenizer.name) == (280, "out")
    assert b" the" in tokenizer.ranks
