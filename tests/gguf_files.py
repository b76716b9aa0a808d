"""GGUF files as llama.cpp's converter would write them, from small random models of transformers: for tests.

The names of tensors are the `gguf` package's own, and q and k are reordered as its documentation says, so that nothing
here leans on what is tested.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, get_tensor_name_map
from gguf.quants import quantize

Kind = GGMLQuantizationType
K_BLOCKS = {"Q4_K": 144, "Q5_K": 176, "Q6_K": 210}
"""Kinds that `gguf` reads and does not write, with the bytes of a block of 256."""


def write_gguf(
    path: Path,
    metadata: dict[str, Any],
    tensors: dict[str, np.ndarray],
    kind: str = "F32",
    *,
    architecture: str = "llama",
    **more: Any,
) -> Path:
    """A file with these values and tensors; matrices are stored as numbers of this kind, vectors as float32."""
    writer = GGUFWriter(path, architecture, **more)
    for key, value in metadata.items():
        _add(
            writer,
            key if "." in key and key.split(".")[0] in ("general", "tokenizer") else f"{architecture}.{key}",
            value,
        )
    for name, tensor in tensors.items():
        if kind == "F32" or tensor.ndim == 1:
            writer.add_tensor(name, np.ascontiguousarray(tensor, np.float32))
        else:
            writer.add_tensor(name, quantised(tensor, kind), raw_dtype=Kind[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    kinds = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
    kinds.get(type(value), writer.add_array)(key, value)


def quantised(tensor: np.ndarray, kind: str) -> np.ndarray:
    """Its blocks as bytes; random ones where `gguf` cannot quantise."""
    if kind in K_BLOCKS:
        return random_blocks(kind, tensor.shape)
    return quantize(np.ascontiguousarray(tensor, np.float32), Kind[kind])


def random_blocks(kind: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Valid blocks whose every bit is random, but for small scales."""
    n_bytes, rng = K_BLOCKS[kind], np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (*shape[:-1], shape[-1] // 256, n_bytes), dtype=np.uint8)
    scales = (rng.uniform(0.5, 1, (*blocks.shape[:-1], 2)) * 2e-4).astype(np.float16).view(np.uint8)
    if kind == "Q6_K":
        blocks[..., 208:210] = scales[..., :2]
    else:
        blocks[..., :4] = scales
    return blocks.reshape(*shape[:-1], -1)


ARCHITECTURES = {
    "llama": "llama", "mistral": "llama", "mixtral": "llama", "qwen2": "qwen2", "qwen3": "qwen3",
    "qwen3_moe": "qwen3moe", "smollm3": "smollm3",
}  # fmt: skip
"""transformers' names for families, and llama.cpp's."""


def metadata_of(config: Any) -> dict[str, Any]:
    """What the converter says of a model."""
    heads = config.num_attention_heads
    rope = config.rope_parameters
    metadata = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.freq_base": float(rope["rope_theta"]),
    }
    if getattr(config, "head_dim", None):
        metadata |= {"attention.key_length": config.head_dim, "attention.value_length": config.head_dim}
    n_experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    if n_experts:
        metadata |= {"expert_count": n_experts, "expert_used_count": config.num_experts_per_tok}
        if hasattr(config, "moe_intermediate_size"):
            metadata["expert_feed_forward_length"] = config.moe_intermediate_size
    if rope["rope_type"] in ("linear", "yarn"):
        metadata |= {"rope.scaling.type": rope["rope_type"], "rope.scaling.factor": float(rope["factor"])}
    if rope["rope_type"] == "yarn":
        metadata["rope.scaling.original_context_length"] = rope["original_max_position_embeddings"]
    return metadata


def tensors_of(model: Any) -> dict[str, np.ndarray]:
    """The model's tensors under llama.cpp's names, as it orders them."""
    found: dict[str, np.ndarray] = {}
    for name, tensor in unstacked(model.state_dict()).items():
        theirs, n_heads = place_of(name, model.config)
        numbers = tensor.detach().float().numpy()
        found[theirs] = numbers[interleaving(len(numbers), n_heads)] if n_heads else numbers
    if model.config.tie_word_embeddings:
        del found["output.weight"]
    return found | rope_factors(model.config)


def fill(model: Any, tensors: dict[str, np.ndarray]) -> Any:
    """The same model with these numbers, which tensors_of would give."""
    tensors = {"output.weight": tensors["token_embd.weight"]} | tensors
    for name, tensor in unstacked(model.state_dict()).items():
        theirs, n_heads = place_of(name, model.config)
        rows = np.argsort(interleaving(len(tensor), n_heads)) if n_heads else ...
        tensor.copy_(torch.from_numpy(tensors[theirs][rows].copy()))
    return model


def place_of(name: str, config: Any) -> tuple[str, int]:
    """llama.cpp's name, and to how many heads its rows belong, if it reorders them."""
    family = ARCHITECTURES[config.model_type]
    names = get_tensor_name_map(MODEL_ARCH[family.upper()], config.num_hidden_layers)
    theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
    assert theirs is not None, name
    if family in ("llama", "smollm3") and ".q_proj." in name:
        return theirs, config.num_attention_heads
    if family in ("llama", "smollm3") and ".k_proj." in name:
        return theirs, config.num_key_value_heads
    return theirs, 0


def interleaving(n_rows: int, n_heads: int) -> list[int]:
    """The converter's order of the rows of q or k: of the n of each head 0, n/2, 1, n/2 + 1, ..."""
    n = n_rows // n_heads
    return [head * n + half * (n // 2) + i for head in range(n_heads) for i in range(n // 2) for half in (0, 1)]


def unstacked(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With transformers' joined gate_up_proj of experts taken apart."""
    found = {}
    for name, tensor in state.items():
        if name.endswith("experts.gate_up_proj"):
            gate, up = tensor.chunk(2, dim=1)
            found[name.replace("gate_up_proj", "gate_proj.weight")] = gate
            found[name.replace("gate_up_proj", "up_proj.weight")] = up
        elif name.endswith("experts.down_proj"):
            found[f"{name}.weight"] = tensor
        else:
            found[name] = tensor
    return found


def rope_factors(config: Any) -> dict[str, np.ndarray]:
    """The tensor that stands for Llama 3.1's RoPE scaling: how many times more slowly each pair turns."""
    rope = config.rope_parameters
    if rope["rope_type"] != "llama3":
        return {}
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    factors = []
    for i in range(0, width, 2):
        wavelength = 2 * np.pi * rope["rope_theta"] ** (i / width)
        turns = rope["original_max_position_embeddings"] / wavelength
        smooth = (turns - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
        smooth = min(max(smooth, 0), 1)
        factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return {"rope_freqs.weight": np.array(factors, np.float32)}
