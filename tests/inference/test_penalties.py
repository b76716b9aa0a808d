"""Penalties: hand-worked, equal to Hugging Face's where it has the rule, and felt in whole texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import llm101
from llm101.inference import Sampler, SamplingSettings
from llm101.inference.penalties import TokensSoFar

SCORES = np.array([2.0, -1.0, 0.5, 0.0], np.float32)


def after(*made: int, prompt: tuple[int, ...] = ()) -> TokensSoFar:
    so_far = TokensSoFar(prompt)
    for token_id in made:
        so_far.add(token_id)
    return so_far


def test_a_repetition_penalty_divides_scores_above_zero_and_multiplies_those_below():
    assert after(1, prompt=(0,)).penalised(SCORES, repetition=4.0).tolist() == [0.5, -4.0, 0.5, 0.0]


def test_a_repetition_penalty_counts_a_token_once_however_often_it_is_there():
    assert after(0, 0, 0, prompt=(0,)).penalised(SCORES, repetition=2.0)[0] == 1.0


def test_frequency_grows_with_every_time_and_presence_does_not():
    so_far = after(0, 0, 2)
    assert so_far.penalised(SCORES, frequency=0.5).tolist() == [1.0, -1.0, 0.0, 0.0]
    assert so_far.penalised(SCORES, presence=0.5).tolist() == [1.5, -1.0, 0.0, 0.0]


def test_frequency_and_presence_look_at_the_completion_only():
    assert after(prompt=(0, 1)).penalised(SCORES, frequency=1.0, presence=1.0).tolist() == SCORES.tolist()


def test_the_scores_given_stay_as_they_are():
    before = SCORES.copy()
    after(0, 1).penalised(SCORES, repetition=2.0, frequency=1.0)
    assert np.array_equal(SCORES, before)


def test_an_id_beyond_the_scores_is_passed_over():
    assert after(prompt=(9,)).penalised(SCORES, repetition=2.0).tolist() == SCORES.tolist()


def test_the_repetition_penalty_is_hugging_faces():
    transformers = pytest.importorskip("transformers")
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        scores = torch.randn(40, generator=generator) * 3
        ids = torch.randint(0, 40, (12,), generator=generator)
        penalty = 0.5 + float(torch.rand((), generator=generator)) * 2
        theirs = transformers.RepetitionPenaltyLogitsProcessor(penalty)(ids[None], scores[None].clone())[0]
        ours = after(*ids[6:].tolist(), prompt=tuple(ids[:6].tolist())).penalised(scores.numpy(), repetition=penalty)
        assert np.allclose(ours, theirs.numpy(), rtol=1e-6)


def test_without_a_penalty_nothing_is_remembered():
    sampler = Sampler(SamplingSettings(temperature=0), prompt_ids=[0])
    assert [sampler.next_id(SCORES) for _ in range(3)] == [0, 0, 0]


def test_a_sampler_tires_of_what_it_has_taken():
    sampler = Sampler(SamplingSettings(temperature=0, frequency_penalty=1.0))
    assert [sampler.next_id(SCORES) for _ in range(5)] == [0, 0, 2, 0, 3]


@pytest.mark.parametrize(
    "setting", [{"repetition_penalty": 1.3}, {"frequency_penalty": 2.0}, {"presence_penalty": 3.0}]
)
def test_a_text_repeats_itself_less(setting: dict[str, float]):
    lm = llm101.load("storyteller")

    def different(**more: Any) -> int:
        return len(set(lm.complete("Once upon a time", max_tokens=120, temperature=0, **more).token_ids))

    assert different(**setting) > different()


def test_what_a_stream_says_of_a_token_is_the_models_own():
    lm = llm101.load("storyteller")
    plain = next(lm.stream("Once upon a", max_tokens=1, temperature=0))
    penalised = next(lm.stream("Once upon a", max_tokens=1, temperature=0, repetition_penalty=1.5))
    assert plain.id == penalised.id  # " time" is sure enough
    assert plain.logprob == penalised.logprob


@pytest.mark.parametrize(
    "setting",
    [{"repetition_penalty": 0}, {"frequency_penalty": float("nan")}, {"presence_penalty": "1"}],
)
def test_a_penalty_that_cannot_be_meant_is_refused_by_name(setting: dict[str, object]):
    (name,) = setting
    with pytest.raises(ValueError, match=f"{name} must"):
        SamplingSettings(**setting)  # type: ignore[arg-type]
