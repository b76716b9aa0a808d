"""The compiled loops, taken once they are ready: until then the plain path writes, and nobody waits for a compiler.

Compiling takes many seconds, the first time on a machine, and numba holds Python's lock meanwhile: texts would come to
a standstill. So another process does it (rehearsal.py) and keeps what it made on disk (cache.py). This module knows
when to start that process and when to look, and nothing of what is compiled.
"""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from llm101.inference.compiled import cache
from llm101.inference.compiled.compiled_module import compiled_module
from llm101.outside.beside import start_beside

STARTS = 2
"""How often a process has the loops compiled: once, and once more if what is there turns out damaged."""


class Loops:
    """A module of compiled loops. Several threads may use one.

    Args:
        name: the module's full name.
        rehearsal: the module that compiles all of it when it is run as a program.
        what: the name under which `rehearsal` lists what it made.

    Attributes:
        module: the loops; None until they are ready.
    """

    def __init__(self, name: str, rehearsal: str, what: str) -> None:
        self.module: Any = None
        self._name, self._rehearsal, self._what = name, rehearsal, what
        self._starts_left = STARTS
        self._compiler: subprocess.Popen[bytes] | None = None
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._looking = threading.Lock()  # in a child that fork made, nobody would let go of the parent's

    def look(self) -> Any:
        """The module if it is ready, else None; to be called for every prompt.

        To take it costs a third of a second, once, most of it for importing numba. Where something is missing, nothing
        is imported: another process starts to compile it, and the text begins at once.
        """
        if self.module is None and self._looking.acquire(blocking=False):
            try:
                self._take_or_start()
            finally:
                self._looking.release()
        return self.module

    def wait(self) -> Any:
        """The module, compiled now if need be, however long that takes; None where there is no compiler."""
        with self._looking:
            place = place_of_loops()
            while self.module is None:
                if place is None or cache.is_complete(self._what, place) or not self._compile():
                    return self.load()
        return self.module

    def _compile(self) -> bool:
        """Have it compiled, and wait for that; returns whether it went well."""
        with suppress(OSError):
            return start_beside(self._rehearsal).wait() == 0
        return False

    def load(self) -> Any:
        """The module as it is: what is not on disk will be compiled in this process when it is first called."""
        self.module = compiled_module(self._name)
        return self.module

    def _take_or_start(self) -> None:
        place = place_of_loops()
        if place is None or (self._compiler is not None and self._compiler.poll() is None):
            return
        if cache.is_listed(self._what, place) and cache.is_complete(self._what, place):
            self.load()
        elif self._starts_left:
            self._starts_left -= 1
            with suppress(OSError):
                self._compiler = start_beside(self._rehearsal, "--beside")


def place_of_loops() -> Path | None:
    """Where compiled loops are kept; None without a compiler, or without a folder that can be written."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return None
    try:
        return cache.folder()
    except PackageNotFoundError:
        return None
