"""The command line, from its first import on: `llm101` and `python -m llm101`."""

from __future__ import annotations

import os

STOPPED = 130
OBJECTS_BETWEEN_LOOKS = 100_000
"""Python looks for garbage among so many new objects, of its own accord 700; imports make many, and hardly garbage."""
TYPE_CHECKING = False  # not typing's: until something is imported, nobody is there to answer Ctrl-C
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


def run() -> NoReturn:
    """Run the command that was typed; whoever stops it while Python still reads modules gets one line as well."""
    try:
        import gc
        import signal

        gc.set_threshold(OBJECTS_BETWEEN_LOOKS)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody wants it ignored
            signal.signal(signal.SIGINT, _interrupt)
        from llm101.cli import main

        code = main()
    except KeyboardInterrupt:
        _stop()
    # The usual end takes all modules apart first, torch's for half a second, and may complain of an interruption.
    os._exit(code)


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Stop at once while a module is imported, as imports may swallow a KeyboardInterrupt; else raise it as usual."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _stop()
        frame = frame.f_back
    raise KeyboardInterrupt


def _stop() -> NoReturn:
    try:
        os.write(2, b"llm101: stopped\n")
    finally:
        os._exit(STOPPED)


if __name__ == "__main__":
    run()
