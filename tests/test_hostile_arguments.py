"""Whatever a reader hands over by mistake, the answer is one line in the book's own words."""

# What stands here is wrong on purpose, or right although its type is not int.
# pyright: reportArgumentType=false

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import llm101
from llm101.corpus import Corpus
from llm101.inference import InferenceEngine, KVCache, SamplingSettings
from llm101.interpretability.capture import capture
from llm101.interpretability.steering import Steering
from llm101.library import parameter_file
from llm101.model import ModelConfig, RopeScaling, Transformer
from llm101.tokenizer import END_OF_TEXT, Tokenizer

BYTES = Tokenizer("bytes", {bytes([b]): b for b in range(256)}, {END_OF_TEXT: 256})
CONFIG = ModelConfig(vocab_size=257, d_model=16, n_layers=2, n_heads=2, context_length=32)
MODEL = Transformer(CONFIG).initialise(1).eval()
ENGINE = InferenceEngine(MODEL, BYTES)
OTHER_CACHE = KVCache(ModelConfig(9, 8, 1, 1))
HUGE = 10**400

SMALL_NO_COUNT = [
    None,
    "5",
    b"5",
    5.0,
    math.nan,
    True,
    [5],
    {},
    -HUGE,
    -1,
    np.float32(5),
    np.array([5, 6]),
    np.bool_(1),
]
SMALL_NO_COUNT += [torch.tensor(5.0), torch.tensor([5, 6]), torch.tensor(True), object(), int, print]
NO_COUNT = [*SMALL_NO_COUNT, HUGE, 10**5000, 2**63]
NO_ID = [i for i in NO_COUNT if i is not None]
NO_ROW = [
    5,
    5.0,
    b"Once",
    bytearray(b"Once"),
    {1: 2},
    {1, 2},
    object(),
    [None],
    ["Once"],
    [[1]],
    [1.0],
    [HUGE],
    [-1],
    [2**40],
]
NO_ROW += [np.ones(3), np.ones((1, 3), int), torch.ones(3), torch.ones(1, 3, dtype=torch.long), torch.tensor(5), [True]]
NO_ROW += [np.array([True]), np.array(["a"]), [math.nan], torch.tensor([1j]), int, torch.zeros(0, 3)]
NO_NUMBER = ["0.5", None, True, [0.5], math.nan, -1, -HUGE, torch.tensor([0.5, 0.5]), np.ones(2), 1j, object(), float]
NO_TEXTS = ["Hi there", b"Hi", None, 5, object(), [b"Hi"], [None], [5], [True]]
NO_MODEL = [
    None,
    5,
    b"storyteller",
    "",
    "\0",
    "x" * 5000,
    "a\nb",
    object(),
    ["storyteller"],
    True,
    "\ud800",
    "no/such/thing",
]


def _is_batch(ids: Any) -> bool:
    return isinstance(ids, torch.Tensor) and ids.ndim == 2 and ids.numel() > 0


