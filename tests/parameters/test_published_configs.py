"""Published models' config.json, key by key: each is read, without a word, as a model with as many parameters."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from llm101.model import ModelConfig, RopeScaling
from llm101.outside.notice import Notice
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.hugging_face_config import config_from_hugging_face

SMOLLM2_135M: dict[str, Any] = {
    "_name_or_path": "checkpoints", "architectures": ["LlamaForCausalLM"], "attention_bias": False,
    "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576,
    "initializer_range": 0.041666666666666664, "intermediate_size": 1536, "is_llama_config": True,
    "max_position_embeddings": 8192, "mlp_bias": False, "model_type": "llama", "num_attention_heads": 9,
    "num_hidden_layers": 30, "num_key_value_heads": 3, "pad_token_id": 2, "pretraining_tp": 1,
    "rms_norm_eps": 1e-05, "rope_interleaved": False, "rope_scaling": None, "rope_theta": 100000,
    "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers.js_config": {"kv_cache_dtype": {}},
    "transformers_version": "4.42.3", "use_cache": True, "vocab_size": 49152,
}  # fmt: skip
LLAMA_3_2_1B: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 128000,
    "eos_token_id": [128001, 128008, 128009], "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048,
    "initializer_range": 0.02, "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": False,
    "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
    "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": True,
    "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                     "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    "torch_dtype": "bfloat16", "transformers_version": "4.45.0.dev0", "use_cache": True, "vocab_size": 128256,
}  # fmt: skip
MISTRAL_7B_V01: dict[str, Any] = {
    "architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
    "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 32768,
    "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "transformers_version": "4.34.0.dev0", "use_cache": True, "vocab_size": 32000,
}  # fmt: skip
MISTRAL_7B_V03 = MISTRAL_7B_V01 | {
    "attention_dropout": 0.0, "rope_theta": 1000000.0, "sliding_window": None, "vocab_size": 32768,
}  # fmt: skip
MIXTRAL_8X7B = MISTRAL_7B_V01 | {
    "architectures": ["MixtralForCausalLM"], "attention_dropout": 0.0, "model_type": "mixtral",
    "num_experts_per_tok": 2, "num_local_experts": 8, "output_router_logits": False, "rope_theta": 1000000.0,
    "router_aux_loss_coef": 0.02, "router_jitter_noise": 0.0, "sliding_window": None,
}  # fmt: skip
QWEN2_5_05B: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151643,
    "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02, "intermediate_size": 4864,
    "max_position_embeddings": 32768, "max_window_layers": 24, "model_type": "qwen2", "num_attention_heads": 14,
    "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "sliding_window": 32768, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    "transformers_version": "4.40.1", "use_cache": True, "use_mrope": False, "use_sliding_window": False,
    "vocab_size": 151936,
}  # fmt: skip
QWEN3_06B: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02,
    "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3",
    "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
    "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None, "tie_word_embeddings": True,
    "torch_dtype": "bfloat16", "transformers_version": "4.51.0", "use_cache": True, "use_sliding_window": False,
    "vocab_size": 151936,
}  # fmt: skip
QWEN3_30B_A3B = QWEN3_06B | {
    "architectures": ["Qwen3MoeForCausalLM"], "decoder_sparse_step": 1, "hidden_size": 2048,
    "intermediate_size": 6144, "max_window_layers": 48, "mlp_only_layers": [], "model_type": "qwen3_moe",
    "moe_intermediate_size": 768, "norm_topk_prob": True, "num_attention_heads": 32, "num_experts": 128,
    "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4, "output_router_logits": False,
    "rope_theta": 1000000.0, "router_aux_loss_coef": 0.001, "tie_word_embeddings": False,
}  # fmt: skip
SMOLLM3_3B: dict[str, Any] = {
    "architectures": ["SmolLM3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 128000,
    "eos_token_id": 128012, "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02,
    "intermediate_size": 11008, "layer_types": ["full_attention"] * 36, "max_position_embeddings": 65536,
    "max_window_layers": 28, "mlp_bias": False, "model_type": "smollm3", "no_rope_layer_interval": 4,
    "no_rope_layers": [1, 1, 1, 0] * 9, "num_attention_heads": 16, "num_hidden_layers": 36, "num_key_value_heads": 4,
    "pad_token_id": 128004, "pretraining_tp": 2, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 5000000.0,
    "sliding_window": None, "torch_dtype": "bfloat16", "transformers_version": "4.54.0.dev0", "use_cache": True,
    "use_sliding_window": False, "vocab_size": 128256,
}  # fmt: skip

PUBLISHED: dict[str, tuple[dict[str, Any], int, int]] = {
    "SmolLM2-135M": (SMOLLM2_135M, 134_515_008, 134_515_008),
    "Llama-3.2-1B": (LLAMA_3_2_1B, 1_235_814_400, 1_235_814_400),
    "Mistral-7B-v0.1": (MISTRAL_7B_V01, 7_241_732_096, 7_241_732_096),
    "Mistral-7B-v0.3": (MISTRAL_7B_V03, 7_248_023_552, 7_248_023_552),
    "Mixtral-8x7B": (MIXTRAL_8X7B, 46_702_792_704, 12_879_925_248),
    "Qwen2.5-0.5B": (QWEN2_5_05B, 494_032_768, 494_032_768),
    "Qwen3-0.6B": (QWEN3_06B, 596_049_920, 596_049_920),
    "Qwen3-30B-A3B": (QWEN3_30B_A3B, 30_532_122_624, 3_353_032_704),
    "SmolLM3-3B": (SMOLLM3_3B, 3_075_098_624, 3_075_098_624),
}
"""config.json, how many parameters there are, and how many of them work on one token."""


def read(hf: dict[str, Any]) -> ModelConfig:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        return config_from_hugging_face(hf)


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_is_read_without_a_word_and_has_as_many_parameters(name: str) -> None:
    hf, n_parameters, n_active = PUBLISHED[name]
    config = read(hf)
    assert (config.n_parameters, config.n_active_parameters) == (n_parameters, n_active)
    assert config.context_length == hf["max_position_embeddings"]


def test_what_is_special_about_each_is_seen() -> None:
    llama = RopeScaling("llama3", 32.0, original_context_length=8192)
    assert read(LLAMA_3_2_1B).rope_scaling == llama
    assert read(MISTRAL_7B_V01).sliding_window == 4096
    assert read(MISTRAL_7B_V03).sliding_window is None
    assert read(QWEN2_5_05B).sliding_window is None
    assert read(QWEN2_5_05B).qkv_bias
    assert not read(QWEN2_5_05B).o_bias
    assert read(SMOLLM3_3B).layers_without_rope == (3, 7, 11, 15, 19, 23, 27, 31, 35)
    assert read(SMOLLM3_3B).tie_embeddings
    assert read(QWEN3_30B_A3B).normalise_expert_weights
    assert read(QWEN3_30B_A3B).dense_layers == ()


def test_yarn_as_the_model_cards_of_qwen_say_to_switch_it_on() -> None:
    scaling = {"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"}
    assert read(QWEN2_5_05B | {"rope_scaling": scaling}).rope_scaling == RopeScaling("yarn", 4.0, 32768)
    assert read(SMOLLM3_3B | {"rope_scaling": scaling | {"finetuned": True}}).rope_scaling == RopeScaling(
        "yarn", 4.0, 32768
    )


def test_without_an_original_context_yarn_stretches_the_one_that_is_there() -> None:
    scaling = read(QWEN2_5_05B | {"rope_scaling": {"factor": 4.0, "type": "yarn"}}).rope_scaling
    assert scaling == RopeScaling("yarn", 4.0, 32768)
    by_the_side = {"original_max_position_embeddings": 8192, "rope_scaling": {"factor": None, "rope_type": "yarn"}}
    assert read(QWEN2_5_05B | by_the_side).rope_scaling == RopeScaling("yarn", 4.0, 8192)


@pytest.mark.parametrize("method", ["fp8", "awq", "gptq", "bitsandbytes", "mxfp4"])
def test_its_quantised_sisters_are_refused_by_the_name_of_their_kind(method: str) -> None:
    table = {"config_groups": {"group_0": {"weights": {"num_bits": 8}}}, "quant_method": method}
    with pytest.raises(ModelFolderError, match=f"quantization_config '{method}'"):
        read(LLAMA_3_2_1B | {"quantization_config": table})
