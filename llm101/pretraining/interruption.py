"""Interruptions: what may not be stopped in the middle of is ended first.

It knows signals, nothing of training.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptions_wait() -> Iterator[None]:
    """Let a Ctrl-C or a polite kill that comes now take effect only after the block: no parameter stays half moved."""
    if threading.current_thread() is not threading.main_thread():  # where signals never arrive
        yield
        return
    came: list[int] = []
    usual = {
        number: signal.signal(number, lambda number, _: came.append(number)) or signal.SIG_DFL
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)
