"""The keys of a config.json: which choose the arithmetic, and which change nothing about it.

A config that asks for anything that model.py does not compute is refused by name, because a model run with the wrong
arithmetic does not fail: it babbles. Keys that change nothing are on an allow-list. Configs gain keys every month: one
that nobody here knows is refused if its name and value speak of arithmetic, else read over, with a word about it.

Reading order: refuse_other_arithmetic, may_change_arithmetic, then the tables above them.
"""

from __future__ import annotations

from typing import Any

from llm101.outside.notice import notice
from llm101.outside.strict_json import shown
from llm101.parameters.errors import ModelFolderError

ONLY_VALUES: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "rope_interleaved": (False,),
    "partial_rotary_factor": (1.0,),
    "use_mrope": (False,),
    "is_encoder_decoder": (False,),
    "is_decoder": (False, True),
    "add_cross_attention": (False,),
    "tie_encoder_decoder": (False,),
    "chunk_size_feed_forward": (0,),
    "pruned_heads": ({},),
    "cross_attention_hidden_size": (),
    "attention_multiplier": (),
    "query_pre_attn_scalar": (),
    "scale_attn_weights": (True,),
    "is_causal": (True,),
    "use_rope": (True,),
}
"""Keys that choose the arithmetic, and the values that model.py computes. null is as good as left out."""

HARMLESS_KEYS = frozenset(
    """
    model_type architectures transformers_version torch_dtype dtype _name_or_path name_or_path _commit_hash
    initializer_range use_cache attention_dropout pretraining_tp is_llama_config tokenizer_class max_sequence_length
    bos_token_id eos_token_id pad_token_id unk_token_id sep_token_id decoder_start_token_id
    transformers.js_config unsloth_version unsloth_fixed gradient_checkpointing finetuning_task task_specific_params
    _attn_implementation _attn_implementation_autoset attn_implementation _flash_attn_2_enabled
    id2label label2id problem_type prefix return_dict output_attentions output_hidden_states output_scores
    return_dict_in_generate torchscript use_bfloat16 tf_legacy_loss
    bad_words_ids begin_suppress_tokens suppress_tokens forced_bos_token_id forced_eos_token_id
    do_sample temperature top_k top_p typical_p repetition_penalty length_penalty diversity_penalty early_stopping
    router_aux_loss_coef output_router_logits router_jitter_noise original_max_position_embeddings
    max_length min_length no_repeat_ngram_size encoder_no_repeat_ngram_size exponential_decay_length_penalty
    num_beams num_beam_groups num_return_sequences remove_invalid_values
    """.split()  # noqa: SIM905 - one name per line would hide the rest of the module
)
"""Keys about training, generating, other software or bookkeeping: the logits are the same whatever they say."""

ARITHMETIC_WORDS = tuple(
    """
    rope rotary attn attention softcap multiplier scale scaling norm expert moe router bias window mask chunk
    act_fn activation quant compress lora adapter alibi position embedding residual logit head mlp ffn sink
    layer_types clip parallel conv ssm mamba auto_map
    """.split()  # noqa: SIM905
)
"""Parts of names that speak of what a model computes: Granite's multipliers, Gemma's soft caps, others' experts."""

FACTOR_WORDS = ("multiplier", "scale", "scaling", "factor")
"""Parts of names of numbers that are multiplied with: 1 changes nothing. Of other numbers that is 0."""

KEYS_READ = frozenset(
    """
    vocab_size hidden_size num_hidden_layers num_attention_heads num_key_value_heads head_dim intermediate_size
    max_position_embeddings rms_norm_eps tie_word_embeddings rope_theta rope_scaling rope_parameters
    """.split()  # noqa: SIM905
)

_WINDOW, _EXPERTS = "sliding_window use_sliding_window", "num_experts num_local_experts num_experts_per_tok"
KEYS_OF_FAMILY = {
    family: frozenset(keys.split())
    for family, keys in {
        "llama": "attention_bias mlp_bias",
        "mistral": "sliding_window",
        "qwen2": f"{_WINDOW} max_window_layers layer_types",
        "qwen3": f"{_WINDOW} max_window_layers layer_types attention_bias",
        "smollm3": f"{_WINDOW} layer_types no_rope_layers no_rope_layer_interval attention_bias mlp_bias",
        "mixtral": f"sliding_window {_EXPERTS}",
        "qwen3_moe": f"{_WINDOW} {_EXPERTS} attention_bias moe_intermediate_size norm_topk_prob decoder_sparse_step"
        " mlp_only_layers",
    }.items()
}
"""What only some families read."""

READ_OVER = {
    "qwen2": frozenset({"attention_bias"}),  # it has those of q, k and v in any case
    **dict.fromkeys(("llama", "mistral", "smollm3", "mixtral", "qwen3_moe"), frozenset({"max_window_layers"})),
}
"""What a family has in its files and transformers does not look at; with windows, Qwen3-MoE refuses it elsewhere."""


def refuse_other_arithmetic(values: dict[str, Any], family: str) -> None:
    """Refuse every key that asks for something else than model.py computes, or that nobody here knows."""
    quantised = values.get("quantization_config")
    if quantised is not None:
        name = quantised.get("quant_method", quantised) if isinstance(quantised, dict) else quantised
        raise ModelFolderError(f"config.json asks for quantization_config {shown(name)}; llm101 cannot do that")
    of_family = KEYS_OF_FAMILY[family] | READ_OVER.get(family, frozenset())
    for key, allowed in ONLY_VALUES.items():
        if key in values and key not in of_family and values[key] not in allowed:
            computed = f"computes only {' or '.join(map(repr, allowed))}" if allowed else "cannot do that"
            raise ModelFolderError(f"config.json asks for {key} {shown(values[key])}; llm101 {computed}")
    known = HARMLESS_KEYS | KEYS_READ | of_family | ONLY_VALUES.keys()
    unknown = [key for key in values if key not in known]
    for key in unknown:
        if may_change_arithmetic(key, values[key]):
            raise ModelFolderError(
                f"config.json has the unknown key {shown(key)}, which could change what a {family} model computes; "
                "remove it if you know that it does not"
            )
    if unknown:
        named = ", ".join(map(shown, unknown[:5])) + ", ..." * (len(unknown) > 5)
        notice(f"config.json has keys that llm101 does not know, and takes for bookkeeping: {named}")


def may_change_arithmetic(key: str, value: Any) -> bool:
    """Whether an unknown key speaks of arithmetic, and its value asks for some.

    Example:
        >>> may_change_arithmetic("residual_multiplier", 0.22), may_change_arithmetic("residual_multiplier", 1.0)
        (True, False)
        >>> may_change_arithmetic("training", {"date": "2026"}), may_change_arithmetic("extra", {"num_experts": 8})
        (False, True)
    """
    if isinstance(value, dict):
        return any(may_change_arithmetic(f"{key}.{inner}", inner_value) for inner, inner_value in value.items())
    if not value or value == ["full_attention"] * len(value if isinstance(value, list) else ()):
        return False  # null, false, 0, empty, or what every layer does anyway
    name = key.lower()
    if name.startswith("_") or "drop" in name or not any(word in name for word in ARITHMETIC_WORDS):
        return False
    return not (value == 1 and value is not True and any(word in name for word in FACTOR_WORDS))
