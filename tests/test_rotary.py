"""Rotary positions: what turning does, worked by hand, and how the kinds of RoPE scaling slow it down."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from llm101.rotary import RopeScaling, rotary_frequencies, rotary_table, rotate

LLAMA_3_2 = RopeScaling("llama3", 32.0, original_context_length=8192)
YARN = RopeScaling("yarn", 4.0, original_context_length=2048)


def test_the_first_pair_turns_by_one_radian_per_position() -> None:
    cos, sin = rotary_table(torch.arange(5), rotary_frequencies(10_000.0, 4))
    # Pairs of a head of 4: (0, 2) turns by position / 10000^0, (1, 3) by position / 10000^(2/4) = position / 100.
    x = torch.tensor([1.0, 1.0, 0.0, 0.0])
    expected = [math.cos(3), math.cos(0.03), math.sin(3), math.sin(0.03)]
    assert rotate(x, cos[3], sin[3]).tolist() == pytest.approx(expected, abs=1e-6)


def test_turned_queries_and_keys_know_only_their_distance() -> None:
    cos, sin = rotary_table(torch.arange(24), rotary_frequencies(10_000.0, 4))
    q, k = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    near = rotate(q, cos[5], sin[5]) @ rotate(k, cos[2], sin[2])
    far = rotate(q, cos[20], sin[20]) @ rotate(k, cos[17], sin[17])
    other = rotate(q, cos[20], sin[20]) @ rotate(k, cos[16], sin[16])
    assert near.item() == pytest.approx(far.item(), abs=1e-5)
    assert abs(near.item() - other.item()) > 1e-3


def test_turning_keeps_the_length() -> None:
    cos, sin = rotary_table(torch.arange(24), rotary_frequencies(10_000.0, 8))
    x = torch.randn(24, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(rotate(x, cos, sin).norm(dim=-1), x.norm(dim=-1), atol=1e-5)


def test_a_place_is_turned_the_same_whatever_places_are_asked_for_beside_it() -> None:
    frequencies = rotary_frequencies(10_000.0, 16)
    cos, sin = rotary_table(torch.arange(3000), frequencies)
    few = rotary_table(torch.tensor([[7, 2999], [0, 1500]]), frequencies, magnitude=2.0)
    assert few[0].shape == (2, 2, 16)
    torch.testing.assert_close(few[0][0, 1], 2 * cos[2999])
    torch.testing.assert_close(few[1][1, 1], 2 * sin[1500])


# Scaling


def test_linear_scaling_reads_every_other_place_as_if_it_were_the_next() -> None:
    plain, halved = rotary_frequencies(10_000.0, 8), rotary_frequencies(10_000.0, 8, RopeScaling("linear", 2.0))
    near, far = rotary_table(torch.arange(6), plain), rotary_table(torch.arange(0, 12, 2), halved)
    assert torch.equal(near[0], far[0])
    assert torch.equal(near[1], far[1])


def test_llama3_slows_down_what_turns_less_than_once_and_keeps_what_turns_more_than_four_times() -> None:
    plain = rotary_frequencies(500_000.0, 64)
    kept = rotary_frequencies(500_000.0, 64, LLAMA_3_2) / plain
    turns = 8192 * plain / (2 * math.pi)
    assert (kept[turns > 4] == 1).all()
    torch.testing.assert_close(kept[turns < 1], torch.full_like(kept[turns < 1], 1 / 32))
    between = kept[(turns > 1) & (turns < 4)]
    assert between.numel() == 3
    assert ((between > 1 / 32) & (between < 1)).all()


def test_yarn_worked_by_hand() -> None:
    # A head of 4 with base 100 turns by 1 and 0.1. In 63 tokens pair 0 turns 63 / 2π = 10.03 times, pair 1 once. The
    # pair that turns b times is 4 ln(63 / 2πb) / (2 ln 100): 1.001 for b = 1 and 0.853 for b = 1.408, say.
    by_hand = [4 * math.log(63 / (2 * math.pi * b)) / (2 * math.log(100)) for b in (1.0, 1.408)]
    assert by_hand == pytest.approx([1.0011, 0.8525], abs=1e-4)
    exact = RopeScaling("yarn", 8.0, 63, beta_slow=1.0, beta_fast=1.408, truncate=False)
    kept = 1 - (1 - by_hand[1]) / (by_hand[0] - by_hand[1])  # what pair 1 keeps of its speed: little
    assert rotary_frequencies(100.0, 4, exact).tolist() == pytest.approx([1.0, 0.1 * kept + 0.1 / 8 * (1 - kept)])
    whole_pairs = RopeScaling("yarn", 8.0, 63, beta_slow=1.0, beta_fast=1.408)  # from pair 0 to pair 2
    assert rotary_frequencies(100.0, 4, whole_pairs).tolist() == pytest.approx([1.0, 0.1 * 0.5 + 0.1 / 8 * 0.5])


def test_yarn_sharpens_attention_unless_told_by_how_much() -> None:
    assert YARN.magnitude == pytest.approx(0.1 * math.log(4) + 1)
    assert RopeScaling("yarn", 4.0, 2048, attention_factor=1.5).magnitude == 1.5
    assert RopeScaling("yarn", 0.5, 2048).magnitude == 1
    assert LLAMA_3_2.magnitude == RopeScaling("linear", 4.0).magnitude == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "longrope"}, "must be linear, llama3 or yarn, got 'longrope'"),
        ({"kind": None}, "must be linear, llama3 or yarn, got None"),
        ({"kind": ["yarn"]}, "must be linear, llama3 or yarn"),
        ({"factor": 0}, "factor must be a number above 0, got 0"),
        ({"factor": math.nan}, "factor must be a number above 0, got nan"),
        ({"factor": "8"}, "factor must be a number above 0, got '8'"),
        ({"attention_factor": -1.0}, "attention_factor must be a number above 0, got -1.0"),
        ({"kind": "llama3", "original_context_length": 0}, "original_context_length of llama3 must be .*, got 0"),
        ({"original_context_length": 2.5}, "original_context_length of yarn must be a whole number .*, got 2.5"),
        ({"low_freq_factor": 4.0}, r"high_freq_factor \(4.0\) must be above low_freq_factor \(4.0\)"),
        ({"beta_slow": 64}, r"beta_fast \(32.0\) must be above beta_slow \(64.0\)"),
        ({"truncate": 1}, "truncate must be True or False, got 1"),
    ],
)
def test_an_impossible_scaling_is_refused(fields: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {"kind": "yarn", "factor": 4.0, "original_context_length": 2048}
    assert RopeScaling(**right) == YARN
    with pytest.raises(ValueError, match=message):
        RopeScaling(**(right | fields))
