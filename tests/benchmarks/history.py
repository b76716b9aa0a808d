"""What the benchmarks measured, run after run: history.jsonl beside this file, one JSON object a line.

    python -m tests.benchmarks.history                                     which figures there are
    python -m tests.benchmarks.history parameters                          all figures of one benchmark
    python -m tests.benchmarks.history parameters.open_ms                  one figure, run after run

The history is in git: a figure that a commit speaks of can be looked up later, with what it was measured on. Two
branches that both add lines are merged by keeping both (.gitattributes). A run that means nothing (a busy machine,
settings made small) is not committed: `git checkout tests/benchmarks/history.jsonl`.

Figures of different machines are not compared, so each record says what it ran on; it names no computer, user or
folder. What the figures mean, only the benchmarks know.

Reading order: record, flat, machine, versions, commit; then main, which reads what was recorded.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llm101.reader.doctor import memory_bytes

ROOT = Path(__file__).resolve().parents[2]
HISTORY = Path(__file__).with_suffix(".jsonl")
PACKAGES = ("torch", "numpy", "numba", "tokenizers", "transformers", "llama-cpp-python", "playwright")
"""Whose releases change a figure, as far as they are installed."""
DIGITS = 6

Figures = Mapping[str, "float | Figures"]
"""What was measured, by name, in as many levels as it takes."""


def record(benchmark: str, figures: Figures, file: Path = HISTORY, **settings: object) -> None:
    """Append one run of a benchmark to the history.

    Args:
        benchmark: its name: "inference" for bench_inference.py.
        figures: what was measured; a unit ends the name (open_ms). Kept to six digits, under one name: see flat.
        file: where to.
        settings: what else decides the figures (model="storyteller", threads=2): only runs with the same are compared.

    Raises:
        ValueError: there is no figure, or one is no finite number.
    """
    measured = dict(flat(figures))
    if not measured:
        raise ValueError(f"{benchmark} has no figures to record")
    for name, figure in measured.items():
        if not math.isfinite(figure):
            raise ValueError(f"{benchmark}.{name} is {figure}, which is no measurement")
    line = {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "benchmark": benchmark,
        "settings": settings,
        "figures": {name: float(f"{figure:.{DIGITS}g}") for name, figure in measured.items()},
        "machine": machine(),
        "versions": versions(),
        **commit(),
    }
    with open(file, "a", encoding="utf-8", newline="\n") as history:
        history.write(json.dumps(line) + "\n")
    print(f"Recorded: python -m tests.benchmarks.history {benchmark}", file=sys.stderr)


def flat(figures: Figures, above: str = "") -> Iterator[tuple[str, float]]:
    """Each figure with its whole name, which a command line takes without quotes.

    Example:
        >>> dict(flat({"generate, float32": {"prefill_ms": 3.5}, "ratio": 2.0}))
        {'generate_float32.prefill_ms': 3.5, 'ratio': 2.0}
    """
    for name, value in figures.items():
        whole = above + re.sub(r"[\s,]+", "_", name)
        if isinstance(value, Mapping):
            yield from flat(value, f"{whole}.")
        else:
            yield whole, value


def machine() -> dict[str, Any]:
    """What this ran on. The load is how many programs wanted a core over the last minute, this one among them."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_bytes": memory_bytes(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def processor() -> str:
    """The processor's own name, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        asked = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor()


def versions() -> dict[str, str]:
    """Python's and the packages'."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any]:
    """Which commit was measured, and whether tracked files (the history aside) differ from it; none without git."""
    head = git("rev-parse", "HEAD")
    changed = git("diff", "--name-only", "HEAD", "--", ".", f":!{HISTORY.relative_to(ROOT).as_posix()}")
    return {"commit": head or None, "dirty": bool(changed) if head else None}


def git(*arguments: str) -> str:
    """What git answers here; nothing where there is no git or no repository."""
    try:
        ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""


Figure = tuple[str, float, dict[str, Any]]
"""Its whole name (benchmark.figure), what was measured, and the record that it stands in."""


def read(file: Path = HISTORY) -> list[Figure]:
    """All figures of all runs, the oldest first (lines merged from two branches are not in order)."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    records = sorted(map(json.loads, lines), key=lambda record: record["when"])
    return [(f"{run['benchmark']}.{name}", figure, run) for run in records for name, figure in run["figures"].items()]


def overview(figures: Iterable[Figure]) -> list[str]:
    """One line per figure: its name, how often it was measured, the latest measurement."""
    latest: dict[str, tuple[int, float]] = {}
    for name, figure, _ in figures:
        latest[name] = (latest.get(name, (0, 0.0))[0] + 1, figure)
    return table(["figure", "runs", "latest"], [[name, f"{n}", f"{figure:g}"] for name, (n, figure) in latest.items()])


def over_time(figures: Iterable[Figure]) -> list[str]:
    """One line per run: when, how much, of which commit (+ if there were changes), on what, with which settings."""
    rows = []
    for _, figure, run in figures:
        at = (run["commit"] or "no git")[:9] + ("+" if run["dirty"] else "")
        on = f"{run['machine']['cores']} x {run['machine']['processor']}, load {run['machine']['load']}"
        settings = ", ".join(f"{name} {value}" for name, value in run["settings"].items())
        torch = run["versions"].get("torch", "-")
        rows.append([run["when"][:16], f"{figure:g}", at, run["versions"]["python"], torch, on, settings])
    return table(["when", "figure", "commit", "python", "torch", "machine", "settings"], rows)


def table(titles: list[str], rows: list[list[str]]) -> list[str]:
    """Columns as wide as what stands in them.

    Example:
        >>> table(["figure", "runs"], [["open_ms", "2"]])
        ['figure   runs', 'open_ms  2']
    """
    widths = [max(map(len, column)) for column in zip(titles, *rows)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (titles, *rows)]


def main(arguments: list[str] | None = None, file: Path = HISTORY) -> int:
    """Print the history of what is asked for; returns 2 if that was never recorded."""
    parser = argparse.ArgumentParser(description="What the benchmarks measured, run after run.")
    parser.add_argument("name", nargs="?", default="", help="a benchmark (parameters) or a figure (parameters.open_ms)")
    name = parser.parse_args(arguments).name
    figures = read(file)
    of_one = [figure for figure in figures if figure[0] == name]
    of_benchmark = [figure for figure in figures if not name or figure[0].startswith(f"{name}.")]
    if not of_one and not of_benchmark:
        known = ", ".join(sorted({run["benchmark"] for _, _, run in figures})) or "nothing"
        print(f"history: no record of {name or 'anything'}; recorded so far: {known}", file=sys.stderr)
        return 2
    print("\n".join(over_time(of_one) if of_one else overview(of_benchmark)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
