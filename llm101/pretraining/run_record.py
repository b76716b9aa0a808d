"""The record of a run: what in its folder it made, and may therefore replace or remove.

It knows names of files, nothing of what is in them. What a reader has in a folder is never touched: a folder
`training` without a record, or a model that the record does not name, is a reason to refuse.

    OUT/training/run.json    {"by": "llm101 pretrain", "made": ["training", "config.json", ...]}
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from llm101.outside.atomic_file import atomic_file, reason
from llm101.outside.output_target import OutputTargetError, check_output_folder
from llm101.outside.strict_json import strict_json

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
"""What a finished run writes beside its folder `training`."""
SETTINGS = {"model", "recipe", "corpus", "validation"}
"""What a settings.json speaks of: runs from before there was a record are known by it."""
HALF_WRITTEN = re.compile(r"checkpoint\.safetensors\.partial|\.[0-9a-f]{12}\.partial|\.tmp[A-Za-z0-9]{6}")
"""Names of files that a killed process of ours leaves behind; the last kind is safetensors' own."""


class RunFolderError(ValueError):
    """A run folder that is in use, belongs to another run or to the reader, is damaged, or cannot be written."""


class RunRecord:
    """What a run made, by names from the folder `out`.

    Args:
        out: the folder that will hold the finished model.

    Example:
        >>> from tempfile import mkdtemp
        >>> record = RunRecord(Path(mkdtemp()))
        >>> record.training.mkdir()
        >>> record.add("training")
        >>> record.made()
        ['training']
    """

    def __init__(self, out: Path) -> None:
        self.out, self.training = out, out / "training"
        self.file = self.training / "run.json"

    def look(self) -> None:
        """See that nothing would be lost here; makes and changes nothing.

        Raises:
            RunFolderError: it cannot be written, or holds files or a model that are not a run's.
        """
        try:
            check_output_folder(self.out)
            names = [path.name for path in self.training.iterdir()] if os.path.lexists(self.training) else []
        except OutputTargetError as error:
            raise RunFolderError(str(error)) from None
        except OSError as error:
            raise RunFolderError(f"cannot write to {self.training}: {reason(error)}") from None
        foreign = [name for name in names if name != "lock" and not HALF_WRITTEN.fullmatch(name)]
        if foreign and self.made() is None:
            raise RunFolderError(
                f"{self.training} is not of a run of llm101, whose files would go there; choose another folder"
            )
        self.refuse_other_model()

    def refuse_other_model(self) -> None:
        """See that no model but the run's own would be replaced at its end.

        Raises:
            RunFolderError: naming the file that is in the way.
        """
        made = self.made() or []
        for name in MODEL_FILES:
            if os.path.lexists(self.out / name) and name not in made:
                raise RunFolderError(
                    f"{self.out} holds a {name} that this run did not make and would replace; choose another folder"
                )

    def made(self) -> list[str] | None:
        """What the run made; None if no run trained here."""
        try:
            return [str(name) for name in strict_json(self.file.read_bytes())["made"]]
        except FileNotFoundError:
            return list(MODEL_FILES) if self._is_older_run() else None
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise RunFolderError(f"{self.file} is damaged ({error}); choose another folder") from None

    def add(self, *names: str) -> None:
        """Write down that the run made these, or is about to."""
        made = sorted({*(self.made() or []), *names})
        try:
            with atomic_file(self.file) as file:
                file.write(json.dumps({"by": "llm101 pretrain", "made": made}, indent=1).encode())
        except OSError as error:
            raise RunFolderError(f"cannot write {self.file}: {reason(error)}") from None

    def _is_older_run(self) -> bool:
        try:
            return strict_json((self.training / "settings.json").read_bytes()).keys() >= SETTINGS
        except (ValueError, OSError, AttributeError):
            return False
