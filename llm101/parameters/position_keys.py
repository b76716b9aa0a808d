"""The keys of a config.json that say how positions are told and how far back a token sees, and ModelConfig's fields.

It knows them as transformers 4 wrote them (`rope_theta`, `rope_scaling`) and as transformers 5 does
(`rope_parameters`). What a key means can differ between the families; the arithmetic is in rotary.py and model.py.

Reading order: positions_from_hugging_face, positions_to_hugging_face, then RoPE, layers without it, and windows.
"""

from __future__ import annotations

import math
from typing import Any

from llm101.model import ModelConfig, RopeScaling
from llm101.outside.strict_json import shown
from llm101.parameters.config_values import count, count_of_layers, flag, real
from llm101.parameters.errors import ModelFolderError

STANDARD_THETA = {"smollm3": 2_000_000.0, "mixtral": 1_000_000.0}
"""Base of the rotary wavelengths, if a config.json has none; 10,000 for the other families."""

SCALING_KEYS = {
    "default": frozenset(),
    "linear": frozenset({"factor"}),
    "llama3": frozenset({"factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"}),
    "yarn": frozenset(
        {"factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "truncate"}
        | {"attention_factor", "mscale", "mscale_all_dim"}
    ),
}
"""The kinds of RoPE scaling, and what each of them reads."""

KEYS_OF_ALL = frozenset({"rope_type", "type", "rope_theta", "partial_rotary_factor", "finetuned"})
"""What may stand beside that; `finetuned` is bookkeeping."""

FAMILIES_WITH_LAYER_TYPES = ("qwen2", "qwen3", "smollm3")


def positions_from_hugging_face(values: dict[str, Any], family: str) -> dict[str, Any]:
    """Those of ModelConfig's fields that say where a token stands and what it sees.

    Args:
        values: what config.json holds, without null.
        family: its `model_type`.

    Raises:
        ModelFolderError: a kind of RoPE scaling or of layer that model.py does not compute, by its name.
    """
    theta, scaling = _rope(values, family)
    without = _layers_without_rope(values) if family == "smollm3" else ()
    return {
        "rope_theta": theta,
        "rope_scaling": scaling,
        "layers_without_rope": without,
        **_windows(values, family, without),
    }


def positions_to_hugging_face(config: ModelConfig, family: str) -> dict[str, Any]:
    """The same for transformers 4 and 5."""
    scaling = _scaling_to_hugging_face(config.rope_scaling)
    hf: dict[str, Any] = {
        "rope_theta": config.rope_theta,  # for transformers 4; rope_parameters says the same to transformers 5
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta, **scaling},
    }
    if scaling:
        hf["rope_scaling"] = scaling
    if family != "llama":
        hf["sliding_window"] = config.sliding_window
    if family in ("qwen2", "qwen3", "smollm3", "qwen3_moe"):
        hf["use_sliding_window"] = config.sliding_window is not None
    windows = [config.window(layer) for layer in range(config.n_layers)]
    if family in FAMILIES_WITH_LAYER_TYPES and config.sliding_window:
        hf["layer_types"] = ["sliding_attention" if window else "full_attention" for window in windows]
    if family in ("qwen2", "qwen3"):  # for releases of transformers that do not know layer_types
        hf["max_window_layers"] = windows.index(config.sliding_window) if config.sliding_window else config.n_layers
    if family == "smollm3":
        hf["no_rope_layers"] = [int(layer not in config.layers_without_rope) for layer in range(config.n_layers)]
    return hf


