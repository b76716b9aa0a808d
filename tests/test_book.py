"""The rules that every chapter keeps: short cells, prose between code, sourced numbers, nothing left unchecked.

They read the notebooks as they are saved; running them is nbval's work (make test-chapters).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from llm101.estimates import facts

BOOK = Path(__file__).resolve().parents[1] / "book"
CHAPTERS = sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))
TAGS = {"nbval-check-output", "exercise", "solution"}
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
FREE_NUMBERS = {str(n) for n in range(11)}
"""Small whole numbers, with which a sentence counts its own things."""

pytestmark = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


def cells_of(chapter: Path, kind: str | None = None) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(chapter, as_version=4).cells if kind in (None, cell.cell_type)]


def tags_of(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def prose_of(cell: NotebookNode) -> str:
    """What a reader sees at first: no asides that are folded away, no link targets, no code."""
    text = re.sub(r"<details>.*?</details>", "", cell.source, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", text)


def shown_by(cell: NotebookNode) -> str:
    """All text that the cell's outputs show."""
    texts = [output.get("text", "") for output in cell.outputs]
    return "\n".join([*texts, *(output.get("data", {}).get("text/plain", "") for output in cell.outputs)])


def numbers_in(text: str) -> set[str]:
    """The numbers of a text as they are written, without separators and without ending zeros.

    Both of a sentence's 137.95 and a result's 137.953 are found by their leading digits (see stated_in).
    """
    return {number.replace(",", "").rstrip(".") for number in NUMBER.findall(text.replace("_", ""))}


def stated_in(number: str, known: set[str]) -> bool:
    """Whether a number is among those known, perhaps with fewer decimals than there."""
    if number in known:
        return True
    decimals = len(number.partition(".")[2])
    return any(f"{float(other):.{decimals}f}" == number for other in known if "." in other)


def test_it_is_as_long_as_an_overview_may_be(chapter: Path) -> None:
    assert 20 <= len(cells_of(chapter)) <= 80


def test_it_opens_with_its_title_and_has_one(chapter: Path) -> None:
    titles = [cell.source for cell in cells_of(chapter, "markdown") if re.search(r"^# ", cell.source, re.MULTILINE)]
    assert len(titles) == 1
    assert cells_of(chapter)[0].source == titles[0]


def test_prose_is_20_to_100_words_a_cell(chapter: Path) -> None:
    for cell in cells_of(chapter, "markdown"):
        n_words = len(re.findall(r"\w[\w'’-]*", prose_of(cell)))
        assert 20 <= n_words <= 100, f"{n_words} words: {cell.source[:60]!r}"


def test_code_is_at_most_25_short_lines_a_cell(chapter: Path) -> None:
    for cell in cells_of(chapter, "code"):
        lines = cell.source.split("\n")
        assert len(lines) <= 25, lines[0]
        assert max(map(len, lines)) <= 120, lines[0]


def test_the_median_code_cell_has_at_most_8_lines(chapter: Path) -> None:
    lengths = sorted(cell.source.count("\n") + 1 for cell in cells_of(chapter, "code"))
    assert lengths[len(lengths) // 2] <= 8


def test_at_most_two_code_cells_stand_in_a_row(chapter: Path) -> None:
    in_a_row = "".join("c" if cell.cell_type == "code" else " " for cell in cells_of(chapter))
    assert "ccc" not in in_a_row


def test_all_imports_are_in_the_first_code_cell(chapter: Path) -> None:
    first, *others = cells_of(chapter, "code")
    assert any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(ast.parse(first.source)))
    for cell in others:
        found = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not found, cell.source


def test_no_cell_installs_searches_or_asks_where_it_is(chapter: Path) -> None:
    forbidden = r"^\s*[!%]|\bpip\b|sys\.path|sys\.modules|os\.environ|import \*|get_ipython|google\.colab|warnings\."
    for cell in cells_of(chapter, "code"):
        assert not re.search(forbidden, cell.source, re.MULTILINE), cell.source


def test_every_definition_is_used(chapter: Path) -> None:
    source = "\n".join(cell.source for cell in cells_of(chapter, "code"))
    tree = ast.parse(source)
    members = {member for n in ast.walk(tree) if isinstance(n, ast.ClassDef) for member in n.body}  # called elsewhere
    own = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef) and n not in members]
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    assert [n.name for n in own if n.name not in used] == []


def test_every_import_is_used(chapter: Path) -> None:
    tree = ast.parse("\n".join(cell.source for cell in cells_of(chapter, "code")))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = {(alias.asname or alias.name).split(".")[0] for node in nodes for alias in node.names}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert imported - used == set()


