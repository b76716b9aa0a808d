"""Each chapter from top to bottom: seconds, processor seconds, and the most memory its kernel holds.

    python tests/benchmarks/bench_chapters.py [CHAPTER.ipynb ...]

The book's own budget: 150 s on two cores for a chapter (90 s for 00 and 01 together, and for 02 and 03 together), and
1 GiB resident for each.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

BOOK = Path(__file__).resolve().parents[2] / "book"
RUN = """
import resource, sys
import nbformat
from nbclient import NotebookClient

NotebookClient(nbformat.read(sys.argv[1], as_version=4), timeout=300, kernel_name="python3").execute(cwd=sys.argv[2])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measure(chapter: Path) -> str:
    """Run a chapter in a kernel of its own and say what that took."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(chapter), str(BOOK)], capture_output=True, text=True, check=True
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    kib = int(run.stdout.split()[-1]) / (1024 if sys.platform == "darwin" else 1)  # macOS counts in bytes
    return f"{chapter.stem:18} {seconds:6.1f} s  {processor_s:6.1f} s of processor  {kib / 1024:5.0f} MiB at most"


def main() -> None:
    parser = argparse.ArgumentParser(description="How long each chapter takes, and how much memory.")
    parser.add_argument("chapters", nargs="*", type=Path, help="default: all of them")
    chapters = parser.parse_args().chapters or sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))
    for chapter in chapters:
        print(measure(chapter), flush=True)


if __name__ == "__main__":
    main()