def _rope(values: dict[str, Any], family: str) -> tuple[float, RopeScaling | None]:
    """Base and scaling, from either layout."""
    theta, found = real(values, "rope_theta", STANDARD_THETA.get(family, 10_000.0)), []
    for key in ("rope_scaling", "rope_parameters"):
        table = values.get(key)
        if table is None:
            continue
        if not isinstance(table, dict):
            raise ModelFolderError(f"config.json: {key} must be a table, got {shown(table)}")
        table = {name: value for name, value in table.items() if value is not None or name == "factor"}
        found.append(_scaling(values, key, table))
        if "rope_theta" in table:
            inner = real(table, "rope_theta", theta)
            if "rope_theta" in values and inner != theta:
                raise ModelFolderError(
                    f"config.json gives rope_theta twice, as {theta} and {inner}; keep the right one"
                )
            theta = inner
    if len(found) == 2 and found[0] != found[1]:
        raise ModelFolderError("config.json gives rope_scaling and rope_parameters, which differ; keep the right one")
    return theta, found[0] if found else None


def _scaling(values: dict[str, Any], key: str, table: dict[str, Any]) -> RopeScaling | None:
    """What one table asks for."""
    kinds = {str(table[name]) for name in ("rope_type", "type") if name in table} or {"default"}
    for kind in sorted(kinds):
        if kind not in SCALING_KEYS:
            computed = ", ".join(SCALING_KEYS)
            raise ModelFolderError(f"config.json asks for {key} {shown(kind)}; llm101 computes only {computed}")
    if len(kinds) == 2:
        raise ModelFolderError(f"config.json: {key} has two kinds, {' and '.join(sorted(kinds))}; keep the right one")
    (kind,) = kinds
    turned = table.get("partial_rotary_factor", 1.0)
    if turned != 1:
        raise ModelFolderError(
            f"config.json asks for partial_rotary_factor {shown(turned)} in {key}; llm101 turns whole heads only"
        )
    unknown = table.keys() - SCALING_KEYS[kind] - KEYS_OF_ALL
    unknown = {name for name in unknown if table[name] is not None}
    if unknown:
        names = ", ".join(map(shown, sorted(unknown)))
        raise ModelFolderError(f"config.json: {key} of kind {kind} has the unknown key {names}")
    try:
        return None if kind == "default" else _scaling_of_kind(values, kind, table)
    except ModelFolderError:
        raise
    except ValueError as error:
        raise ModelFolderError(f"config.json: {key}: {error}") from None


def _scaling_of_kind(values: dict[str, Any], kind: str, table: dict[str, Any]) -> RopeScaling:
    fields: dict[str, Any] = {name: table[name] for name in ("low_freq_factor", "high_freq_factor") if name in table}
    if kind == "llama3" and len(fields) < 2:
        raise ModelFolderError("config.json: RoPE scaling of kind llama3 needs low_freq_factor and high_freq_factor")
    fields |= {name: table[name] for name in ("beta_fast", "beta_slow", "truncate") if name in table}
    if kind == "linear":
        return RopeScaling(kind, _factor(table, kind))
    length = _original_context_length(values, table)
    if kind == "yarn" and "factor" in table and table["factor"] is None:
        table = table | {"factor": count(values, "max_position_embeddings") / length}
    factor = _factor(table, kind)
    attention_factor = _attention_factor(factor, table) if kind == "yarn" else None
    return RopeScaling(kind, factor, length, attention_factor=attention_factor, **fields)


def _factor(table: dict[str, Any], kind: str) -> float:
    if table.get("factor") is None:
        raise ModelFolderError(f"config.json: RoPE scaling of kind {kind} needs a factor")
    return real(table, "factor", 1.0)


def _original_context_length(values: dict[str, Any], table: dict[str, Any]) -> int:
    """In the table, beside it, or else what the model reads now."""
    name = "original_max_position_embeddings"
    lengths = {count(place, name) for place in (values, table) if name in place}
    if len(lengths) == 2:
        raise ModelFolderError(f"config.json gives {name} twice, as {' and '.join(map(str, sorted(lengths)))}")
    return lengths.pop() if lengths else count(values, "max_position_embeddings")


