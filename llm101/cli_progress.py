"""What the commands say while they work: on standard error, and not too often."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

Total = TypeVar("Total", int, "int | None")


def say(text: str) -> None:
    """One line on standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def now_and_then(seconds: float, line: Callable[[int, Total], str]) -> Callable[[int, Total], None]:
    """To be called with how much is done and of how much; says a line at first, every so many seconds and at the end.

    Args:
        seconds: at least so long between two lines.
        line: what to say, given both numbers.
    """
    last = 0.0

    def show(done: int, total: Total) -> None:
        nonlocal last
        if time.monotonic() - last > seconds or done == total:
            last = time.monotonic()
            say(line(done, total))

    return show
