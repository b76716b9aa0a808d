"""The compiled way gives the plain way's numbers, sees changed parameters, and steps aside when it must."""

# A module's parts are Tensor or Module to the type checker, whatever they are called.
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false, reportCallIssue=false

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="the fast path needs numba")

from llm101.inference import InferenceEngine, KVCache
from llm101.inference.compiled import compiled_runner, kernels
from llm101.inference.compiled.compiled_runner import CompiledRunner
from llm101.inference.compiled.packed import loops
from llm101.inference.source import Made
from llm101.model import ModelConfig, RopeScaling, Transformer
from llm101.tokenizer import END_OF_TEXT, Tokenizer

BYTES = Tokenizer("bytes", {bytes([b]): b for b in range(256)}, {END_OF_TEXT: 256})
TOLERANCE = 1e-4  # in the logits; what compiled_runner.py promises
SHAPES = {
    "llama": {},
    "untied": {"tie_embeddings": False},
    "mistral": {"sliding_window": 20},
    "qwen2": {"qkv_bias": True},
    "qwen3": {"qk_norm": True, "d_head": 24},
    "yarn": {"rope_scaling": RopeScaling("yarn", 4.0, original_context_length=24)},
}
NOT_COMPUTED = {
    "experts": {"n_experts": 4, "n_active_experts": 2, "d_expert": 32},
    "layers without RoPE": {"layers_without_rope": (1,)},
    "windows in some layers": {"sliding_window": 5, "windowed_layers": (1,)},
    "a bias of attention's output": {"o_bias": True},
    "biases of the MLP": {"mlp_bias": True},
}


def model(halves: bool = True, **shape) -> Transformer:
    config = ModelConfig(vocab_size=257, d_model=64, n_layers=3, n_heads=4, n_kv_heads=2, context_length=96, **shape)
    result = Transformer(config).initialise(1).eval()
    with torch.no_grad():
        for name, p in result.named_parameters():
            if name.endswith(("bias", "norm.weight", "layernorm.weight")):
                p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
            if halves:
                p.copy_(p.half())
    return result


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    loops.wait()


def engines(m: Transformer) -> tuple[InferenceEngine, InferenceEngine]:
    return InferenceEngine(m, BYTES), InferenceEngine(m, BYTES, fast=False)


