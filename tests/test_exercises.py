"""Checking a reader's answer: forgiving about last digits, exact about everything else, and never in the way."""

from __future__ import annotations

import math

from llm101.exercises import check


def third(_: int) -> float:
    return 1 / 3


def test_the_last_digits_of_a_float_do_not_count() -> None:
    assert check(third, {1: 1 / 3 + 1e-12}).passed
    assert check(third, {1: (1 / 3) * (1 + 0.9e-9)}).passed
    assert not check(third, {1: (1 / 3) * (1 + 1.2e-9)}).passed


def test_a_whole_number_is_compared_exactly() -> None:
    assert not check(lambda n: n + 1e-12, {10: 10}).passed


def test_not_a_number_is_right_where_it_is_expected() -> None:
    assert check(lambda _: math.nan, {1: math.nan}).passed
    assert not check(lambda _: 0.0, {1: math.nan}).passed


def test_the_first_wrong_input_is_named_and_nothing_is_raised() -> None:
    outcome = check(lambda a, b: a // b, {(4, 2): 2, (3, 0): 0})
    assert not outcome.passed
    assert repr(outcome).startswith("not yet: <lambda>(3, 0) raises ZeroDivisionError")


def test_an_empty_stub_is_not_yet_right() -> None:
    def stub(text: str) -> str | None:
        """To be written by the reader."""

    assert repr(check(stub, {"a": "b"})) == "not yet: stub('a') gives None, but 'b' is right"
