"""The calculator's Python half: what it takes, what it refuses, and that it agrees with the library's own bill."""

from __future__ import annotations

from typing import Any

import pytest

from llm101.estimates import Bill, machine
from llm101_widgets import BillCalculator

MACHINES = [machine(name) for name in ("a100", "h100", "laptop")]


def calculator(**changes: Any) -> BillCalculator:
    bill = Bill()
    article: dict[str, Any] = {"n_parameters": bill.n_parameters, "n_tokens": bill.n_tokens, "n_machines": 6000}
    article |= {"utilisation": bill.utilisation, "co2_per_kwh": bill.co2_per_kwh}
    return BillCalculator(MACHINES, **article | changes)


@pytest.mark.parametrize("name", ["a100", "h100", "laptop"])
def test_its_figures_are_the_librarys(name: str) -> None:
    bill, found = Bill(machine=machine(name)), calculator(machine=name).figures()
    expected = (bill.flop, bill.machine_hours, bill.days, bill.dollars, bill.energy_mwh, bill.co2_tonnes, bill.file_gb)
    assert list(found.values()) == pytest.approx([*expected, bill.text_tb])
    assert list(found) == ["flop", "hours", "days", "dollars", "mwh", "co2_tonnes", "file_gb", "text_tb"]


def test_a_price_of_ones_own_replaces_the_machines() -> None:
    shown = calculator(dollars_per_hour=0)
    assert shown.figures()["dollars"] == 0
    shown.dollars_per_hour = None
    assert shown.figures()["dollars"] == pytest.approx(Bill().dollars)
    assert shown.start["dollars_per_hour"] == 0


def test_it_leaves_the_bill_behind_in_words() -> None:
    assert repr(calculator()) == (
        "6.9e+10 parameters, 2e+12 tokens, on 6,000 × a100 at 43%: 8.28e+23 FLOP, 1,713,791 hours, 11.9 days, "
        "$1,983,541, 686 MWh, 290 t of CO2, 138 GB"
    )


def test_without_a_machine_there_is_no_bill() -> None:
    with pytest.raises(ValueError, match="there is no machine to choose from: the list of machines is empty"):
        BillCalculator([], n_parameters=1, n_tokens=1, n_machines=1, co2_per_kwh=1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("machine", "abacus", "machine must be one of a100, h100, laptop, got 'abacus'"),
        ("n_tokens", 0.0, "n_tokens must be a number above 0, got 0"),
        ("n_machines", float("nan"), "n_machines must be a number above 0, got nan"),
        ("utilisation", 1.5, "utilisation is a share of the peak, from 0 to 1, got 1.5"),
        ("dollars_per_hour", -1.0, "dollars_per_hour cannot be below 0, got -1"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_start_and_later(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calculator(**{name: value})
    shown = calculator()
    with pytest.raises(ValueError, match=message):
        setattr(shown, name, value)
    assert repr(shown) == repr(calculator())
