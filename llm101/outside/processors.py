"""How many processors this process may use: fewer than the machine has, in a container or where somebody says so."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


@cache
def usable_processors() -> int:
    """At least 1, looked up once; a container's share of processor time counts as so many whole ones."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:  # cgroup v2: so many microseconds in each period, or "max"
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(n, int(quota) // int(period)))
    except (OSError, ValueError):
        return n
