"""Break the library on purpose, one small change at a time, and see who notices: the book, or the tests.

    python -m tests.mutation_check              every function that the chapters run, two changes each
    python -m tests.mutation_check --mutants 5 --minutes 60 --only tokenizer

A chapter notices if one of its cells fails, or shows something else where it is tagged nbval-check-output, which
is what nbval would say. Changes that no chapter notices are tried on the unit tests that name the function's
module. What nobody notices is listed: a hole in the tests, or a change that makes no difference.

Each change runs in a forked process, which takes the changed code in place of the function's own; so nothing has
to be imported twice, and nothing on disk is touched. It needs Linux or macOS.

Reading order: main, functions_run_by, mutants_of, notices; then how one chapter is run.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "llm101"
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
SOURCES = {str(path): path.read_text(encoding="utf-8") for path in sorted(LIBRARY.rglob("*.py"))}
"""The library as it was when the check began; somebody may be writing on it meanwhile."""
NOT_COMPARED = ("image/png", "text/latex", "application/vnd.jupyter.widget-view+json")  # as nbval does

Where = tuple[str, int]
"""A function: its file and the first line of its code (that of its first decorator)."""


@dataclass(frozen=True)
class Function:
    """A function of the library, and which chapters run it."""

    where: Where
    name: str
    chapters: tuple[Chapter, ...]

    @property
    def module(self) -> Path:
        return Path(self.where[0])


@dataclass(frozen=True)
class Mutant:
    """A function with one small change."""

    function: Function
    line: int
    change: str
    code: CodeType


# Changes


SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr, ast.USub: ast.UAdd,
}  # fmt: skip
NAME_SWAPS = {"min": "max", "max": "min", "any": "all", "all": "any"}


def changes_at(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], ast.AST]]]:
    """What could be changed about one node: a word for it, and a function that does it to a copy of the node."""
    for field in ("op", "ops"):
        operators = getattr(node, field, None)
        for i, operator in enumerate(operators if isinstance(operators, list) else [operators]):
            if isinstance(operator, tuple(SWAPS)):
                swapped = SWAPS[type(operator)]
                yield f"{type(operator).__name__} -> {swapped.__name__}", _setter(field, i, swapped())
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        other = not node.value if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value} -> {other}", _setter("value", None, other)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAME_SWAPS:
        yield f"{node.id} -> {NAME_SWAPS[node.id]}", _setter("id", None, NAME_SWAPS[node.id])
    if isinstance(node, ast.Return) and not (node.value is None or getattr(node.value, "value", 0) is None):
        yield "return None", _setter("value", None, ast.Constant(None))
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "condition negated", lambda n: _set(n, "test", ast.UnaryOp(ast.Not(), n.test))  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(node, ast.comprehension) and node.ifs:
        yield "filter dropped", _setter("ifs", None, [])
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "call left out", lambda n: ast.copy_location(ast.Pass(), n)
    if isinstance(node, ast.AugAssign):
        yield "assignment left out", lambda n: ast.copy_location(ast.Pass(), n)


def _set(node: ast.AST, field: str, value: Any) -> ast.AST:
    setattr(node, field, value)
    return node


def _setter(field: str, index: int | None, value: Any) -> Callable[[ast.AST], ast.AST]:
    def change(node: ast.AST) -> ast.AST:
        old = getattr(node, field)
        if index is not None and isinstance(old, list):
            return _set(node, field, [*old[:index], value, *old[index + 1 :]])
        return _set(node, field, value)

    return change


class Replace(ast.NodeTransformer):
    """Puts a changed copy in the place of one node."""

    def __init__(self, target: ast.AST, change: Callable[[ast.AST], ast.AST]) -> None:
        self.target, self.change = target, change

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.target:
            return self.change(copy.copy(node))
        return super().visit(node)


def changeable(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a body that decide something: not annotations, not what is only said when something is refused."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Raise | ast.Assert):
            continue
        yield node
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns", "args_annotations", "decorator_list"):
                waiting += [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, ast.AST)]


def mutants_of(function: Function, n: int, seed: int) -> list[Mutant]:
    """Up to n different changes of a function, drawn by a seed."""
    tree = ast.parse(SOURCES[function.where[0]])
    (node,) = (f for f in definitions(tree) if first_line(f) == function.where[1])
    possible = [(part, *change) for part in changeable(node) for change in changes_at(part)]
    random.Random(f"{seed} {function.name}").shuffle(possible)
    mutants = []
    for part, word, change in possible:
        if len(mutants) == n:
            break
        changed = ast.fix_missing_locations(_without(tree, part, change))
        code = find_code(compile(changed, function.where[0], "exec"), function.where[1], node.name)
        if code is not None:
            mutants.append(Mutant(function, getattr(part, "lineno", node.lineno), word, code))
    return mutants


def _without(tree: ast.Module, part: ast.AST, change: Callable[[ast.AST], ast.AST]) -> ast.Module:
    """The module with the change; its own tree is left as it was, as NodeTransformer works in place."""
    memo: dict[int, Any] = {}
    twin = copy.deepcopy(tree, memo)
    return Replace(memo[id(part)], change).visit(twin)  # pyright: ignore[reportReturnType]


def definitions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Functions and methods, but not functions inside of them, which are part of those.

    Nor numba's intrinsics: they write machine code once, and what is compiled already does not change with them.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and "intrinsic" not in map(ast.unparse, node.decorator_list):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from (inner for inner in node.body if isinstance(inner, ast.FunctionDef))


def first_line(function: ast.FunctionDef) -> int:
    return min([function.lineno, *(d.lineno for d in function.decorator_list)])


def find_code(code: CodeType, line: int, name: str) -> CodeType | None:
    """The code of the function that begins at a line, somewhere inside compiled code."""
    if code.co_firstlineno == line and code.co_name == name:
        return code
    inner = (find_code(c, line, name) for c in code.co_consts if isinstance(c, CodeType))
    return next((found for found in inner if found is not None), None)


def put_into_place(mutant: Mutant) -> bool:
    """Give the changed code to every function object that runs the original; False if it cannot be done."""
    path, line = mutant.function.where
    done = False
    for f in gc.get_objects():
        if isinstance(f, FunctionType) and (f.__code__.co_filename, f.__code__.co_firstlineno) == (path, line):
            if len(f.__code__.co_freevars) != len(mutant.code.co_freevars):
                return False
            f.__code__ = mutant.code
            done = True
    return done


# Chapters


Shown = dict[str, dict[str, str]]
"""What cells tagged nbval-check-output show: number of the cell -> kind of output -> text."""


@dataclass(frozen=True, eq=False)
class Chapter:
    """A notebook as it was when the check began; somebody may be writing on it meanwhile."""

    path: Path
    cells: list[tuple[int, str, bool]]
    """Of each cell with code: its number, its code, and whether what it shows is compared."""

    @classmethod
    def read(cls, path: Path) -> Chapter:
        """Read the file."""
        import nbformat

        cells = enumerate(nbformat.read(path, as_version=4).cells)
        code = [(n, c.source, c.metadata.get("tags", [])) for n, c in cells if c.cell_type == "code"]
        return cls(path, [(n, source, "nbval-check-output" in tags) for n, source, tags in code])


def run_chapter(chapter: Chapter, expected: Shown | None = None) -> tuple[str | None, Shown]:
    """Run a notebook in this process; returns what went wrong or differs from what is expected, and what it showed.

    What an unchanged chapter shows is taken from a run, not from the saved notebook: comparing those two is
    nbval's own work.
    """
    from IPython.core.formatters import DisplayFormatter
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    os.chdir(chapter.path.parent)
    shell = InteractiveShell.instance()
    shell.ast_node_interactivity = "last_expr"
    all_shown: Shown = {}
    for number, code, is_compared in chapter.cells:
        with capture_output() as captured:
            result = shell.run_cell(code, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            return f"{chapter.path.stem}, cell {number}: {type(error).__name__}: {str(error)[:80]}", all_shown
        if is_compared:
            shown = {"stdout": captured.stdout}
            data = DisplayFormatter().format(result.result)[0] if result.result is not None else {}
            for bundle in (*(output._data for output in captured.outputs), data):  # pyright: ignore[reportAttributeAccessIssue]
                for kind, value in bundle.items():
                    if kind not in NOT_COMPARED:
                        shown[kind] = shown.get(kind, "") + str(value)
            all_shown[str(number)] = shown
            if expected is not None and shown != expected[str(number)]:
                return f"{chapter.path.stem}, cell {number}: it shows something else", all_shown
    return None, all_shown


def functions_run_by(chapter: Chapter) -> tuple[str | None, Shown, list[Where]]:
    """Run an unchanged chapter; returns what went wrong, what it showed, and the library's functions that it ran."""
    seen: set[Where] = set()

    def watch(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(LIBRARY)):
            seen.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    threading.setprofile(watch)
    sys.setprofile(watch)
    problem, shown = run_chapter(chapter)
    sys.setprofile(None)
    threading.setprofile(None)  # pyright: ignore[reportArgumentType]
    return problem, shown, sorted(seen)


