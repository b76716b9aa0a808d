"""Pulling the plug: a run that is killed a hundred times, or whose disk is full, ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llm101.pretraining import Pretrainer, RunFolder, RunFolderError

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_a_hundred_crashes_lose_no_step_that_was_saved_and_change_no_bit(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.pretraining.killed_runs", str(tmp_path), "100"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600
    )
    assert process.returncode == 0, process.stderr
    counts = json.loads(process.stdout)
    assert counts["kills"] >= 100
    assert counts["half_writes"] >= 10  # killed with half of a checkpoint on disk
    assert counts["lost"] == 0
    assert counts["bit_identical"] == counts["runs"] >= 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_run_whose_disk_is_full_goes_on_from_its_last_checkpoint(
    pretrainer: Callable[..., Pretrainer], tmp_path: Path
) -> None:
    import resource

    straight, run = pretrainer(), pretrainer(tmp_path, checkpoint_seconds=0)
    moments = run.moments()
    for _ in range(3):
        next(moments)
    size = (tmp_path / "training" / "checkpoint.safetensors").stat().st_size
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, usual[1]))  # a disk with room for half a checkpoint
    try:
        with pytest.raises(RunFolderError, match="cannot write .*checkpoint.safetensors: .* before it is untouched"):
            next(moments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert not list((tmp_path / "training").glob("*.partial"))
    assert run.run_folder is not None
    run.run_folder.close()
    resumed = pretrainer(tmp_path)
    assert resumed.step == 3
    for either in (straight, resumed):
        list(either.moments())
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    RunFolder(tmp_path).close()
    training = tmp_path / "training"
    for name in ("checkpoint.safetensors.partial", ".0123456789ab.partial", ".tmpa1B2c3", "thesis.partial"):
        (training / name).write_bytes(b"half")
    RunFolder(tmp_path).close()
    assert {path.name for path in training.iterdir()} - {"lock"} == {"run.json", "thesis.partial"}  # not one of ours
