"""The ledger of claims: complete entries, formulas that give their values, and the figures everybody quotes."""

from __future__ import annotations

import ast
import math
import operator
import re

import pytest

from llm101.estimates import fact, facts

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}


def compute(node: ast.expr) -> float:
    """Arithmetic over numbers and the names of facts, and nothing else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.Name):
        return fact(node.id).value
    if isinstance(node, ast.UnaryOp):
        return OPERATORS[type(node.op)](compute(node.operand))
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](compute(node.left), compute(node.right))
    raise ValueError(f"not arithmetic: {ast.unparse(node)}")


@pytest.mark.parametrize("name", facts())
def test_every_fact_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    entry = fact(name)
    assert entry.claim.endswith(".")
    assert entry.unit
    assert len(entry.source) > 5
    assert re.fullmatch(r"(19|20)\d\d(-\d\d){0,2}", entry.date)
    assert re.fullmatch(r"[a-z][a-z0-9_]+", name)


@pytest.mark.parametrize("name", [name for name, entry in facts().items() if entry.formula])
def test_every_formula_gives_its_value(name: str) -> None:
    result = compute(ast.parse(fact(name).formula, mode="eval").body)
    assert math.isclose(result, fact(name).value, rel_tol=1e-4)


def test_the_articles_file_is_llama_2_70b_in_16_bits() -> None:
    assert math.isclose(fact("llama_2_70b_gb").value, fact("article_file_gb").value, rel_tol=0.02)


def test_the_articles_bill_is_the_published_one() -> None:
    gpu_hours = fact("article_gpus").value * fact("article_days").value * 24
    assert gpu_hours == 1_728_000
    assert math.isclose(gpu_hours, fact("llama_2_70b_gpu_hours").value, rel_tol=0.005)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match="no fact 'gpt_2_smal_parameters' .* did you mean 'gpt_2_small_parameters'"):
        fact("gpt_2_smal_parameters")
    with pytest.raises(ValueError, match=r"its names are in facts\.toml"):
        fact("?")
