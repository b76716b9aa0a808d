"""Sampling: hand-worked cuts, agreement with Hugging Face's, and frequencies that follow the probabilities."""

from __future__ import annotations

import math

import pytest
import torch

from llm101.inference import Sampler, SamplingSettings, next_token_probabilities

LOGITS = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()


def probabilities(**settings) -> list[float]:
    return next_token_probabilities(LOGITS, SamplingSettings(**settings)).tolist()


def test_the_standard_settings_give_the_models_own_probabilities():
    assert probabilities() == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_half_the_temperature_squares_the_odds():
    # 16 : 9 : 4 : 1 out of 30
    assert probabilities(temperature=0.5) == pytest.approx([16 / 30, 9 / 30, 4 / 30, 1 / 30])


def test_temperature_zero_puts_everything_on_the_likeliest():
    assert probabilities(temperature=0) == [1, 0, 0, 0]


def test_a_tiny_temperature_does_not_overflow():
    assert probabilities(temperature=1e-30) == [1, 0, 0, 0]


def test_top_k_keeps_k_and_renormalises():
    assert probabilities(top_k=2) == pytest.approx([4 / 7, 3 / 7, 0, 0])


def test_top_k_beyond_the_vocabulary_cuts_nothing():
    assert probabilities(top_k=50) == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_top_p_keeps_the_smallest_set_that_reaches_the_mass():
    assert probabilities(top_p=0.6) == pytest.approx([4 / 7, 3 / 7, 0, 0])  # 0.4 is too little, 0.7 enough
    assert probabilities(top_p=0.75) == pytest.approx([4 / 9, 3 / 9, 2 / 9, 0])


def test_top_p_counts_what_top_k_left():
    # of 4/7 and 3/7 the first alone reaches 0.5
    assert probabilities(top_k=2, top_p=0.5) == [1, 0, 0, 0]


def test_temperature_comes_before_top_p():
    # at temperature 0.5 the first two hold 25/30 = 0.83; at temperature 1 they hold 0.7
    assert probabilities(temperature=0.5, top_p=0.8) == pytest.approx([16 / 25, 9 / 25, 0, 0])


def test_min_p_is_a_fraction_of_the_likeliest():
    assert probabilities(min_p=0.45) == pytest.approx([4 / 9, 3 / 9, 2 / 9, 0])  # 0.45 · 0.4 = 0.18
    assert probabilities(min_p=1.0) == [1, 0, 0, 0]


def test_ties_with_the_last_one_kept_are_kept():
    even = torch.tensor([0.4, 0.2, 0.2, 0.2]).log()
    assert next_token_probabilities(even, SamplingSettings(top_k=2)).tolist() == pytest.approx([0.4, 0.2, 0.2, 0.2])


@pytest.mark.parametrize("settings", [{"top_k": 1}, {"top_p": 1e-9}, {"min_p": 1.0}, {"temperature": 0}])
def test_the_most_likely_token_always_survives(settings):
    for seed in range(20):
        logits = torch.randn(4096, generator=torch.Generator().manual_seed(seed)) * 5
        kept = next_token_probabilities(logits, SamplingSettings(**settings))
        assert kept[logits.argmax()] == pytest.approx(1)


def test_the_probability_mass_is_one_for_wide_and_narrow_distributions():
    for spread in (0.0, 0.01, 1.0, 30.0):
        logits = torch.randn(5000, generator=torch.Generator().manual_seed(7)) * spread
        for settings in (SamplingSettings(top_p=0.9), SamplingSettings(top_p=0.9999999), SamplingSettings(top_k=40)):
            assert float(next_token_probabilities(logits, settings).sum()) == pytest.approx(1, abs=1e-5)


def test_a_batch_of_rows_is_cut_row_by_row():
    logits = torch.randn(3, 300, generator=torch.Generator().manual_seed(0)) * torch.tensor([[0.1], [1.0], [8.0]])
    settings = SamplingSettings(temperature=0.8, top_k=50, top_p=0.9, min_p=0.01)
    together = next_token_probabilities(logits, settings)
    alone = torch.stack([next_token_probabilities(row, settings) for row in logits])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("spread", [0.5, 3.0])
