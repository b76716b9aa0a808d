"""The run folder: what is on disk while a model is being trained, such that no crash can ruin it.

It knows files, nothing of gradients. Nothing is ever changed in place: a checkpoint is written beside the old
one and takes its place in a single step, so that at every moment there is a whole one. A lock, which the
operating system drops with the process, keeps a second run out; run_record.py keeps a run out of what is a reader's.

    OUT/training/run.json                 what this run made (run_record.py)
    OUT/training/settings.json            model, recipe, corpus: what makes a run the same run
    OUT/training/checkpoint.safetensors   parameters, the optimizer's memory, the step
    OUT/training/moments.jsonl            one line per recorded moment
    OUT/training/snapshots/*.safetensors  the parameters at some steps, as float16 (if asked for)
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from llm101.outside.atomic_file import atomic_file, reason
from llm101.outside.strict_json import strict_json
from llm101.pretraining.run_record import HALF_WRITTEN, RunFolderError, RunRecord

__all__ = ["RunFolder", "RunFolderError"]

MayChange = Callable[[str, Any, Any], bool]


class RunFolder:
    """One run's files, locked for this process until `close()`.

    Args:
        out: the folder that will hold the finished model.

    Raises:
        RunFolderError: another process trains there, it cannot be written, or it holds what is not of a run:
            files in `training` that are not ours, or a model that is not this run's.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.out = Path(out)
        self.path = self.out / "training"
        self.record = RunRecord(self.out)
        self.record.look()
        self._new = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self._lock = FileLock(self.path / "lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunFolderError(
                f"another process is training in {out}; wait for it or choose another folder"
            ) from None
        except OSError as error:
            self._remove_new_folders()
            raise RunFolderError(f"cannot write to {out}: {reason(error)}") from None
        for path in self.path.iterdir():  # by a process that was killed, as nobody else is here
            if HALF_WRITTEN.fullmatch(path.name):
                with suppress(OSError):
                    path.unlink()
        self.record.add(*(["training"] if self.path in self._new else []))

    def settings(self) -> dict[str, Any] | None:
        """What the run was started with; None if it is new."""
        file = self.path / "settings.json"
        try:
            return strict_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise RunFolderError(f"{file} is damaged ({error}); choose another folder") from None

    def refuse_others(self, settings: dict[str, Any], may_change: MayChange = lambda *_: False) -> dict[str, Any]:
        """See that the folder is new, or that it holds a run with the same settings.

        Args:
            settings: what makes a run this run.
            may_change: of a setting's name, its value there and its value here: whether the run may go on with it.

        Returns:
            The settings that the run goes on with instead of those it had: name -> (there, here).

        Raises:
            RunFolderError: naming what differs, with both values.
        """
        found, wanted = self.settings(), json.loads(json.dumps(settings))  # as they will be read back
        if found is None:
            return {}
        there, here = dict(_leaves(found)), dict(_leaves(wanted))
        differing = {
            name: (there.get(name, "not set"), here.get(name, "not set"))
            for name in {**there, **here}
            if there.get(name) != here.get(name)
        }
        if any(not may_change(name, *values) for name, values in differing.items()):
            listed = "; ".join(f"{name} is {t} there and {h} here" for name, (t, h) in differing.items())
            raise RunFolderError(
                f"{self.out} holds a run with other settings: {listed}. "
                "Give the same ones to go on with it, or choose another folder"
            )
        return differing

    def claim(self, settings: dict[str, Any]) -> None:
        """Say what makes this run this run, once everything else about it has been found to be in order."""
        if self.settings() != json.loads(json.dumps(settings)):
            self._write("settings.json", json.dumps(settings, indent=1).encode())

    def save_checkpoint(self, tensors: dict[str, Tensor], step: int, facts: dict[str, Any]) -> None:
        """Put a new checkpoint in the place of the old one, in one step."""
        file = self.path / "checkpoint.safetensors"
        self._save(file, tensors, {"step": str(step), "facts": json.dumps(facts)})

    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return (self.path / "checkpoint.safetensors").exists()

    def load_checkpoint(self) -> tuple[dict[str, Tensor], int, dict[str, Any]] | None:
        """The last checkpoint: its tensors, how many steps it has behind it, and facts; None at the start."""
        file = self.path / "checkpoint.safetensors"
        if not self.has_checkpoint():
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

    def abandon(self) -> None:
        """Let others in after a start that came to nothing, and leave nothing behind that it made."""
        if "training" in (self.record.made() or []):
            self._new = [self.path, *self._new]
        with suppress(OSError):
            self.record.file.unlink()
        with suppress(OSError):  # before others can come in; Windows can only after that
            (self.path / "lock").unlink()
        self._lock.release()
        with suppress(OSError):
            (self.path / "lock").unlink()
        self._remove_new_folders()

    def _remove_new_folders(self) -> None:
        for folder in self._new:  # innermost first; one that is not empty stays
            with suppress(OSError):
                folder.rmdir()

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
            raise RunFolderError(
                f"cannot write {file}: {_reason(error)}; the checkpoint before it is untouched"
            ) from None

    def _write(self, name: str, content: bytes) -> None:
        try:
            with atomic_file(self.path / name) as file:
                file.write(content)
        except OSError as error:
            raise RunFolderError(f"cannot write {self.path / name}: {reason(error)}") from None


def _reason(error: OSError | SafetensorError) -> str:
    """What went wrong, without the temporary names of files that safetensors tells of."""
    if isinstance(error, OSError):
        return reason(error)
    told = re.search(r"I/O error: (.+?) \(os error", str(error))
    return told[1] if told else str(error).split(" at path ")[0]


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
