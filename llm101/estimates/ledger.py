"""The ledger of claims: every figure that the book states without computing it, with its source.

It knows nothing of models; the figures themselves stand in facts.toml, which is meant to be read.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports] - installed where it is needed

LEDGER = Path(__file__).with_name("facts.toml")


@dataclass(frozen=True)
class Fact:
    """One figure, and what it stands on.

    Example:
        >>> fact("llama_2_70b_gb")
        Llama 2 70B, stored as 16-bit numbers, takes 137.95 GB. (2 bytes per parameter, 2023-07-18)
    """

    name: str
    claim: str
    """The figure in a sentence."""
    value: float
    unit: str
    source: str
    """Where it was read, or what it was computed from."""
    date: str
    """When the source was published, as precisely as known: 2023, 2023-07 or 2023-07-18."""
    formula: str = ""
    """Arithmetic over numbers and names of other facts, if the value follows from them."""
    true_when: str = ""
    false_when: str = ""

    def __repr__(self) -> str:
        return f"{self.claim} ({self.source}, {self.date})"


@cache
def facts() -> Mapping[str, Fact]:
    """The whole ledger, by name."""
    entries = tomllib.loads(LEDGER.read_text(encoding="utf-8"))
    return MappingProxyType({name: Fact(name, **entry) for name, entry in entries.items()})


def fact(name: str) -> Fact:
    """One fact of the ledger.

    Raises:
        ValueError: there is no such fact; the line says which names are close.

    Example:
        >>> fact("llama_2_7b_parameters").value
        6738415616
        >>> fact("llama_2_7b_parameter")
        Traceback (most recent call last):
        ValueError: no fact 'llama_2_7b_parameter' in the ledger; did you mean 'llama_2_7b_parameters'?
    """
    if name not in facts():
        close = difflib.get_close_matches(str(name), facts(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"its names are in {LEDGER.name}"
        raise ValueError(f"no fact {name!r} in the ledger; {hint}")
    return facts()[name]
