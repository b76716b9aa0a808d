"""Nobody waits for the compiler: the plain path writes until another process has compiled everything.

Where loops are compiled, they are kept in folders of these tests' own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="nothing is compiled without numba")

from filelock import FileLock

from llm101.inference.compiled import cache, loops
from llm101.inference.compiled.loops import Loops

ROOT = Path(__file__).resolve().parents[2]
FIRST_TEXT = """
import json, sys, time, llm101
lm = llm101.load("storyteller")
def text():
    made = lm.complete("Once upon a time", max_tokens=30, seed=0)
    return {"ids": made.token_ids, "is_fast": lm.engine.is_fast, "numba": "numba" in sys.modules}
found = [text()]
if "wait" in sys.argv:
    lm.engine.compile()
    found.append(text())
print(json.dumps(found))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty place for compiled loops."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    cache.folder.cache_clear()
    yield cache.folder() or tmp_path
    cache.folder.cache_clear()


class Compiler:
    """Stands for the process that compiles."""

    def __init__(self, exit_code: int | None = None) -> None:
        self.exit_code = exit_code

    def poll(self) -> int | None:
        return self.exit_code


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Compiler]:
    """The compilers that were started, none of which does anything."""
    compilers: list[Compiler] = []

    def start(module: str, *arguments: str) -> Compiler:
        assert arguments == ("--beside",)
        compilers.append(Compiler())
        return compilers[-1]

    monkeypatch.setattr(loops, "start_beside", start)
    return compilers


def some_loops() -> Loops:
    return Loops("json", "no.rehearsal", "texts")  # any module will do


def write(path: Path, contents: bytes = b"machine code") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contents)
    return path


def test_where_nothing_is_compiled_one_compiler_is_started_and_nobody_waits(place, started):
    one = some_loops()
    assert [one.look() for _ in range(3)] == [None, None, None]
    assert len(started) == 1


def test_what_has_been_compiled_meanwhile_is_taken(place, started):
    one = some_loops()
    one.look()
    cache.compile_ahead("texts", place, lambda: None)
    assert one.look() is None  # the compiler is still running
    started[0].exit_code = 0
    assert one.look() is json
    assert some_loops().look() is json  # another process needs no compiler
    assert len(started) == 1


def test_damaged_loops_are_compiled_anew_and_not_taken(place, started):
    damaged = write(place / "loop.1.nbc")
    write(place / "loop.nbi")
    cache.compile_ahead("texts", place, lambda: None)
    damaged.write_bytes(b"machine c0de")
    one = some_loops()
    assert one.look() is None
    assert len(started) == 1
    assert cache.compile_ahead("texts", place, lambda: write(place / "loop.1.nbc", b"new"))
    started[0].exit_code = 0
    assert one.look() is json


@pytest.mark.parametrize("damage", ["gone", "cut short"])
@pytest.mark.parametrize("name", ["loop.1.nbc", "loop.nbi"])
def test_files_that_are_gone_or_cut_short_are_noticed(place, name, damage):
    files = {n: write(place / "folder" / n) for n in ("loop.1.nbc", "loop.nbi")}
    cache.compile_ahead("texts", place, lambda: None)
    assert cache.is_complete("texts", place)
    write(place / "folder" / "other.nbi")
    write(files["loop.nbi"], b"an index to which numba added something")
    assert cache.is_complete("texts", place)
    if damage == "gone":
        files[name].unlink()
    else:
        write(files[name], b"m")
    assert not cache.is_complete("texts", place)


def test_a_list_that_is_none_counts_as_none(place):
    cache.compile_ahead("texts", place, lambda: None)
    (list_file,) = place.glob("texts-*.json")
    for nonsense in ("", "[]", "{", '{"a": 1}', '{"../a": [1, "b"]}'):
        list_file.write_text(nonsense, encoding="utf-8")
        assert not cache.is_complete("texts", place), nonsense


def test_a_compiler_that_fails_is_started_once_more_and_then_the_plain_path_stays(place, started):
    one = some_loops()
    for _ in range(5):
        assert one.look() is None
        started[-1].exit_code = 1
    assert len(started) == 2


def test_loops_for_another_kind_of_processor_are_not_taken(place, started, monkeypatch):
    cache.compile_ahead("texts", place, lambda: None)
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "another")
    assert some_loops().look() is None
    assert len(started) == 1


def test_two_processes_do_not_compile_the_same(place):
    place.mkdir(parents=True)
    with FileLock(place / "lock"):
        assert not cache.compile_ahead("texts", place, lambda: pytest.fail("compiled twice"), wait=False)


def test_a_changed_source_or_setting_asks_for_another_folder(place, monkeypatch, tmp_path):
    for source in cache.HERE.glob("*.py"):
        write(tmp_path / "sources" / source.name, source.read_bytes())
    monkeypatch.setattr(cache, "HERE", tmp_path / "sources")
    names = []
    for change in (lambda: None, lambda: write(tmp_path / "sources" / "kernels.py", b"changed"), lambda: None):
        change()
        cache.folder.cache_clear()
        names.append(cache.folder())
    assert names[0] != names[1] == names[2]
    monkeypatch.setenv("NUMBA_OPT", "1")
    cache.folder.cache_clear()
    assert cache.folder() != names[2]


def test_only_a_few_folders_of_earlier_sources_stay(place):
    for n in range(9):
        write(place.parent / f"loops-{n}" / "loop.nbi")
    cache.compile_ahead("texts", place, lambda: None)
    assert len(list(place.parent.glob("loops-*"))) == 1 + cache.KEPT_FOLDERS


def test_without_a_place_to_keep_them_nothing_is_started(started, monkeypatch):
    monkeypatch.setattr(cache, "folder", lambda: None)
    assert some_loops().look() is None
    assert not started
    assert some_loops().wait() is json  # whoever asks for it has them compiled in this process


def test_a_compiler_that_is_switched_off_is_not_started(place, started, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert some_loops().look() is None
    assert not started


def first_text(place: Path, *arguments: str) -> list[dict]:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(place.parent), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", FIRST_TEXT, *arguments]
    ran = subprocess.run(command, env=environment, cwd=place.parent, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return json.loads(ran.stdout)


@pytest.mark.slow
def test_the_first_text_on_a_machine_waits_for_no_compiler_and_is_the_same(place):
    """And whoever comes after the process has ended finds everything compiled."""
    (first,) = first_text(place)
    assert (first["is_fast"], first["numba"]) == (False, False)
    deadline = time.monotonic() + 300
    while not cache.is_complete("inference", place):
        assert time.monotonic() < deadline, "the process beside has compiled nothing"
        time.sleep(0.5)
    (second,) = first_text(place)
    assert second["is_fast"]
    assert second["ids"] == first["ids"]


@pytest.mark.slow
def test_the_rehearsal_compiles_all_that_any_model_needs(place):
    """The tests of the compiled path, which take models of every shape, find nothing left to compile."""
    plain, fast = first_text(place, "wait")
    assert (plain["is_fast"], fast["is_fast"]) == (False, True)
    assert plain["ids"] == fast["ids"]
    before = sorted(path.name for path in place.rglob("*.nbc"))
    assert before
    tests = ["logits_are_the_plain", "long_prompts", "several_texts", "half_the_bytes", "changed_parameter"]
    file = "tests/inference/test_compiled_runner.py"
    command = [sys.executable, "-m", "pytest", "-q", file, "-k", " or ".join(tests)]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(place.parent)}
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert sorted(path.name for path in place.rglob("*.nbc")) == before
