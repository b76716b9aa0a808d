"""Each chapter from top to bottom: seconds, processor seconds, and the most memory its kernel holds.

The book's own budget: chapters 00 and 01 together at most 90 s on two cores, and 1 GiB resident for each.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
RUN = """
import resource, sys
import nbformat
from nbclient import NotebookClient

NotebookClient(nbformat.read(sys.argv[1], as_version=4), timeout=300, kernel_name="python3").execute(cwd=sys.argv[2])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("chapter", sorted(BOOK.glob("[0-9][0-9]_*.ipynb")), ids=lambda path: path.stem)
def test_a_chapter_from_top_to_bottom(chapter: Path) -> None:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(chapter), str(BOOK)], capture_output=True, text=True, check=True
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    kib = int(run.stdout.split()[-1]) / (1024 if sys.platform == "darwin" else 1)  # macOS counts in bytes
    print(f"\n{chapter.stem}: {seconds:.1f} s, {processor_s:.1f} s of processor, {kib / 1024:.0f} MiB resident at most")
