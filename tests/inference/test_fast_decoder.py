"""The fast path gives the plain path's numbers, sees changed parameters, and steps aside when it must."""

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
from llm101.inference.compiled import fast_decoder, kernels
from llm101.inference.compiled.fast_decoder import FastDecoder, loops
from llm101.model import ModelConfig, RopeScaling, Transformer
from llm101.tokenizer import END_OF_TEXT, Tokenizer

BYTES = Tokenizer("bytes", {bytes([b]): b for b in range(256)}, {END_OF_TEXT: 256})
TOLERANCE = 1e-4  # in the logits; what fast_decoder.py promises
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


@pytest.mark.parametrize("has_onednn", [True, False])
def test_long_prompts_are_read_with_and_without_onednn(monkeypatch, has_onednn):
    if not has_onednn:
        monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    elif not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(fast_decoder, "BY_TORCH", fast_decoder._by_torch())
    for shape in SHAPES.values():
        fast, plain = engines(model(**shape))
        ids = torch.randint(0, 257, (60,), generator=torch.Generator().manual_seed(0)).tolist()
        torch.testing.assert_close(fast.prefill(ids), plain.prefill(ids), atol=TOLERANCE, rtol=0)


def _read(engine: InferenceEngine, ids: list[int]) -> KVCache:
    cache = engine.new_cache()
    engine.prefill(ids, cache)
    return cache


def test_several_texts_at_once_give_what_each_gives():
    m = model()
    decoder = FastDecoder(m)
    decoder.refresh()
    ids = torch.randint(0, 257, (80,), generator=torch.Generator().manual_seed(0)).tolist()
    lengths = [1, 70, 3, 30, 31, 32, 33, 34, 5, 6, 7]
    caches = [KVCache(m.config) for _ in lengths]
    for n, cache in zip(lengths, caches):
        decoder.prefill(ids[:n], cache)
    together = torch.stack(decoder.decode_steps([ids[n] for n in lengths], caches))
    with torch.no_grad():
        alone = torch.stack([m(torch.tensor([ids[: n + 1]]))[0, -1] for n in lengths])
    torch.testing.assert_close(together, alone, atol=TOLERANCE, rtol=0)
    assert [cache.length for cache in caches] == [n + 1 for n in lengths]


def test_half_the_bytes_are_read_only_where_nothing_is_lost():
    for halves, expected in ((True, np.uint16), (False, np.float32)):
        decoder = FastDecoder(model(halves))
        decoder.refresh()
        assert decoder.matrix_dtype == expected


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
    for engine in (fast, plain):  # a long prompt is read without the copy in halves, and the next token with it
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
    known = fast_decoder.COMPUTED_FIELDS | {name for shape in NOT_COMPUTED.values() for name in shape}
    later = {field.name for field in dataclasses.fields(ModelConfig)} - known
    assert later == {"normalise_expert_weights", "dense_layers"}  # which need n_experts
    assert not any(fast_decoder.is_computed(model(**shape).config) for shape in NOT_COMPUTED.values())
    assert all(fast_decoder.is_computed(model(**shape).config) for shape in SHAPES.values())


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
    decoder = FastDecoder(model())
    assert not decoder.is_ready
    decoder.refresh()
    assert decoder.is_ready


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
    ours = kernels.swiglu(-x, np.ones_like(x))  # -x / (1 + exp(x))
    exact = -x.astype(np.float64) / (1 + np.exp(x.astype(np.float64)))
    np.testing.assert_allclose(ours, exact, rtol=3e-7, atol=1e-30)


def test_widening_halves_is_exact_for_all_65536_bit_patterns():
    bits = np.arange(65536, dtype=np.uint16)[None]
    numbers = bits.view(np.float16).astype(np.float32)
    finite = np.isfinite(numbers[0])
    assert kernels.n_unequal(bits[:, finite], numbers[:, finite]) == 0
    assert kernels.n_unequal(bits[:, finite], numbers[:, finite] + 1e-3) > 0


@pytest.mark.parametrize("n_in", [8, 12, 63, 256])
@pytest.mark.parametrize("n_out", [1, 7, 8, 9, 19, 64])
def test_a_matrix_of_any_shape_times_some_rows_is_numpys(n_out, n_in):
    random = np.random.default_rng(n_out * n_in)
    halves = random.standard_normal((n_out, n_in)).astype(np.float16)
    for n_rows in (1, 3, 4, 9):
        x = random.standard_normal((n_rows, n_in)).astype(np.float32)
        for w in (halves.view(np.uint16), halves.astype(np.float32)):
            expected = x.astype(np.float64) @ halves.T.astype(np.float64)
            np.testing.assert_allclose(kernels.project(w, x), expected, rtol=0, atol=1e-4)


def test_several_rows_at_a_time_write_no_further_than_the_rows_there_are():
    w, x = np.ones((8, 16), np.float16).view(np.uint16), np.ones(16, np.float32)
    out = np.full(24, 7, np.float32)
    kernels.products(w, x, out[8:16])
    assert out.tolist() == [7] * 8 + [16] * 8 + [7] * 8


def test_a_row_among_others_gives_the_same_bits_as_alone():
    random = np.random.default_rng(0)
    w = random.standard_normal((64, 48)).astype(np.float16).view(np.uint16)
    x = random.standard_normal((7, 48)).astype(np.float32)
    together, alone = kernels.project(w, x), np.concatenate([kernels.project(w, row[None]) for row in x])
    assert np.array_equal(together, alone)
