"""Run chapters from their first cell to their last and save what they show: `make chapters`.

What differs from run to run without meaning anything (times of execution, the Python release) is left out, so
that a chapter's diff shows what changed for its reader. A cell that raises ends it, and nothing is saved. What a
chapter marks as `@recorded` is recorded as well (book/recordings/), for readers who lack the model.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from llm101.reader.recording import RECORD

BOOK = Path(__file__).resolve().parent.parent / "book"


def record(chapter: Path, timeout_s: int) -> float:
    """Execute one notebook in place; returns the seconds it took."""
    notebook = nbformat.read(chapter, as_version=4)
    notebook.metadata.pop("widgets", None)  # the state of the run before
    start = time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=timeout_s,
        kernel_name="python3",
        resources={"metadata": {"path": str(chapter.parent)}},
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=True,
    )
    client.execute()
    seconds = time.perf_counter() - start
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbformat.validate(notebook)
    nbformat.write(notebook, chapter)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapters", nargs="*", type=Path, default=sorted(BOOK.glob("[0-9][0-9]_*.ipynb")))
    parser.add_argument("--timeout", type=int, default=300, help="seconds for one cell, at most")
    arguments = parser.parse_args()
    os.environ[RECORD] = "yes"  # for the kernels
    for chapter in arguments.chapters:
        try:
            seconds = record(chapter, arguments.timeout)
        except CellExecutionError as error:
            print(f"{chapter.name}: {error}", file=sys.stderr)
            return 1
        print(f"{chapter.name}: {seconds:.1f} s, {chapter.stat().st_size / 1e3:,.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
