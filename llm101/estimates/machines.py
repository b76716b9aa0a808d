"""Machines: how fast they calculate, how fast they read, how much they hold, what they draw and what they cost.

The figures of well-known ones stand in the ledger; `this_machine` measures the one it runs on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from llm101.estimates.ledger import fact
from llm101.outside.memory import memory_bytes

NAMES = ("a100", "h100", "laptop")


@dataclass(frozen=True)
class Machine:
    """What matters about a machine.

    Example:
        >>> machine("a100").flops
        312000000000000.0
    """

    name: str
    flops: float
    """Floating-point operations per second, at most."""
    bandwidth: float
    """Bytes per second that it reads from its memory, at most."""
    memory_bytes: float
    watts: float
    dollars_per_hour: float
    """0: it is the reader's own."""


def machine(name: str) -> Machine:
    """One of the ledger's machines, or "this", which is measured for about a second.

    Raises:
        ValueError: no such machine.
    """
    if name == "this":
        return this_machine()
    if name not in NAMES:
        raise ValueError(f"no machine {name!r}; there are {', '.join(NAMES)}, and this (measured)")
    flops, bandwidth, memory, watts = (
        fact(f"{name}_{what}").value for what in ("flops", "bandwidth", "memory", "watts")
    )
    price = 0.0 if name == "laptop" else fact(f"{name}_dollars_per_hour").value
    return Machine(name, flops, bandwidth, memory, watts, price)


def this_machine(seconds: float = 0.3) -> Machine:
    """The machine that this runs on, measured: a product of matrices, and a pass over more bytes than a cache holds.

    What it draws is not measured: a laptop's figure stands for it.

    Args:
        seconds: how long each of the two is repeated; the best time counts.
    """
    import torch

    n = 1024
    square, wide, vector = torch.ones(n, n), torch.ones(512, 64 * n), torch.ones(64 * n)  # wide: 134 MB
    flops = 2 * n**3 / _best_seconds(lambda: square @ square, seconds)
    bandwidth = wide.numel() * 4 / _best_seconds(lambda: wide @ vector, seconds)
    memory = memory_bytes() or fact("laptop_memory").value  # where the system does not tell, a laptop's
    return Machine("this", flops, bandwidth, memory, fact("laptop_watts").value, 0.0)


def _best_seconds(work: Callable[[], object], seconds: float) -> float:
    work()  # the first time also makes room
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best
