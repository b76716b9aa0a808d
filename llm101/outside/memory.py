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


def free_memory_bytes() -> int | None:
    """How much of it is free now, in bytes; where the system does not tell, all of it; None if not even that."""
    total_bytes = memory_bytes()
    try:  # Linux: what could be had without pushing anything else out
        lines = Path("/proc/meminfo").read_text().splitlines()
        kib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return total_bytes
    free_bytes = kib * 1024 if total_bytes is None else min(kib * 1024, total_bytes)
    try:  # a container: its limit, less what its processes hold (files that it has read can be given up)
        group = Path("/sys/fs/cgroup")
        held = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        in_use = int((group / "memory.current").read_text()) - int(held["inactive_file"]) - int(held["active_file"])
        return min(free_bytes, max(0, int((group / "memory.max").read_text()) - in_use))
    except (OSError, ValueError, KeyError):
        return free_bytes


def _windows_memory_bytes() -> int | None:
    """Windows has no sysconf. This call fills in KiB; it needs no structure and no package.

    Source: https://learn.microsoft.com/windows/win32/api/sysinfoapi/nf-sysinfoapi-getphysicallyinstalledsystemmemory
    """
    kib = ctypes.c_ulonglong()
    if not ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kib)):  # pyright: ignore
        return None
    return kib.value * 1024
