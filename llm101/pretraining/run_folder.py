"""The run folder: what is on disk while a model is being trained, such that no crash can ruin it.

It knows files, nothing of gradients. Nothing is ever changed in place: a checkpoint is written beside the old
one and takes its place in a single step, so that at every moment there is a whole one. A lock, which the
operating system drops with the process, keeps a second run out.

    OUT/training/settings.json            model, recipe, corpus: what makes a run the same run
    OUT/training/checkpoint.safetensors   parameters, the optimizer's memory, the step
    OUT/training/moments.jsonl            one line per recorded moment
    OUT/training/snapshots/*.safetensors  the parameters at some steps, as float16 (if asked for)
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


class RunFolderError(ValueError):
    """A run folder that is in use, belongs to another run, is damaged, or cannot be written."""


class RunFolder:
    """One run's files, locked for this process until `close()`.

    Args:
        out: the folder that will hold the finished model.

    Raises:
        RunFolderError: another process trains there, or it cannot be written.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.out = Path(out)
        self.path = self.out / "training"
        self._lock = FileLock(self.path / "lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunFolderError(f"another process is training in {out}; wait for it or choose another folder") from None
        except OSError as error:
            raise RunFolderError(f"cannot write to {out}: {error.strerror}") from None

    def claim(self, settings: dict[str, Any]) -> None:
        """Say what makes this run this run; a folder that was started with other settings is refused."""
        settings = json.loads(json.dumps(settings))  # as it will be read back
        file = self.path / "settings.json"
        if not file.exists():
            _replace(file, json.dumps(settings, indent=1).encode())
            return
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunFolderError(f"{file} is damaged ({error}); choose another folder") from None
        if found != settings:
            differing = [key for key in {*found, *settings} if found.get(key) != settings.get(key)]
            raise RunFolderError(
                f"{self.out} holds a run with other settings ({', '.join(sorted(differing))} differ); "
                "give the same ones to go on with it, or choose another folder"
            )

    def recipe_steps(self) -> int | None:
        """How many steps the run was started with; None if it is new."""
        file = self.path / "settings.json"
        return json.loads(file.read_text(encoding="utf-8"))["recipe"]["steps"] if file.exists() else None

    def save_checkpoint(self, tensors: dict[str, Tensor], step: int, facts: dict[str, Any]) -> None:
        """Put a new checkpoint in the place of the old one, in one step."""
        file = self.path / "checkpoint.safetensors"
        self._save(file, tensors, {"step": str(step), "facts": json.dumps(facts)})

    def load_checkpoint(self) -> tuple[dict[str, Tensor], int, dict[str, Any]] | None:
        """The last checkpoint: its tensors, how many steps it has behind it, and facts; None at the start."""
        file = self.path / "checkpoint.safetensors"
        if not file.exists():
            return None
        try:
            with safe_open(file, "pt") as opened:
                metadata = opened.metadata()
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}
            return tensors, int(metadata["step"]), json.loads(metadata["facts"])
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(f"{file} is damaged ({error}); delete it to start this run anew") from None

    def save_snapshot(self, tensors: dict[str, Tensor], step: int) -> None:
        """Keep the parameters of this moment, as float16."""
        (self.path / "snapshots").mkdir(exist_ok=True)
        halves = {name: tensor.to(torch.float16) for name, tensor in tensors.items()}
        self._save(self.path / "snapshots" / f"step-{step:06d}.safetensors", halves, {"step": str(step)})

    def add_moment(self, moment: dict[str, Any]) -> None:
        """Append one line to the log."""
        with (self.path / "moments.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(moment) + "\n")

    def drop_moments_after(self, step: int) -> None:
        """Forget logged moments that the run, resumed at `step`, will go through again."""
        file = self.path / "moments.jsonl"
        if file.exists():
            lines = [line for line in file.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
            _replace(file, "".join(line + "\n" for line in lines).encode())

    def moments(self) -> list[dict[str, Any]]:
        """All logged moments."""
        file = self.path / "moments.jsonl"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

    def close(self) -> None:
        """Let others in."""
        self._lock.release()

    def _save(self, file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        partial = file.with_name(file.name + ".partial")
        try:
            save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, partial, metadata)
            with partial.open("rb+") as written:
                os.fsync(written.fileno())
            partial.replace(file)
        except (OSError, SafetensorError) as error:
            partial.unlink(missing_ok=True)
            raise RunFolderError(f"cannot write {file}: {error}; the checkpoint before it is untouched") from None


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line that a crash cut off


def _replace(file: Path, content: bytes) -> None:
    """Write a small file in one step."""
    partial = file.with_name(file.name + ".partial")
    try:
        with partial.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RunFolderError(f"cannot write {file}: {error.strerror}") from None
