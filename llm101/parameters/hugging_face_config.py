"""A model's config.json, in Hugging Face's words, and our ModelConfig: one into the other.

It knows four families of the same architecture: Llama, Mistral, Qwen2 and Qwen3. Which other keys may stand in a
config.json is in config_keys.py.

Reading order: config_from_hugging_face, config_to_hugging_face, then what they stand on.
"""

from __future__ import annotations

from typing import Any

from llm101.model import ModelConfig
from llm101.outside.strict_json import shown
from llm101.parameters.config_keys import refuse_other_arithmetic
from llm101.parameters.errors import ModelFolderError

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
        llm101.parameters.errors.ModelFolderError: config.json asks for hidden_act 'gelu'; ...
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
