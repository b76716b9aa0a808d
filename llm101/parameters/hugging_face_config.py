"""A model's config.json, in Hugging Face's words, and our ModelConfig: one into the other.

It knows four families of the same architecture: Llama, Mistral, Qwen2 and Qwen3. A config that asks for anything
that model.py does not compute is refused by name, because a model run with the wrong arithmetic does not fail:
it babbles. Keys that change nothing about the computation are on an allow-list. Configs gain keys every month: one
that nobody here knows is refused if its name and value speak of arithmetic, else read over, with a word about it.

Reading order: config_from_hugging_face, config_to_hugging_face, then the tables between them.
"""

from __future__ import annotations

from typing import Any

from llm101.model import ModelConfig
from llm101.outside.notice import notice
from llm101.outside.strict_json import shown


class ModelFolderError(ValueError):
    """A model folder that cannot be read or written; one line says why and what to do."""


ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
"""The families by their `model_type`, and transformers' class for each."""

STANDARD_VALUES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"num_key_value_heads": 8, "sliding_window": 4096},
    "qwen2": {"num_key_value_heads": 32, "max_window_layers": 28, "sliding_window": 4096},
    "qwen3": {"num_key_value_heads": 32, "max_window_layers": 28, "sliding_window": 4096, "head_dim": 128},
}
"""What transformers assumes for a key that config.json leaves out, where that differs between the families."""

ONLY_VALUES: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
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
    "quantization_config": (),
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
    original_max_position_embeddings
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

WINDOW_KEYS = {
    "llama": frozenset(),
    "mistral": frozenset({"sliding_window"}),
    "qwen2": frozenset({"sliding_window", "use_sliding_window", "max_window_layers", "layer_types"}),
    "qwen3": frozenset({"sliding_window", "use_sliding_window", "max_window_layers", "layer_types"}),
}


def config_from_hugging_face(hf: dict[str, Any]) -> ModelConfig:
    """Translate the contents of a config.json.

    Args:
        hf: what config.json holds, written by transformers 4 (`rope_theta`) or 5 (`rope_parameters`).

    Raises:
        ModelFolderError: a family, key or value that model.py does not compute, or one that is missing.

    Example:
        >>> hf = {"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": 30,
        ...       "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536,
        ...       "max_position_embeddings": 8192, "rope_theta": 100000, "rms_norm_eps": 1e-05,
        ...       "tie_word_embeddings": True}
        >>> config_from_hugging_face(hf).n_parameters        # SmolLM2-135M
        134515008
        >>> config_from_hugging_face(hf | {"hidden_act": "gelu"})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        llm101.parameters.hugging_face_config.ModelFolderError: config.json asks for hidden_act 'gelu'; ...
    """
    family = hf.get("model_type")
    if not isinstance(family, str) or family not in ARCHITECTURES:
        raise ModelFolderError(
            f"config.json describes a model of type {shown(family)}; llm101 runs {', '.join(ARCHITECTURES)}"
        )
    values = {key: value for key, value in (STANDARD_VALUES[family] | hf).items() if value is not None}
    refuse_other_arithmetic(values, family)
    try:
        return ModelConfig(
            vocab_size=_count(values, "vocab_size"),
            d_model=_count(values, "hidden_size"),
            n_layers=_count(values, "num_hidden_layers"),
            n_heads=_count(values, "num_attention_heads"),
            n_kv_heads=_count(values, "num_key_value_heads", standard=0),
            d_head=_count(values, "head_dim", standard=0),
            d_mlp=_count(values, "intermediate_size"),
            context_length=_count(values, "max_position_embeddings"),
            rope_theta=_rope_theta(values),
            norm_eps=_real(values, "rms_norm_eps", 1e-6),
            tie_embeddings=_flag(values, "tie_word_embeddings"),
            qkv_bias=family == "qwen2",
            qk_norm=family == "qwen3",
            sliding_window=_sliding_window(values, family),
        )
    except ModelFolderError:
        raise
    except ValueError as error:
        raise ModelFolderError(f"config.json: {error}") from None


