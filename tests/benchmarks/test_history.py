"""The benchmarks' history: what is recorded, what is not, and how it is read again."""

from __future__ import annotations

import ast
import getpass
import json
import math
import platform
from pathlib import Path

import pytest

from tests.benchmarks import history

HERE = Path(__file__).parent
BENCHMARKS = sorted(HERE.glob("bench_*.py"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.jsonl"


def test_a_run_is_one_line_with_figures_machine_versions_and_commit(file: Path) -> None:
    history.record("parameters", {"open_ms": 0.123456789, "n_tensors": 400}, file=file, threads=2)
    (line,) = file.read_text(encoding="utf-8").splitlines()
    run = json.loads(line)
    assert run["figures"] == {"open_ms": 0.123457, "n_tensors": 400.0}
    assert run["settings"] == {"threads": 2}
    assert run["machine"]["cores"] >= 1
    assert run["versions"]["python"] == platform.python_version()
    assert {"processor", "memory_bytes", "system", "load"} <= set(run["machine"])
    assert set(run) == {"when", "benchmark", "settings", "figures", "machine", "versions", "commit", "dirty"}


def test_a_record_names_no_computer_user_or_folder(file: Path) -> None:
    history.record("parameters", {"open_ms": 1.0}, file=file)
    line = file.read_text(encoding="utf-8")
    assert str(history.ROOT) not in line
    assert str(Path.home()) + "/" not in line
    words = set(json.dumps(json.loads(line)).replace('"', " ").split())
    assert not {platform.node(), getpass.getuser()} & words


def test_runs_are_added_and_none_is_replaced(file: Path) -> None:
    for n in range(3):
        history.record("parameters", {"open_ms": n}, file=file)
    assert [figure for _, figure, _ in history.read(file)] == [0, 1, 2]


@pytest.mark.parametrize("figure", [math.nan, math.inf])
def test_what_is_no_number_is_refused_and_writes_nothing(file: Path, figure: float) -> None:
    with pytest.raises(ValueError, match=r"parameters.open_ms is (nan|inf)"):
        history.record("parameters", {"open_ms": figure}, file=file)
    assert not file.exists()


def test_a_run_without_figures_is_refused(file: Path) -> None:
    with pytest.raises(ValueError, match="parameters has no figures"):
        history.record("parameters", {}, file=file)


def test_one_figure_is_a_table_of_its_runs_the_oldest_first(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.record("parameters", {"open_ms": 1.5, "write_ms": 9}, file=file)
    history.record("parameters", {"open_ms": 2.5}, file=file, threads=2)
    first, second = file.read_text(encoding="utf-8").splitlines()
    later = json.loads(second) | {"when": "2999-01-01T00:00:00+00:00"}
    file.write_text(f"{json.dumps(later)}\n{first}\n", encoding="utf-8")  # as two branches may be merged
    capsys.readouterr()
    assert history.main(["parameters.open_ms"], file) == 0
    titles, *rows = capsys.readouterr().out.splitlines()
    assert titles.split() == ["when", "figure", "commit", "python", "torch", "machine", "settings"]
    assert [row.split()[1] for row in rows] == ["1.5", "2.5"]
    assert rows[1].startswith("2999-01-01T00:00")
    assert rows[1].endswith("threads 2")


def test_a_benchmark_is_a_table_of_its_figures(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.record("parameters", {"open_ms": 1.5, "write_ms": 9}, file=file)
    history.record("parameters", {"open_ms": 2.5}, file=file)
    history.record("threads", {"gain": 3}, file=file)
    capsys.readouterr()
    assert history.main(["parameters"], file) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["figure", "runs", "latest"],
        ["parameters.open_ms", "2", "2.5"],
        ["parameters.write_ms", "1", "9"],
    ]
    assert history.main([], file) == 0
    assert "threads.gain" in capsys.readouterr().out


def test_what_was_never_recorded_is_one_line_that_says_what_was(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert history.main([], file) == 2
    assert capsys.readouterr().err == "history: no record of anything; recorded so far: nothing\n"
    history.record("threads", {"gain": 3}, file=file)
    capsys.readouterr()
    assert history.main(["parameters"], file) == 2
    assert capsys.readouterr().err == "history: no record of parameters; recorded so far: threads\n"


def test_where_there_is_no_git_a_run_has_no_commit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    history.record("threads", {"gain": 3}, file=file)
    ((_, _, run),) = history.read(file)
    assert (run["commit"], run["dirty"]) == (None, None)


def test_what_is_in_the_history_can_be_read() -> None:
    names = {path.stem.removeprefix("bench_") for path in BENCHMARKS}
    for name, figure, run in history.read():
        assert name.split(".")[0] in names
        assert math.isfinite(figure)
        assert run["versions"]["python"]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_benchmark_records_under_its_own_name(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    recorded = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "record"]
    assert recorded, f"{path.name} records nothing"
    for name in recorded:
        assert isinstance(name, ast.Constant)
        assert name.value == path.stem.removeprefix("bench_")
