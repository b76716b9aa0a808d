"""An engine over a model's files: read as they are stored, with no network, which is made when somebody asks for it."""

# A module's parts are Tensor or Module to the type checker, whatever they are called.
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from __future__ import annotations

import copy
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

pytest.importorskip("numba", reason="the compiled loops need numba")

import llm101
from llm101.inference import InferenceEngine
from llm101.inference.compiled import compiled_runner
from llm101.inference.compiled.packed import loops
from llm101.model import ModelConfig, Transformer
from llm101.parameters.model_folder import save_model
from llm101.tokenizer import END_OF_TEXT, Tokenizer

BYTES = Tokenizer("bytes", {bytes([b]): b for b in range(256)}, {END_OF_TEXT: 256})
IDS = torch.randint(0, 257, (300,), generator=torch.Generator().manual_seed(0)).tolist()


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    loops.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = ModelConfig(vocab_size=257, d_model=64, n_layers=2, n_heads=4, n_kv_heads=2, context_length=400)
    save_model(tmp_path / "little", Transformer(config).initialise(0), BYTES)
    return tmp_path / "little"


def test_a_text_needs_no_network_and_is_the_same_with_one(folder: Path) -> None:
    lm = llm101.load(folder)
    alone = lm.complete("abc", max_tokens=20, temperature=0).token_ids
    assert lm.engine.is_fast
    assert lm._source.made is None
    assert isinstance(lm.model, Transformer)
    assert not lm.engine.is_fast  # until it was looked at: it may have hooks
    assert lm.complete("abc", max_tokens=20, temperature=0).token_ids == alone
    assert lm.engine.is_fast
    plain = InferenceEngine(lm.model, lm.tokenizer, fast=False)
    assert plain.complete("abc", max_tokens=20, temperature=0).token_ids == alone


@pytest.mark.parametrize("precision", [None, "Q8_0"])
def test_a_network_that_is_changed_later_is_the_one_that_writes(folder: Path, precision: str | None) -> None:
    lm = llm101.load(folder, precision=precision)
    before = lm.engine.prefill(IDS[:5])
    with torch.no_grad():
        lm.model.model.layers[1].mlp.up_proj.weight[3] *= 50
    after = lm.engine.prefill(IDS[:5])
    right = InferenceEngine(lm.model, BYTES, fast=False).prefill(IDS[:5])
    assert (before - after).abs().max() > 0.05
    torch.testing.assert_close(after, right, atol=1e-4 if precision is None else 0.05, rtol=0)


def test_a_hook_that_comes_with_the_network_between_two_tokens_is_heard(folder: Path) -> None:
    lm, seen = llm101.load(folder), []
    lm.engine.prefill(IDS[:5])
    lm.model.logits.register_forward_hook(lambda module, inputs, out: seen.append(out.shape))
    lm.engine.decode_step(7)
    assert seen == [(1, 1, 257)]


def test_copies_have_the_numbers_and_the_precision_of_the_first(folder: Path) -> None:
    lm = llm101.load(folder, precision="Q8_0")
    right = lm.engine.prefill(IDS[:9])
    for other in (copy.copy(lm), copy.deepcopy(lm)):
        assert other.engine.precision == "Q8_0"
        assert torch.equal(other.engine.prefill(IDS[:9]), right)


def test_a_long_prompt_is_read_in_pieces_and_an_interrupted_one_leaves_nothing(folder: Path, monkeypatch) -> None:
    lm = llm101.load(folder)
    engine, cache = lm.engine, lm.engine.new_cache()
    engine.prefill(IDS[:3], cache)
    with monkeypatch.context() as patch:
        n_pieces, do = [], compiled_runner.team.do

        def interrupted(*arguments: object) -> None:
            n_pieces.append(1)
            if len(n_pieces) == 2:
                raise KeyboardInterrupt
            do(*arguments)  # pyright: ignore[reportArgumentType]

        patch.setattr(compiled_runner.team, "do", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.prefill(IDS[3:], cache)
    assert cache.length == 3
    plain = InferenceEngine(lm.model, BYTES, fast=False)
    torch.testing.assert_close(engine.prefill(IDS[3:], cache), plain.prefill(IDS), atol=1e-4, rtol=0)
    assert cache.length == 300


def test_threads_that_share_a_step_give_the_bits_of_one_alone(folder: Path, monkeypatch) -> None:
    def logits() -> torch.Tensor:
        engine = llm101.load(folder).engine
        cache = engine.new_cache()
        return torch.stack([engine.prefill(IDS[:40], cache), *(engine.decode_step(i, cache) for i in IDS[40:80])])

    alone = logits()
    monkeypatch.setattr(compiled_runner, "_n_threads", lambda: 3)
    monkeypatch.setattr(compiled_runner, "LARGE", 0)
    for _ in range(5):
        assert torch.equal(logits(), alone)
    with ThreadPoolExecutor(4) as pool:
        assert all(torch.equal(found, alone) for found in pool.map(lambda _: logits(), range(8)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_child_of_a_process_whose_threads_share_steps_writes_on_alone(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(compiled_runner, "_n_threads", lambda: 2)
    monkeypatch.setattr(compiled_runner, "LARGE", 0)
    lm = llm101.load(folder)
    right = lm.complete("abc", max_tokens=10, temperature=0).token_ids
    child = os.fork()
    if child == 0:
        os._exit(0 if lm.complete("abc", max_tokens=10, temperature=0).token_ids == right else 1)
    ended = threading.Timer(60, os.kill, [child, 9])
    ended.start()
    assert os.waitpid(child, 0)[1] == 0
    ended.cancel()


def test_more_context_than_memory_is_refused_in_one_line(folder: Path, monkeypatch) -> None:
    lm = llm101.load(folder)
    monkeypatch.setattr("llm101.inference.kv_cache.LARGE", 0)
    monkeypatch.setattr("llm101.inference.kv_cache.free_memory_bytes", lambda: 1000)
    with pytest.raises(ValueError, match=r"keys and values of 300 tokens take 0\.0 GB, and this machine has .* free"):
        lm.engine.prefill(IDS)


def test_a_step_takes_as_many_threads_as_torch_has_by_then(folder: Path, monkeypatch) -> None:
    engine, seen, do = llm101.load(folder).engine, [], compiled_runner.team.do
    monkeypatch.setattr(compiled_runner, "LARGE", 0)
    monkeypatch.setattr(compiled_runner, "usable_processors", lambda: 8)
    monkeypatch.setattr(compiled_runner.team, "do", lambda n, *more: (seen.append(n), do(n, *more)))
    usual = torch.get_num_threads()
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            engine.complete("a", max_tokens=2, temperature=0)
    finally:
        torch.set_num_threads(usual)
    assert seen == [1, 1, 2, 2]
