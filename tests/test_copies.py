"""What a reader may copy or send to another process: it arrives whole, and works there as it does here."""

from __future__ import annotations

import copy
import dataclasses
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest
import torch

import llm101
from llm101.inference import SamplingSettings
from llm101.interpretability import shipped_autoencoder
from llm101.interpretability.capture import twin
from llm101.interpretability.shipped import shipped_features, shipped_file, shipped_steering
from llm101.interpretability.steering import Steering
from llm101.library import LanguageModel

PROMPT = "Once upon a time there was a"
WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}
each_way = pytest.mark.parametrize("copied", WAYS.values(), ids=WAYS.keys())


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return llm101.load("storyteller")


def written(lm: LanguageModel) -> list[int]:
    return lm.complete(PROMPT, max_tokens=6, temperature=0).token_ids


@each_way
@pytest.mark.parametrize("warm", [False, True], ids=["fresh", "warm"])
def test_a_copied_model_writes_the_same_text(copied, warm):
    lm = llm101.load("storyteller")
    lm.engine.compile()
    right = written(lm) if warm else written(copied(lm))
    second = copied(lm)
    assert written(second) == right
    assert second.engine.is_fast == lm.engine.is_fast or not warm
    assert repr(second) == repr(lm)
    assert second.engine.kv_cache is not lm.engine.kv_cache


@each_way
def test_a_steered_model_is_steered_still(copied, lm):
    steered, prompt = llm101.load("storyteller"), "They went to see the"
    Steering.from_file(shipped_file("golden-gate.safetensors")).keep_on(steered)
    here, there, plain = (one.engine.prefill(one.engine.prompt_ids(prompt)) for one in (steered, copied(steered), lm))
    assert torch.equal(here, there)
    assert not torch.allclose(here, plain, atol=0.1)


@pytest.mark.parametrize("copied", [copy.deepcopy, WAYS["pickle"]], ids=["deepcopy", "pickle"])
def test_a_change_to_a_deep_copy_stays_there(copied, lm):
    right, second = written(lm), copied(lm)
    assert second.model.lm_head.weight is second.model.model.embed_tokens.weight
    with torch.no_grad():
        second.model.lm_head.weight.mul_(-1)
    assert written(lm) == right != written(second)


def test_sending_a_model_leaves_its_numbers_where_they_are(lm):
    places = [p.data_ptr() for p in lm.model.parameters()]
    ForkingPickler.dumps(lm)  # what process pools use
    assert [p.data_ptr() for p in lm.model.parameters()] == places


@each_way
def test_everything_else_can_be_copied_too(copied, lm):
    completion = lm.complete(PROMPT, max_tokens=3, seed=1)
    assert copied(completion) == completion
    assert copied(lm.model.config) == lm.model.config
    assert copied(SamplingSettings(seed=1)) == SamplingSettings(seed=1)
    assert copied(lm.tokenizer).encode(PROMPT) == lm.tokenizer.encode(PROMPT)
    assert copied(lm.tokenizer).merges == lm.tokenizer.merges
    name = "model.norm.weight"
    assert torch.equal(copied(lm.parameters).tensor(name), lm.parameters.tensor(name))
    assert copied(lm.parameters).tensors == lm.parameters.tensors
    with pytest.raises(TypeError):
        copied(lm.parameters).tensors["new"] = None
    assert torch.equal(copied(lm.engine).prefill([1, 2, 3]), lm.engine.prefill([1, 2, 3]))
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(copied(lm.model)(ids), lm.model(ids))
    assert torch.equal(copied(twin(lm.model))(ids), lm.model(ids))
    sae, steering = shipped_autoencoder(), shipped_steering()
    residual = torch.randn(2, 256)
    assert torch.equal(copied(sae)(residual), sae(residual))
    assert copied(sae).scorecard == sae.scorecard
    assert torch.equal(copied(steering).hook(residual), steering.hook(residual))
    assert copied(shipped_features()).by_id.keys() == shipped_features().by_id.keys()


def test_a_model_with_other_parts_has_an_engine_for_them(lm):
    second = twin(lm.model)
    other = dataclasses.replace(lm, made=second)
    assert other.engine.model is other.model is second


@pytest.mark.slow
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_process_pool_takes_a_model(method, lm):
    right = written(lm)  # warm: with threads of its own, and with a copy in halves
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        assert pool.submit(written, lm).result(timeout=120) == right
