"""Checking a reader's answer: forgiving about last digits, exact about everything else, and never in the way."""

from __future__ import annotations

import functools
import itertools
import math
import sys
from typing import Any

import numpy as np
import pytest
import torch

from llm101.exercises import Outcome, check


def third(_: int) -> float:
    return 1 / 3


def given(answer: Any) -> Any:
    """A function that answers with that, whatever it is asked."""
    return lambda _: answer


def test_a_float_needs_six_right_digits() -> None:
    assert check(third, {1: 1 / 3 + 1e-12}).passed
    assert not check(third, {1: 0.33333}).passed
    assert check(third, {1: (1 / 3) * (1 + 0.9e-6)}).passed
    assert not check(third, {1: (1 / 3) * (1 + 1.2e-6)}).passed


def test_a_case_may_be_written_with_six_digits_after_the_point() -> None:
    assert check(given(1.44 / math.log(2) / 4), {1: 0.519370}).passed


def test_a_sum_that_is_zero_but_for_rounding_is_zero() -> None:
    assert check(given(0.1 + 0.2 - 0.3), {1: 0.0}).passed
    assert not check(given(1e-6), {1: 0.0}).passed


def test_floats_are_compared_alike_wherever_they_stand() -> None:
    right = {"a": [0.3, (0.6, math.nan)]}
    assert check(given({"a": [0.1 + 0.2, (0.1 + 0.5, math.nan)]}), {1: right}).passed
    assert not check(given({"a": [0.1 + 0.2, (0.1 + 0.6, math.nan)]}), {1: right}).passed
    assert not check(given({"a": [0.3]}), {1: right}).passed
    assert not check(given([0.3, 0.4]), {1: [0.3]}).passed
    assert not check(given([0.3]), {1: (0.3,)}).passed


def test_a_whole_number_is_compared_exactly() -> None:
    assert not check(lambda n: n + 1e-12, {10: 10}).passed
    assert check(given(np.int64(10)), {1: 10}).passed


def test_not_a_number_is_right_where_it_is_expected() -> None:
    assert check(lambda _: math.nan, {1: math.nan}).passed
    assert not check(lambda _: 0.0, {1: math.nan}).passed


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_an_array_is_as_good_as_the_list_of_its_numbers(make) -> None:
    assert check(given(make([1, 2, 3])), {1: [1, 2, 3]}).passed
    assert check(given([1, 2, 3]), {1: make([1, 2, 3])}).passed
    assert check(given(make(0.2)), {1: 0.2}).passed
    assert repr(check(given(make([1, 2])), {1: [1, 2, 3]})).endswith("[1, 2, 3] is right")
    assert not check(given(make([[1, 2, 3]])), {1: [1, 2, 3]}).passed


def test_the_first_wrong_input_is_named_and_nothing_is_raised() -> None:
    outcome = check(lambda a, b: a // b, {(4, 2): 2, (3, 0): 0})
    assert not outcome.passed
    assert repr(outcome).startswith("not yet: <lambda>(3, 0) raises ZeroDivisionError")


def test_an_empty_stub_is_not_yet_right() -> None:
    def stub(text: str) -> str | None:
        """To be written by the reader."""

    assert repr(check(stub, {"a": "b"})) == "not yet: stub('a') gives None, but 'b' is right"


class Hostile:
    """An object that fails at whatever it is asked."""

    def _fail(self, *_: object) -> Any:
        raise SystemExit("no")

    __eq__ = __repr__ = __str__ = __len__ = __bool__ = __iter__ = _fail
    __hash__ = None  # type: ignore[assignment]
    tolist = shape = property(_fail)


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def itself() -> list[Any]:
    held: list[Any] = []
    held.append(held)
    return held


def raising(error: BaseException) -> Any:
    def answer(_: object) -> None:
        raise error

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        *(np.zeros(3), torch.zeros(3), np.zeros((2, 2)), np.array([]), np.array(["a"]), np.array([None, 1], object)),
        *(np.broadcast_to(0, 10**12), torch.zeros(1).expand(10**12), np.float32(2.5), torch.tensor(math.nan)),
        *(Hostile(), Hostile, [Hostile()], {"a": Hostile()}, itself(), itertools.count(), (i for i in range(3))),
        *(10**5000, -(10**400), "a" * 10**7, list(range(10**6)), float, NotImplemented, ..., "\ud800", b"\xff"),
    ],
    ids=lambda answer: type(answer).__name__,
)
@pytest.mark.parametrize(
    "right",
    [1, 1.5, "a", [1, 2], (1.5,), {"a": 1}, None, np.ones(3), Hostile()],
    ids=lambda right: type(right).__name__,
)
@pytest.mark.filterwarnings("error")
def test_a_check_returns_whatever_the_answer_is(answer, right) -> None:
    outcome = check(given(answer), {1: right})
    assert isinstance(outcome, Outcome)
    assert not outcome.passed
    assert len(outcome.message) < 2_000
    assert "\n" not in outcome.message


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(), MemoryError(), HostileError()],
    ids=lambda error: type(error).__name__,
)
def test_a_check_returns_whatever_the_answer_raises(error) -> None:
    outcome = check(raising(error), {1: 1})
    assert not outcome.passed
    assert repr(outcome).startswith("not yet: answer(1) ")


def test_an_answer_without_end_is_not_yet_right() -> None:
    def forever(n: int) -> int:
        return forever(n)

    assert "RecursionError" in repr(check(forever, {1: 1}))


FUNCTIONS = [None, 3, functools.partial(third), Hostile(), print, sys.exit]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: type(function).__name__)
def test_a_check_returns_whatever_is_to_be_checked(function) -> None:
    assert not check(function, {1: "never"}).passed


@pytest.mark.parametrize("cases", [{}, None, 5, [1], "ab", {Hostile: 1}, {(): 1}])
def test_a_check_returns_whatever_the_cases_are(cases) -> None:
    assert not check(third, cases).passed
