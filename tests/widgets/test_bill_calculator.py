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
FIGURES = ("flop", "machine_hours", "days", "dollars", "energy_mwh", "co2_tonnes", "file_gb", "text_tb")


def calculator(**changes: Any) -> BillCalculator:
    return BillCalculator(Bill(**changes), machines=MACHINES)


@pytest.mark.parametrize("name", ["a100", "h100", "laptop"])
def test_its_bill_is_the_librarys_and_follows_what_is_set(name: str) -> None:
    shown = calculator()
    assert shown.bill == Bill()
    shown.machine, shown.n_machines, shown.utilisation, shown.dollars_per_hour = name, 7, 0.2, 3.5
    shown.n_parameters, shown.n_tokens = 1e6, 1e9
    settings: dict[str, Any] = {"n_machines": 7, "utilisation": 0.2, "dollars_per_hour": 3.5}
    assert shown.bill == Bill(machine=machine(name), n_parameters=1e6, n_tokens=1e9, **settings)


@pytest.mark.parametrize(
    "bill",
    [
        Bill(),
        Bill(machine=machine("laptop"), n_machines=1),
        Bill(machine=machine("h100"), dollars_per_hour=0.0, utilisation=1.0, n_parameters=1e3),
        Bill(dollars_per_hour=2.32, n_tokens=7e12, co2_per_kwh=0.05, bytes_per_token=4.2, bytes_per_parameter=4.0),
    ],
    ids=["the article's", "a laptop", "for nothing", "others"],
)
def test_the_page_computes_what_the_library_does(bill: Bill) -> None:
    found = on_the_page(BillCalculator(bill, machines=MACHINES), "bill(set)")
    if bill.dollars_per_hour is None and bill.machine.dollars_per_hour == 0:
        assert found["dollars"] is None  # for the page, no price is not a price of 0
        found["dollars"] = 0
    assert found == pytest.approx({name: getattr(bill, name) for name in FIGURES}, rel=1e-12)


def test_a_price_of_ones_own_replaces_the_machines() -> None:
    shown = calculator(dollars_per_hour=0)
    assert shown.bill.dollars == 0
    assert "$0" in repr(shown)
    shown.dollars_per_hour = None
    assert shown.bill.dollars == pytest.approx(Bill().dollars)
    assert shown.start["dollars_per_hour"] == 0


def test_it_leaves_the_bill_behind_in_words() -> None:
    assert repr(calculator()) == (
        "6.9e+10 parameters, 2e+12 tokens, on 6,000 × a100 at 43%: 8.28e+23 FLOP, 1,713,791 hours, 11.9 days, "
        "$1,983,541, 686 MWh, 290 t of CO2, 138 GB"
    )


def test_a_machine_without_a_price_costs_what_the_reader_says_and_never_nothing() -> None:
    own = calculator(machine=machine("laptop"))
    assert "no price is set" in repr(own)
    assert "$" not in repr(own) + svg_of(own)
    own.dollars_per_hour = 0.5
    assert f"${0.5 * Bill(machine=machine('laptop')).machine_hours:,.0f}" in repr(own)


@pytest.mark.parametrize("machine_name", ["a100", "laptop"])
@pytest.mark.parametrize("n_parameters", [1e3, 69e9])
def test_its_picture_says_the_same_as_the_page(machine_name: str, n_parameters: float) -> None:
    shown = calculator(machine=machine(machine_name), n_parameters=n_parameters)
    texts = [text.text for text in ET.fromstring(svg_of(shown)).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[2:] == [cell for row in lines_on_the_page(shown) for cell in row]
    assert texts[:2] == [f"{n_parameters:.3g} parameters, 2e+12 tokens", f"6,000 × {machine_name} at 43%"]


def lines_on_the_page(shown: BillCalculator) -> list[list[str]]:
    """Name and value of every line that the page's JavaScript makes of this bill."""
    return on_the_page(shown, "lines(bill(set), set).map(([name, value]) => [name, value])")


def on_the_page(shown: BillCalculator, expression: str) -> Any:
    """What a JavaScript expression is worth there; `set` is what the page reads."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is missing: see make test-widgets")
    names = ("n_parameters", "n_tokens", "n_machines", "utilisation", "dollars_per_hour")
    names += ("co2_per_kwh", "bytes_per_token", "bytes_per_parameter")
    set_ = {name: getattr(shown, name) for name in names} | {"machine": shown.machines[shown.machine]}
    script = f"{shown._esm}\nconst set = {json.dumps(set_)};\nconsole.log(JSON.stringify({expression}));"
    done = subprocess.run(
        [node, "--input-type=module", "-"], input=script, capture_output=True, check=True, text=True, encoding="utf-8"
    )
    return json.loads(done.stdout)


def test_without_a_machine_there_is_no_bill() -> None:
    with pytest.raises(ValueError, match="there is no machine to choose from: the list of machines is empty"):
        BillCalculator(Bill(), machines=[])
    with pytest.raises(ValueError, match="machine must be one of h100, got 'a100'"):
        BillCalculator(Bill(), machines=[machine("h100")])


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
def test_what_makes_no_sense_is_refused_and_changes_nothing(name: str, value: Any, message: str) -> None:
    shown = calculator()
    with pytest.raises(ValueError, match=message):
        setattr(shown, name, value)
    assert repr(shown) == repr(calculator())
