"""The compiled loops give numpy's bits, and both give what the Transformer gives, up to rounding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm101.compression import arithmetic, compress
from llm101.compression.container import BY_MODEL, Container
from llm101.compression.forward import ExactModel
from llm101.library import LanguageModel, load
from llm101.model import ModelConfig, RopeScaling, Transformer
from llm101.rotary import rotary_frequencies, rotary_table

kernels = pytest.importorskip("llm101.compression.kernels")
RANDOM = np.random.default_rng(0)
HOUSES = {
    "llama": {},
    "qwen2": {"qkv_bias": True, "tie_embeddings": False},
    "qwen3": {"qk_norm": True, "d_head": 6},
    "mistral": {"sliding_window": 5},
}


def normal(*shape: int) -> np.ndarray:
    return (3 * RANDOM.standard_normal(shape)).astype(np.float32)


def products() -> list[tuple]:
    """Sizes around the fours and the columns in which the loops work."""
    return [(normal(rows, n_in), normal(n_in, n_out)) for rows, n_in, n_out in [(1, 3, 2), (7, 13, 300), (4, 8, 1)]]


def attention() -> tuple:
    """Three texts of different lengths, in places of their own."""
    slots, starts, ends = np.array([4, 0, 2]), np.array([0, 3, 7]), np.array([1, 40, 12])
    return normal(3, 4, 6), normal(5, 2, 6, 40), normal(5, 2, 40, 6), slots, starts, ends


CASES = {
    "product": products(),
    "rms_norm": [(normal(5, 33), normal(33), np.float32(1e-5))],
    "rotate": [(normal(3, 4, 6), normal(3, 3), normal(3, 3))],
    "attend": [attention()],
    "swiglu": [(normal(3, 34) * 40,)],
    "cumulative_frequencies": [(normal(3, 50) * 20,)],
}


@pytest.mark.parametrize(("name", "case"), [(name, i) for name, cases in CASES.items() for i in range(len(cases))])
def test_compiled_loops_give_the_same_bits_as_numpy(name: str, case: int) -> None:
    arguments = CASES[name][case]
    plain, compiled = getattr(arithmetic, name)(*arguments), getattr(kernels, name)(*arguments)
    assert plain.dtype == compiled.dtype
    assert plain.tobytes() == compiled.tobytes()


def test_a_sum_runs_from_its_first_term_to_its_last() -> None:
    large_first = np.array([[2**25, 1, 1, 1, 1, 1, 1, 1]], np.float32)
    ones = np.ones((8, 1), np.float32)
    assert kernels.product(large_first, ones) == 2**25  # each 1 is lost in rounding
    assert kernels.product(large_first[:, ::-1].copy(), ones) == 2**25 + 8  # 7, and then half a step up


def test_nothing_is_fused() -> None:
    """A fused multiply-add would round once, and keep the small rest that two roundings lose."""
    x = np.array([[1 + 2**-12, 1]], np.float32)
    w = np.array([[1 + 2**-12], [-(1 + 2**-11)]], np.float32)
    for rows in (1, 4):
        assert not kernels.product(x[:, ::-1].repeat(rows, axis=0), w[::-1].copy()).any()


def test_exp_is_close_enough_to_code_with() -> None:
    x = np.linspace(-87, 87, 2001).astype(np.float32)
    assert np.abs(arithmetic.exp(x) / np.exp(x.astype(np.float64)) - 1).max() < 3e-4


def test_the_rotary_table_is_the_models() -> None:
    table = rotary_table(torch.arange(100), rotary_frequencies(10_000.0, 8))
    for ours, its in zip(arithmetic.rotary_table(10_000.0, 8, 100), table):
        assert np.abs(ours - its.numpy()[:, :4]).max() < 1e-5


@pytest.mark.parametrize("house", HOUSES)
def test_predictions_are_the_transformers(house: str) -> None:
    changes = {"vocab_size": 300, "d_model": 16, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, **HOUSES[house]}
    model = Transformer(ModelConfig(**changes)).initialise(seed=1)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    token_ids = torch.randint(300, (1, 12), generator=torch.Generator().manual_seed(0))
    probabilities = model(token_ids)[0].softmax(-1)[:, :290].detach().numpy()
    exact = ExactModel(model, vocab_size=290)
    cache = exact.new_cache(2)
    for place, token_id in enumerate(token_ids[0].tolist()):
        (table,) = exact.step(cache, [1], [token_id], [place])
        found = np.diff(table) / table[-1] * probabilities[place].sum()  # without the columns that stand for no token
        assert np.abs(found - probabilities[place]).max() < 1e-5


def test_a_texts_numbers_do_not_depend_on_what_is_read_beside_it(tiny: LanguageModel) -> None:
    model = ExactModel(tiny.model, tiny.tokenizer.vocab_size)
    alone, together = model.new_cache(1), model.new_cache(7)
    for place, token_id in enumerate([5, 9, 200, 31]):
        others = [int(i) for i in RANDOM.integers(290, size=6)]
        one = model.step(alone, [0], [token_id], [place])
        many = model.step(together, [3, 0, 1, 2, 4, 5, 6], [token_id, *others], [place] * 7)
        assert one[0].tobytes() == many[0].tobytes()


def test_scores_that_are_not_finite_are_refused(tiny: LanguageModel) -> None:
    model = ExactModel(tiny.model, tiny.tokenizer.vocab_size)
    model._final_norm = np.full_like(model._final_norm, 3e38)
    with pytest.raises(ValueError, match="the model's scores are not finite"), np.errstate(over="ignore"):
        model.step(model.new_cache(1), [0], [3], [0])


COMPRESS = """
import sys
sys.modules |= {name: None for name in sys.argv[2:]}
from llm101.compression import compress, forward
from llm101 import load
assert (forward.exact is forward.arithmetic) == ("numba" in sys.argv)
sys.stdout.buffer.write(compress(sys.stdin.buffer.read(), load(sys.argv[1]), method="model"))
"""


def compressed_elsewhere(data: bytes, lm: LanguageModel, *missing: str, **environment: str) -> bytes:
    """By another process, in which some packages are missing and the environment is another."""
    command = [sys.executable, "-c", COMPRESS, str(lm.path), *missing]
    folder, variables = Path(__file__).parents[2], os.environ | environment
    return subprocess.run(command, input=data, capture_output=True, check=True, cwd=folder, env=variables).stdout


def test_without_numba_a_file_comes_out_the_same(tiny: LanguageModel) -> None:
    data = b"Once upon a time there was a \xff cat" * 4
    assert compressed_elsewhere(data, tiny, "numba") == compress(data, tiny, method="model")


@pytest.mark.slow
def test_on_an_older_processor_a_file_comes_out_the_same(tmp_path: Path) -> None:
    """Compiled for the plainest processor of the family: short vectors, no fused multiply-add."""
    lm = load("storyteller")
    data = b"Once upon a time, there was a little girl named Lily. She loved to play outside.\n<|endoftext|>\n" * 3
    plainest = {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)}
    found = compressed_elsewhere(data, lm, **plainest)
    assert Container.from_bytes(found).n_bytes(BY_MODEL) == len(data)
    assert found == compress(data, lm, method="model")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rope_scaling": RopeScaling("linear", 2.0)}, "rope_scaling"),
        ({"layers_without_rope": (0,), "mlp_bias": True}, "layers_without_rope, mlp_bias"),
        ({"n_experts": 2, "n_active_experts": 1}, "n_experts, n_active_experts, d_expert"),
    ],
)
def test_a_model_that_would_be_computed_wrongly_is_refused(changes: dict[str, Any], named: str) -> None:
    config = ModelConfig(vocab_size=300, d_model=16, n_layers=2, n_heads=2, context_length=32, **changes)
    with pytest.raises(ValueError, match=f"the compressor does not compute models with {named}; use another model"):
        ExactModel(Transformer(config).initialise(0), 300)
