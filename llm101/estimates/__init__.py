"""Estimates: sizes, speeds and bills by arithmetic, and the ledger of claims they are checked against.

Reading order: ledger.py reads facts.toml, which holds every figure that the book states and does not compute;
machines.py (what they can do); bill.py (what training takes); speed.py (what running takes), published.py (for which
models).
"""

from llm101.estimates.bill import Bill, BillLine
from llm101.estimates.ledger import Fact, fact, facts
from llm101.estimates.machines import Machine, machine, this_machine

__all__ = ["Bill", "BillLine", "Fact", "Machine", "fact", "facts", "machine", "this_machine"]
