"""How much memory this machine has for us: what the system tells, on every system."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path


def memory_bytes() -> int | None:
    """How much memory processes here can use, in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        return _windows_memory_bytes()
    try:
        total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    try:  # a container's limit (cgroup v2): a number, or "max"
        return min(total_bytes, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return total_bytes


def _windows_memory_bytes() -> int | None:
    """Windows has no sysconf. This call fills in KiB; it needs no structure and no package.

    Source: https://learn.microsoft.com/windows/win32/api/sysinfoapi/nf-sysinfoapi-getphysicallyinstalledsystemmemory
    """
    kib = ctypes.c_ulonglong()
    if not ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kib)):  # pyright: ignore
        return None
    return kib.value * 1024
