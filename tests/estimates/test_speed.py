"""Memory and speed by arithmetic: the figures everybody quotes, and what the number of parameters alone gets wrong."""

from __future__ import annotations

import math

import pytest

from llm101.estimates import Machine, fact, machine
from llm101.estimates.published import PUBLISHED
from llm101.estimates.speed import estimate, flop_per_token, kv_bytes_per_token
from llm101.model import ModelConfig

TOY = ModelConfig(vocab_size=10, d_model=4, n_layers=3, n_heads=2, n_kv_heads=1, d_mlp=8, context_length=100)


def close(value: float, expected: float, tolerance: float = 0.05) -> bool:
    return math.isclose(value, expected, rel_tol=tolerance)


@pytest.mark.parametrize(("name", "parameters"), [
    ("llama-2-7b", 6_738_415_616), ("llama-2-13b", 13_015_864_320), ("llama-2-70b", 68_976_648_192),
    ("llama-3.1-8b", 8_030_261_248), ("llama-3.1-70b", 70_553_706_496), ("llama-3.1-405b", 405_853_388_800),
])  # fmt: skip
def test_published_shapes_have_the_published_number_of_parameters(name: str, parameters: int) -> None:
    assert PUBLISHED[name].n_parameters == parameters


def test_the_ceilings_of_decoding_that_bandwidth_sets() -> None:
    for model, on, tokens_per_second in (("70b", "a100", 14.8), ("70b", "h100", 24), ("7b", "laptop", 3.7)):
        found = estimate(PUBLISHED[f"llama-2-{model}"], machine(on), context=1)
        assert close(found.decode_tokens_per_second, tokens_per_second)


def test_seventy_billion_are_ten_times_slower_only_where_weights_decide() -> None:
    def slowdown(context: int, batch: int) -> float:
        small, large = (PUBLISHED[f"llama-2-{size}"] for size in ("7b", "70b"))
        speeds = [
            estimate(m, machine("a100"), context=context, batch=batch).decode_tokens_per_second for m in (small, large)
        ]
        return speeds[0] / speeds[1]

    assert close(slowdown(1, 1), fact("slowdown_short").value)
    assert close(slowdown(4096, 1), fact("slowdown_4k").value)
    assert close(slowdown(4096, 32), fact("slowdown_batch").value)


def test_grouped_heads_make_the_larger_models_cache_the_smaller() -> None:
    assert kv_bytes_per_token(PUBLISHED["llama-2-7b"]) == 512 * 1024
    assert kv_bytes_per_token(PUBLISHED["llama-2-70b"]) == 320 * 1024


def test_an_estimate_by_hand() -> None:
    on = Machine("mill", flops=1e6, bandwidth=1e5, memory_bytes=1e9, watts=1, dollars_per_hour=0)
    found = estimate(TOY, on, context=50, batch=2, dtype="float32")
    assert found.weights_bytes == 4 * TOY.n_parameters
    assert found.kv_cache_bytes == 2 * 50 * (2 * 3 * 1 * 2 * 4)
    assert found.total_bytes == found.weights_bytes + found.kv_cache_bytes
    assert flop_per_token(TOY, 50) == 2 * TOY.n_parameters + 4 * 3 * 2 * 2 * 50
    assert math.isclose(found.prefill_seconds, 2 * 50 * flop_per_token(TOY, 25) / 1e6)
    assert found.limited_by == "bandwidth"
    assert math.isclose(found.decode_tokens_per_second, 2 / (found.total_bytes / 1e5))


def test_many_texts_at_once_are_limited_by_computing() -> None:
    config = PUBLISHED["llama-2-7b"]
    assert estimate(config, machine("a100"), context=10, batch=1).limited_by == "bandwidth"
    many = estimate(config, machine("a100"), context=10, batch=4000)
    assert many.limited_by == "compute"
    assert math.isclose(many.decode_tokens_per_second, 312e12 / flop_per_token(config, 10))


def test_a_sliding_window_caps_the_cache() -> None:
    windowed = ModelConfig(vocab_size=10, d_model=4, n_layers=3, n_heads=2, context_length=100, sliding_window=10)
    assert estimate(windowed, machine("a100")).kv_cache_bytes == 10 * kv_bytes_per_token(windowed)


def test_tied_embeddings_are_read_and_others_looked_up() -> None:
    untied = ModelConfig(vocab_size=1000, d_model=4, n_layers=1, n_heads=1, tie_embeddings=False)
    tied = ModelConfig(vocab_size=1000, d_model=4, n_layers=1, n_heads=1)
    assert flop_per_token(untied, 1) == flop_per_token(tied, 1)


def test_what_does_not_fit_says_so() -> None:
    assert estimate(PUBLISHED["llama-2-70b"], machine("a100")).limited_by == "memory"
    assert estimate(PUBLISHED["llama-2-70b"], machine("a100"), dtype="int4").limited_by == "bandwidth"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"context": 0}, "context must be from 1 to the model's 100 tokens, got 0"),
        ({"context": 101}, "context must be from 1 to the model's 100 tokens, got 101"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"dtype": "int2"}, "dtype must be one of float32, float16, bfloat16, int8, int4, got 'int2'"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate(TOY, machine("a100"), **wrong)


def test_machines_come_from_the_ledger_or_are_measured() -> None:
    assert machine("h100").bandwidth == fact("h100_bandwidth").value
    assert machine("laptop").dollars_per_hour == 0
    here = machine("this")
    assert 1e9 < here.flops < 1e15
    assert 1e8 < here.bandwidth < 1e13
    assert here.memory_bytes > 1e8
    with pytest.raises(ValueError, match="no machine 'b200'; there are a100, h100, laptop, and this"):
        machine("b200")
