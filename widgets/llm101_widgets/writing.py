"""What the consoles share, whose models write in a thread: one text at a time, shown as it grows, failures in one line.

It knows nothing of widgets and models. Reading order: alone, stopped, follow, in_one_line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from time import perf_counter
from typing import Any

EVERY_S = 0.04  # seconds: as often as an eye can follow


@contextmanager
def alone(busy: Lock, doing: str) -> Iterator[None]:
    """While the block runs, no other that asks for the same lock does.

    Args:
        busy: what a console has one of.
        doing: what it does meanwhile, for the message: "writing".

    Raises:
        RuntimeError: another is running.
    """
    if not busy.acquire(blocking=False):
        raise RuntimeError(f"this console is {doing} already: wait for it, or stop it")
    try:
        yield
    finally:
        busy.release()


@contextmanager
def stopped(busy: Lock, stop: Event) -> Iterator[None]:
    """Stop what is running, wait until it has ended, and let nothing else run until the block is over."""
    while not busy.acquire(timeout=EVERY_S):
        stop.set()  # again and again: another may have begun meanwhile
    try:
        yield
    finally:
        busy.release()


def follow(stream: Iterable[Any], show: Callable[[list[Any]], None], is_over: Callable[[], bool]) -> dict[str, Any]:
    """Take tokens from a stream until it ends, or nobody wants more; Jupyter's own stop button ends it cleanly as well.

    Args:
        stream: tokens; the last may have a `stop_reason`.
        show: gets all tokens so far, as often as an eye can follow, and in the end whatever happens.
        is_over: whether nobody wants more, asked after each token.

    Returns:
        first_s, all_s: seconds until the first token and until the last; end: why it was the last, "stopped" if the
        reader had enough, None if nobody knows.

    Example:
        >>> shown = []
        >>> follow(iter("ab"), lambda tokens: shown.append("".join(tokens)), lambda: False)["end"], shown[-1]
        (None, 'ab')
    """
    tokens, times, shown, end, start = [], [0.0], -1.0, None, perf_counter()
    try:
        for token in stream:
            tokens.append(token)
            times.append(perf_counter() - start)
            if times[-1] - shown > EVERY_S:
                show(tokens)
                shown = times[-1]
            end = getattr(token, "stop_reason", None)
            if is_over():
                raise KeyboardInterrupt
        if end is None and is_over():  # some streams just end when they are told to
            end = "stopped"
    except KeyboardInterrupt:
        end = "stopped"
    finally:
        show(tokens)
    return {"first_s": times[:2][-1], "all_s": times[-1], "end": end}


def in_one_line(failure: Exception) -> str:
    """What the page shows of a failure in a thread, which has no cell to raise in.

    Example:
        >>> in_one_line(ValueError("no model\\nmore")), in_one_line(KeyError())
        ('no model', 'KeyError')
    """
    return str(failure).strip().split("\n")[0] or type(failure).__name__
