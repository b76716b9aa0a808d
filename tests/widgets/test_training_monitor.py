"""The monitor against a run made of a few lines: what it shows, what it sends back, and what it leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from llm101_widgets import TrainingMonitor
from llm101_widgets import training_monitor as module
from llm101_widgets.training_monitor.picture import as_svg, thinned
from tests.widgets.still_picture import svg_of


class Run:
    """Does what it is told, and writes it down."""

    prompt = "Once"

    def __init__(self) -> None:
        self.points: list[Any] = []
        self.samples: list[Any] = []
        self.state, self.error = "ready", None
        self.heard: list[str] = []
        self.watchers: list[Callable[[], object]] = []

    def watch(self, tell: Callable[[], object]) -> None:
        self.watchers.append(tell)

    def start(self) -> None:
        self.heard.append("start")

    def pause(self) -> None:
        self.heard.append("pause")

    def resume(self) -> None:
        self.heard.append("resume")

    def stop(self) -> None:
        self.heard.append("stop")

    def step(self, train: float, valid: float | None = None, steps: int = 4) -> None:
        """One more step, of which the watchers are told."""
        n = len(self.points) + 1
        numbers = {name: float(n) for name in module.NUMBERS} | {"step": n, "steps": steps}
        self.points.append(SimpleNamespace(**numbers, train_bits_per_byte=train, valid_bits_per_byte=valid))
        self.tell()

    def tell(self) -> None:
        for tell in self.watchers:
            tell()

    def become(self, state: str) -> None:
        self.state = state
        self.tell()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(module, "EVERY_S", -1.0)  # show every step
    return Run()


def test_it_shows_each_step_and_each_sample(run: Run) -> None:
    monitor = TrainingMonitor(run)
    assert (monitor.prompt, monitor.state, monitor.now) == ("Once", "ready", {})
    run.samples.append(SimpleNamespace(step=0, text=" xx"))
    run.state = "running"
    run.step(4.0)
    run.step(3.0, valid=3.5)
    assert (monitor.train, monitor.valid) == ([[1, 4.0], [2, 3.0]], [[2, 3.5]])
    assert (monitor.samples, monitor.state) == ([[0, " xx"]], "running")
    assert (monitor.now["step"], monitor.now["steps"]) == (2, 4)
    json.dumps(monitor.get_state(["train", "valid", "samples", "now", "state", "error"]), allow_nan=False)


def test_a_monitor_of_a_run_that_goes_on_shows_what_was(run: Run) -> None:
    run.step(4.0, valid=4.0)
    assert TrainingMonitor(run).valid == [[1, 4.0]]


def test_a_fast_run_is_shown_now_and_then_and_its_end_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY_S", 1000.0)
    monitor = TrainingMonitor(run)
    run.become("running")
    for _ in range(5):
        run.step(2.0)
    assert len(monitor.train) < 5
    run.become("done")
    assert len(monitor.train) == 5
    assert monitor.state == "done"


@pytest.mark.parametrize("command", module.COMMANDS)
def test_the_page_tells_the_run_what_to_do(run: Run, command: str) -> None:
    monitor = TrainingMonitor(run)
    monitor._handle_custom_msg({"command": command}, [])
    assert run.heard == [command]


@pytest.mark.parametrize("message", [{}, {"command": "watch"}, {"command": "__init__"}, {"command": None}])
def test_other_messages_do_nothing(run: Run, message: dict[str, Any]) -> None:
    TrainingMonitor(run)._handle_custom_msg(message, [])
    assert run.heard == []


def test_a_failure_is_shown_in_one_line(run: Run) -> None:
    monitor = TrainingMonitor(run)
    run.error = ValueError("the loss became nan\nmore")  # pyright: ignore[reportAttributeAccessIssue]
    run.become("failed")
    assert (monitor.state, monitor.error) == ("failed", "the loss became nan")


def test_long_curves_are_thinned_without_losing_a_stretch() -> None:
    curve = [[float(n), 2.0 * n] for n in range(1, 1001)]
    thin = thinned(curve, 300)
    assert 200 < len(thin) <= 300
    assert thin[0] == [2.5, 5.0]
    assert thin[-1][0] > 998
    assert thinned([], 300) == []


def test_what_is_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a run with watch, start, pause, resume, stop\(\), got str"):
        TrainingMonitor("run")


def test_it_leaves_a_picture_and_words_behind(run: Run) -> None:
    monitor = TrainingMonitor(run)
    assert repr(monitor) == "a training run, ready: no step done yet"
    run.samples.append(SimpleNamespace(step=2, text=" upon <a> time"))
    run.step(4.0)
    run.step(3.0, valid=3.5)
    run.become("done")
    assert repr(monitor) == (
        "a training run, done: step 2 of 4\nbits per byte of text not trained on: 3.50\nstep 2: Once upon <a> time"
    )
    data = monitor._repr_mimebundle_()[0]  # pyright: ignore[reportOptionalSubscript]
    assert data["text/plain"] == repr(monitor)
    assert svg_of(monitor) == as_svg(monitor.train, monitor.valid, 4)
    assert svg_of(monitor).count("<circle") == 1
