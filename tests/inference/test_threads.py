"""A model that has just been opened is right in every thread at once: nothing is seen half made.

What goes wrong between threads does so rarely; here Python changes threads thousands of times more often than usual.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

import llm101
from llm101.inference import InferenceEngine, Walker
from llm101.interpretability.steering.steering import Listener, Steering
from llm101.library import LanguageModel
from llm101.model import ModelConfig, Transformer
from llm101.tokenizer import END_OF_TEXT, Tokenizer

BYTES = Tokenizer("bytes", {bytes([b]): b for b in range(256)}, {END_OF_TEXT: 256})
N_THREADS = 8
SHORT, LONG = "Once", "Once upon a time there was a tokenizer made of bytes"  # read by compiled loops, and by torch


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    llm101.load("storyteller").engine.compile()


@pytest.fixture(autouse=True)
def threads_that_change_all_the_time() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def model(halves: bool = True) -> Transformer:
    config = ModelConfig(vocab_size=257, d_model=64, n_layers=3, n_heads=4, n_kv_heads=2, context_length=96)
    result = Transformer(config).initialise(1).eval()
    with torch.no_grad():
        for p in result.parameters():
            p.mul_(4)  # loud enough that a wrong number shows in the text
            if halves:
                p.copy_(p.half())
    return result


def written(model: InferenceEngine | LanguageModel, prompt: str) -> list[int]:
    return model.complete(prompt, max_tokens=6, temperature=0).token_ids


def put_written(out, engine: InferenceEngine) -> None:
    out.put(written(engine, LONG))


def at_once(tasks: Sequence[Callable[[], object]]) -> list[object]:
    """Each task in a thread of its own, all starting at the same moment."""
    barrier = threading.Barrier(len(tasks))

    def run(task: Callable[[], object]) -> object:
        barrier.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


@pytest.mark.parametrize("halves", [True, False], ids=["16-bit", "32-bit"])
def test_a_fresh_engine_writes_the_right_texts_in_many_threads(halves):
    m = model(halves)
    prompts = [SHORT, LONG] * (N_THREADS // 2)
    right = [written(InferenceEngine(m, BYTES), p) for p in prompts]
    for _ in range(40):
        engine = InferenceEngine(m, BYTES)
        assert at_once([partial(written, engine, p) for p in prompts]) == right


def test_a_freshly_opened_model_writes_the_right_texts_in_many_threads():
    prompts = ["Once upon a time", "The dog", "Lily", "A red ball"] * 2
    warm = llm101.load("storyteller")
    right = [written(warm, p) for p in prompts]
    for _ in range(3):
        lm = llm101.load("storyteller")
        assert at_once([partial(written, lm, p) for p in prompts]) == right


def test_a_steered_model_holds_its_latent_in_many_threads():
    m, generator = model(), torch.Generator().manual_seed(0)
    reader, direction = torch.randn(2, 64, generator=generator)
    steering = Steering(1, 0, 20_000.0, 0.1, 0.0, reader, direction / direction.norm(), "", reach=0.0, enough=8_000.0)
    Listener(steering).keep_on(m)
    engine = InferenceEngine(m, BYTES)
    prompts = [SHORT, LONG] * (N_THREADS // 2)
    right = [written(engine, p) for p in prompts]
    assert right[0] != written(InferenceEngine(model(), BYTES), SHORT)
    for _ in range(5):
        assert at_once([partial(written, engine, p) for p in prompts]) == right


def test_a_walker_gives_the_right_scores_in_many_threads():
    engine = InferenceEngine(model(), BYTES)
    texts = [[256, *LONG.encode()[:n]] for n in (3, 9, 20, 40)]
    right = [int(Walker(engine).next_logits(ids).argmax()) for ids in texts]
    walker = Walker(engine)

    def walk(k: int) -> list[int]:
        return [int(walker.next_logits(texts[(k + i) % 4]).argmax()) for i in range(40)]

    found = at_once([partial(walk, k) for k in range(4)])
    assert found == [[right[(k + i) % 4] for i in range(40)] for k in range(4)]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_child_process_born_while_threads_prepare_a_model_can_use_it():
    context = multiprocessing.get_context("fork")
    engine = InferenceEngine(model(), BYTES)
    right = written(engine, LONG)
    stop = threading.Event()

    def prepare() -> None:
        while not stop.is_set():
            other = InferenceEngine(engine.model, BYTES)
            other.prefill([1, 2, 3])
            other.decode_step(4)

    threads = [threading.Thread(target=prepare) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            out = context.Queue()
            child = context.Process(target=put_written, args=(out, engine))
            child.start()
            assert out.get(timeout=60) == right
            child.join()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