def config_to_hugging_face(config: ModelConfig, *, end_id: int | None = None, dtype: str = "float32") -> dict[str, Any]:
    """Describe a model so that transformers 4 and 5 build the same one.

    Args:
        config: the model's shape.
        end_id: the token that ends a text, and before which one begins; None if there is none.
        dtype: the kind of number in the parameter file.

    Raises:
        ModelFolderError: a combination that none of the families has.

    Example:
        >>> hf = config_to_hugging_face(ModelConfig(vocab_size=300, d_model=16, n_layers=2, n_heads=2))
        >>> hf["model_type"], hf["num_key_value_heads"]
        ('llama', 2)
    """
    if config.qkv_bias and config.qk_norm:
        raise ModelFolderError("no Hugging Face family has both qkv_bias (Qwen2) and qk_norm (Qwen3); set one")
    family = "qwen2" if config.qkv_bias else "qwen3" if config.qk_norm else "mistral"
    if family == "mistral" and config.sliding_window is None and config.d_model % config.n_heads == 0:
        family = "llama"  # which wants a d_model that the heads divide; Mistral without a window is the same model
    hf: dict[str, Any] = {
        "architectures": [ARCHITECTURES[family]],
        "model_type": family,
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.d_head,
        "intermediate_size": config.d_mlp,
        "hidden_act": "silu",
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,  # for transformers 4; the next line says the same to transformers 5
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": end_id,
        "eos_token_id": end_id,
        "torch_dtype": dtype,
    }
    if family != "llama":
        hf["sliding_window"] = config.sliding_window
    if family in ("qwen2", "qwen3"):
        hf["use_sliding_window"] = config.sliding_window is not None
        hf["max_window_layers"] = 0 if config.sliding_window else config.n_layers
    return hf


def refuse_other_arithmetic(values: dict[str, Any], family: str) -> None:
    """Refuse every key that asks for something else than model.py computes, or that nobody here knows."""
    for key, allowed in ONLY_VALUES.items():
        if key in values and values[key] not in allowed:
            computed = f"computes only {' or '.join(map(repr, allowed))}" if allowed else "cannot do that"
            raise ModelFolderError(f"config.json asks for {key} {shown(values[key])}; llm101 {computed}")
    known = HARMLESS_KEYS | KEYS_READ | WINDOW_KEYS[family] | ONLY_VALUES.keys()
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


def _rope_theta(values: dict[str, Any]) -> float:
    """The base of the rotary wavelengths, from either layout; scaled wavelengths are refused."""
    theta = _real(values, "rope_theta", 10_000.0)
    for key in ("rope_scaling", "rope_parameters"):
        rope = values.get(key, {})
        if not isinstance(rope, dict):
            raise ModelFolderError(f"config.json: {key} must be a table, got {shown(rope)}")
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default" or not rope.keys() <= {"rope_type", "type", "rope_theta", "partial_rotary_factor"}:
            raise ModelFolderError(f"config.json asks for {key} {shown(rope)}; llm101 computes plain rotary positions")
        if rope.get("partial_rotary_factor", 1.0) != 1.0:
            raise ModelFolderError(f"config.json asks for {key} {shown(rope)}; llm101 turns whole heads only")
        if "rope_theta" in rope:
            inner = _real(rope, "rope_theta", theta)
            if "rope_theta" in values and inner != theta:
                raise ModelFolderError(
                    f"config.json gives rope_theta twice, as {theta} and {inner}; keep the right one"
                )
            theta = inner
    return theta


def _sliding_window(values: dict[str, Any], family: str) -> int | None:
    """How far back a token sees, if that is the same in all layers."""
    if family == "llama" or (family == "mistral" and "sliding_window" not in values):
        return None
    if family == "mistral":
        return _count(values, "sliding_window")
    n_layers = _count(values, "num_hidden_layers")
    window = _flag(values, "use_sliding_window") and "sliding_window" in values
    kinds = values.get("layer_types")
    if kinds is None:
        n_windowed = max(n_layers - _count(values, "max_window_layers", least=0), 0) if window else 0
    elif isinstance(kinds, list) and len(kinds) == n_layers:
        n_windowed = kinds.count("sliding_attention")
        if n_windowed + kinds.count("full_attention") != n_layers:
            raise ModelFolderError(f"config.json asks for layer_types {shown(kinds)}; llm101 knows full and sliding")
    else:
        raise ModelFolderError(f"config.json: layer_types must list {n_layers} layers, got {shown(kinds)}")
    if n_windowed == 0:
        return None
    if n_windowed < n_layers or not window:
        raise ModelFolderError(
            f"config.json asks for a sliding window in {n_windowed} of {n_layers} layers; llm101 computes all or none"
        )
    return _count(values, "sliding_window")


def _count(values: dict[str, Any], key: str, *, standard: int | None = None, least: int = 1) -> int:
    if key not in values and standard is not None:
        return standard
    value = values.get(key)
    if type(value) is not int or not least <= value <= 2**31:
        got = shown(value) if key in values else "nothing"
        raise ModelFolderError(f"config.json: {key} must be a whole number from {least} to 2**31, got {got}")
    return value


def _real(values: dict[str, Any], key: str, standard: float) -> float:
    value = values.get(key, standard)
    if type(value) not in (int, float) or not 0 < value < 1e300:
        raise ModelFolderError(f"config.json: {key} must be a number above 0, got {shown(value)}")
    return float(value)


def _flag(values: dict[str, Any], key: str) -> bool:
    value = values.get(key, False)
    if not isinstance(value, bool):
        raise ModelFolderError(f"config.json: {key} must be true or false, got {shown(value)}")
    return value