def test_the_cuts_are_those_of_hugging_face_generate(spread):
    transformers = pytest.importorskip("transformers")
    ids = torch.zeros(1, 1, dtype=torch.long)
    logits = torch.randn(1, 1000, generator=torch.Generator().manual_seed(3)) * spread
    scores = logits
    for warp in (
        transformers.TemperatureLogitsWarper(0.7),
        transformers.TopKLogitsWarper(200),
        transformers.TopPLogitsWarper(0.9),
        transformers.MinPLogitsWarper(0.05),
    ):
        scores = warp(ids, scores)
    ours = next_token_probabilities(logits, SamplingSettings(temperature=0.7, top_k=200, top_p=0.9, min_p=0.05))
    torch.testing.assert_close(ours, scores.softmax(-1), atol=1e-6, rtol=1e-4)


def test_frequencies_follow_the_probabilities():
    sampler = Sampler(SamplingSettings(seed=0))
    n = 5_000
    counts = [0] * 4
    for _ in range(n):
        counts[sampler.next_id(LOGITS)] += 1
    for count, p in zip(counts, (0.4, 0.3, 0.2, 0.1)):
        assert abs(count - n * p) < 4.5 * math.sqrt(n * p * (1 - p))  # 4.5 standard deviations


def test_a_token_of_probability_zero_is_never_taken():
    sampler = Sampler(SamplingSettings(top_k=2, seed=1))
    logits = torch.tensor([0.1, 0.45, 0.0, 0.45]).log()
    assert {sampler.next_id(logits) for _ in range(2000)} == {1, 3}


@pytest.mark.parametrize(("drawn", "token_id"), [(0.0, 1), (0.4999, 1), (0.5, 3), (0.9999, 3)])
def test_a_drawn_number_is_looked_up_in_the_running_sum(monkeypatch, drawn, token_id):
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(drawn, dtype=torch.float64))
    assert Sampler(SamplingSettings(top_k=2)).next_id(torch.tensor([0.1, 0.4, 0.1, 0.4]).log()) == token_id


def test_the_highest_number_that_can_be_drawn_gives_the_last_token(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(1.0, dtype=torch.float64))  # rounded up
    assert Sampler(SamplingSettings()).next_id(torch.zeros(3)) == 2


def test_a_batch_of_batches_keeps_its_shape():
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    together = next_token_probabilities(logits, SamplingSettings())
    torch.testing.assert_close(together, logits.softmax(-1))


def test_the_same_seed_gives_the_same_ids_and_another_seed_others():
    logits = torch.zeros(1000)

    def ids(seed: int | None) -> list[int]:
        sampler = Sampler(SamplingSettings(seed=seed))
        return [sampler.next_id(logits) for _ in range(10)]

    assert ids(5) == ids(5)
    assert ids(5) != ids(6)
    assert ids(None) != ids(None)


def test_sampling_leaves_torchs_own_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    Sampler(SamplingSettings(seed=9)).next_id(LOGITS)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("damage", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0, 1.0])
def test_scores_that_are_no_numbers_are_refused(damage, temperature):
    logits = LOGITS.clone()
    logits[2] = damage
    with pytest.raises(ValueError, match="not finite .* a parameter is damaged"):
        Sampler(SamplingSettings(temperature=temperature)).next_id(logits)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("temperature", -0.1, "temperature must be a number from 0 .* got -0.1"),
        ("temperature", math.nan, "temperature .* got nan"),
        ("temperature", math.inf, "temperature .* got inf"),
        ("temperature", "hot", "temperature .* got 'hot'"),
        ("top_k", -1, r"top_k must be a whole number from 0 \(off\) upwards, got -1"),
        ("top_k", 1.5, "top_k .* got 1.5"),
        ("top_p", 0, r"top_p must be above 0 and at most 1 \(off\), got 0"),
        ("top_p", 1.1, "top_p .* got 1.1"),
        ("min_p", 2, r"min_p must lie from 0 \(off\) to 1, got 2"),
        ("seed", -1, "seed must be a whole number .* got -1"),
        ("seed", "x", "seed must be a whole number .* got 'x'"),
    ],
)
def test_settings_out_of_range_are_refused_with_the_range(setting, value, message):
    with pytest.raises(ValueError, match=message):
        SamplingSettings(**{setting: value})
