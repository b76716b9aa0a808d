"""The shape of a model in a GGUF file, from the file's metadata: our ModelConfig.

It knows the architectures that model.py computes, and refuses every key that asks for something else. Names and shapes
of tensors are compared with the config later, by filling.py; here only those are looked at that say what no key does.

Reading order: config_from_gguf, _Metadata, then the parts: experts, windows, RoPE.
"""

from __future__ import annotations

from typing import Any

import torch

from llm101.model import ModelConfig, RopeScaling
from llm101.outside.notice import notice
from llm101.outside.strict_json import shown
from llm101.parameters.config_keys import may_change_arithmetic
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.parameter_file import ParameterFile
from llm101.rotary import rotary_frequencies

ARCHITECTURES = ("llama", "qwen2", "qwen3", "qwen3moe", "smollm3")
"""By the names that llama.cpp gives them; Llama 1 to 3, SmolLM2, Mistral and Mixtral are all "llama" there."""

EMBEDDING, OUTPUT, ROPE_FACTORS = "token_embd.weight", "output.weight", "rope_freqs.weight"

NO_ROPE_STEP = 4
"""SmolLM3 has no RoPE in every fourth layer; its files do not say so."""

KEYS_READ = frozenset(
    """
    context_length embedding_length block_count feed_forward_length attention.head_count attention.head_count_kv
    attention.key_length attention.value_length attention.layer_norm_rms_epsilon attention.sliding_window
    attention.sliding_window_pattern rope.dimension_count rope.freq_base rope.scale_linear rope.scaling.type
    rope.scaling.factor rope.scaling.original_context_length rope.scaling.yarn_beta_fast rope.scaling.yarn_beta_slow
    expert_count expert_used_count expert_feed_forward_length expert_weights_norm
    """.split()  # noqa: SIM905 - one name per line would hide the rest of the module
)

HARMLESS_KEYS = frozenset({"vocab_size", "tensor_data_layout", "rope.scaling.finetuned", "pooling_type"})
"""Keys that change nothing: how many tokens there are, the embedding says; the others are bookkeeping."""

ONLY_VALUES: dict[str, tuple[Any, ...]] = {
    "expert_gating_func": (1,),  # softmax
    "expert_shared_count": (0,),
    "expert_weights_scale": (0.0, 1.0),
    "expert_group_count": (0, 1),
    "attention.causal": (True,),
    "use_parallel_residual": (False,),
    "rope.scaling.attn_factor": (1.0,),
    "rope.scaling.yarn_attn_factor": (1.0,),
    "rope.scaling.yarn_ext_factor": (-1.0, 1.0),
    "rope.scaling.yarn_log_multiplier": (0.0,),
}
"""Keys that choose the arithmetic, and the values that model.py computes."""


