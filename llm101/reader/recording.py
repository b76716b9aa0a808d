"""What functions gave when a chapter was recorded, for a reader who lacks what they need.

A function that needs a model which is not here cannot run. Rather than end the chapter, it gives back what it gave on
the day of the recording, and says so each time. It knows nothing of models: a file of calls and results is all it has.

Reading order: Recording, then _keep (which only tests/record_chapters.py asks for).
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from llm101.outside.atomic_file import atomic_file

Function = TypeVar("Function", bound=Callable[..., Any])

RECORD = "LLM101_RECORD"
"""The environment variable that, set to anything, has what runs live recorded as well."""


class NotRecordedError(LookupError):
    """A call that nobody recorded, and nothing to answer it with."""


class Recording:
    """A decorator: live, a function stays what it is; otherwise its results come from a file, marked as recorded.

    Args:
        path: the file, JSON: "date", "of" (what was run), "results": for each function, pairs of arguments and result.
        of: what the functions run, for the mark.
        live: whether they can run here.

    Results are what JSON can hold: numbers, texts, lists and tables of these.

    Raises:
        NotRecordedError: when a function that cannot run is asked what was never recorded.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "recorded.json"
        >>> _ = path.write_text('{"date": "2026-01-02", "of": "a model", "results": {"answer": [[["2 + 2?"], "4"]]}}')
        >>> @Recording(path, of="a model", live=False)
        ... def answer(question):
        ...     return "what the model says"
        >>> print(answer("2 + 2?"))
        [recorded 2026-01-02] 4
    """

    def __init__(self, path: str | os.PathLike[str], *, of: str, live: bool) -> None:
        self.path, self.of, self.live = Path(path), of, live
        self._kept: dict[str, list[Any]] = {}
        self._file: dict[str, Any] = {}
        if not live:
            self._file = json.loads(self.path.read_text(encoding="utf-8"))

    def __call__(self, function: Function) -> Function:
        if self.live and RECORD not in os.environ:
            return function
        results = self._kept.setdefault(function.__name__, []) if self.live else None

        @functools.wraps(function)
        def looked_up(*arguments: Any) -> Any:
            asked = json.loads(json.dumps(arguments))
            if results is None:
                return self._result(function.__name__, asked)
            result = function(*arguments)
            results[:] = [pair for pair in results if pair[0] != asked] + [[asked, json.loads(json.dumps(result))]]
            self._keep()
            return result

        return looked_up  # pyright: ignore[reportReturnType] - of the same signature

    def _result(self, name: str, asked: list[Any]) -> Any:
        for arguments, result in self._file["results"].get(name, ()):
            if arguments == asked:
                print(f"[recorded {self._file['date']}] ", end="")
                return result
        call = f"{name}({', '.join(map(repr, asked))})"
        raise NotRecordedError(f"{call} was not recorded: it needs {self.of}, which is not installed")

    def _keep(self) -> None:
        """Write what was heard so far, with today's date."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"date": date.today().isoformat(), "of": self.of, "results": self._kept}
        with atomic_file(self.path) as file:
            file.write((json.dumps(kept, indent=1, ensure_ascii=False) + "\n").encode())

    def __repr__(self) -> str:
        if self.live:
            return f"{self.of} is here: everything below runs on this machine"
        return (
            f"{self.of} is not installed: what it did on {self._file['date']}, on another machine, stands below "
            "in its place, each time marked as recorded"
        )
