"""The loop: it learns, it can be stopped anywhere, and what it does next does not depend on that."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from llm101.corpus import Corpus, CorpusError
from llm101.model import ModelConfig, Transformer
from llm101.pretraining import Pretrainer, PretrainingError, Recipe, RunFolder
from llm101.pretraining.moment import Pace
from llm101.tokenizer import Tokenizer

Make = Callable[..., Pretrainer]


def parameters(pretrainer: Pretrainer) -> list[torch.Tensor]:
    return [p.detach().clone() for p in pretrainer.model.parameters()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_it_learns(pretrainer: Make) -> None:
    moments = list(pretrainer(steps=60).moments())
    assert moments[0].train_loss_nats == pytest.approx(math.log(280), rel=0.02)  # it begins knowing nothing
    assert moments[-1].train_loss_nats < 0.6 * moments[0].train_loss_nats
    assert moments[-1].valid is not None
    assert moments[-1].valid["valid"].loss_nats < 0.6 * math.log(280)


def test_a_moment_says_what_happened(pretrainer: Make) -> None:
    moments = list(pretrainer().moments())
    assert [m.step for m in moments] == list(range(1, 9))
    assert [m.tokens_seen for m in moments] == [64 * n for n in range(1, 9)]
    assert [m.step for m in moments if m.valid] == [4, 8]
    assert moments[-1].seconds_left == 0 < moments[0].seconds_left
    assert all(m.gradient_norm > 0 and m.tokens_per_second > 0 for m in moments)
    # warm-up is at most a tenth of all steps: here none; the last 60 % (5 of 8 steps) fall to zero
    assert [m.learning_rate_factor for m in moments] == pytest.approx([1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_one_step_is_one_batch_worked_by_hand(pretrainer: Make, train: Corpus) -> None:
    trained = pretrainer(steps=1, batch_tokens=64, micro_batch_tokens=16, muon=False, weight_decay=0.0)
    model = Transformer(trained.model.config).initialise(seed=3)
    rows = torch.from_numpy(trained._long.take(0, 4))
    loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
    loss.backward()
    norm = math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters() if p.grad is not None))
    moment = next(trained.moments())
    assert moment.train_loss_nats == pytest.approx(loss.item(), rel=1e-5)
    assert moment.gradient_norm == pytest.approx(norm, rel=1e-4)


def test_short_rows_come_first_and_count_as_many_tokens(pretrainer: Make) -> None:
    trained = pretrainer(short_row_length=8, short_rows_fraction=0.5)
    assert trained.short_steps == 4
    seen = []
    for name in ("_short", "_long"):
        rows = getattr(trained, name)
        take = rows.take
        rows.take = lambda first, count, every, rows=rows, take=take: (
            seen.append((rows.row_length, first, count)) or take(first, count, every)
        )
    tokens = [m.tokens_seen for m in trained.moments()]
    # Two micro-batches a step, of 32 tokens: 4 short rows, then 2 long ones.
    assert seen == [(8, 4 * n, 4) for n in range(8)] + [(16, 2 * n, 2) for n in range(8)]
    assert tokens == [64 * n for n in range(1, 9)]


def test_tokens_seen_counts_whole_rows(pretrainer: Make) -> None:
    assert [m.tokens_seen for m in pretrainer(batch_tokens=60, steps=2).moments()] == [48, 96]


@pytest.mark.parametrize("stop_after", [1, 3, 7])
def test_interrupted_and_resumed_it_ends_bit_for_bit_the_same(
    pretrainer: Make, tmp_path: Path, stop_after: int
) -> None:
    straight = pretrainer()
    losses = [m.train_loss_nats for m in straight.moments()]

    first = pretrainer(tmp_path)
    for moment in first.moments():
        if moment.step == stop_after:
            break
    first.save()
    first.run_folder.close()  # pyright: ignore[reportOptionalMemberAccess]
    second = pretrainer(tmp_path)
    assert second.step == stop_after
    rest = [m.train_loss_nats for m in second.moments()]

    assert rest == losses[stop_after:]
    assert same(parameters(second), parameters(straight))
    log = second.run_folder.moments()  # pyright: ignore[reportOptionalMemberAccess]
    assert [moment["step"] for moment in log] == list(range(1, 9))


def test_a_crash_costs_no_more_than_the_steps_since_the_last_checkpoint(pretrainer: Make, tmp_path: Path) -> None:
    straight = pretrainer()
    list(straight.moments())
    crashed = pretrainer(tmp_path, checkpoint_seconds=0)  # a checkpoint after every step
    for moment in crashed.moments():
        if moment.step == 5:
            crashed.checkpoint_seconds = 1e9
        if moment.step == 7:
            break  # and no save()
    crashed.run_folder.close()  # pyright: ignore[reportOptionalMemberAccess]
    resumed = pretrainer(tmp_path)
    assert resumed.step == 5
    assert [m["step"] for m in resumed.run_folder.moments()] == [1, 2, 3, 4, 5]  # pyright: ignore[reportOptionalMemberAccess]
    list(resumed.moments())
    assert same(parameters(resumed), parameters(straight))


def test_a_run_that_crashed_before_its_first_checkpoint_starts_anew(pretrainer: Make, tmp_path: Path) -> None:
    crashed = pretrainer(tmp_path)
    next(crashed.moments())
    crashed.run_folder.close()  # pyright: ignore[reportOptionalMemberAccess]
    again = pretrainer(tmp_path)
    list(again.moments())
    assert [m["step"] for m in again.run_folder.moments()] == list(range(1, 9))  # pyright: ignore[reportOptionalMemberAccess]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the tests run in the background, which ignores it."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.parametrize("moment", ["gradient", "optimizer"])
def test_a_stop_in_the_middle_of_a_step_leaves_no_trace(
    pretrainer: Make, monkeypatch: pytest.MonkeyPatch, interruptible: None, moment: str
) -> None:
    straight = pretrainer()
    list(straight.moments())

    stopped, calls = pretrainer(), 0
    target, name = (stopped, "_loss") if moment == "gradient" else (stopped.optimizer.parts[0], "step")
    usual = getattr(target, name)

    def pressed(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 4:
            signal.raise_signal(signal.SIGINT)
        return usual(*arguments)

    monkeypatch.setattr(target, name, pressed)
    with pytest.raises(KeyboardInterrupt):
        list(stopped.moments())
    # Two micro-batches a step: the fourth belongs to step 2, which is dropped. A move is never left half done.
    assert stopped.step == (1 if moment == "gradient" else 4)
    list(stopped.moments())
    assert same(parameters(stopped), parameters(straight))


def test_the_same_seed_gives_the_same_parameters_and_another_one_does_not(pretrainer: Make) -> None:
    runs = [pretrainer(seed=3), pretrainer(seed=3), pretrainer(seed=4)]
    for run in runs:
        list(run.moments())
    assert same(parameters(runs[0]), parameters(runs[1]))
    assert not same(parameters(runs[0]), parameters(runs[2]))


def test_micro_batches_change_nothing_but_rounding(pretrainer: Make) -> None:
    losses = [[m.train_loss_nats for m in pretrainer(micro_batch_tokens=tokens).moments()] for tokens in (16, 48, 1000)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[2] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_number_that_is_none_stops_the_run_before_it_spoils_a_parameter(
    pretrainer: Make, tmp_path: Path, what: str
) -> None:
    broken = pretrainer(tmp_path, checkpoint_seconds=0)
    moments = broken.moments()
    next(moments)
    before = parameters(broken)
    factor = math.nan if what == "loss" else 1.0
    usual = broken._loss
    broken._loss = lambda ids, targets: usual(ids, targets) * factor
    if what == "gradient":
        broken.model.lm_head.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(PretrainingError, match=rf"the {what} became (nan|inf) at step 1; a lower") as stop:
        next(moments)
    assert "\n" not in str(stop.value)
    assert same(parameters(broken), before)


def test_snapshots_hold_the_parameters_of_their_moments(pretrainer: Make, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    trained = pretrainer(tmp_path, snapshots=3)
    first = {name: p.detach().half() for name, p in trained.model.named_parameters()}
    list(trained.moments())
    files = sorted((tmp_path / "training" / "snapshots").iterdir())
    assert [file.name for file in files] == [f"step-{n:06d}.safetensors" for n in (0, 2, 8)]
    kept, last = load_file(files[0]), load_file(files[-1])
    assert all(torch.equal(kept[name], first[name]) for name in first)
    assert all(torch.equal(last[name], p.half()) for name, p in trained.model.named_parameters())


def test_without_a_folder_nothing_is_written(pretrainer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained = pretrainer(snapshots=3, checkpoint_seconds=0)
    list(trained.moments())
    trained.save()
    assert list(tmp_path.iterdir()) == []


def test_a_corpus_with_other_tokens_than_the_model_is_refused(train: Corpus) -> None:
    model = Transformer(ModelConfig(vocab_size=100, d_model=8, n_layers=1, n_heads=2))
    with pytest.raises(PretrainingError, match="has token ids up to 279, the model's vocabulary ends at 99"):
        Pretrainer(model, train, None, Recipe(steps=1))


def test_a_corpus_smaller_than_a_row_is_refused(pretrainer: Make, tokenizer: Tokenizer, tmp_path: Path) -> None:
    corpus = Corpus.from_texts(["The cat."], tokenizer, tmp_path / "corpus")
    model = Transformer(ModelConfig(vocab_size=280, d_model=8, n_layers=1, n_heads=2, context_length=64))
    with pytest.raises(CorpusError, match="less than one row of 64"):
        Pretrainer(model, corpus, None, Recipe(steps=1))


def test_a_checkpoint_of_another_model_is_refused(pretrainer: Make, train: Corpus, tmp_path: Path) -> None:
    first = pretrainer(tmp_path, steps=1)
    list(first.moments())
    first.run_folder.close()  # pyright: ignore[reportOptionalMemberAccess]
    wider = Transformer(ModelConfig(vocab_size=280, d_model=32, n_layers=1, n_heads=2, context_length=16))
    with pytest.raises(PretrainingError, match="the checkpoint belongs to another model or recipe"):
        Pretrainer(wider, train, None, Recipe(steps=1), RunFolder(tmp_path))


def test_training_leaves_the_number_of_threads_as_it_was(pretrainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, used = pretrainer(micro_batch_tokens=2**40), set()  # of which a batch is never more than a little
    usual = trained._loss
    monkeypatch.setattr(trained, "_loss", lambda *batch: used.add(torch.get_num_threads()) or usual(*batch))
    torch.set_num_threads(2)
    for _ in trained.moments():
        assert torch.get_num_threads() == 2
    assert used == {1}


def test_a_batch_is_never_in_memory_as_a_whole(pretrainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    huge, seen = pretrainer(batch_tokens=10**12, micro_batch_tokens=32), []

    def loss(ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(len(ids))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return huge._plain_loss(ids, targets)

    monkeypatch.setattr(huge, "_loss", loss)
    with pytest.raises(KeyboardInterrupt):
        next(huge.moments())
    assert seen == [2, 2, 2]


def test_the_time_left_is_that_of_the_steps_since_the_first(pretrainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    step_seconds = iter([9.0, 1.0, 2.0, *[0.5] * 5])

    class TimedByHand(Pace):
        @contextmanager
        def step(self) -> Iterator[None]:
            yield
            self.add(next(step_seconds))

    monkeypatch.setattr("llm101.pretraining.pretrainer.Pace", TimedByHand)
    assert [m.seconds_left for m in pretrainer().moments()][:3] == [9.0 * 7, 1.0 * 6, 1.5 * 5]
