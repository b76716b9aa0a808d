"""A few threads that help with one piece of compiled work, so short that nobody could wait for a thread to wake up.

The work is in pieces that whoever comes takes one by one (kernels.take): a thread that comes late, or not at all, on
a machine that is busy with something else, costs nothing but its help. It knows nothing of what the work is.

A second thread makes a token of SmolLM2 1.4 times as fast in float16, which waits for the memory, and 1.8 times in
Q4_1.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress


class Helper:
    """One thread, which does what it is given while it has nothing else to do."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llm101")
        self._doing: Future[object] | None = None

    def help(self, work: Callable[[], object]) -> None:
        """Begin with the work soon, unless there is other work still."""
        if self._doing is None or self._doing.done():
            with suppress(RuntimeError):  # the system gives no thread, or Python is about to end
                self._doing = self._thread.submit(work)

    def wait(self) -> None:
        """Until it has nothing to do."""
        if self._doing is not None:
            wait([self._doing])


class Team:
    """This thread and its helpers."""

    def __init__(self) -> None:
        self._helpers: list[Helper] = []
        if hasattr(os, "register_at_fork"):  # a child process has none of its parent's threads
            os.register_at_fork(after_in_child=self._helpers.clear)

    def do(self, n_threads: int, work: Callable[[], object], stop: Callable[[], object]) -> None:
        """Do the work, with up to n_threads - 1 others; when it returns, all pieces are done.

        stop: has the others take no more pieces of it; called when Ctrl-C comes in between.
        """
        while len(self._helpers) < n_threads - 1:
            self._helpers.append(Helper())
        helpers = self._helpers[: n_threads - 1]
        try:
            for helper in helpers:
                helper.help(work)
            work()
        except BaseException:
            stop()
            for helper in helpers:
                helper.wait()
            raise


team = Team()
