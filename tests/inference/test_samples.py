"""Several samples of one prompt: each the text of its own seed, and the prompt read once."""

from __future__ import annotations

import pytest
import torch

from llm101.inference import InferenceEngine
from llm101.model import ModelConfig, Transformer
from llm101.tokenizer import Tokenizer

CONFIG = ModelConfig(vocab_size=262, d_model=16, n_layers=2, n_heads=2, context_length=64)
TOKENIZER = Tokenizer.train(["once upon a time"] * 3, vocab_size=262)


@pytest.fixture(params=[True, False], ids=["compiled", "plain"])
def engine(request: pytest.FixtureRequest) -> InferenceEngine:
    engine = InferenceEngine(Transformer(CONFIG).initialise(seed=0).eval(), TOKENIZER, fast=request.param)
    engine.compile()
    return engine


def test_each_sample_is_the_text_of_its_own_seed(engine: InferenceEngine) -> None:
    samples = engine.complete("once", n=4, max_tokens=12, seed=5)
    alone = [engine.complete("once", max_tokens=12, seed=seed) for seed in (5, 6, 7, 8)]
    assert [one.token_ids for one in samples] == [one.token_ids for one in alone]
    assert len({tuple(one.token_ids) for one in samples}) == 4


def test_one_sample_is_a_completion_and_no_list(engine: InferenceEngine) -> None:
    assert (
        engine.complete("once", n=1, max_tokens=3, seed=5).token_ids
        == engine.complete("once", max_tokens=3, seed=5).token_ids
    )


def test_the_prompt_is_read_once(engine: InferenceEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[int]] = []
    prefill = engine.prefill

    def counted(ids, kv_cache=None):
        read.append(list(ids))
        return prefill(ids, kv_cache)

    monkeypatch.setattr(engine, "prefill", counted)
    samples = engine.complete("once upon", n=3, max_tokens=4, seed=1)
    assert read == [samples[0].prompt_ids]


def test_without_a_seed_samples_differ(engine: InferenceEngine) -> None:
    assert len({tuple(one.token_ids) for one in engine.complete("once", n=5, max_tokens=12)}) == 5


def test_what_is_cancelled_keeps_what_was_made(engine: InferenceEngine) -> None:
    looked = iter(range(100))
    samples = engine.complete("once", n=3, max_tokens=4, seed=5, cancel=lambda: next(looked) >= 6)
    assert len(samples) == 3
    assert [one.stop_reason for one in samples] == ["length", "cancelled", "cancelled"]
    assert [len(one.token_ids) for one in samples] == [4, 2, 0]


def test_ctrl_c_keeps_what_was_made(engine: InferenceEngine) -> None:
    looked = iter(range(100))

    def interrupt() -> bool:
        if next(looked) >= 6:
            raise KeyboardInterrupt
        return False

    samples = engine.complete("once", n=3, max_tokens=4, seed=5, cancel=interrupt)
    assert [len(one.token_ids) for one in samples] == [4, 2, 0]


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", None, True, 10**9])
def test_a_number_of_samples_that_cannot_be_meant_is_refused(engine: InferenceEngine, n: object) -> None:
    with pytest.raises(ValueError, match="n must be a whole number from 1"):
        engine.complete("once", n=n)  # type: ignore[call-overload]


def test_a_tie_in_the_mass_is_no_matter_of_rounding() -> None:
    from llm101.inference import SamplingSettings, next_token_probabilities

    logits = torch.tensor([0.3, 0.1, 0.1, 0.5]).log()
    kept = next_token_probabilities(logits, SamplingSettings(top_p=0.8)) > 0
    assert kept.tolist() == [True, False, False, True]  # 0.5 and 0.3, whose floats add up to a hair less than 0.8
