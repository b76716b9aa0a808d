"""The house: rooms, and imports that run one way between them. ARCHITECTURE.md draws it; this holds it.

A room is a module or a folder directly in `llm101/`. Every import counts: inside functions and for type checkers too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY, WIDGETS = ROOT / "llm101", ROOT / "widgets"

STOREYS = (
    ("outside", "diagrams", "exercises"),
    ("rotary",),
    ("model_config",),
    ("tokenizer", "model"),
    ("corpus", "parameters", "inference"),
    ("library", "estimates", "pretraining"),
    ("compression", "interpretability"),
    ("reader",),
    ("command",),
    ("cli",),
    ("__main__",),
)
"""From the ground up: a room stands on rooms of lower storeys, and on none beside or above it."""

MOST_ROOMS = 20
FRONT_END = {"IPython", "ipywidgets", "anywidget", "llm101_widgets", "llm101_site"}


def modules(folder: Path) -> dict[str, Path]:
    """Every module below a folder, by its full name; a package is its `__init__`."""
    paths = [path for path in folder.rglob("*.py") if "__pycache__" not in path.parts]
    return {
        ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """What a module imports, wherever it does so: a module's name, and the name taken from it or ""."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")))


def _imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, "") for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports name their module in full"
            yield from ((child.module or "", alias.name) for alias in child.names)
        elif isinstance(child, ast.Call) and ast.unparse(child.func).endswith(("compiled_module", "import_module")):
            yield from (
                (word.value, "")
                for word in child.args
                if isinstance(word, ast.Constant) and isinstance(word.value, str)
            )
        else:
            yield from _imports(child)


@cache
def arrows(folder: Path) -> dict[str, set[str]]:
    """For each module of a package, the modules of the same package that it imports."""
    known = modules(folder)
    return {
        name: {
            target if f"{target}.{taken}" not in known else f"{target}.{taken}"
            for target, taken in imports(path)
            if target in known
        }
        - {name}
        for name, path in known.items()
    }


def room(module: str) -> str:
    """Where a module lives: `llm101.inference.engine` in `inference`; `llm101` itself is the house."""
    return module.split(".")[1] if "." in module else ""


@cache
def rooms() -> dict[str, set[str]]:
    """For each room, the rooms that it stands on."""
    between: dict[str, set[str]] = {}
    for module, targets in arrows(LIBRARY).items():
        if room(module):
            between.setdefault(room(module), set()).update(room(target) for target in targets)
    return {name: targets - {name, ""} for name, targets in between.items()}


@pytest.mark.parametrize(
    "folder", [LIBRARY, *sorted(path.parent for path in WIDGETS.glob("*/__init__.py"))], ids=lambda p: p.name
)
def test_no_circle_of_imports(folder: Path) -> None:
    try:
        tuple(TopologicalSorter(arrows(folder)).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(reversed(error.args[1])))


def test_every_room_has_its_storey_and_there_are_few() -> None:
    placed = [name for storey in STOREYS for name in storey]
    assert sorted(placed) == sorted(rooms())
    assert len(placed) <= MOST_ROOMS


def test_a_room_stands_on_lower_storeys_only() -> None:
    storey = {name: i for i, names in enumerate(STOREYS) for name in names}
    wrong = [
        f"{name} → {target}" for name, below in rooms().items() for target in below if storey[target] >= storey[name]
    ]
    assert not wrong


@pytest.mark.parametrize("name", ["model", "inference", "library", "parameters", "tokenizer", "corpus"])
def test_what_is_read_knows_nothing_of_who_reads_it(name: str) -> None:
    reached, left = set[str](), [name]
    while left:
        reached.add(left[-1])
        left += rooms()[left.pop()] - reached
    assert "interpretability" not in reached


def test_the_drawing_names_every_room_and_no_other() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    drawing = text[text.index("\nllm101/ ") : text.index("\nwidgets/")]
    heads = re.findall(r"^  (\S.*?)  ", drawing, re.MULTILINE)
    drawn = {name.strip("/").removesuffix(".py") for head in heads for name in head.split(", ")}
    assert drawn - {"models"} == set(rooms())


def links() -> list[tuple[str, str]]:
    """What ARCHITECTURE.md calls by name, and the file in which it says that it lies."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return re.findall(r"\[`([\w.]+)`\]\(([\w/]+\.py)\)", text)


def names_in(path: Path) -> set[str]:
    """Functions, classes and methods of a module."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return names


@pytest.mark.parametrize(("name", "file"), links())
def test_what_the_architecture_names_is_where_it_says(name: str, file: str) -> None:
    assert {name, name.removeprefix(f"{Path(file).stem}.")} & names_in(ROOT / file)


def test_the_architecture_follows_one_token_through_the_house() -> None:
    passed = [Path(file).parts[1].removesuffix(".py") for _, file in links()]
    assert {"library", "tokenizer", "inference", "model"} <= set(passed)
    assert len(set(links())) >= 10


def test_the_library_knows_no_front_end_and_widgets_no_library() -> None:
    for path in LIBRARY.rglob("*.py"):
        assert not {target.split(".")[0] for target, _ in imports(path)} & FRONT_END, path
    for path in WIDGETS.rglob("*.py"):
        assert not {target.split(".")[0] for target, _ in imports(path)} & {"torch", "llm101"}, path


def test_the_arrows_are_seen_wherever_they_hide(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "a.py").write_text("def f():\n    if True:\n        from house import b\n    return b\n")
    (package / "b.py").write_text("x = import_module('house.a')\n")
    (package / "c.py").write_text("if TYPE_CHECKING:\n    import house.a\n")
    assert arrows(package) == {"house": set(), "house.a": {"house.b"}, "house.b": {"house.a"}, "house.c": {"house.a"}}
    with pytest.raises(CycleError):
        tuple(TopologicalSorter(arrows(package)).static_order())
