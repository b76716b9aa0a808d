"""A twin writes steered or plain, and the model that it shares its parameters with is never steered."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

from llm101.inference import InferenceEngine
from llm101.interpretability import SteerableTwin
from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderError, SparseAutoencoder
from llm101.interpretability.capture import capture, hooks, twin
from llm101.interpretability.steering import Steering, steered
from llm101.interpretability.steering.study import Story, loss_of_stories, write_stories
from llm101.library import LanguageModel
from llm101.model import ModelConfig, Transformer

POINT = "layers.1.resid_post"
SETTINGS = {"max_tokens": 8, "temperature": 1.0, "seed": 3}


def text_ids(model: SteerableTwin, prompt: str = "The cat", **settings: object) -> list[int]:
    return [token.id for token in model.stream(prompt, **{**SETTINGS, **settings})]


def test_it_writes_what_the_steered_model_would(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    engine = InferenceEngine(lm.model, lm.tokenizer, fast=False)
    with steered(lm.model, sae, 7, 40.0):
        expected = engine.complete("The cat", top_p=0.95, **SETTINGS).token_ids
    plain = engine.complete("The cat", top_p=0.95, **SETTINGS).token_ids
    model = SteerableTwin(lm, sae)
    assert text_ids(model, latent=7, strength=40.0) == [i for i in expected if i not in engine.end_ids]
    assert text_ids(model) == [i for i in plain if i not in engine.end_ids]
    assert expected != plain


def test_its_settings_are_the_engines_but_for_top_p(
    lm: LanguageModel, sae: SparseAutoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, engines = (
        {name: one.default for name, one in inspect.signature(kind.stream).parameters.items()}
        for kind in (SteerableTwin, InferenceEngine)
    )
    del ours["latent"], ours["strength"]
    assert ours == {**engines, "top_p": inspect.signature(write_stories).parameters["top_p"].default}
    given: list[object] = []
    monkeypatch.setattr(InferenceEngine, "stream", lambda _, prompt, **settings: given.append(settings) or [])
    settings: dict[str, Any] = {name: object() for name in ours if name not in ("self", "prompt")}
    SteerableTwin(lm, sae).stream("The cat", **settings)
    assert given == [settings]


def test_it_holds_a_latent_where_and_as_long_as_it_was_told_to(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    calls = Steering.of(sae, 7, 0.0).call(capture(lm.model, lm.engine.prompt_ids("The cat"), POINT)[POINT])
    limits = {"reach": float(calls.min()), "enough": float(calls.max())}
    engine = InferenceEngine(lm.model, lm.tokenizer, fast=False)
    with Steering.of(sae, 7, 40.0, **limits).on(lm.model):
        expected = engine.complete("The cat", top_p=0.95, **SETTINGS).token_ids
    made = text_ids(SteerableTwin(lm, sae, **limits), latent=7, strength=40.0)
    assert (
        made
        == [i for i in expected if i not in engine.end_ids]
        != text_ids(SteerableTwin(lm, sae), latent=7, strength=40.0)
    )


def test_the_model_itself_is_never_steered_not_even_in_the_middle_of_a_text(
    lm: LanguageModel, sae: SparseAutoencoder
) -> None:
    ids = lm.engine.prompt_ids("The cat")
    before = capture(lm.model, ids, "logits")["logits"]
    model = SteerableTwin(lm, sae)
    texts = [model.stream("The cat", latent=7, strength=s, **SETTINGS) for s in (40.0, -40.0)]
    together = [[token.id for token in pair] for pair in zip(*texts)]  # two at once, in turns
    assert len(together) >= 2
    half_way = model.stream("The cat", latent=7, strength=40.0, **SETTINGS)
    next(half_way)
    assert torch.equal(capture(lm.model, ids, "logits")["logits"], before)
    assert lm.engine.complete("The cat", max_tokens=1, temperature=0).token_ids == [int(before[0, -1].argmax())]
    for column, strength in enumerate((40.0, -40.0)):
        alone = text_ids(model, latent=7, strength=strength)
        assert [pair[column] for pair in together] == alone[: len(together)]


def test_a_twin_is_free_of_the_hooks_of_the_other_and_takes_no_memory(
    lm: LanguageModel, sae: SparseAutoencoder
) -> None:
    ids = torch.tensor([[1, 2, 3]])
    expected = lm.model(ids)
    with hooks(lm.model, {"layers.0.resid_post": lambda residual: residual * 0}):
        second = twin(lm.model)
    torch.testing.assert_close(second(ids), expected)
    with Steering.of(sae, 7, 40.0).on(lm.model):
        assert not any(module._forward_pre_hooks for module in twin(lm.model).modules())
    pointers = [{p.data_ptr() for p in model.parameters()} for model in (lm.model, second)]
    assert pointers[0] == pointers[1]
    with torch.no_grad():
        lm.model.model.norm.weight.mul_(2)
    torch.testing.assert_close(second(ids), lm.model(ids))


@pytest.mark.parametrize("tied", [True, False])
def test_a_twin_of_any_model_computes_the_same(tied: bool) -> None:
    config = ModelConfig(vocab_size=300, d_model=16, n_layers=2, n_heads=2, qkv_bias=True, tie_embeddings=tied)
    model = Transformer(config).initialise(seed=0)
    torch.testing.assert_close(twin(model)(torch.tensor([[1, 2, 3]])), model(torch.tensor([[1, 2, 3]])))


def test_loss_is_that_of_the_plain_model(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    model, written = SteerableTwin(lm, sae), lm.tokenizer.encode(" sat on the mat.")
    expected = loss_of_stories(lm.model, [Story(lm.engine.prompt_ids("The cat"), written, "")])
    with steered(lm.model, sae, 7, 40.0):
        assert model.loss_nats("The cat", written) == pytest.approx(expected, rel=1e-5)
        assert loss_of_stories(lm.model, [Story(lm.engine.prompt_ids("The cat"), written, "")]) > expected + 0.1


def test_what_does_not_fit_is_refused_at_once(lm: LanguageModel, sae: SparseAutoencoder, tmp_path: Path) -> None:
    model = SteerableTwin(lm, sae)
    with pytest.raises(AutoencoderError, match="latents 0 to 39, got 40"):
        model.stream("The cat", latent=40, strength=1.0)
    with pytest.raises(ValueError, match="the prompt is empty"):
        model.stream("", latent=4, strength=1.0)
    sae.config = type(sae.config)(d_model=16, d_sae=40, layer=1, k=4, fingerprint="0" * 64)
    with pytest.raises(AutoencoderError, match="was trained on the model 000000000000"):
        SteerableTwin(lm, sae)
