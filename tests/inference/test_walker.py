"""The walker: everywhere in the tree the scores that the engine gives, and no token read twice without need."""

from __future__ import annotations

import numpy as np
import pytest

from llm101.inference import InferenceEngine, Walker
from llm101.model import ModelConfig, Transformer
from llm101.tokenizer import END_OF_TEXT, Tokenizer

BYTES = Tokenizer("bytes", {bytes([b]): b for b in range(256)}, {END_OF_TEXT: 256})


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
def engine(request: pytest.FixtureRequest) -> InferenceEngine:
    config = ModelConfig(vocab_size=260, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, context_length=16)
    return InferenceEngine(Transformer(config).initialise(0).eval(), BYTES, fast=request.param)


WALK = [b"abc", b"abcd", b"abce", b"abcefg", b"abc", b"xyz", b"x", b"xyz", b"xyz"]


def test_the_scores_are_those_of_the_whole_text_wherever_it_walks(engine: InferenceEngine) -> None:
    walker = Walker(engine)
    for text in WALK:
        expected = engine.prefill(list(text))[: BYTES.vocab_size].numpy()
        np.testing.assert_allclose(walker.next_logits(list(text)), expected, atol=1e-4)


def test_only_what_is_new_is_read_and_the_last_token_in_any_case(engine: InferenceEngine) -> None:
    walker, steps = Walker(engine), [0]
    for text in WALK:
        walker.next_logits(list(text))
        steps.append(walker.n_read)
    assert np.diff(steps).tolist() == [3, 1, 1, 2, 1, 3, 1, 2, 1]


def test_a_refused_text_leaves_it_able_to_walk_on(engine: InferenceEngine) -> None:
    walker = Walker(engine)
    before = walker.next_logits(list(b"abc"))
    with pytest.raises(ValueError, match="token ids are whole numbers from 0 to 259, got 999"):
        walker.next_logits([*b"abc", 999])
    with pytest.raises(ValueError, match="17 tokens do not fit the context of 16"):
        walker.next_logits(list(b"a" * 17))
    with pytest.raises(ValueError, match="no token ids"):
        walker.next_logits([])
    np.testing.assert_allclose(walker.next_logits(list(b"abc")), before, atol=1e-4)


def test_it_speaks_the_tokenizers_language(engine: InferenceEngine) -> None:
    walker = Walker(engine)
    assert walker.prompt_ids("a") == [256, 97]
    assert walker.token_bytes(97) == b"a"
    assert walker.end_ids == {256}
    assert len(walker.next_logits([97])) == BYTES.vocab_size  # not the 260 that the model's rows are padded to
