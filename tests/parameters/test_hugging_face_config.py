"""config.json and ModelConfig: one into the other and back; what asks for other arithmetic is refused by name."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from typing import Any

import pytest

from llm101.model import ModelConfig, RopeScaling
from llm101.outside.notice import Notice
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.hugging_face_config import config_from_hugging_face, config_to_hugging_face

TINY = ModelConfig(vocab_size=300, d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, context_length=32)
MIXED = replace(TINY, n_experts=4, n_active_experts=2, d_expert=32, d_mlp=32)
HF = config_to_hugging_face(TINY)

# There and back


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        ModelConfig(vocab_size=9, d_model=12, n_layers=1, n_heads=2, tie_embeddings=False, norm_eps=1e-6),
        ModelConfig(vocab_size=9, d_model=12, n_layers=3, n_heads=2, d_head=10, sliding_window=5),
        ModelConfig(vocab_size=9, d_model=14, n_layers=1, n_heads=4, d_head=2),
        ModelConfig(vocab_size=9, d_model=12, n_layers=3, n_heads=2, qkv_bias=True),
        ModelConfig(vocab_size=9, d_model=12, n_layers=3, n_heads=2, qkv_bias=True, sliding_window=7),
        ModelConfig(vocab_size=9, d_model=12, n_layers=40, n_heads=2, qk_norm=True, d_head=8),
        ModelConfig(vocab_size=9, d_model=12, n_layers=40, n_heads=2, qk_norm=True, sliding_window=7, rope_theta=1e6),
        replace(TINY, rope_scaling=RopeScaling("linear", 3.0)),
        replace(TINY, rope_scaling=RopeScaling("llama3", 8.0, 16, low_freq_factor=0.5, high_freq_factor=3.0)),
        replace(TINY, rope_scaling=RopeScaling("yarn", 8.0, 16)),
        replace(TINY, rope_scaling=RopeScaling("yarn", 8.0, 16, 1, 4, 2.0, 9.0, False, 1.25), sliding_window=7),
        replace(TINY, qkv_bias=True, o_bias=True, mlp_bias=True),
        replace(TINY, qkv_bias=True, o_bias=True, sliding_window=7),
        replace(TINY, qkv_bias=True, sliding_window=7, windowed_layers=(0,)),
        replace(TINY, qk_norm=True, qkv_bias=True, o_bias=True, sliding_window=7, windowed_layers=(1,)),
        replace(TINY, layers_without_rope=(1,), mlp_bias=True, tie_embeddings=False),
        replace(TINY, layers_without_rope=(0, 1), sliding_window=7, windowed_layers=(0,)),
        replace(TINY, sliding_window=7, windowed_layers=(0,)),
        replace(MIXED, n_layers=3),
        replace(MIXED, sliding_window=7, d_model=18),
        replace(MIXED, qk_norm=True, d_mlp=64, normalise_expert_weights=False),
        replace(MIXED, qk_norm=True, d_mlp=64, qkv_bias=True, o_bias=True, dense_layers=(1,), sliding_window=7),
    ],
)
def test_every_config_that_can_be_written_reads_back_as_itself(config: ModelConfig) -> None:
    assert config_from_hugging_face(json.loads(json.dumps(config_to_hugging_face(config)))) == config


@pytest.mark.parametrize(
    ("config", "all_of"),
    [
        (replace(TINY, qkv_bias=True, qk_norm=True), "qk_norm, qkv_bias"),
        (replace(TINY, o_bias=True), "o_bias"),
        (replace(TINY, mlp_bias=True, qk_norm=True), "mlp_bias, qk_norm"),
        (replace(TINY, layers_without_rope=(0,), qk_norm=True), "layers_without_rope, qk_norm"),
        (replace(MIXED, qkv_bias=True), "n_experts, qkv_bias"),
        (replace(MIXED, normalise_expert_weights=False), "n_experts, normalise_expert_weights"),
        (replace(MIXED, dense_layers=(0,)), "dense_layers, n_experts"),
        (replace(MIXED, qk_norm=True, sliding_window=7, windowed_layers=(0,)), "n_experts, qk_norm, sliding_window, w"),
    ],
)
def test_what_no_family_has_at_once_is_refused_by_name(config: ModelConfig, all_of: str) -> None:
    with pytest.raises(ModelFolderError, match=f"no Hugging Face family has all of {all_of}"):
        config_to_hugging_face(config)


# What a config may ask for

YARN = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 16}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gpt2"}, "a model of type 'gpt2'; llm101 runs llama, mistral, qwen2, qwen3"),
        ({"model_type": None}, "a model of type None"),
        ({"model_type": ["llama"]}, "a model of type"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'; llm101 computes only 'silu'"),
        ({"attention_bias": 1}, "attention_bias must be true or false, got 1"),
        ({"mlp_bias": "no"}, "mlp_bias must be true or false, got 'no'"),
        ({"model_type": "mistral", "attention_bias": True}, "attention_bias True; llm101 computes only False"),
        ({"model_type": "qwen3", "mlp_bias": True}, "mlp_bias True; llm101 computes only False"),
        ({"quantization_config": {"bits": 4}}, "quantization_config .*'bits': 4.*; llm101 cannot do that"),
        ({"quantization_config": {"config_groups": {"a" * 99: 1}, "quant_method": "fp8"}}, "quantization_config 'fp8'"),
        ({"rope_scaling": 2.0}, "rope_scaling must be a table, got 2.0"),
        (
            {"rope_scaling": {"long_factor": [1.0] * 99, "type": "su"}},
            "asks for rope_scaling 'su'; llm101 computes only",
        ),
        ({"rope_parameters": {"rope_type": "longrope"}}, "asks for rope_parameters 'longrope'"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "asks for rope_scaling 'dynamic'"),
        ({"rope_scaling": {"rope_type": ["yarn"]}}, "asks for rope_scaling"),
        ({"rope_scaling": {"rope_type": "yarn", "type": "linear", "factor": 2.0}}, "two kinds, linear and yarn"),
        ({"rope_scaling": {"type": "linear"}}, "kind linear needs a factor"),
        ({"rope_scaling": {"type": "linear", "factor": "2"}}, "factor must be a number above 0, got '2'"),
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "rope_scaling and rope_parameters, which differ"),
        ({"rope_scaling": {"type": "llama3", "factor": 8.0}}, "llama3 needs low_freq_factor and high_freq_factor"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0, "mrope_section": [1]}}, "unknown key 'mrope_section'"),
        ({"rope_scaling": YARN | {"beta_fast": 0.5}}, r"rope_scaling: beta_fast \(0.5\) must be above beta_slow"),
        ({"rope_scaling": YARN | {"attention_factor": "big"}}, "attention_factor must be a number above 0, got 'big'"),
        ({"rope_scaling": YARN, "original_max_position_embeddings": 8}, "original_max_.* twice, as 8 and 16"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, "unknown key 'full_attention'"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor 0.5 .*turns whole heads only"),
        ({"partial_rotary_factor": 0.25}, "partial_rotary_factor 0.25"),
        ({"rope_parameters": {"rope_theta": 5e5}}, "gives rope_theta twice, as 10000.0 and 500000.0"),
        ({"rope_theta": "10000"}, "rope_theta must be a number above 0, got '10000'"),
        ({"rope_theta": 0}, "rope_theta must be a number above 0, got 0"),
        ({"sliding_window": 128}, "unknown key 'sliding_window'"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "unknown key 'layer_types'"),
        ({"final_logit_softcapping": 30.0}, "unknown key 'final_logit_softcapping', which could change"),
        ({"auto_map": {"AutoModel": "code.py"}}, "unknown key 'auto_map'"),
        ({"hidden_size": None}, "hidden_size must be a whole number from 1 to .*, got nothing"),
        ({"hidden_size": 16.0}, "hidden_size must be a whole number .*, got 16.0"),
        ({"vocab_size": True}, "vocab_size must be a whole number .*, got True"),
        ({"num_key_value_heads": 0}, "num_key_value_heads must be a whole number .*, got 0"),
        ({"num_key_value_heads": 3}, r"n_heads \(4\) must be a multiple of n_kv_heads \(3\)"),
        ({"head_dim": 5}, "d_head must be even"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false, got 'yes'"),
        ({"rms_norm_eps": 0}, "rms_norm_eps must be a number above 0"),
        ({"rms_norm_eps": 2.0}, "norm_eps must lie between 0 and 1"),
    ],
)
def test_a_config_that_asks_for_other_arithmetic_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFolderError, match=message) as caught:
        config_from_hugging_face(HF | changes)
    assert "\n" not in str(caught.value)
    assert "config.json" in str(caught.value)


QWEN2 = config_to_hugging_face(ModelConfig(vocab_size=9, d_model=8, n_layers=2, n_heads=2, qkv_bias=True))


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        ({}, [None, None]),
        ({"use_sliding_window": False, "sliding_window": 4096}, [None, None]),
        ({"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 2}, [None, None]),
        ({"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 0}, [64, 64]),
        ({"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 1}, [None, 64]),
        ({"use_sliding_window": True, "sliding_window": 64, "layer_types": ["sliding_attention"] * 2}, [64, 64]),
        ({"use_sliding_window": True, "sliding_window": 64, "layer_types": ["full_attention"] * 2}, [None, None]),
        (
            {"use_sliding_window": True, "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]},
            [64, None],
        ),
        ({"use_sliding_window": True, "sliding_window": None, "max_window_layers": 0}, [None, None]),
    ],
)
def test_qwen_windows_are_read_as_transformers_reads_them(changes: dict[str, Any], windows: list[int | None]) -> None:
    config = config_from_hugging_face(QWEN2 | changes)
    assert [config.window(layer) for layer in range(2)] == windows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_types": ["full_attention", "sliding_attention"]}, "in 1 of its layers by layer_types, and gives none"),
        ({"layer_types": ["full_attention"]}, "layer_types must list 2 layers"),
        (
            {"layer_types": ["linear_attention"] * 2},
            "layer_types 'linear_attention'; llm101 computes full_attention and",
        ),
        ({"layer_types": ["sliding_attention"] * 2, "use_sliding_window": False}, "in 2 of its layers by layer_types"),
        ({"layer_types": [["full_attention"]] * 2}, "layer_types .'full_attention'"),
        ({"use_sliding_window": True, "sliding_window": 0, "max_window_layers": 0}, "sliding_window must be a whole"),
        ({"use_sliding_window": 1}, "use_sliding_window must be true or false"),
    ],
)
def test_windows_that_nothing_says_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFolderError, match=message):
        config_from_hugging_face(QWEN2 | changes)


SMOLLM3 = config_to_hugging_face(replace(TINY, layers_without_rope=(1,)))
EXPERTS = config_to_hugging_face(replace(MIXED, qk_norm=True))


@pytest.mark.parametrize(
    ("hf", "changes", "message"),
    [
        (SMOLLM3, {"no_rope_layers": [1]}, "no_rope_layers must hold 0 or 1 for each of 2 layers"),
        (SMOLLM3, {"no_rope_layers": [1, 2]}, "no_rope_layers must hold 0 or 1"),
        (SMOLLM3, {"no_rope_layers": "01"}, "no_rope_layers must hold 0 or 1"),
        (
            SMOLLM3,
            {"no_rope_layers": None, "no_rope_layer_interval": 0},
            "no_rope_layer_interval must be a whole number",
        ),
        (SMOLLM3, {"num_hidden_layers": 2**31}, "num_hidden_layers must be a whole number from 1 to 65536"),
        (EXPERTS, {"num_experts_per_tok": 5}, r"n_active_experts must be 1 to n_experts \(4\), got 5"),
        (EXPERTS, {"num_experts": -1}, "num_experts must be a whole number from 0"),
        (EXPERTS, {"num_local_experts": 5}, r"num_local_experts and num_experts, which differ: \[4, 5\]"),
        (EXPERTS, {"decoder_sparse_step": 0}, "decoder_sparse_step must be a whole number from 1"),
        (EXPERTS, {"mlp_only_layers": 1}, "mlp_only_layers must be a list of layers, got 1"),
        (EXPERTS, {"norm_topk_prob": 1}, "norm_topk_prob must be true or false"),
        (EXPERTS, {"shared_expert_intermediate_size": 64}, "unknown key 'shared_expert_intermediate_size'"),
        (EXPERTS, {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}, "with max_window_layers"),
    ],
)
def test_what_the_newer_families_cannot_have_is_refused(
    hf: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelFolderError, match=message):
        config_from_hugging_face(hf | changes)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("embedding_multiplier", 12.0), ("residual_multiplier", 0.22), ("attention_multiplier", 1.0)),
        *(("logits_scaling", 8.0), ("logit_scale", 0.0625), ("final_logit_softcapping", 30.0)),
        *(("attn_logit_softcapping", 50.0), ("query_pre_attn_scalar", 256), ("num_local_experts", 8)),
        *(("num_experts", 128), ("moe_intermediate_size", 768), ("no_rope_layers", [1, 1, 1, 0])),
        *(("rope_local_base_freq", 10_000.0), ("rotary_pct", 0.25), ("use_qk_norm", True), ("attention_sinks", True)),
        *(("attention_chunk_size", 8192), ("clip_qkv", 8.0), ("use_bidirectional_attention", True)),
        *(
            ("layer_types", ["full_attention", "linear_attention"]),
            ("kv_lora_rank", 512),
            ("hidden_activation", "gelu"),
        ),
        *(("auto_map", {"AutoModel": "code.py"}), ("text_config", {"attn": {"logit_cap": 30}}), ("use_rope", False)),
        *(("adapters", ["a"]), ("new_thing", {"experts": 8}), ("compression_config", {"bits": 4})),
    ],
)
def test_a_key_that_speaks_of_other_arithmetic_is_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(ModelFolderError, match=f"'?{key}'?") as caught:
        config_from_hugging_face(HF | {key: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("embedding_multiplier", 1.0), ("residual_multiplier", 1), ("logits_scaling", 1.0), ("num_experts", 0)),
        *(("attn_logit_softcapping", 0.0), ("no_rope_layers", []), ("use_qk_norm", False), ("clip_qkv", 0)),
        *(("layer_types", ["full_attention"] * 2), ("resid_pdrop", 0.1), ("_attn_implementation_internal", "sdpa")),
        *(
            ("training_date", "2026-11"),
            ("quality", 0.9),
            ("release_notes", {"author": {"name": "x"}}),
            ("tags", ["a"]),
        ),
    ],
)
def test_another_key_is_named_once_and_read_over(key: str, value: Any) -> None:
    config = HF | {key: value}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default", Notice)
        assert config_from_hugging_face(config) == config_from_hugging_face(HF)
        config_from_hugging_face(config)
    line = f"config.json has keys that llm101 does not know, and takes for bookkeeping: '{key}'"
    assert [str(one.message) for one in said] == [line]


def test_a_key_that_says_nothing_is_not_mentioned() -> None:
    assert config_from_hugging_face(HF | {"brand_new": None}) == config_from_hugging_face(HF)


@pytest.mark.parametrize("value", [0, -1.0, 1e300, float("inf"), True, "1e-5"])
def test_a_real_number_must_be_one_and_above_zero(value: Any) -> None:
    with pytest.raises(ModelFolderError, match="rms_norm_eps must be a number above 0, got"):
        config_from_hugging_face(HF | {"rms_norm_eps": value})


def test_a_switch_that_is_not_named_is_off() -> None:
    tied = config_from_hugging_face(HF | {"tie_word_embeddings": True})
    unnamed = config_from_hugging_face({key: value for key, value in HF.items() if key != "tie_word_embeddings"})
    assert tied.tie_embeddings
    assert not unnamed.tie_embeddings


def test_both_layouts_of_the_rotary_base_are_read() -> None:
    old = {key: value for key, value in HF.items() if key != "rope_parameters"} | {"rope_theta": 5e5}
    new = {key: value for key, value in HF.items() if key != "rope_theta"}
    new["rope_parameters"] = {"rope_type": "default", "rope_theta": 5e5}
    neither = {key: value for key, value in old.items() if key != "rope_theta"}
    assert config_from_hugging_face(old) == config_from_hugging_face(new)
    assert config_from_hugging_face(old).rope_theta == 5e5
    assert config_from_hugging_face(neither).rope_theta == 10_000.0
