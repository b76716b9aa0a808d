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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from llm101.atomic_file import atomic_file, reason
from llm101.strict_json import strict_json


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
            raise RunFolderError(
                f"another process is training in {out}; wait for it or choose another folder"
            ) from None
        except OSError as error:
            raise RunFolderError(f"cannot write to {out}: {reason(error)}") from None
        for half_written in self.path.glob("*.partial"):  # by a process that was killed, as nobody else is here
            with suppress(OSError):
                half_written.unlink()

    def settings(self) -> dict[str, Any] | None:
        """What the run was started with; None if it is new."""
        file = self.path / "settings.json"
        try:
            return strict_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise RunFolderError(f"{file} is damaged ({error}); choose another folder") from None

    def refuse_others(self, settings: dict[str, Any]) -> None:
        """See that the folder is new, or that it holds a run with the same settings.

        Raises:
            RunFolderError: naming what differs, with both values.
        """
        found, wanted = self.settings(), json.loads(json.dumps(settings))  # as they will be read back
        if found is not None and found != wanted:
            there, here = dict(_leaves(found)), dict(_leaves(wanted))
            differing = [
                f"{name} is {there.get(name, 'not set')} there and {here.get(name, 'not set')} here"
                for name in {**there, **here}
                if there.get(name) != here.get(name)
            ]
            raise RunFolderError(
                f"{self.out} holds a run with other settings: {'; '.join(differing)}. "
                "Give the same ones to go on with it, or choose another folder"
            )

    def claim(self, settings: dict[str, Any]) -> None:
        """Say what makes this run this run, once everything else about it has been found to be in order."""
        if self.settings() is None:
            self._write("settings.json", json.dumps(settings, indent=1).encode())

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
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
            return tensors, int(metadata["step"]), json.loads(metadata["facts"])
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(f"{file} is damaged ({error}); delete it to start this run anew") from None

    def save_snapshot(self, tensors: dict[str, Tensor], step: int) -> None:
        """Keep the parameters of this moment, as float16."""
        halves = {name: tensor.to(torch.float16) for name, tensor in tensors.items()}
        self._save(self.path / "snapshots" / f"step-{step:06d}.safetensors", halves, {"step": str(step)})

    def add_moment(self, moment: dict[str, Any]) -> None:
        """Append one line to the log."""
        file = self.path / "moments.jsonl"
        try:
            with file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(moment) + "\n")
        except OSError as error:
            raise RunFolderError(f"cannot write {file}: {reason(error)}") from None

    def drop_moments_after(self, step: int) -> None:
        """Forget what the run, resumed at `step`, will go through again, and a line that a crash cut off."""
        kept = [moment for moment in self.moments() if moment["step"] <= step]
        self._write("moments.jsonl", "".join(json.dumps(moment) + "\n" for moment in kept).encode())

    def moments(self) -> list[dict[str, Any]]:
        """All logged moments."""
        try:
            lines = (self.path / "moments.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [moment for moment in map(_moment, lines) if moment]

    def close(self) -> None:
        """Let others in."""
        self._lock.release()

    def _save(self, file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        partial = file.with_name(file.name + ".partial")
        try:
            file.parent.mkdir(exist_ok=True)
            save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, partial, metadata)
            with partial.open("rb+") as written:
                os.fsync(written.fileno())
            partial.replace(file)
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise RunFolderError(f"cannot write {file}: {error}; the checkpoint before it is untouched") from None

    def _write(self, name: str, content: bytes) -> None:
        try:
            with atomic_file(self.path / name) as file:
                file.write(content)
        except OSError as error:
            raise RunFolderError(f"cannot write {self.path / name}: {reason(error)}") from None


def _moment(line: str) -> dict[str, Any] | None:
    """A line of the log; None if a crash cut it off."""
    try:
        moment = json.loads(line)
        return moment if isinstance(moment["step"], int) else None
    except (ValueError, KeyError, TypeError):
        return None


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every single setting, under a name such as recipe.steps."""
    if not isinstance(value, dict):
        yield name, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{name}.{key}".removeprefix("."))