def _attention_factor(factor: float, table: dict[str, Any]) -> float | None:
    """yarn's, if it is given, directly or as DeepSeek gives it; None if it follows from the factor."""
    if "attention_factor" in table:
        return table["attention_factor"]
    if not table.get("mscale") or not table.get("mscale_all_dim"):
        return None
    upper, lower = (0.1 * real(table, name, 1.0) * math.log(factor) + 1 for name in ("mscale", "mscale_all_dim"))
    return upper / lower if factor > 1 else 1.0


def _scaling_to_hugging_face(scaling: RopeScaling | None) -> dict[str, Any]:
    if scaling is None:
        return {}
    hf: dict[str, Any] = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind != "linear":
        hf["original_max_position_embeddings"] = scaling.original_context_length
    if scaling.kind == "llama3":
        hf |= {"low_freq_factor": scaling.low_freq_factor, "high_freq_factor": scaling.high_freq_factor}
    if scaling.kind == "yarn":
        hf |= {"beta_fast": scaling.beta_fast, "beta_slow": scaling.beta_slow}
        hf |= {} if scaling.truncate else {"truncate": False}
        hf |= {} if scaling.attention_factor is None else {"attention_factor": scaling.attention_factor}
    return hf


def _layers_without_rope(values: dict[str, Any]) -> tuple[int, ...]:
    """SmolLM3's: `no_rope_layers` has a 0 for each of them, and without that list they are every so many."""
    n_layers, switches = count_of_layers(values), values.get("no_rope_layers")
    if switches is None:
        interval = count(values, "no_rope_layer_interval", standard=4)
        return tuple(range(interval - 1, n_layers, interval))
    if not isinstance(switches, list) or len(switches) < n_layers or any(on not in (0, 1) for on in switches):
        raise ModelFolderError(
            f"config.json: no_rope_layers must hold 0 or 1 for each of {n_layers} layers, got {shown(switches)}"
        )
    return tuple(layer for layer in range(n_layers) if not switches[layer])


def _windows(values: dict[str, Any], family: str, without_rope: tuple[int, ...]) -> dict[str, Any]:
    """How far back a token sees, and in which layers."""
    has_window = family in ("mistral", "mixtral") or (family != "llama" and flag(values, "use_sliding_window"))
    window = count(values, "sliding_window") if has_window and "sliding_window" in values else None
    if family == "qwen3_moe" and window is not None and values.get("max_window_layers", 0) != 0:
        raise ModelFolderError(
            "config.json asks for a sliding window with max_window_layers, of which releases of transformers make "
            "different layers; remove max_window_layers if all layers have the window"
        )
    if family not in FAMILIES_WITH_LAYER_TYPES:
        return {"sliding_window": window}
    windowed = _windowed_layers(values, family, without_rope) if window or "layer_types" in values else ()
    if windowed and window is None:
        raise ModelFolderError(
            f"config.json asks for a sliding window in {len(windowed)} of its layers by layer_types, and gives none: "
            "use_sliding_window must be true, and sliding_window a number"
        )
    return {"sliding_window": window, "windowed_layers": windowed}


def _windowed_layers(values: dict[str, Any], family: str, without_rope: tuple[int, ...]) -> tuple[int, ...]:
    """What `layer_types` says; without it, Qwen has windows from a layer on, and SmolLM3 where there is no RoPE."""
    n_layers, kinds = count_of_layers(values), values.get("layer_types")
    if kinds is None:
        first = 0 if family == "smollm3" else count(values, "max_window_layers", least=0)
        return without_rope if family == "smollm3" else tuple(range(first, n_layers))
    if not isinstance(kinds, list) or len(kinds) != n_layers:
        raise ModelFolderError(f"config.json: layer_types must list {n_layers} layers, got {shown(kinds)}")
    for kind in kinds:
        if kind not in ("full_attention", "sliding_attention"):
            raise ModelFolderError(
                f"config.json asks for layer_types {shown(kind)}; llm101 computes full_attention and sliding_attention"
            )
    return tuple(layer for layer, kind in enumerate(kinds) if kind == "sliding_attention")
