"""Workers: several processes train the model that one would have trained, and stop together."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from llm101.pretraining.workers import WorkerError, Workers, _others_alive

ROOT = Path(__file__).parents[2]
OPTIONS = {"vocab-size": 270, "context-length": 16, "d-model": 16, "n-layers": 1, "n-heads": 2, "n-kv-heads": 1}
OPTIONS |= {"batch-tokens": 80, "evaluate-every": 3, "device": "cpu"}


def test_a_single_process_is_one_worker_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    workers = Workers.join(torch.device("cpu"))
    assert (workers.rank, workers.count, workers.is_first) == (0, 1, True)
    tensor = torch.tensor([1.0, 2.0])
    workers.average([tensor])
    assert tensor.tolist() == [1.0, 2.0]
    assert workers.total(3, 0.5) == [3, 0.5]
    assert workers.share({"a": tensor}) == {"a": tensor}
    assert workers.share(None) is None
    workers.wait()
    workers.leave()


def test_a_lost_worker_is_reported_in_one_line() -> None:
    with pytest.raises(WorkerError, match=r"^another worker stopped \('reset.\\npeer'\); the same command goes on"):  # noqa: SIM117
        with _others_alive():
            raise RuntimeError("reset.\npeer")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "stories.txt"
    path.write_text("\n<|endoftext|>\n".join(f"The cat sat on the mat, {n} times." for n in range(80)))
    return path


def launch(text: Path, out: Path, n_workers: int, steps: int) -> subprocess.Popen[str]:
    """Start `llm101 pretrain` on a tiny model, by torchrun if by several workers."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_workers}"]
    command = [sys.executable, *(torchrun if n_workers > 1 else []), "-m", "llm101", "pretrain", str(text), "--json"]
    command += [f"--{name}={value}" for name, value in {"out": out, "steps": steps, **OPTIONS}.items()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def run(text: Path, out: Path, n_workers: int, steps: int) -> tuple[str, str]:
    """Train to the end; returns what was printed as a result and as progress."""
    with launch(text, out, n_workers, steps) as process:
        result, progress = ended(process)
    assert process.returncode == 0, progress
    return result, progress


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for its end, though not for ever; returns what it printed."""
    try:
        return process.communicate(timeout=300)
    finally:
        process.kill()


@pytest.mark.slow
def test_two_workers_train_what_one_trains(text: Path, tmp_path: Path) -> None:
    losses, results, progress = {}, {}, ""
    for n_workers in (1, 2):
        out = tmp_path / str(n_workers)
        results[n_workers], progress = run(text, out, n_workers, 12)
        log = (out / "training" / "moments.jsonl").read_text().splitlines()
        losses[n_workers] = [json.loads(line)["train_loss_nats"] for line in log]
    # Five rows a step: three for one worker, two for the other. Only the order of the sums differs.
    assert losses[2] == pytest.approx(losses[1], rel=2e-3)
    assert len(losses[2]) == 12
    one, two = (json.loads(results[n]) for n in (1, 2))  # a single object: only the first worker talks
    assert (one["steps"], one["tokens_seen"]) == (two["steps"], two["tokens_seen"]) == (12, 960)
    assert two["valid_bits_per_byte"] == pytest.approx(one["valid_bits_per_byte"], rel=2e-3)
    assert progress.count("step 12/12") == 1

    result, _ = run(text, tmp_path / "2", 2, 12)  # resumed, the finished run is at its end in both workers
    assert json.loads(result)["valid_bits_per_byte"] == two["valid_bits_per_byte"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the worker in /proc")
def test_a_killed_worker_stops_the_others_and_the_run_goes_on_later(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with launch(text, out, 2, 100_000) as process:
        await_steps(out, process)
        (second,) = [pid for pid in children(process.pid) if b"\0RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes()]
        os.kill(second, signal.SIGKILL)
        killed_at = time.monotonic()
        _, errors = ended(process)
    assert time.monotonic() - killed_at < 40  # seconds: a few, and torchrun's own patience with those that hang
    assert process.returncode != 0
    (ours,) = [line for line in errors.splitlines() if line.startswith("llm101: ")]
    assert re.search("another worker stopped .*; the same command goes on from the last checkpoint", ours)
    assert f'File "{ROOT}/llm101/' not in errors  # no traceback but torchrun's own


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_polite_stop_saves_and_resumes(text: Path, tmp_path: Path, n_workers: int) -> None:
    out = tmp_path / "out"
    with launch(text, out, n_workers, 100_000) as process:
        await_steps(out, process)
        process.send_signal(signal.SIGINT)
        printed, errors = ended(process)
    assert errors.count("and saved; the same command goes on from there") == 1
    if n_workers == 1:  # torchrun itself ends with a complaint about the signal
        assert process.returncode == 130
        assert json.loads(printed)["stopped"] is True
        assert "Traceback" not in errors
    from llm101.pretraining import RunFolder

    folder = RunFolder(out)
    checkpoint = folder.load_checkpoint()
    assert checkpoint is not None
    assert checkpoint[1] == folder.moments()[-1]["step"] >= 2
    folder.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1)])
def test_a_checkpoint_of_one_worker_goes_on_with_two_and_the_other_way_round(
    text: Path, tmp_path: Path, first: int, then: int
) -> None:
    steps, losses = 400, {}
    with launch(text, tmp_path / "changed", first, steps) as process:
        await_steps(tmp_path / "changed", process)
        process.send_signal(signal.SIGINT)
        _, errors = ended(process)
    stopped_at = int(re.findall(r"stopped after step (\d+) and saved", errors)[0])
    assert 2 <= stopped_at < steps
    run(text, tmp_path / "changed", then, steps)
    run(text, tmp_path / "straight", 1, steps)
    for name in ("changed", "straight"):
        log = (tmp_path / name / "training" / "moments.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in log] == list(range(1, steps + 1))
        losses[name] = [json.loads(line)["train_loss_nats"] for line in log]
    # Rounding grows with the steps, so only those near the change are compared.
    near = slice(0, stopped_at + 5)
    assert losses["changed"][near] == pytest.approx(losses["straight"][near], rel=2e-2)
    assert losses["changed"][-1] < losses["changed"][0] / 4


def await_steps(out: Path, process: subprocess.Popen[str]) -> None:
    """Wait until some steps are done."""
    log, deadline = out / "training" / "moments.jsonl", time.monotonic() + 200
    while not log.exists() or log.read_text().count("\n") < 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Processes that this one started."""
    return [int(p) for t in Path(f"/proc/{pid}/task").iterdir() for p in (t / "children").read_text().split()]
