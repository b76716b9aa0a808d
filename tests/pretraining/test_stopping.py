"""Stopping `llm101 pretrain`: at any moment it is one line and 130, the same command ends as if nothing had been."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm101.cli import main
from llm101.model import Transformer
from llm101.pretraining import Pretrainer, pretrainer, run, run_folder
from llm101.pretraining.interruption import interruptions_wait
from llm101.pretraining.optimizer import Optimizer
from llm101.tokenizer import tokenizer
from tests.pretraining.conftest import stories

Capture = pytest.CaptureFixture[str]
OPTIONS = "--vocab-size 280 --context-length 16 --d-model 16 --n-layers 1 --n-heads 2 --n-kv-heads 1 --batch-tokens 64"
OPTIONS += " --evaluate-every 2 --steps 6 --checkpoint-seconds 0 --device cpu --json"


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the tests run in the background, which ignores it."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "stories.txt"
    path.write_text("<|endoftext|>".join(stories(120)))
    return path


@pytest.fixture(scope="module")
def straight(text: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a run that nobody stopped."""
    out = tmp_path_factory.mktemp("run") / "straight"
    assert main(["pretrain", str(text), *OPTIONS.split(), "--out", str(out)]) == 0
    return (out / "model.safetensors").read_bytes()


def pressing(usual: Callable[..., Any], presses: int, call: int) -> Callable[..., Any]:
    """The same function, during whose nth call Ctrl-C is pressed."""
    calls = 0

    def pressed(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        result = usual(*arguments, **keywords)
        for _ in range(presses if calls == call else 0):
            signal.raise_signal(signal.SIGINT)
        return result

    return pressed


MOMENTS = [
    (tokenizer, "train_bpe", 1),
    (tokenizer.Tokenizer, "encode_many", 1),
    (Transformer, "initialise", 1),
    (Pretrainer, "_plain_loss", 2),
    (Optimizer, "step", 2),
    (pretrainer, "evaluate", 1),
    (run_folder, "save_file", 2),
    (pretrainer, "evaluate", 4),  # of the finished model
    (run, "save_model", 1),
]
TWICE = [pytest.param(*moment, 2, marks=[] if moment[1] == "save_file" else pytest.mark.slow) for moment in MOMENTS]


@pytest.mark.parametrize(("where", "name", "call", "presses"), [*((*moment, 1) for moment in MOMENTS), *TWICE])
def test_ctrl_c_at_any_moment_is_130_and_the_same_command_goes_on(
    text: Path,
    straight: bytes,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    call: int,
    presses: int,
) -> None:
    command = ["pretrain", str(text), *OPTIONS.split(), "--out", str(tmp_path / "stopped")]
    with monkeypatch.context() as patch:
        patch.setattr(where, name, pressing(getattr(where, name), presses, call))
        assert main(command) == 130
    printed = capsys.readouterr()
    if printed.out:  # Ctrl-C between two steps: what there is is measured and written
        assert json.loads(printed.out)["stopped"] is True
        assert "saved; the same command goes on from there" in printed.err
    else:
        assert printed.err.endswith("llm101: stopped\n")
    if name in ("train_bpe", "encode_many"):
        assert not (tmp_path / "stopped").exists()
    assert main(command) == 0
    assert (tmp_path / "stopped" / "model.safetensors").read_bytes() == straight


def test_a_run_with_more_steps_says_what_follows_from_it(text: Path, tmp_path: Path, capsys: Capture) -> None:
    for steps in (6, 10):
        options = OPTIONS.replace("--steps 6", f"--steps {steps}").split()
        assert main(["pretrain", str(text), *options, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert "goes on after step 6 with steps 10 instead of 6\n" in printed.err
    assert (
        "the learning rates go on at 67% and fall to zero at the new end; the loss may rise at first\n" in printed.err
    )
    assert json.loads(printed.out.splitlines()[-1])["steps"] == 10


def test_a_second_ctrl_c_gives_up_the_step_and_saves_those_before(
    text: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pretrainer, "_plain_loss", pressing(Pretrainer._plain_loss, 2, 4))
    options = OPTIONS.replace("--checkpoint-seconds 0", "--checkpoint-seconds 1000").split()
    assert main(["pretrain", str(text), *options, "--out", str(tmp_path / "out")]) == 130
    said = capsys.readouterr().err.splitlines()
    assert "stopping after this step; Ctrl-C again stops at once" in said
    assert said[-2:] == [
        "stopped at once after step 3 and saved; the same command goes on from there",
        "llm101: stopped",
    ]
    folder = run_folder.RunFolder(tmp_path / "out")
    checkpoint = folder.load_checkpoint()
    folder.close()
    assert checkpoint is not None
    assert checkpoint[1] == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_may_not_be_stopped_in_the_middle_is_ended_first(number: int) -> None:
    came: list[int] = []
    usual = signal.signal(number, lambda number, _: came.append(number))
    try:
        with interruptions_wait():
            signal.raise_signal(number)
            assert came == []
        assert came == [number]
    finally:
        signal.signal(number, usual)
