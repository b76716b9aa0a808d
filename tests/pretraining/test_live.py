"""The run in the background: it can be watched, paused, stopped, started again, and ends cleanly however it ends."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llm101.pretraining import LiveRun, Pretrainer, PretrainingError
from llm101.pretraining.live import Sample
from llm101.tokenizer import Tokenizer

Make = Callable[..., Pretrainer]


@pytest.fixture
def live(pretrainer: Make, tokenizer: Tokenizer) -> Callable[..., LiveRun]:
    def make(folder: Path | None = None, **changes: object) -> LiveRun:
        return LiveRun(pretrainer(folder, **changes), tokenizer, prompt="The", sample_tokens=5)

    return make


class Gate:
    """Holds a run at each step of some, until let go."""

    def __init__(self, run: LiveRun, *steps: int) -> None:
        self.run, self.steps = run, steps
        self.reached, self.open = threading.Event(), threading.Event()
        run.watch(self.tell)

    def tell(self) -> None:
        if self.run.points and self.run.points[-1].step in self.steps and not self.open.is_set():
            self.reached.set()
            assert self.open.wait(30)

    def __enter__(self) -> None:
        assert self.reached.wait(30)

    def __exit__(self, *_: object) -> None:
        self.open.set()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_it_trains_what_the_pretrainer_trains(live: Callable[..., LiveRun], pretrainer: Make) -> None:
    run, plain = live(), pretrainer()
    assert run.state == "ready"
    moments = list(plain.moments())
    assert run.start().wait() == "done"
    for ours, theirs in zip(run.pretrainer.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert [point.step for point in run.points] == list(range(1, 9))
    assert [point.step for point in run.points if point.valid_bits_per_byte] == [4, 8]
    for point, moment in zip(run.points, moments, strict=True):
        assert (point.steps, point.tokens_seen) == (8, moment.tokens_seen)
        assert point.learning_rate_factor == moment.learning_rate_factor
        if moment.valid:
            assert point.valid_bits_per_byte == moment.valid["valid"].bits_per_byte
    seconds = [point.seconds for point in run.points]
    assert seconds == sorted(seconds)


def test_bits_per_byte_of_training_are_counted_against_the_text_of_training(live: Callable[..., LiveRun]) -> None:
    run = live(steps=1)
    facts = run.pretrainer.train.facts
    run.start().wait()
    uniform = torch.tensor(280.0).log2().item() * facts.n_tokens / facts.n_bytes
    assert run.points[0].train_bits_per_byte == pytest.approx(uniform, rel=0.05)  # nothing learned: all tokens alike


def test_the_prompt_is_continued_before_the_first_step_and_at_each_evaluation(live: Callable[..., LiveRun]) -> None:
    run = live()
    run.start().wait()
    assert [sample.step for sample in run.samples] == [0, 4, 8]
    assert all(isinstance(sample, Sample) and sample.text for sample in run.samples)
    assert run.samples[0].text != run.samples[2].text


def test_a_paused_run_does_no_step_until_it_is_resumed(live: Callable[..., LiveRun]) -> None:
    run = live()
    with Gate(run.start(), 2):
        run.pause()
    wait_until(lambda: run.state == "paused")
    time.sleep(0.3)
    assert run.points[-1].step == 2
    run.resume()
    assert run.wait() == "done"
    assert len(run.points) == 8


def test_a_pause_is_not_counted_as_time(live: Callable[..., LiveRun]) -> None:
    run = live()
    with Gate(run.start(), 2):
        run.pause()
    wait_until(lambda: run.state == "paused")
    began = time.monotonic()
    time.sleep(1.5)
    run.resume()
    run.wait()
    assert run.points[-1].seconds - run.points[1].seconds < time.monotonic() - began - 1.4


@pytest.mark.parametrize("paused", [False, True])
def test_a_stopped_run_can_be_started_again_and_ends_as_if_it_never_had_been(
    live: Callable[..., LiveRun], pretrainer: Make, paused: bool
) -> None:
    run, plain = live(), pretrainer()
    with Gate(run.start(), 3):
        if paused:
            run.pause()
        else:
            run.stop()
    if paused:
        wait_until(lambda: run.state == "paused")
        run.stop()
    assert run.wait() == "stopped"
    assert [point.step for point in run.points] == [1, 2, 3]
    assert not run.pretrainer.model.training
    assert run.start().wait() == "done"
    list(plain.moments())
    for ours, theirs in zip(run.pretrainer.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert [sample.step for sample in run.samples] == [0, 4, 8]


def test_a_stop_saves_what_was_learned(live: Callable[..., LiveRun], tmp_path: Path) -> None:
    run = live(tmp_path)
    with Gate(run.start(), 3):
        run.stop()
    run.wait()
    assert run.pretrainer.run_folder is not None
    checkpoint = run.pretrainer.run_folder.load_checkpoint()
    assert checkpoint is not None
    assert checkpoint[1] == 3
    run.pretrainer.run_folder.close()


async def waited_for_and_cancelled(run: LiveRun) -> str:
    """What Jupyter does with a cell that awaits, when its stop button is pressed."""
    waiting = asyncio.create_task(run.ended())
    while len(run.points) < 3:
        await asyncio.sleep(0.001)
    waiting.cancel()
    return await waiting


def waited_for_and_interrupted(run: LiveRun) -> str:
    """And with a cell that blocks: Ctrl-C."""

    def press() -> None:
        wait_until(lambda: len(run.points) > 2)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=press).start()
    return run.wait()


@pytest.mark.parametrize("awaited", [False, True])
def test_jupyters_stop_button_ends_it_cleanly_and_the_model_can_be_used(
    live: Callable[..., LiveRun], awaited: bool
) -> None:
    run = live(steps=100_000)
    run.start()
    state = asyncio.run(waited_for_and_cancelled(run)) if awaited else waited_for_and_interrupted(run)
    assert state == "stopped"
    assert run.points[-1].step < 100_000
    assert not run.pretrainer.model.training
    assert all(torch.isfinite(p).all() for p in run.pretrainer.model.parameters())
    n_points = len(run.points)
    time.sleep(0.2)
    assert len(run.points) == n_points  # and it has really ended


def test_a_failure_is_raised_where_it_is_waited_for(
    live: Callable[..., LiveRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = live()
    monkeypatch.setattr(run.pretrainer, "_gradient", lambda: (float("nan"), 1.0))
    run.start()
    with pytest.raises(PretrainingError, match="the loss became nan"):
        run.wait()
    assert run.state == "failed"
    monkeypatch.undo()
    assert run.start().wait() == "done"


def test_a_second_start_changes_nothing(live: Callable[..., LiveRun]) -> None:
    run = live()
    with Gate(run.start(), 2):
        assert run.start() is run
    run.wait()
    assert [point.step for point in run.points] == list(range(1, 9))


def test_an_empty_prompt_is_refused_before_anything_starts(pretrainer: Make, tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="the prompt is empty"):
        LiveRun(pretrainer(), tokenizer, prompt="")