def test_it_was_run_from_top_to_bottom_and_nothing_failed(chapter: Path) -> None:
    code = cells_of(chapter, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        kinds = [output.output_type for output in cell.outputs]
        assert "error" not in kinds, cell.source
        assert not any(output.get("name") == "stderr" for output in cell.outputs), cell.source


def test_what_is_compared_was_saved(chapter: Path) -> None:
    """Without saved output, nbval compares nothing and passes."""
    checked = [cell for cell in cells_of(chapter, "code") if "nbval-check-output" in tags_of(cell)]
    assert checked
    assert [cell.source for cell in checked if not cell.outputs] == []
    for cell in checked:
        assert "0x" not in shown_by(cell), f"an address changes from run to run: {cell.source}"


def test_only_known_tags_are_used(chapter: Path) -> None:
    assert {tag for cell in cells_of(chapter) for tag in tags_of(cell)} <= TAGS


def test_every_picture_is_described_in_words(chapter: Path) -> None:
    cells = cells_of(chapter)
    for cell, after in zip(cells, [*cells[1:], None], strict=True):
        shows_picture = any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
        if cell.cell_type == "code" and shows_picture:
            assert after is not None
            assert after.source.startswith("*Figure: "), cell.source
    for cell in cells_of(chapter, "markdown"):
        assert "![](" not in cell.source
        assert not re.search(r"<img(?![^>]*\balt=)", cell.source), cell.source


def test_widgets_and_diagrams_leave_words_behind(chapter: Path) -> None:
    for cell in cells_of(chapter, "code"):
        for output in cell.outputs:
            kinds = output.get("data", {})
            if "application/vnd.jupyter.widget-view+json" in kinds or "text/vnd.mermaid" in kinds:
                assert len(kinds["text/plain"].split()) >= 5, cell.source


def test_widgets_leave_a_picture_behind_that_is_shown_before_the_chapter_is_run(chapter: Path) -> None:
    for cell in cells_of(chapter, "code"):
        for output in cell.outputs:
            kinds = set(output.get("data", {}))
            if "application/vnd.jupyter.widget-view+json" in kinds and "CompletionConsole(" not in cell.source:
                assert kinds & {"text/html", "image/png"}, cell.source  # a console's text is its picture


def test_what_is_predicted_is_also_checked(chapter: Path) -> None:
    prose = "\n".join(cell.source for cell in cells_of(chapter, "markdown"))
    counts = Counter(re.findall(r"\*\*(Predict|Check)\.\*\*", prose))
    assert counts["Predict"] == counts["Check"] > 0


def test_every_exercise_has_a_docstring_a_check_three_hints_and_a_folded_solution(chapter: Path) -> None:
    cells = cells_of(chapter)
    stubs = [index for index, cell in enumerate(cells) if "exercise" in tags_of(cell)]
    assert stubs
    assert sum("solution" in tags_of(cell) for cell in cells) == len(stubs)
    for index in stubs:
        hints = re.findall(r"<summary>Hint (\d)</summary>", cells[index - 1].source)
        assert hints == ["1", "2", "3"]
        (stub,) = ast.parse(cells[index].source).body
        assert isinstance(stub, ast.FunctionDef)
        assert ast.get_docstring(stub)
        assert f"check({stub.name}, " in cells[index + 1].source
        solution = next(cell for cell in cells[index:] if "solution" in tags_of(cell))
        assert solution.metadata["jupyter"]["source_hidden"] is True
        assert f"check({stub.name}_solution, " in solution.source
        assert f"{stub.name}_solution is right on all " in shown_by(solution)


def test_every_link_to_a_chapter_leads_somewhere(chapter: Path) -> None:
    for cell in cells_of(chapter, "markdown"):
        for target in re.findall(r"\]\(([^)#]+)", cell.source):
            assert target.startswith("https://") or (BOOK / target).is_file(), target


def test_every_number_in_the_prose_is_computed_or_in_the_ledger(chapter: Path) -> None:
    """In code, shown by a cell whose output nbval compares, or a fact: a time measured once is none of these."""
    cells = cells_of(chapter, "code")
    compared = [cell for cell in cells if "nbval-check-output" in tags_of(cell)]
    known = FREE_NUMBERS.union(*(numbers_in(cell.source) for cell in cells))
    known = known.union(*(numbers_in(shown_by(cell)) for cell in compared))
    for fact in facts().values():
        known |= numbers_in(fact.claim) | numbers_in(str(fact.value))
    for cell in cells_of(chapter, "markdown"):
        text = re.sub(r"\]\([^)]*\)|\*\*\d\d [A-Z][\w ]+\*\*|[Cc]hapter \d\d|Hint \d", "", cell.source)
        unknown = [number for number in numbers_in(text) if not stated_in(number, known)]
        assert not unknown, f"{unknown} in {cell.source[:80]!r}"


def test_it_is_small_enough_to_open_at_once(chapter: Path) -> None:
    assert chapter.stat().st_size < 1_500_000


def test_it_was_saved_without_what_changes_from_run_to_run(chapter: Path) -> None:
    notebook = nbformat.read(chapter, as_version=4)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}
    assert not any("execution" in cell.metadata for cell in notebook.cells)
