"""Under which names, and how laid out, a model's tensors stand in its file.

It knows names and shapes, and reads no numbers. Most files of Hugging Face's use the very names of model.py. Mixtral's
have names of their own for what is the same, and other formats store all experts of a layer as one tensor, or the rows
of q and k in another order: filling.py undoes that.

Reading order: StoredAs, stored_names, then each layout (GGUF_NAMES: llama.cpp's names for the parts).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llm101.model import ModelConfig
from llm101.parameters.parameter_file import ParameterFile

INTERLEAVED = ("llama", "smollm3")
"""Architectures for which llama.cpp turns neighbours in a head, so that its converter reorders the rows of q and k."""

GGUF_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
}  # fmt: skip
"""llama.cpp's names for the parts of a model, and for those of a layer."""

_LAYER = re.compile(r"model\.layers\.(\d+)\.(.*)")
_EXPERT = re.compile(r"mlp\.experts\.(\d+)\.(.*)")


@dataclass(frozen=True)
class StoredAs:
    """Where one tensor of the model stands in a file."""

    name: str
    """The tensor of the file."""
    expert: int | None = None
    """Which part of it, if the file stacks the matrices of all experts of a layer along a first axis."""
    interleaved_heads: int = 0
    """If not 0: the rows belong to so many heads, and of each head the two numbers that RoPE turns together stand
    side by side (0 and 1, 2 and 3, ...), where model.py has them half a head apart."""


def stored_names(config: ModelConfig, parameters: ParameterFile) -> dict[str, StoredAs]:
    """For every tensor of such a model, where it stands in this file; it need not be there.

    Args:
        config: the model's shape; its tensors are those of `config.tensor_shapes()`.
        parameters: the file, of which only the names are looked at.

    Example:
        >>> import llm101
        >>> lm = llm101.load("storyteller")
        >>> stored_names(lm.model.config, lm.parameters)["model.norm.weight"]
        StoredAs(name='model.norm.weight', expert=None, interleaved_heads=0)
    """
    names = config.tensor_shapes()
    architecture = parameters.gguf_metadata.get("general.architecture")
    if architecture is not None:
        stacked = any(".ffn_gate_exps." in name for name in parameters.tensors)
        heads = (config.n_heads, config.n_kv_heads) if architecture in INTERLEAVED else (0, 0)
        return {name: _gguf(name, heads, stacked) for name in names}
    if any(".block_sparse_moe." in name for name in parameters.tensors):
        return {name: StoredAs(mixtral_name(name)) for name in names}
    return {name: StoredAs(name) for name in names}


def mixtral_name(name: str) -> str:
    """Mixtral's name for it.

    Example:
        >>> mixtral_name("model.layers.3.mlp.experts.7.down_proj.weight")
        'model.layers.3.block_sparse_moe.experts.7.w2.weight'
    """
    if ".mlp." not in name:
        return name
    layer, part = name.split(".mlp.")
    for ours, theirs in (("gate_proj", "w1"), ("down_proj", "w2"), ("up_proj", "w3")):
        part = part.replace(ours, theirs)
    return f"{layer}.block_sparse_moe.{part}"


def _gguf(name: str, heads: tuple[int, int], stacked: bool) -> StoredAs:
    """Where a GGUF file has it.

    Args:
        name: ours.
        heads: how many the interleaved rows of q and of k belong to; 0 if they are in our order.
        stacked: whether a tensor holds the same matrix of all experts of a layer, as all but the oldest files have it.

    Example:
        >>> _gguf("model.layers.3.self_attn.k_proj.weight", heads=(9, 3), stacked=True)
        StoredAs(name='blk.3.attn_k.weight', expert=None, interleaved_heads=3)
        >>> _gguf("model.layers.3.mlp.experts.7.up_proj.weight", heads=(9, 3), stacked=True)
        StoredAs(name='blk.3.ffn_up_exps.weight', expert=7, interleaved_heads=0)
    """
    part, kind = name.rsplit(".", 1)  # kind: weight or bias
    in_layer = _LAYER.fullmatch(part)
    if in_layer is None:
        return StoredAs(f"{GGUF_NAMES[part]}.{kind}")
    layer, part = in_layer.groups()
    of_expert = _EXPERT.fullmatch(part)
    if of_expert is None:
        interleaved = heads[0] * (part == "self_attn.q_proj") + heads[1] * (part == "self_attn.k_proj")
        return StoredAs(f"blk.{layer}.{GGUF_NAMES[part]}.{kind}", interleaved_heads=interleaved)
    expert, matrix = int(of_expert[1]), GGUF_NAMES[f"mlp.{of_expert[2]}"]
    if stacked:
        return StoredAs(f"blk.{layer}.{matrix}_exps.{kind}", expert)
    return StoredAs(f"blk.{layer}.{matrix}.{expert}.{kind}")
