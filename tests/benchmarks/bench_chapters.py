"""Each chapter from top to bottom: seconds, processor seconds, and the most memory its kernel holds.

    python tests/benchmarks/bench_chapters.py [CHAPTER.ipynb ...]

The book's own budget: 150 s on two cores for a chapter (90 s for 00 and 01 together, and for 02 and 03 together), and
1 GiB resident for each.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.history import record

BOOK = Path(__file__).resolve().parents[2] / "book"
RUN = """
import resource, sys
import nbformat
from nbclient import NotebookClient

NotebookClient(nbformat.read(sys.argv[1], as_version=4), timeout=300, kernel_name="python3").execute(cwd=sys.argv[2])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measure(chapter: Path) -> dict[str, float]:
    """What it takes to run a chapter in a kernel of its own."""
    import resource  # which Windows does not have; nor does this file break the tests there, which read it

    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(chapter), str(BOOK)], capture_output=True, text=True, check=True
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    kib = int(run.stdout.split()[-1]) / (1024 if sys.platform == "darwin" else 1)  # macOS counts in bytes
    return {"seconds": seconds, "processor_seconds": processor_seconds, "most_mib": kib / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description="How long each chapter takes, and how much memory.")
    parser.add_argument("chapters", nargs="*", type=Path, help="default: all of them")
    chapters = parser.parse_args().chapters or sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))
    found: dict[str, dict[str, float]] = {}
    for chapter in chapters:
        found[chapter.stem] = took = measure(chapter)
        print(
            f"{chapter.stem:18} {took['seconds']:6.1f} s  {took['processor_seconds']:6.1f} s of processor  "
            f"{took['most_mib']:5.0f} MiB at most",
            flush=True,
        )
    record("chapters", found)


if __name__ == "__main__":
    main()
