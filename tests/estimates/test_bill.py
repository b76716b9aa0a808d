"""The bill: the article's case, and every published figure within 5 %."""

from __future__ import annotations

import math

import pytest

from llm101.estimates import Bill, BillLine, Machine, fact, machine
from llm101.estimates.published import PUBLISHED

LLAMA_2 = ("7b", "13b", "70b")
UTILISATION = {"7b": 0.39, "13b": 0.38, "70b": 0.43}
"""Not published; what the published hours come to, to the whole percent."""


def close(value: float, name: str, tolerance: float = 0.05) -> bool:
    return math.isclose(value, fact(name).value, rel_tol=tolerance)


def test_the_articles_case_is_what_one_gets_without_arguments() -> None:
    bill = Bill()
    assert close(bill.text_tb, "article_data_tb")
    assert close(bill.days, "article_days")
    assert close(bill.dollars, "article_cost_usd")
    assert close(bill.file_gb, "article_file_gb")
    assert close(bill.machine_hours, "llama_2_70b_gpu_hours")


@pytest.mark.parametrize("size", LLAMA_2)
def test_llama_2s_published_hours_and_emissions(size: str) -> None:
    bill = Bill(n_parameters=PUBLISHED[f"llama-2-{size}"].n_parameters, utilisation=UTILISATION[size])
    assert close(bill.machine_hours, f"llama_2_{size}_gpu_hours")
    assert close(bill.co2_tonnes, f"llama_2_{size}_co2")


def test_llama_3_1s_published_operations_and_emissions() -> None:
    largest = PUBLISHED["llama-3.1-405b"].n_parameters
    bill = Bill(
        n_parameters=largest, n_tokens=fact("llama_3_1_tokens").value, machine=machine("h100"), utilisation=0.345
    )
    assert close(bill.flop, "llama_3_1_405b_flop")
    assert close(bill.machine_hours, "llama_3_1_405b_gpu_hours")
    hours = sum(fact(f"llama_3_1_{size}_gpu_hours").value for size in ("8b", "70b", "405b"))
    assert close(bill.co2_tonnes / bill.machine_hours * hours, "llama_3_1_co2")


def test_a_bill_by_hand() -> None:
    mill = Machine("mill", flops=1e3, bandwidth=1, memory_bytes=1, watts=500, dollars_per_hour=2)
    bill = Bill(
        n_parameters=3e6, n_tokens=4e6, machine=mill, n_machines=10, utilisation=0.5, co2_per_kwh=0.1, bytes_per_token=2
    )
    assert bill.flop == 72e12
    assert bill.machine_hours == 40e6
    assert math.isclose(bill.days, 40e6 / 240)
    assert bill.dollars == 80e6
    assert bill.energy_mwh == 20e3
    assert math.isclose(bill.co2_tonnes, 2e3)
    assert (bill.text_tb, bill.file_gb) == (8e-6, 6e-3)
    assert Bill(machine=mill, dollars_per_hour=0).dollars == 0


def test_every_line_has_a_formula_a_unit_and_a_source() -> None:
    for line in Bill().lines():
        assert line.formula
        assert line.unit
        assert line.source
        assert line.shown in repr(Bill())
        assert f"| {line.name} | {line.shown} | {line.formula} | {line.source} |" in Bill()._repr_markdown_()


def test_figures_are_said_as_one_would_say_them() -> None:
    assert Bill().line("cost").shown == "$1,980,000"
    assert BillLine("time", 400, "days", "", "").shown == "400 days"
    assert BillLine("time", 3652.5, "days", "", "").shown == "10 years"
    with pytest.raises(ValueError, match="no line 'price' in the bill; there are text, operations, "):
        Bill().line("price")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_parameters": 0}, "n_parameters must be a number above 0, got 0"),
        ({"n_machines": float("inf")}, "n_machines must be a number above 0, got inf"),
        ({"bytes_per_parameter": -2}, "bytes_per_parameter must be a number above 0, got -2"),
        ({"utilisation": 1.2}, "utilisation is a share of the peak, from 0 to 1, got 1.2"),
        ({"dollars_per_hour": -1}, "dollars_per_hour cannot be below 0, got -1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bill(**wrong)
