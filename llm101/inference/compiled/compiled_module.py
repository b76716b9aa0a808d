"""Modules of loops that numba compiles, where it can be loaded: without them the same arithmetic runs slower.

It knows nothing of what is compiled.
"""

from __future__ import annotations

import importlib
from typing import Any

from llm101.outside.notice import notice


def compiled_module(name: str) -> Any:
    """Import a module of compiled loops; None where there is no compiler for them.

    numba has no build for every machine, and may be left out or switched off (NUMBA_DISABLE_JIT=1). Where it is
    there and cannot be loaded, mostly for want of memory, one line says so.

    Args:
        name: the module's full name.
    """
    try:
        numba: Any = importlib.import_module("numba")
        return None if numba.config.DISABLE_JIT else importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in ("numba", "llvmlite"):
            return None
        raise
    except (ImportError, OSError, MemoryError) as error:  # it is there, and the system does not load it
        reason = str(error.__context__ or error).partition("\n")[0].rpartition("/")[2] or "out of memory"
        notice(f"numba cannot be loaded ({reason}): is there enough memory? llm101 goes on without it, slower")
        return None
