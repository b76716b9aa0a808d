"""A model's config.json, in Hugging Face's words, and our ModelConfig: one into the other.

It knows families of the same architecture: Llama, Mistral, Qwen2, Qwen3 and SmolLM3, and Mixtral and Qwen3-MoE, which
have experts. How positions are told is in position_keys.py, which other keys may stand in a config.json in
config_keys.py.

Reading order: config_from_hugging_face, config_to_hugging_face, then what they stand on.
"""

from __future__ import annotations

from typing import Any

from llm101.model import ModelConfig
from llm101.outside.strict_json import shown
from llm101.parameters.config_keys import refuse_other_arithmetic
from llm101.parameters.config_values import count, count_of_layers, flag, layer_numbers, real
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.position_keys import positions_from_hugging_face, positions_to_hugging_face

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
}
"""The families by their `model_type`, and transformers' class for each."""

STANDARD_VALUES: dict[str, dict[str, Any]] = {
    "llama": {"max_position_embeddings": 2048},
    "mistral": {"max_position_embeddings": 131072, "num_key_value_heads": 8, "sliding_window": 4096},
    "qwen2": {"max_position_embeddings": 32768, "num_key_value_heads": 32, "sliding_window": 4096,
              "max_window_layers": 28},
    "qwen3": {"max_position_embeddings": 32768, "num_key_value_heads": 32, "sliding_window": 4096,
              "max_window_layers": 28, "head_dim": 128},
    "smollm3": {"max_position_embeddings": 32768, "num_key_value_heads": 4, "tie_word_embeddings": True},
    "mixtral": {"max_position_embeddings": 131072, "num_key_value_heads": 8, "rms_norm_eps": 1e-5,
                "num_experts_per_tok": 2},
    "qwen3_moe": {"max_position_embeddings": 32768, "num_key_value_heads": 4, "sliding_window": 4096,
                  "num_experts_per_tok": 8, "moe_intermediate_size": 768},
}  # fmt: skip
"""What transformers assumes for a key that config.json leaves out; the sizes of a model are not left out."""

STANDARD_EXPERTS = {"mixtral": 8, "qwen3_moe": 128}
"""How many experts it assumes: `num_local_experts` or `num_experts`, which mean the same."""

BIAS_KEYS = {
    "llama": ("attention_bias", "mlp_bias"),
    "qwen3": ("attention_bias",),
    "smollm3": ("attention_bias", "mlp_bias"),
    "qwen3_moe": ("attention_bias",),
}
"""Which biases a family may have by its config; Qwen2 always has those of q, k and v, and no others."""


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
            vocab_size=count(values, "vocab_size"),
            d_model=count(values, "hidden_size"),
            n_layers=count(values, "num_hidden_layers"),
            n_heads=count(values, "num_attention_heads"),
            n_kv_heads=count(values, "num_key_value_heads", standard=0),
            d_head=count(values, "head_dim", standard=0),
            d_mlp=count(values, "intermediate_size"),
            context_length=count(values, "max_position_embeddings"),
            norm_eps=real(values, "rms_norm_eps", 1e-6),
            tie_embeddings=flag(values, "tie_word_embeddings"),
            qk_norm=family in ("qwen3", "qwen3_moe"),
            **_biases(values, family),
            **positions_from_hugging_face(values, family),
            **(_experts(values, family) if family in STANDARD_EXPERTS else {}),
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
    family = _family(config)
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
        "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": end_id,
        "eos_token_id": end_id,
        "torch_dtype": dtype,
    }
    hf |= positions_to_hugging_face(config, family)
    if family == "smollm3":
        hf["pad_token_id"] = None  # its class assumes one that a smaller vocabulary does not have
    hf |= {key: config.o_bias if key == "attention_bias" else config.mlp_bias for key in BIAS_KEYS.get(family, ())}
    if config.n_experts:
        hf |= _experts_to_hugging_face(config, family)
    return hf