def library_functions(seen: dict[Chapter, list[Where]], others_too: bool) -> list[Function]:
    """The functions and methods among what the chapters ran, or all, in the order of files and lines."""
    functions = []
    for file, source in SOURCES.items():
        for node in definitions(ast.parse(source)):
            where = (file, first_line(node))
            chapters = tuple(chapter for chapter in seen if where in seen[chapter])
            if chapters or others_too:
                functions.append(Function(where, node.name, chapters))
    return functions


# Who notices


def unit_tests_of(function: Function) -> list[str]:
    """The module's own doctests, the tests called after it, those beside these, and those that name it; at most six."""
    dotted = ".".join(function.module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    files = [f for f in (ROOT / "tests").rglob("test_*.py") if "browser" not in f.parts]
    mirror = ROOT / "tests" / function.module.parent.relative_to(LIBRARY)

    def distance(file: Path) -> int | None:
        if file.stem == f"test_{function.module.stem}":
            return 0
        if file.parent == mirror and mirror.name != "tests":
            return 1
        return 2 if dotted in file.read_text(encoding="utf-8") else None

    near = sorted((d, str(file)) for file in files if (d := distance(file)) is not None)
    return [str(function.module), *(file for _, file in near[:6])]


def run_unit_tests(files: list[str]) -> str | None:
    import pytest

    os.chdir(ROOT)
    failed: list[str] = []

    class Listener:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                failed.append(report.nodeid)

    status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files], plugins=[Listener()])
    nothing_to_run = 5
    return None if status in (0, nothing_to_run) else (failed or [f"pytest ended with {status}"])[0]