@pytest.mark.parametrize("halves", [True, False], ids=["16-bit", "32-bit"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_logits_are_the_plain_paths(shape, halves):
    fast, plain = engines(model(halves, **shape))
    ids = torch.randint(0, 257, (90,), generator=torch.Generator().manual_seed(0)).tolist()
    for n in (1, 5, 40):  # few rows by the compiled loops, many by torch
        torch.testing.assert_close(fast.prefill(ids[:n]), plain.prefill(ids[:n]), atol=TOLERANCE, rtol=0)
        assert fast.is_fast
        assert not plain.is_fast
        for i in ids[n:]:
            torch.testing.assert_close(fast.decode_step(i), plain.decode_step(i), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(  # a prompt in two parts
        fast.prefill(ids[40:80], _read(fast, ids[:40])),
        plain.prefill(ids[40:80], _read(plain, ids[:40])),
        atol=TOLERANCE,
        rtol=0,
    )


def _read(engine: InferenceEngine, ids: list[int]) -> KVCache:
    cache = engine.new_cache()
    engine.prefill(ids, cache)
    return cache


def test_several_texts_at_once_give_what_each_gives():
    m = model()
    runner = CompiledRunner(Made(m))
    runner.refresh()
    ids = torch.randint(0, 257, (80,), generator=torch.Generator().manual_seed(0)).tolist()
    lengths = [1, 70, 3, 30, 31, 32, 33, 34, 5, 6, 7]
    caches = [KVCache(m.config) for _ in lengths]
    for n, cache in zip(lengths, caches):
        runner.prefill(ids[:n], cache)
    forks = [cache.fork() for cache in caches]
    together = torch.stack(runner.decode_steps([ids[n] for n in lengths], caches))
    assert torch.equal(together, torch.stack([runner.decode_step(ids[n], c) for n, c in zip(lengths, forks)]))
    with torch.no_grad():
        alone = torch.stack([m(torch.tensor([ids[: n + 1]]))[0, -1] for n in lengths])
    torch.testing.assert_close(together, alone, atol=TOLERANCE, rtol=0)
    assert [cache.length for cache in caches] == [n + 1 for n in lengths]


def test_half_the_bytes_are_read_only_where_nothing_is_lost():
    m = model()
    assert InferenceEngine(m, BYTES).precision == "float16"
    with torch.no_grad():
        m.model.layers[0].mlp.down_proj.weight[3, 3] = 0.1
    assert InferenceEngine(m, BYTES).precision == "float16 + float32"
    assert InferenceEngine(m, BYTES, fast=False).precision == "float32"
    assert InferenceEngine(m, BYTES).weight_bytes < InferenceEngine(m, BYTES, fast=False).weight_bytes


@pytest.mark.parametrize(
    ("precision", "most"), [("float32", 1e-4), ("float16", 0.02), ("bfloat16", 0.1), ("Q8_0", 0.2)]
)
def test_a_precision_that_is_asked_for_is_the_one_that_is_read(precision, most):
    m = model(halves=False)
    coarse, plain = InferenceEngine(m, BYTES, precision=precision), InferenceEngine(m, BYTES, fast=False)
    assert coarse.precision == precision
    for n in (3, 40):
        difference = (coarse.prefill([*range(n)]) - plain.prefill([*range(n)])).abs().max()
        assert difference < most
        assert precision == "float32" or difference > most / 1000
    with torch.no_grad():
        m.model.norm.weight.mul_(2)  # a changed vector is noticed too
    assert (coarse.prefill([1, 2]) - plain.prefill([1, 2])).abs().max() < 2 * most


def test_of_four_bits_embedding_and_output_layer_get_eight():
    assert InferenceEngine(model(), BYTES, precision="Q4_1").precision in ("Q4_1 + Q8_0", "Q8_0 + Q4_1")
    odd = Transformer(ModelConfig(vocab_size=257, d_model=40, n_layers=1, n_heads=2, d_mlp=64)).initialise(0)
    assert InferenceEngine(odd, BYTES, precision="Q8_0").precision == "float16 + Q8_0"  # a block needs 32 numbers


def test_a_precision_is_refused_where_it_has_no_meaning(monkeypatch):
    with pytest.raises(ValueError, match="precision must be one of float32, float16"):
        InferenceEngine(model(), BYTES, precision="int4")
    with pytest.raises(ValueError, match="leave precision='Q8_0' out"):
        InferenceEngine(model(o_bias=True), BYTES, precision="Q8_0")
    large = model()
    large.model.layers[0].mlp.down_proj.weight.data[0, 0] = 1e6
    with pytest.raises(ValueError, match="above 65504, which float16 cannot"):
        InferenceEngine(large, BYTES, precision="float16").prefill([1])
    monkeypatch.setattr(loops, "module", None)
    monkeypatch.setattr(loops, "wait", lambda: None)
    monkeypatch.setattr(loops, "look", lambda: None)
    with pytest.raises(ValueError, match="no compiler for them here"):
        InferenceEngine(model(), BYTES, precision="Q8_0").prefill([1])


def test_the_probability_of_a_text_is_that_of_its_tokens():
    fast, plain = engines(model())
    ids = torch.randint(0, 257, (60,), generator=torch.Generator().manual_seed(0)).tolist()
    with torch.no_grad():
        scores = fast.model(torch.tensor([ids]))[0].log_softmax(-1)
    expected = torch.stack([scores[i, ids[i + 1]] for i in range(59)])
    for engine in (fast, plain):
        torch.testing.assert_close(engine.logprobs(ids), expected, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(fast.logprobs(ids[:5]), expected[:4], atol=TOLERANCE, rtol=0)
    with pytest.raises(ValueError, match="give at least two ids"):
        fast.logprobs([3])


@pytest.mark.parametrize("change", ["in place", "through .data", "load_state_dict", "swapped"])
def test_a_changed_parameter_is_noticed_at_the_next_prompt(change):
    m = model()
    fast, plain = engines(m)
    before = fast.prefill([1, 2, 3])
    weight = m.model.layers[1].mlp.up_proj.weight
    if change == "in place":
        with torch.no_grad():
            weight[3, 5] += 8
    elif change == "through .data":
        weight.data.view(torch.int32)[3, 5] ^= 1 << 30  # one flipped bit
    elif change == "load_state_dict":
        m.load_state_dict(Transformer(m.config).initialise(7).state_dict())
    else:
        m.model.layers[1].mlp.up_proj.weight = torch.nn.Parameter(weight.detach() * 2)
    after = fast.prefill([1, 2, 3])
    assert not torch.allclose(before, after, atol=1e-3)
    torch.testing.assert_close(after, plain.prefill([1, 2, 3]), atol=TOLERANCE, rtol=TOLERANCE)
    for engine in (fast, plain):
        engine.prefill([1, 2, 3] * 10)
    torch.testing.assert_close(fast.decode_step(4), plain.decode_step(4), atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("when", ["before the prompt", "between two tokens"])
def test_a_hook_is_heard(when):
    m = model()
    fast, _ = engines(m)
    point = m.model.layers[1].resid_mid
    seen = []
    if when == "between two tokens":
        fast.prefill([1, 2, 3])
        assert fast.is_fast
    handle = point.register_forward_hook(lambda module, inputs, out: seen.append(out.shape))
    if when == "before the prompt":
        fast.prefill([1, 2, 3])
    fast.decode_step(4)
    assert seen[-1] == (1, 1, 64)
    assert not fast.is_fast
    handle.remove()
    n_seen = len(seen)
    fast.decode_step(5)
    assert fast.is_fast
    assert len(seen) == n_seen


def test_models_that_are_not_plain_float32_on_a_cpu_take_the_plain_path():
    class Other(torch.nn.Linear):
        pass

    swapped = model()
    swapped.model.layers[0].mlp.up_proj = Other(64, swapped.config.d_mlp, bias=False)
    for m in (model().bfloat16(), swapped):
        engine = InferenceEngine(m, BYTES)
        assert torch.isfinite(engine.prefill([1, 2, 3])).all()
        assert not engine.is_fast


@pytest.mark.parametrize("shape", NOT_COMPUTED.values(), ids=NOT_COMPUTED.keys())
def test_what_the_loops_do_not_compute_takes_the_plain_path(shape):
    m = model(**shape)
    fast, ids = InferenceEngine(m, BYTES), list(range(30))
    with torch.no_grad():
        expected = m(torch.tensor([ids]))[0]
    for i in range(20, 30):
        logits = fast.prefill(ids[:20]) if i == 20 else fast.decode_step(ids[i - 1])
        torch.testing.assert_close(logits, expected[i - 1], atol=1e-5, rtol=0)
    assert not fast.is_fast


def test_every_field_of_a_config_is_computed_or_sends_the_model_the_plain_way():
    known = compiled_runner.COMPUTED_FIELDS | {name for shape in NOT_COMPUTED.values() for name in shape}
    later = {field.name for field in dataclasses.fields(ModelConfig)} - known
    assert later == {"normalise_expert_weights", "dense_layers"}  # which need n_experts
    assert not any(compiled_runner.is_computed(model(**shape).config) for shape in NOT_COMPUTED.values())
    assert all(compiled_runner.is_computed(model(**shape).config) for shape in SHAPES.values())


def test_a_context_that_was_only_begun_has_a_short_table_of_turns():
    m = Transformer(ModelConfig(vocab_size=257, d_model=16, n_layers=1, n_heads=2, context_length=2**20)).initialise(0)
    fast, plain = engines(m.eval())
    ids = torch.randint(0, 257, (1100,), generator=torch.Generator().manual_seed(0)).tolist()
    fast.prefill(ids[:500])
    plain.prefill(ids[:500])
    for i in ids[500:530]:  # past the first 512 places
        torch.testing.assert_close(fast.decode_step(i), plain.decode_step(i), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(fast.prefill(ids), plain.prefill(ids), atol=TOLERANCE, rtol=0)
    assert fast.is_fast
    assert fast._fast is not None
    assert len(fast._fast._turns[0]) == 2048


def test_nothing_is_ready_before_the_parameters_were_looked_at():
    runner = CompiledRunner(Made(model()))
    assert not runner.is_ready
    runner.refresh()
    assert runner.is_ready


def test_without_numba_the_plain_path_is_taken(monkeypatch):
    monkeypatch.setattr(loops, "module", None)
    monkeypatch.setattr(loops, "look", lambda: None)
    engine = InferenceEngine(model(), BYTES)
    assert len(engine.complete("hi", max_tokens=3, seed=0).token_ids) == 3
    assert not engine.is_fast


def test_a_damaged_parameter_is_noticed_here_too():
    for damage in (math.nan, math.inf):
        m = model()
        with torch.no_grad():
            m.model.layers[0].mlp.down_proj.weight[0, 0] = damage
        engine = InferenceEngine(m, BYTES)
        for prompt in ("hi", "a long beginning, which torch's products read"):
            with pytest.raises(ValueError, match="a parameter is damaged"):
                engine.complete(prompt, temperature=0)
        assert engine.is_fast


def test_exp_is_exp_to_float32_precision():
    x = np.concatenate((np.linspace(-86, 87, 4001), [-1000.0, np.nan])).astype(np.float32)[None]
    ours = -x
    kernels.swiglu(ours, np.ones_like(x), 0, x.shape[1])  # -x / (1 + exp(x))
    exact = -x.astype(np.float64) / (1 + np.exp(x.astype(np.float64)))
    np.testing.assert_allclose(ours, exact, rtol=3e-7, atol=1e-30)
