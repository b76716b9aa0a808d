"""What a package needs that a checkout does not: the chapters inside it, and a README that reads well elsewhere.

A hook and not `force-include` in pyproject.toml, because that would put a second copy of the chapters, soon
stale, into editable installs as well.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

IMAGE = re.compile(r"!\[([^]]*)]\((?!https?:|#)([^)]+)\)")
LINK = re.compile(r"(?<!!)\[([^]]*)]\((?!https?:|#)([^)]+)\)")
"""What points at a file of the repository."""


class ChaptersInTheWheel(BuildHookInterface):
    """A wheel has no checkout beside it, so it carries the chapters; `llm101 read` copies them out."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        book = Path(self.root) / "book"
        for path in book.rglob("*"):
            parts = path.relative_to(book).parts
            if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in parts):
                build_data["force_include"][str(path)] = "/".join(["llm101", "_book", *parts])


class LinksToTheRepository(MetadataHookInterface):
    """Links from the package's page to the repository: all from the one address in pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        repository = self.config["repository"].rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": readme_elsewhere(text, repository)}
        metadata["urls"] = urls(repository)


def urls(repository: str) -> dict[str, str]:
    """The links of a package's page, by the names that package indexes know; none while there is no repository."""
    if not repository:
        return {}
    pages = {"Documentation": "/blob/HEAD/README.md", "Changelog": "/blob/HEAD/CHANGELOG.md", "Issues": "/issues"}
    return {"Repository": repository, **{name: repository + page for name, page in pages.items()}}


def readme_elsewhere(text: str, repository: str) -> str:
    """README.md for a page that has no other file of the repository: full addresses, or no links and pictures.

    Example:
        >>> readme_elsewhere("See [the map](MAP.md).", "https://example.org/llm101")
        'See [the map](https://example.org/llm101/blob/HEAD/MAP.md).'
        >>> readme_elsewhere("See [the map](MAP.md).", "")
        'See the map.'
    """
    if not repository:
        return LINK.sub(r"\1", re.sub(IMAGE.pattern + r"\n*", "", text))
    text = IMAGE.sub(rf"![\1]({repository}/raw/HEAD/\2)", text)
    return LINK.sub(rf"[\1]({repository}/blob/HEAD/\2)", text)