def _biases(values: dict[str, Any], family: str) -> dict[str, bool]:
    if family == "qwen2":
        return {"qkv_bias": True}
    attention, mlp = (flag(values, key) for key in ("attention_bias", "mlp_bias"))
    return {"qkv_bias": attention, "o_bias": attention, "mlp_bias": mlp}


def _experts(values: dict[str, Any], family: str) -> dict[str, Any]:
    """The mixture of experts; a Qwen3-MoE in which every layer has a plain MLP has none."""
    n_layers, n_experts = count_of_layers(values), _n_experts(values, family)
    active = count(values, "num_experts_per_tok")
    if family == "mixtral":
        return {"n_experts": n_experts, "n_active_experts": active, "d_expert": count(values, "intermediate_size")}
    plain, step = layer_numbers(values, "mlp_only_layers", n_layers), count(values, "decoder_sparse_step", standard=1)
    dense = tuple(layer for layer in range(n_layers) if layer in plain or (layer + 1) % step)
    if n_experts == 0 or len(dense) == n_layers:
        return {}
    return {
        "n_experts": n_experts,
        "n_active_experts": active,
        "d_expert": count(values, "moe_intermediate_size"),
        "normalise_expert_weights": flag(values, "norm_topk_prob"),
        "dense_layers": dense,
    }


def _n_experts(values: dict[str, Any], family: str) -> int:
    names = [name for name in ("num_local_experts", "num_experts") if name in values]
    numbers = {count(values, name, least=0 if family == "qwen3_moe" else 1) for name in names}
    if len(numbers) == 2:
        raise ModelFolderError(f"config.json gives num_local_experts and num_experts, which differ: {sorted(numbers)}")
    return numbers.pop() if numbers else STANDARD_EXPERTS[family]


def _experts_to_hugging_face(config: ModelConfig, family: str) -> dict[str, Any]:
    hf: dict[str, Any] = {"num_experts_per_tok": config.n_active_experts}
    if family == "mixtral":
        return hf | {"num_local_experts": config.n_experts, "intermediate_size": config.d_expert}
    return hf | {
        "num_experts": config.n_experts,
        "moe_intermediate_size": config.d_expert,
        "norm_topk_prob": config.normalise_expert_weights,
        "decoder_sparse_step": 1,
        "mlp_only_layers": list(config.dense_layers),
    }


CAN_HAVE = {
    "llama": "qkv_bias o_bias mlp_bias",
    "mistral": "sliding_window uneven_heads",
    "qwen2": "qkv_bias sliding_window windowed_layers uneven_heads",
    "qwen3": "qkv_bias o_bias qk_norm sliding_window windowed_layers uneven_heads",
    "smollm3": "qkv_bias o_bias mlp_bias sliding_window windowed_layers layers_without_rope uneven_heads",
    "mixtral": "n_experts sliding_window uneven_heads",
    "qwen3_moe": "n_experts dense_layers normalise_expert_weights qkv_bias o_bias qk_norm sliding_window uneven_heads",
}
"""What a family can have beyond what all of them have. uneven_heads: n_heads that do not divide d_model."""

MUST_HAVE = {"qwen2": "qkv_bias", "qwen3": "qk_norm", "mixtral": "n_experts", "qwen3_moe": "n_experts qk_norm"}
"""What it cannot do without."""


def _family(config: ModelConfig) -> str:
    """The first family that computes what such a model does.

    Raises:
        ModelFolderError: there is none.
    """
    has = {name for name in " ".join(CAN_HAVE.values()).split() if getattr(config, name, False)}
    has ^= {"normalise_expert_weights"}  # what stands out is not to do so
    if config.d_model % config.n_heads:
        has.add("uneven_heads")
    for family, can_have in CAN_HAVE.items():
        pairs = family == "qwen2" or config.qkv_bias == config.o_bias  # one key for both, but for Qwen2
        if pairs and has <= {*can_have.split()} and {*MUST_HAVE.get(family, "").split()} <= has:
            return family
    raise ModelFolderError(
        f"no Hugging Face family has all of {', '.join(sorted(has))} at once, so that it cannot be saved; leave one out"
    )
