"""A program of ours beside this one: out of sight, and behind everything else that wants the processor.

It knows how systems start a process, and nothing of what the program does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOWEST_PRIORITY = 19


def start_beside(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Run a module of this very llm101 as a program, on one thread, with nothing to read and nowhere to write.

    Raises:
        OSError: there are no processes here, or there is no room for one more.
    """
    command = [sys.executable, "-m", module, *arguments]
    flags = subprocess.CREATE_NO_WINDOW | subprocess.IDLE_PRIORITY_CLASS if sys.platform == "win32" else 0
    nothing, environment = subprocess.DEVNULL, _environment()
    started = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=nothing, stdout=nothing, stderr=nothing, creationflags=flags
    )
    if sys.platform != "win32":
        with suppress(OSError):  # it has come to its end already
            os.setpriority(os.PRIO_PROCESS, started.pid, LOWEST_PRIORITY)
    return started


def _environment() -> dict[str, str]:
    """This process's; it runs in another folder, and numba's may have been named as seen from here."""
    settings = {"OMP_NUM_THREADS": "1"}
    if os.environ.get("NUMBA_CACHE_DIR"):
        settings["NUMBA_CACHE_DIR"] = os.path.abspath(os.environ["NUMBA_CACHE_DIR"])
    return os.environ | settings


def keep_out_of_the_way() -> None:
    """To be called by such a program: Ctrl-C, and whatever ends a notebook's kernel, is not meant for it."""
    if sys.platform != "win32":
        with suppress(OSError):
            os.setpgid(0, 0)  # not setsid: Linux shares its time out between sessions first, whatever their priority
