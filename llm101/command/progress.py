"""What the commands say while they work: on standard error, and not too often."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Total = TypeVar("Total", int, "int | None")


def say(text: str) -> None:
    """One line on standard error, at once, whatever is in it. If nobody can hear it, the work goes on."""
    with suppress(OSError):
        print(text.encode(errors="backslashreplace").decode(), file=sys.stderr, flush=True)


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


class SecondsLeft:
    """How long something takes still, at the speed of its last seconds; how it started up does not count.

    Example:
        >>> times = iter([0.0, 100.0, 101.0, 102.0])  # 100 s until the first bytes
        >>> left = SecondsLeft(clock=lambda: next(times))
        >>> [left(done, 40) for done in (0, 10, 15, 20)]
        [None, None, 5.0, 4.0]
    """

    def __init__(self, window: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Look back so many seconds."""
        self._window, self._clock = window, clock
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, done: int, total: int) -> float | None:
        """To be called whenever more is done; None until a speed is known."""
        now = self._clock()
        if self._seen and done < self._seen[-1][1]:  # it begins again
            self._seen.clear()
        if done:
            self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] < now - self._window:
            self._seen.popleft()
        if not self._seen or self._seen[0][1] == done or self._seen[0][0] == now:
            return None
        then, before = self._seen[0]
        return (total - done) * (now - then) / (done - before)