CALLS: dict[str, tuple[Callable[[Any], object], list[Any]]] = {
    "load": (llm101.load, NO_MODEL),
    "parameter_file": (parameter_file, NO_MODEL),
    "ParameterFile": (llm101.ParameterFile, NO_MODEL),
    "Tokenizer.from_file": (Tokenizer.from_file, NO_MODEL),
    "Tokenizer.from_tiktoken": (Tokenizer.from_tiktoken, NO_MODEL),
    "Steering.from_file": (Steering.from_file, NO_MODEL),
    "complete": (ENGINE.complete, [*NO_ROW, None, "", [], "\ud800", "a" * 100]),
    "stream": (ENGINE.stream, [*NO_ROW, None, "", [], "\ud800", "a" * 100]),
    "complete_batch": (ENGINE.complete_batch, [*NO_TEXTS, [""], [[1], [2.0]], torch.tensor([1, 2])]),
    "prefill": (ENGINE.prefill, [*NO_ROW, None, "a", [], [1] * 33]),
    "prefill kv_cache=": (lambda x: ENGINE.prefill([1], x), [5, "a", KVCache(CONFIG, 2), OTHER_CACHE]),
    "decode_step": (ENGINE.decode_step, [*NO_ID, None]),
    "decode_step kv_cache=": (lambda x: ENGINE.decode_step(1, x), [5, "a", OTHER_CACHE]),
    "start_ids=": (lambda x: InferenceEngine(MODEL, BYTES, start_ids=x), [*NO_ROW, "a"]),
    "end_ids=": (lambda x: InferenceEngine(MODEL, BYTES, end_ids=x), [*NO_ROW, "a"]),
    "max_tokens=": (lambda x: ENGINE.complete("a", max_tokens=x), SMALL_NO_COUNT),
    "n_alternatives=": (lambda x: next(ENGINE.stream("a", n_alternatives=x)), SMALL_NO_COUNT),
    "top_k=": (lambda x: SamplingSettings(top_k=x), SMALL_NO_COUNT),
    "seed=": (lambda x: SamplingSettings(seed=x), NO_ID),
    "temperature=": (lambda x: SamplingSettings(temperature=x), NO_NUMBER),
    "top_p=": (lambda x: SamplingSettings(top_p=x), [*NO_NUMBER, 0, 2, HUGE]),
    "min_p=": (lambda x: SamplingSettings(min_p=x), [*NO_NUMBER, 2, HUGE]),
    "stop=": (lambda x: ENGINE.complete("a", stop=x), [5, b"a", "", [""], [5], None, [None], object()]),
    "cancel=": (lambda x: ENGINE.complete("a", cancel=x), [5, "a", [1]]),
    "encode": (BYTES.encode, [None, 5, b"a", ["a"], "\ud83d", object(), {}]),
    "encode_bytes": (BYTES.encode_bytes, [None, 5, "a", ["a"], object()]),
    "encode_many": (BYTES.encode_many, NO_TEXTS),
    "decode": (BYTES.decode, [*NO_ROW, "a", None]),
    "token_bytes": (BYTES.token_bytes, [*NO_ID, None]),
    "Tokenizer.train": (lambda x: Tokenizer.train(x, 260), NO_TEXTS),
    "vocab_size=": (lambda x: Tokenizer.train(["some text"], x), NO_COUNT),
    "Corpus": (Corpus, NO_MODEL),
    "ModelConfig": (lambda x: ModelConfig(vocab_size=x, d_model=8, n_layers=1, n_heads=1), NO_COUNT),
    "d_model=": (lambda x: ModelConfig(vocab_size=9, d_model=x, n_layers=1, n_heads=1), NO_COUNT),
    "d_head=": (lambda x: ModelConfig(vocab_size=9, d_model=8, n_layers=1, n_heads=1, d_head=x), NO_COUNT),
    "rope_theta=": (lambda x: ModelConfig(9, 8, 1, 1, rope_theta=x), [*NO_NUMBER, 0, HUGE]),
    "sliding_window=": (lambda x: ModelConfig(9, 8, 1, 1, sliding_window=x), NO_ID),
    "windowed_layers=": (lambda x: ModelConfig(9, 8, 2, 1, sliding_window=1, windowed_layers=x), [*NO_ROW, [5]]),
    "layers_without_rope=": (lambda x: ModelConfig(9, 8, 2, 1, layers_without_rope=x), [*NO_ROW, None]),
    "rope_scaling=": (lambda x: ModelConfig(9, 8, 1, 1, rope_scaling=x), [5, "yarn", {"kind": "yarn"}, RopeScaling]),
    "RopeScaling factor=": (lambda x: RopeScaling("linear", x), [*NO_NUMBER, 0, HUGE]),
    "n_experts=": (lambda x: ModelConfig(9, 8, 1, 1, n_experts=x, n_active_experts=1), NO_COUNT),
    "initialise": (MODEL.initialise, [*NO_ID, None]),
    "capture": (lambda x: capture(MODEL, x, "embedding"), [*(x for x in NO_ROW if not _is_batch(x)), None, "a", []]),
}  # fmt: skip


def described(value: Any) -> str:
    return (
        f"{type(value).__name__} {value!r:.40}" if not isinstance(value, int) else f"int of {value.bit_length()} bits"
    )


@pytest.mark.parametrize(("call", "value"), [
    pytest.param(call, value, id=f"{name} {described(value)}")
    for name, (call, values) in CALLS.items() for value in values
])  # fmt: skip
def test_a_wrong_argument_is_refused_in_one_line(call: Callable[[Any], object], value: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as refused:
        call(value)
    line = str(refused.value)
    assert (Path(llm101.__file__).parent) in Path(refused.traceback[-1].path).parents, "the refusal is another's"
    assert 15 < len(line) <= 250, line
    assert len(line.splitlines()) == 1, line
    assert not any(words in line for words in ("truth value", "mappingproxy", "unpacking", "NoneType", "PosixPath")), (
        line
    )


@pytest.mark.parametrize(
    "as_given",
    [list, tuple, np.array, torch.tensor, iter, lambda ids: [*torch.tensor(ids)], lambda ids: [*np.array(ids)]],
)
def test_ids_are_taken_as_numpy_and_torch_hand_them_out(as_given) -> None:
    ids = [256, 72, 101]
    right = ENGINE.complete(ids, max_tokens=4, temperature=0)
    assert ENGINE.complete(as_given(ids), max_tokens=4, temperature=0).token_ids == right.token_ids
    assert [
        c.token_ids for c in ENGINE.complete_batch([as_given(ids), as_given(ids)], max_tokens=4, temperature=0)
    ] == [right.token_ids] * 2
    logits = ENGINE.prefill(as_given(ids))
    assert BYTES.decode([logits.argmax()]) == BYTES.decode([right.token_ids[0]])
    assert int(ENGINE.decode_step(logits.argmax()).argmax()) == right.token_ids[1]
    assert all(type(i) is int for i in ENGINE.complete(as_given(ids), max_tokens=1).prompt_ids)


def test_counts_and_settings_are_taken_as_numpy_and_torch_hand_them_out() -> None:
    settings = SamplingSettings(np.float32(0.5), np.int64(5), torch.tensor(0.5), np.float64(0.25), torch.tensor(7))
    assert settings == SamplingSettings(0.5, 5, 0.5, 0.25, 7)
    assert [type(getattr(settings, name)) for name in ("temperature", "top_k", "seed")] == [float, int, int]
    assert len(ENGINE.complete("a", max_tokens=np.int64(3), seed=np.uint8(1)).token_ids) == 3
    config = ModelConfig(np.int64(257), torch.tensor(16), 2, 2, rope_theta=np.float32(1e4))
    assert config == ModelConfig(257, 16, 2, 2)
    assert type(config.d_mlp) is int
