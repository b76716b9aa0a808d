"""The run folder: one process at a time, one run per folder, and always a whole checkpoint."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from llm101.pretraining import RunFolder, RunFolderError
from llm101.pretraining import run_folder as module

SETTINGS = {"model": {"d_model": 16, "n_layers": 2}, "recipe": {"steps": 10, "seed": 0}, "corpus": "abc"}
TENSORS = {"model|a": torch.arange(6.0).reshape(2, 3), "optimizer|a|step": torch.tensor(7.0)}

FILES = ["checkpoint.safetensors", "lock", "run.json"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path / "run")
    yield folder
    folder.close()


def assert_checkpoint(folder: RunFolder, step: int) -> None:
    loaded = folder.load_checkpoint()
    assert loaded is not None
    tensors, found, facts = loaded
    assert (found, facts) == (step, {"seconds": 1.5})
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name] + step) for name in TENSORS)


def save(folder: RunFolder, step: int) -> None:
    folder.save_checkpoint({name: t + step for name, t in TENSORS.items()}, step, {"seconds": 1.5})


def test_a_checkpoint_comes_back_and_replaces_the_one_before(folder: RunFolder) -> None:
    assert folder.load_checkpoint() is None
    for step in (3, 4):
        save(folder, step)
        assert_checkpoint(folder, step)
    assert sorted(path.name for path in folder.path.iterdir()) == FILES


def test_a_second_process_is_kept_out_until_the_first_is_gone(folder: RunFolder) -> None:
    program = (
        "import sys; from llm101.pretraining import RunFolder, RunFolderError\n"
        "try: RunFolder(sys.argv[1])\n"
        "except RunFolderError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(folder.out)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]).stdout
    assert said == f"another process is training in {folder.out}; wait for it or choose another folder\n"
    with pytest.raises(RunFolderError, match="another process is training"):
        RunFolder(folder.out)
    folder.close()
    RunFolder(folder.out).close()


def test_the_same_settings_are_welcome_and_others_are_named(folder: RunFolder) -> None:
    folder.refuse_others(SETTINGS)
    assert folder.settings() is None
    folder.claim(SETTINGS)
    folder.refuse_others(SETTINGS)
    other = {**SETTINGS, "recipe": {"steps": 20, "seed": 0}, "corpus": "abd", "extra": 1}
    with pytest.raises(RunFolderError) as refusal:
        folder.refuse_others(other)
    assert str(refusal.value) == (
        f"{folder.out} holds a run with other settings: recipe.steps is 10 there and 20 here; corpus is abc there "
        "and abd here; extra is not set there and 1 here. Give the same ones to go on with it, or choose another folder"
    )
    assert folder.settings() == SETTINGS


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_damaged_settings_are_named(folder: RunFolder, content: bytes) -> None:
    (folder.path / "settings.json").write_bytes(content)
    with pytest.raises(RunFolderError, match="settings.json is damaged"):
        folder.refuse_others(SETTINGS)


@pytest.mark.parametrize("damage", ["empty", "cut", "header", "foreign"])
def test_a_damaged_checkpoint_is_named(folder: RunFolder, damage: str) -> None:
    save(folder, 3)
    file = folder.path / "checkpoint.safetensors"
    whole = file.read_bytes()
    foreign = len(b"{}").to_bytes(8, "little") + b"{}"
    file.write_bytes({"empty": b"", "cut": whole[:-1], "header": b"\xff" + whole[1:], "foreign": foreign}[damage])
    with pytest.raises(RunFolderError, match="checkpoint.safetensors is damaged .*delete it to start this run anew"):
        folder.load_checkpoint()


def test_a_full_disk_leaves_the_old_checkpoint(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder, 3)

    def full(tensors: dict[str, torch.Tensor], file: Path, metadata: dict[str, str]) -> None:
        file.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(RunFolderError, match="No space left on device; the checkpoint before it is untouched"):
        save(folder, 4)
    assert_checkpoint(folder, 3)
    assert sorted(path.name for path in folder.path.iterdir()) == FILES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_really_full_device_is_reported(folder: RunFolder) -> None:
    save(folder, 3)
    (folder.path / "checkpoint.safetensors.partial").symlink_to("/dev/full")
    (folder.path / "moments.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunFolderError, match="cannot write .*moments.jsonl: No space left on device"):
        folder.add_moment({"step": 1})
    assert_checkpoint(folder, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
@pytest.mark.parametrize("delay", [0.0, *(pytest.param(n / 1000, marks=pytest.mark.slow) for n in range(1, 9))])
def test_kill_minus_nine_in_the_middle_of_a_write_leaves_a_whole_checkpoint(tmp_path: Path, delay: float) -> None:
    program = textwrap.dedent(
        """
        import sys, torch
        from llm101.pretraining import RunFolder
        folder = RunFolder(sys.argv[1])
        step = 0
        while True:
            step += 1
            tensors = {f"model|{i}": torch.full((50_000,), float(step)) for i in range(8)}
            folder.save_checkpoint(tensors, step, {"seconds": 1.5})
            if step == 2:
                print("ready", flush=True)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
    folder = RunFolder(tmp_path)  # the lock went with the process
    loaded = folder.load_checkpoint()
    assert loaded is not None
    tensors, step, _ = loaded
    assert step >= 2
    assert len(tensors) == 8
    assert all((tensor == step).all() for tensor in tensors.values())
    save(folder, step + 1)  # and whatever was half written is in nobody's way
    assert_checkpoint(folder, step + 1)
    assert not list(folder.path.glob("*.partial"))
    folder.close()


def test_moments_are_kept_one_a_line_and_forgotten_from_a_step_on(folder: RunFolder) -> None:
    assert folder.moments() == []
    for step in range(1, 6):
        folder.add_moment({"step": step, "loss": 1 / step})
    folder.drop_moments_after(3)
    folder.add_moment({"step": 4, "loss": 9})
    assert [(m["step"], m["loss"]) for m in folder.moments()] == [(1, 1), (2, 1 / 2), (3, 1 / 3), (4, 9)]


def test_a_line_that_a_crash_cut_off_is_forgotten(folder: RunFolder) -> None:
    folder.add_moment({"step": 1})
    with (folder.path / "moments.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "lo\xc3')
    assert folder.moments() == [{"step": 1}]
    folder.drop_moments_after(1)
    assert (folder.path / "moments.jsonl").read_text() == '{"step": 1}\n'


def test_a_file_where_a_folder_is_needed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="cannot write to .*file: it is not a folder"):
        RunFolder(tmp_path / "file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunFolderError, match="cannot write to .*: Permission denied"):
        RunFolder(tmp_path / "run")


def test_a_read_only_disk_is_reported(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(RunFolderError, match="cannot write to .*: Read-only file system"):
        RunFolder(folder.out / "new")
    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(RunFolderError, match="cannot write .*settings.json: Read-only file system"):
        folder.claim(SETTINGS)
