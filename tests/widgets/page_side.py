"""What a page does, for tests of a widget's Python: it sends, and waits."""

from __future__ import annotations

import time
from collections.abc import Callable

import anywidget


def page_sends(widget: anywidget.AnyWidget, **message: object) -> None:
    """What arrives when the page calls model.send(message)."""
    widget._handle_custom_msg(message, [])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "nothing happened for 5 seconds"
        time.sleep(0.001)
