"""The first minute: how long a reader waits for the first story on a machine where nothing is compiled yet.

Every figure is of a fresh process, after which the same is done again: medians of --rounds. "before anything is
compiled" has an empty folder for compiled loops, "once all is compiled" a full one, "plain path" no compiler at all.
The story is chapter 00's. `in Jupyter` runs that chapter's first cells in a kernel, also with nothing compiled.

    python tests/benchmarks/bench_first_minute.py [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.benchmarks.history import record

ROOT = Path(__file__).resolve().parents[2]
STORY = """
import json, time, llm101
lm = llm101.load("storyteller")
start = time.perf_counter()
story = [time.perf_counter() - start
         for _ in lm.stream("Once upon a time, a little robot found a", max_tokens=200, temperature=0.8, seed=0)]
print(json.dumps({"first_token_s": story[0], "story_s": story[-1], "n_tokens": len(story)}))
"""
COMPLETE = ("-m", "llm101", "complete", "Once upon a time", "--seed", "0")
IMPORT_TORCH = ("-c", "import torch")
NO_COMPILER = {"NUMBA_DISABLE_JIT": "1"}

Figures = dict[str, float]


def python(*arguments: str, **settings: str) -> str:
    """What a fresh Python prints."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "widgets")])} | settings
    ran = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True)
    return ran.stdout


def story(**settings: str) -> Figures:
    """Seconds until its first and last token, after `load`."""
    return json.loads(python("-c", STORY, **settings))


def seconds(*arguments: str, **settings: str) -> Figures:
    """How long a fresh Python takes from its start to its end."""
    start = time.perf_counter()
    python(*arguments, **settings)
    return {"s": time.perf_counter() - start}


def in_jupyter(**settings: str) -> Figures:
    """Seconds that chapter 00's cell with the first story takes, `load` included."""
    from nbclient import NotebookClient
    from nbformat import read

    book = read(ROOT / "book" / "00_the_map.ipynb", as_version=4)
    client = NotebookClient(book, resources={"metadata": {"path": str(ROOT / "book")}}, record_timing=False)
    with client.setup_kernel(env=os.environ | settings):
        for i, cell in enumerate(book.cells):
            start = time.perf_counter()
            client.execute_cell(cell, i)
            if "console.run()" in cell.source:
                return {"cell_s": time.perf_counter() - start}
    raise ValueError("chapter 00 has no first story")


def with_nothing_compiled(measure: Callable[..., Figures], *arguments: str) -> Figures:
    """Measure with an empty folder for compiled loops; the next figure waits until what was started has ended."""
    with tempfile.TemporaryDirectory() as empty:
        figures = measure(*arguments, NUMBA_CACHE_DIR=empty)
        wait_for_compiler(Path(empty))
    return figures


def one_round(full: str) -> dict[str, Figures]:
    """Everything once, side by side in time."""
    return {
        "before anything is compiled": with_nothing_compiled(story),
        "plain path": story(**NO_COMPILER),
        "once all is compiled": story(NUMBA_CACHE_DIR=full),
        "in Jupyter": with_nothing_compiled(in_jupyter),
        "in Jupyter, plain path": in_jupyter(**NO_COMPILER),
        "llm101 complete": seconds(*COMPLETE, NUMBA_CACHE_DIR=full),
        "llm101 complete, nothing compiled": with_nothing_compiled(seconds, *COMPLETE),
        "import torch": seconds(*IMPORT_TORCH),
    }


def measure(n_rounds: int) -> list[dict[str, Figures]]:
    """All rounds, with a folder in which everything is compiled."""
    with tempfile.TemporaryDirectory() as full:
        python("-m", "llm101.inference.compiled.rehearsal", NUMBA_CACHE_DIR=full)
        return [one_round(full) for _ in range(n_rounds)]


def wait_for_compiler(folder: Path, patience_s: float = 60) -> None:
    """Until it has listed what it compiled there; where the end of a kernel has ended it, that never comes."""
    deadline = time.monotonic() + patience_s
    while not list(folder.glob("loops-*/inference-*.json")) and time.monotonic() < deadline:
        time.sleep(0.2)


def medians(rounds: list[dict[str, Figures]]) -> dict[str, Figures]:
    """Of each figure."""
    return {
        case: {name: statistics.median(r[case][name] for r in rounds) for name in figures}
        for case, figures in rounds[0].items()
    }


def spread(rounds: list[dict[str, Figures]], case: str, name: str) -> str:
    """The median, and from where to where it went."""
    values = sorted(r[case][name] for r in rounds)
    return f"{statistics.median(values):.2f} s ({values[0]:.2f} to {values[-1]:.2f})"


def main() -> None:
    """Measure, print and record."""
    command = argparse.ArgumentParser(description="How long a reader waits for the first story.")
    command.add_argument("--rounds", type=int, default=5)
    command.add_argument("--json", action="store_true")
    options = command.parse_args()
    rounds = measure(options.rounds)
    found: dict[str, Any] = medians(rounds)
    plain, first = found["plain path"], found["before anything is compiled"]
    found["story to plain path"] = {"ratio": first["story_s"] / plain["story_s"]}
    record("first_minute", found, rounds=options.rounds)
    if options.json:
        print(json.dumps(found))
        return
    for case, figures in rounds[0].items():
        print(f"{case + ':':<36}" + ", ".join(f"{n} {spread(rounds, case, n)}" for n in figures if n != "n_tokens"))
    print(f"{'the first story to the plain path:':<36}{found['story to plain path']['ratio']:.2f} times the time")


if __name__ == "__main__":
    main()
