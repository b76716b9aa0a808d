"""Nothing that is added stays without its tests, and the words for those who add name what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import llm101_widgets
from llm101.parameters.hugging_face_config import ARCHITECTURES

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
WIDGETS = sorted(path.parent.name for path in (ROOT / "widgets" / "llm101_widgets").glob("*/widget.js"))
GUIDES = ["CONTRIBUTING.md", "docs/adding.md", "docs/tried.md", ".github/pull_request_template.md"]
GUIDES += [f".github/ISSUE_TEMPLATE/{path.name}" for path in (ROOT / ".github" / "ISSUE_TEMPLATE").iterdir()]
TO_COME = {"book/07_hardware.ipynb"}
"""What a guide names as an example of something that is not there yet."""
MADE = {"tests/benchmarks/history.jsonl", ".venv/bin/ruff", ".venv/bin/pytest", ".venv/bin/python", ".venv/bin/llm101"}
"""What is there once something was run."""


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def paths_in(guide: str) -> set[str]:
    """Files and folders that a text names: `llm101/model.py`, README.md, [a link](docs/tried.md)."""
    words = re.findall(r"[\w.\-/*]*[\w*/]", re.sub(r"https?://\S+|Node\.js", "", guide))
    known = r"\.(md|py|toml|txt|ipynb|js|mjs|css|json|jsonl|yml|yaml|cff)$"
    tops = "|".join(re.escape(path.name) for path in ROOT.iterdir())
    return {word for word in words if re.search(known, word) or re.match(rf"({tops})/\w", word)}


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_names_is_there(guide: str) -> None:
    everywhere = {path.name for folder in ("book", "llm101", "widgets", "tests") for path in (ROOT / folder).rglob("*")}
    named = paths_in(text(guide)) - TO_COME - MADE
    missing = [
        name for name in sorted(named) if not any(ROOT.glob(name)) and not ("/" not in name and name in everywhere)
    ]
    assert missing == []


def test_a_file_that_is_not_there_is_missed() -> None:
    assert paths_in("See `llm101/no_such.py`, [more](docs/none.md) and `make test`; README.md.") == {
        "llm101/no_such.py",
        "docs/none.md",
        "README.md",
    }


@pytest.mark.parametrize("guide", GUIDES)
def test_every_make_target_that_a_guide_names_is_in_the_makefile(guide: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", text("Makefile"), flags=re.MULTILINE))
    calls = re.findall(r"`make ([a-z -]+)", text(guide)) + re.findall(r"^make ([a-z-]+)", text(guide), re.MULTILINE)
    assert {target for call in calls for target in call.split()} <= targets


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_is_in_the_readme_and_on_the_map(chapter: Path) -> None:
    assert f"\n| {chapter.name[:2]} | " in text("README.md")
    assert chapter.name == "00_the_map.ipynb" or chapter.name in text("book/00_the_map.ipynb")


@pytest.mark.parametrize("widget", WIDGETS)
def test_every_widget_is_named_tested_and_looked_at(widget: str) -> None:
    from tests.browser.book_widgets import BOOK_WIDGETS
    from tests.widgets.test_house_rules import WIDGETS as HELD_TO_THE_RULES

    assert re.search(rf"^    {widget} +[A-Z]\w+:", llm101_widgets.__doc__ or "", re.MULTILINE)
    assert widget in HELD_TO_THE_RULES
    assert HELD_TO_THE_RULES[widget].__name__ in llm101_widgets.__all__
    assert widget in BOOK_WIDGETS
    of_python = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "widgets").glob("test_*.py")]
    assert sum(HELD_TO_THE_RULES[widget].__name__ in source for source in of_python) >= 2  # the rules name all of them
    assert (ROOT / "tests" / "widgets" / f"{widget}.test.mjs").exists()


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_every_family_is_compared_with_transformers_and_looked_into(family: str) -> None:
    from tests.interpretability.test_every_family import FAMILIES as LOOKED_INTO
    from tests.test_against_transformers import FAMILIES as COMPARED

    assert family in COMPARED
    assert family in LOOKED_INTO
