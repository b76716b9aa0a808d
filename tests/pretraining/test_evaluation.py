"""Evaluation: bits per byte as worked by hand, whatever the batch."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from llm101.corpus import Corpus
from llm101.model import ModelConfig, Transformer
from llm101.pretraining import Evaluation, evaluate
from llm101.tokenizer import Tokenizer


@pytest.fixture
def model() -> Transformer:
    config = ModelConfig(vocab_size=280, d_model=16, n_layers=1, n_heads=2, d_mlp=32, context_length=16)
    return Transformer(config).initialise(seed=0)


def test_a_model_that_knows_nothing_pays_the_logarithm_of_its_vocabulary(model: Transformer, valid: Corpus) -> None:
    with torch.no_grad():
        model.model.embed_tokens.weight.zero_()  # all logits are 0
    evaluation = evaluate(model, valid)
    assert evaluation.n_tokens == valid.facts.n_tokens - 1
    assert evaluation.loss_nats == pytest.approx(math.log(280))
    bits = (valid.facts.n_tokens - 1) * math.log2(280)
    assert evaluation.bits_per_byte == pytest.approx(bits / valid.facts.n_bytes)


def test_the_loss_is_that_of_each_row_read_by_itself(model: Transformer, valid: Corpus) -> None:
    ids = torch.from_numpy(valid.token_ids.astype("int64"))
    starts = [*valid.document_starts.tolist(), len(ids) - 1]
    nats, start = 0.0, 0
    while start < len(ids) - 1:  # as many whole texts as fit 16 tokens, else 16 tokens of one
        stop = max((s for s in starts if start < s <= start + 16), default=min(start + 16, len(ids) - 1))
        logits = model(ids[None, start:stop])[0]
        nats += F.cross_entropy(logits, ids[start + 1 : stop + 1], reduction="sum").item()
        start = stop
    assert evaluate(model, valid).loss_nats * (len(ids) - 1) == pytest.approx(nats, rel=1e-5)


@pytest.mark.parametrize("batch_rows", [1, 2, 7, 1000])
def test_the_batch_does_not_matter(model: Transformer, valid: Corpus, batch_rows: int) -> None:
    expected, found = evaluate(model, valid), evaluate(model, valid, batch_rows=batch_rows)
    assert found.loss_nats == pytest.approx(expected.loss_nats, rel=1e-6)
    assert (found.n_tokens, found.n_bytes) == (expected.n_tokens, expected.n_bytes)


def test_a_part_is_scored_and_its_bytes_are_estimated(model: Transformer, valid: Corpus) -> None:
    part = evaluate(model, valid, max_tokens=40)
    assert 16 < part.n_tokens <= 48
    assert part.n_bytes == pytest.approx(valid.facts.n_bytes * part.n_tokens / (valid.facts.n_tokens - 1))
    assert evaluate(model, valid, max_tokens=1).n_tokens <= 16  # never less than a row
    assert evaluate(model, valid, max_tokens=10**9) == evaluate(model, valid)


def test_the_model_is_left_as_it_was(model: Transformer, valid: Corpus) -> None:
    evaluate(model.train(), valid)
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_bits_per_byte_of_a_text_of_one_character(model: Transformer, tokenizer: Tokenizer, tmp_path: Path) -> None:
    corpus = Corpus.from_texts(["a"], tokenizer, tmp_path / "corpus")
    logprobs = model(torch.tensor([[tokenizer.end_id, 97]]))[0].log_softmax(-1)
    nats = -(logprobs[0, 97] + logprobs[1, tokenizer.end_id]).item()
    assert evaluate(model, corpus).bits_per_byte == pytest.approx(nats / math.log(2))
    assert Evaluation(loss_nats=nats / 2, n_tokens=2, n_bytes=1).bits_per_byte == pytest.approx(nats / math.log(2))
