"""The calculator's Python half: what it takes, what it refuses, and that it agrees with the library's own bill."""

from __future__ import annotations

import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from llm101.estimates import Bill, machine
from llm101_widgets import BillCalculator
from tests.widgets.still_picture import svg_of

MACHINES = [machine(name) for name in ("a100", "h100", "laptop")]


def calculator(**changes: Any) -> BillCalculator:
    bill = Bill()
    article: dict[str, Any] = {"n_parameters": bill.n_parameters, "n_tokens": bill.n_tokens, "n_machines": 6000}
    article |= {"utilisation": bill.utilisation, "co2_per_kwh": bill.co2_per_kwh}
    return BillCalculator(MACHINES, **article | changes)


@pytest.mark.parametrize("name", ["a100", "h100", "laptop"])
def test_its_figures_are_the_librarys(name: str) -> None:
    bill, found = Bill(machine=machine(name)), calculator(machine=name).figures()
    dollars = bill.dollars or None  # the laptop has no price
    expected = (bill.flop, bill.machine_hours, bill.days, dollars, bill.energy_mwh, bill.co2_tonnes, bill.file_gb)
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


def test_a_machine_without_a_price_costs_what_the_reader_says_and_never_nothing() -> None:
    own = calculator(machine="laptop")
    assert own.figures()["dollars"] is None
    assert "no price is set" in repr(own)
    assert "$" not in repr(own) + svg_of(own)
    own.dollars_per_hour = 0.5
    assert own.figures()["dollars"] == pytest.approx(0.5 * Bill(machine=machine("laptop")).machine_hours)


@pytest.mark.parametrize("machine_name", ["a100", "laptop"])
@pytest.mark.parametrize("n_parameters", [1e3, 69e9])
def test_its_picture_says_the_same_as_the_page(machine_name: str, n_parameters: float) -> None:
    shown = calculator(machine=machine_name, n_parameters=n_parameters)
    texts = [text.text for text in ET.fromstring(svg_of(shown)).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[2:] == [cell for row in lines_on_the_page(shown) for cell in row]
    assert texts[:2] == [f"{n_parameters:.3g} parameters, 2e+12 tokens", f"6,000 × {machine_name} at 43%"]


def lines_on_the_page(shown: BillCalculator) -> list[list[str]]:
    """Name and value of every line that the page's JavaScript makes of this bill."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is missing: see make test-widgets")
    names = ("n_parameters", "n_tokens", "n_machines", "utilisation", "dollars_per_hour")
    names += ("co2_per_kwh", "bytes_per_token")
    set_ = {name: getattr(shown, name) for name in names} | {"machine": shown.machines[shown.machine]}
    script = f"""{shown._esm}
    const set = {json.dumps(set_)};
    console.log(JSON.stringify(lines(bill(set), set).map(([name, value]) => [name, value])));"""
    done = subprocess.run(
        [node, "--input-type=module", "-"], input=script, capture_output=True, check=True, text=True, encoding="utf-8"
    )
    return json.loads(done.stdout)


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