def config_from_gguf(parameters: ParameterFile) -> ModelConfig:
    """What a GGUF file says of its model's shape.

    Args:
        parameters: the opened file. Of its numbers, only the few that stretch rotary positions are read.

    Raises:
        ModelFolderError: an architecture, key or value that model.py does not compute, or one that is missing.
    """
    said = _Metadata(parameters)
    _refuse_other_arithmetic(said)
    embedding = parameters.tensors.get(EMBEDDING)
    if embedding is None or len(embedding.shape) != 2:
        raise ModelFolderError(f"{parameters.path}: the tensor {EMBEDDING!r} is missing, or no table of rows")
    n_layers, n_heads = said.count("block_count"), said.count("attention.head_count")
    d_model = said.count("embedding_length")
    try:
        return ModelConfig(
            vocab_size=embedding.shape[0],
            d_model=d_model,
            n_layers=n_layers,
            n_heads=n_heads,
            n_kv_heads=said.count("attention.head_count_kv", standard=n_heads),
            d_head=_head_width(said, d_model // n_heads),
            context_length=said.count("context_length"),
            norm_eps=said.real("attention.layer_norm_rms_epsilon"),
            tie_embeddings=OUTPUT not in parameters.tensors,
            qkv_bias="blk.0.attn_q.bias" in parameters.tensors,
            o_bias="blk.0.attn_output.bias" in parameters.tensors,
            mlp_bias="blk.0.ffn_gate.bias" in parameters.tensors,
            qk_norm=said.architecture in ("qwen3", "qwen3moe"),
            **_positions(said, parameters, n_layers),
            **_mlp(said, parameters, n_layers),
        )
    except ModelFolderError:
        raise
    except ValueError as error:
        raise ModelFolderError(f"{parameters.path}: {error}") from None


class _Metadata:
    """The metadata of one architecture; each value is of the kind that it should be, or refused by its name."""

    def __init__(self, parameters: ParameterFile) -> None:
        self.path, self.values = parameters.path, parameters.gguf_metadata
        self.architecture = self.values.get("general.architecture")
        if self.architecture not in ARCHITECTURES:
            raise ModelFolderError(
                f"{self.path} holds a model of architecture {shown(self.architecture)}; "
                f"of GGUF files llm101 runs {', '.join(ARCHITECTURES)}"
            )

    def get(self, key: str, standard: Any = None) -> Any:
        """A value; of a list with one entry for each layer, all of which are the same, that entry."""
        value = self.values.get(f"{self.architecture}.{key}", standard)
        if isinstance(value, list) and value and key != "attention.sliding_window_pattern":
            if any(other != value[0] for other in value):
                raise self.refusal(key, "the same in all layers", value)
            return value[0]
        return value

    def count(self, key: str, *, standard: int | None = None, least: int = 1) -> int:
        value = self.get(key, standard)
        if type(value) is not int or not least <= value <= 2**31:
            raise self.refusal(key, f"a whole number from {least} to 2**31", value)
        return value

    def real(self, key: str, standard: float | None = None) -> float:
        value = self.get(key, standard)
        if type(value) not in (int, float) or not 0 < value < 1e300:
            raise self.refusal(key, "a number above 0", value)
        return float(value)

    def refusal(self, key: str, allowed: str, value: Any) -> ModelFolderError:
        got = "nothing" if value is None else shown(value)
        return ModelFolderError(f"{self.path}: {self.architecture}.{key} must be {allowed}, got {got}")


def _refuse_other_arithmetic(said: _Metadata) -> None:
    """Refuse every key of the architecture that asks for what model.py does not compute, or that nobody here knows."""
    start, unknown = f"{said.architecture}.", []
    for name in said.values:
        key = name.removeprefix(start)
        if key == name or key in KEYS_READ | HARMLESS_KEYS:
            continue
        value = said.values[name]
        if key in ONLY_VALUES:
            if value not in ONLY_VALUES[key]:
                computed = " or ".join(map(str, ONLY_VALUES[key]))
                raise ModelFolderError(f"{said.path} asks for {name} {shown(value)}; llm101 computes only {computed}")
        elif may_change_arithmetic(key, value):
            raise ModelFolderError(f"{said.path} has the unknown key {shown(name)}, which could change the arithmetic")
        else:
            unknown.append(name)
    if unknown:
        named = ", ".join(map(shown, unknown[:5])) + ", ..." * (len(unknown) > 5)
        notice(f"{said.path.name} has keys that llm101 does not know, and takes for bookkeeping: {named}")


def _head_width(said: _Metadata, standard: int) -> int:
    width = said.count("attention.key_length", standard=standard)
    for key in ("attention.value_length", "rope.dimension_count"):
        if said.count(key, standard=width) != width:
            raise said.refusal(key, f"as wide as a head ({width})", said.get(key))
    if width % 2:
        raise said.refusal("attention.key_length", "even, because rotary positions turn pairs of numbers", width)
    return width


def _mlp(said: _Metadata, parameters: ParameterFile, n_layers: int) -> dict[str, Any]:
    """The MLP, or the mixture of experts."""
    n_experts = said.count("expert_count", standard=0, least=0)
    if n_experts == 0:
        return {"d_mlp": said.count("feed_forward_length")}
    width = said.count("expert_feed_forward_length", standard=said.get("feed_forward_length"))
    normalised = said.get("expert_weights_norm", True)
    if not isinstance(normalised, bool):
        raise said.refusal("expert_weights_norm", "true or false", normalised)
    return {
        "d_mlp": said.count("feed_forward_length", standard=width),
        "n_experts": n_experts,
        "n_active_experts": said.count("expert_used_count"),
        "d_expert": width,
        "normalise_expert_weights": normalised,
        "dense_layers": _layers_with(parameters, "ffn_gate.weight", n_layers),
    }


def _layers_with(parameters: ParameterFile, name: str, n_layers: int) -> tuple[int, ...]:
    """The layers that have a tensor of that name; however many are claimed, there are no more than tensors."""
    return tuple(i for i in range(min(n_layers, len(parameters.tensors))) if f"blk.{i}.{name}" in parameters.tensors)


def _positions(said: _Metadata, parameters: ParameterFile, n_layers: int) -> dict[str, Any]:
    """Sliding windows, and how positions are told."""
    found: dict[str, Any] = {"rope_theta": said.real("rope.freq_base", 10_000.0)}
    found["rope_scaling"] = _rope_scaling(said, parameters, found["rope_theta"])
    if said.architecture == "smollm3" and n_layers <= len(parameters.tensors):
        found["layers_without_rope"] = tuple(range(NO_ROPE_STEP - 1, n_layers, NO_ROPE_STEP))
    window = said.count("attention.sliding_window", standard=0, least=0)
    if window == 0:
        return found
    pattern = said.get("attention.sliding_window_pattern")
    if pattern is not None:
        if not isinstance(pattern, list) or len(pattern) != n_layers or not all(isinstance(on, bool) for on in pattern):
            raise said.refusal("attention.sliding_window_pattern", f"true or false for {n_layers} layers", pattern)
        found["windowed_layers"] = tuple(i for i, is_windowed in enumerate(pattern) if is_windowed)
    return found | {"sliding_window": window}


def _rope_scaling(said: _Metadata, parameters: ParameterFile, theta: float) -> RopeScaling | None:
    """How rotary positions were stretched: what the keys say, or for Llama 3.1 and later a tensor."""
    kind = said.get("rope.scaling.type", "linear")
    factor = said.real("rope.scaling.factor", said.real("rope.scale_linear", 1.0))  # the second is the older name
    if kind not in ("none", "linear", "yarn"):
        raise said.refusal("rope.scaling.type", "none, linear or yarn", kind)
    by_keys = None if kind == "none" or factor == 1 else _scaling_by_keys(said, kind, factor)
    if ROPE_FACTORS not in parameters.tensors:
        return by_keys
    by_tensor = _scaling_by_tensor(said, parameters, theta)
    if by_keys and by_tensor:
        raise ModelFolderError(f"{said.path} stretches rotary positions twice, by {ROPE_FACTORS!r} and by {kind}")
    return by_tensor or by_keys


def _scaling_by_keys(said: _Metadata, kind: str, factor: float) -> RopeScaling:
    if kind == "linear":
        return RopeScaling("linear", factor)
    length = said.count("rope.scaling.original_context_length", standard=said.count("context_length"))
    fast = said.real("rope.scaling.yarn_beta_fast", RopeScaling.beta_fast)
    slow = said.real("rope.scaling.yarn_beta_slow", RopeScaling.beta_slow)
    return RopeScaling("yarn", factor, original_context_length=length, beta_fast=fast, beta_slow=slow)


def _scaling_by_tensor(said: _Metadata, parameters: ParameterFile, theta: float) -> RopeScaling | None:
    """Llama 3.1's way, recognised by what it comes to: how many times more slowly each pair of a head turns.

    The file has only these factors. The largest is the scaling's; the other numbers are Llama 3's own, unless the file
    tells another original context; if all of them together give the same factors, it was this.
    """
    entry = parameters.tensors[ROPE_FACTORS]
    width = _head_width(said, said.count("embedding_length") // said.count("attention.head_count"))
    if entry.shape != (width // 2,) or not entry.is_float:
        raise ModelFolderError(
            f"{said.path}: {ROPE_FACTORS} must hold {width // 2} floats, one for each pair of a head"
        )
    factors = parameters.tensor(ROPE_FACTORS).float()
    largest = float(factors.max())
    if largest == 1 and float(factors.min()) == 1:
        return None
    length = said.count("rope.scaling.original_context_length", standard=8192)
    scaling = RopeScaling("llama3", largest, original_context_length=length)
    expected = rotary_frequencies(theta, width) / rotary_frequencies(theta, width, scaling)
    if not torch.allclose(factors, expected, rtol=1e-5, atol=0):
        raise ModelFolderError(f"{said.path}: {ROPE_FACTORS} are not Llama 3's factors; llm101 computes no others")
    return scaling
