"""Estimates: sizes, speeds and bills by arithmetic, and the ledger of claims they are checked against.

Reading order: ledger.py reads facts.toml, which holds every figure that the book states and does not compute.
"""

from llm101.estimates.ledger import Fact, fact, facts

__all__ = ["Fact", "fact", "facts"]
