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
    """Let a Ctrl-C that comes now take effect only after the block, so that no parameter is left half moved."""
    if threading.current_thread() is not threading.main_thread():  # where Ctrl-C never arrives
        yield
        return
    pressed = threading.Event()
    usual = signal.signal(signal.SIGINT, lambda *_: pressed.set()) or signal.SIG_DFL
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if pressed.is_set():
        signal.raise_signal(signal.SIGINT)