def in_a_fork(work: Callable[[], Any], seconds: float) -> Any:
    """The result of work done in a forked process, as JSON; "too slow" if it takes longer than that."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(reading)
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silence, descriptor)
        try:
            result = work()
        except BaseException:
            result = traceback.format_exc(limit=-1).splitlines()[-1]
        os.write(writing, json.dumps(result).encode())
        os._exit(0)
    os.close(writing)
    deadline, answer = time.monotonic() + seconds, b""
    os.set_blocking(reading, False)
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            answer += os.read(reading, 1 << 24) if answer == b"" else b""
            break
        try:
            answer += os.read(reading, 1 << 16)
        except BlockingIOError:
            time.sleep(0.02)
    else:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        answer = b'"too slow"'
    os.close(reading)
    return json.loads(answer) if answer else "the process died"


def notices(mutant: Mutant, seconds: dict[Chapter, float], shown: dict[Chapter, Shown]) -> str | None:
    """Who notices a change, and how; None if nobody does."""

    def chapter_with_change(chapter: Chapter) -> str | None:
        return run_chapter(chapter, shown[chapter])[0] if put_into_place(mutant) else "not possible"

    def tests_with_change() -> str | None:
        if not put_into_place(mutant):
            return "not possible"
        return run_unit_tests(unit_tests_of(mutant.function))

    for chapter in sorted(mutant.function.chapters, key=seconds.__getitem__):
        for _ in range(2):  # what a chapter asserts about speed may fail by itself: twice counts
            found = in_a_fork(lambda chapter=chapter: chapter_with_change(chapter), 20 + 4 * seconds[chapter])
            if not found or "AssertionError" not in found:
                break
        if found:
            return found
    found = in_a_fork(tests_with_change, 120)
    return f"unit test {found}" if found and found != "not possible" else found


def import_everything() -> None:
    """What chapters and tests import, so that forks need not; nothing is computed, as threads do not survive a fork."""
    import matplotlib as mpl

    mpl.use("agg")
    import anywidget
    import IPython.core.interactiveshell
    import matplotlib.pyplot
    import nbformat
    import pytest
    import torch

    import llm101_widgets

    for file in sorted(LIBRARY.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if parts[-1] not in ("__main__", "build"):
            __import__(".".join(parts).removesuffix(".__init__"))
    _ = (anywidget, IPython, matplotlib, nbformat, pytest, torch, llm101_widgets)


def main() -> int:
    """Run the check.

    Returns:
        0; 1 if a chapter fails before anything has been changed.
    """
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    options.add_argument("--mutants", type=int, default=2, help="changes per function (%(default)s)")
    options.add_argument("--minutes", type=float, default=60, help="stop after so long (%(default)s)")
    options.add_argument("--seed", type=int, default=0, help="of the choice of changes (%(default)s)")
    options.add_argument("--only", default="", metavar="PART", help="functions of files whose path has this in it")
    options.add_argument("--chapter", default="", metavar="PART", help="chapters whose name has this in it, or none")
    options.add_argument("--all", action="store_true", help="also functions that no chapter runs: tests only")
    chosen = options.parse_args()
    started = time.monotonic()
    import_everything()
    seen: dict[Chapter, list[Where]] = {}
    shown: dict[Chapter, Shown] = {}
    seconds: dict[Chapter, float] = {}
    for chapter in [Chapter.read(path) for path in CHAPTERS if chosen.chapter in path.name]:
        began = time.monotonic()
        problem, shown[chapter], wheres = in_a_fork(lambda chapter=chapter: functions_run_by(chapter), 600)
        if problem:
            print(f"before any change: {problem}")
            return 1
        seconds[chapter] = time.monotonic() - began
        seen[chapter] = [(path, line) for path, line in wheres]
    functions = [f for f in library_functions(seen, chosen.all) if chosen.only in f.where[0]]
    mutants = [m for f in functions for m in mutants_of(f, chosen.mutants, chosen.seed)]
    random.Random(chosen.seed).shuffle(mutants)  # so that a run cut short has seen a bit of everything
    print(f"{len(functions)} functions run by {len(seen)} chapters, {len(mutants)} changes", flush=True)
    by_book = by_tests = 0
    survivors = []
    for n, mutant in enumerate(mutants, 1):
        if time.monotonic() - started > 60 * chosen.minutes:
            print(f"out of time after {n - 1} of {len(mutants)} changes")
            break
        found = notices(mutant, seconds, shown)
        where = f"{mutant.function.module.relative_to(ROOT)}:{mutant.line} {mutant.function.name}: {mutant.change}"
        print(f"{n:4} {where:80} {found or 'NOBODY'}", flush=True)
        by_tests += bool(found) and found.startswith("unit test")
        by_book += bool(found) and not found.startswith("unit test")
        survivors += [] if found else [where]
    print(f"\nnoticed by the book: {by_book}; by unit tests alone: {by_tests}; by nobody: {len(survivors)}")
    print("\n".join(sorted(survivors)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
