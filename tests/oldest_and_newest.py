"""Are the bounds in pyproject.toml true? The tests, with the oldest packages that it admits and with the newest.

Before a release: `make oldest-and-newest`, or `python -m tests.oldest_and_newest --folder FOLDER tests/tokenizer`.
Environments are made with uv, which downloads what it needs (PyTorch with CUDA on Linux, unless UV_TORCH_BACKEND=cpu).

Reading order: main, then the steps of one run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from llm101.reader.installation import NEWEST_PYTHON, OLDEST_PYTHON

ROOT = Path(__file__).resolve().parents[1]
SHOWN = ("torch", "numpy", "numba", "safetensors", "jupyterlab", "anywidget", "matplotlib", "transformers")
UV = [sys.executable, "-m", "uv"]


@dataclass(frozen=True)
class Edge:
    """One end of what the package says that it runs with."""

    name: str
    python: str
    """A version, or the path of an interpreter."""
    resolution: str
    """uv's word for which releases to take. Direct dependencies only: for others' bounds others must answer."""


def main() -> int:
    """Run both ends and print a table; returns 0 if the tests passed at both."""
    command = argparse.ArgumentParser(description="Run the tests with the oldest and with the newest packages.")
    command.add_argument("--oldest-python", default=".".join(map(str, OLDEST_PYTHON)), help="version or path")
    command.add_argument("--newest-python", default=".".join(map(str, NEWEST_PYTHON)), help="version or path")
    command.add_argument("--folder", type=Path, help="keep the environments here (default: made and removed)")
    options, pytest_arguments = command.parse_known_args()
    edges = [
        Edge("oldest", options.oldest_python, "lowest-direct"),
        Edge("newest", options.newest_python, "highest"),
    ]
    with tempfile.TemporaryDirectory(prefix="llm101-edges-") as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        rows = [run_edge(edge, folder / edge.name, pytest_arguments) for edge in edges]
    print("\n".join(["", "| packages | Python | releases | tests |", "|---|---|---|---|", *(row for row, _ in rows)]))
    return 0 if all(passed for _, passed in rows) else 1


def run_edge(edge: Edge, folder: Path, pytest_arguments: list[str]) -> tuple[str, bool]:
    """Make the environment, run the tests in it.

    Returns:
        A line of the table, and whether all tests passed.
    """
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    subprocess.run([*UV, "venv", "--quiet", "--clear", "--python", edge.python, folder], check=True)
    install = [*UV, "pip", "install", "--python", python, "--resolution", edge.resolution, "--editable", ".[test]"]
    subprocess.run(install, cwd=ROOT, check=True)
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *pytest_arguments]
    print(f"== {edge.name}: {' '.join(map(str, tests))}", flush=True)
    ran = subprocess.run(tests, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(ran.stdout)
    summary = ran.stdout.strip().splitlines()[-1].strip("= ")
    return f"| {edge.name} | {' | '.join(releases(python))} | {summary} |", ran.returncode == 0


def releases(python: Path) -> tuple[str, str]:
    """Which Python this is, and which releases of the packages that matter most are in its environment."""
    look = (
        "import sys; from importlib.metadata import version\n"
        "print('.'.join(map(str, sys.version_info[:3])))\n"
        f"print(', '.join(name + ' ' + version(name) for name in {SHOWN!r}))"
    )
    number, packages = subprocess.run(
        [python, "-c", look], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return number, packages


if __name__ == "__main__":
    sys.exit(main())
