"""A wheel has no checkout beside it, so it carries the chapters; `llm101 read` copies them out.

A hook and not `force-include` in pyproject.toml, because that would put a second copy, soon stale, into
editable installs as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ChaptersInTheWheel(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        book = Path(self.root) / "book"
        for path in book.rglob("*"):
            parts = path.relative_to(book).parts
            if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in parts):
                build_data["force_include"][str(path)] = "/".join(["llm101", "_book", *parts])
