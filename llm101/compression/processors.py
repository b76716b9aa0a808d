"""Several processors: each takes the next piece of work, and somebody watches how far they are.

What comes out does not depend on how many there are. It knows nothing of what the work is.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

Progress = Callable[[int, int], None]
"""Called now and then with the bytes done and the bytes in all."""

Count = Callable[[int], None]
"""What a piece of work calls with the bytes it has done since the last time."""

Work = TypeVar("Work")
Done = TypeVar("Done")


class Stopped(Exception):
    """Raised inside the other pieces of work when one has failed."""


def side_by_side(
    work: Callable[[Work, Count], Done],
    items: Sequence[Work],
    n_threads: int | None,
    total: int,
    progress: Progress | None,
) -> list[Done]:
    """Do the work on all items, on several processors, and tell how far it is; an error or Ctrl-C stops all of it."""
    done, lock, stop = 0, threading.Lock(), threading.Event()

    def count(n_bytes: int) -> None:
        nonlocal done
        with lock:
            done += n_bytes
        if stop.is_set():
            raise Stopped

    def guarded(item: Work) -> Done:
        try:
            return work(item, count)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(n_threads or os.cpu_count() or 1) as pool:
        futures = [pool.submit(guarded, item) for item in items]
        try:
            while wait(futures, timeout=0.5).not_done:
                if progress:
                    progress(done, total)
        except BaseException:
            stop.set()
            raise
    errors = [error for error in (future.exception() for future in futures) if error]
    for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
        raise error
    if progress:
        progress(total, total)
    return [future.result() for future in futures]
