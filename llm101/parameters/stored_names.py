"""Under which names, and how laid out, a model's tensors stand in its file.

It knows names and shapes, and reads no numbers. Most files of Hugging Face's use the very names of model.py. Mixtral's
have names of their own for what is the same, and other formats store all experts of a layer as one tensor, or the rows
of q and k in another order: filling.py undoes that.

Reading order: StoredAs, stored_names, then each layout.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm101.model import ModelConfig
from llm101.parameters.parameter_file import ParameterFile


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
    if any(".block_sparse_moe." in name for name in parameters.tensors):
        return {name: StoredAs(_mixtral(name)) for name in names}
    return {name: StoredAs(name) for name in names}


def _mixtral(name: str) -> str:
    """Mixtral's name for it.

    Example:
        >>> _mixtral("model.layers.3.mlp.experts.7.down_proj.weight")
        'model.layers.3.block_sparse_moe.experts.7.w2.weight'
    """
    if ".mlp." not in name:
        return name
    layer, part = name.split(".mlp.")
    for ours, theirs in (("gate_proj", "w1"), ("down_proj", "w2"), ("up_proj", "w3")):
        part = part.replace(ours, theirs)
    return f"{layer}.block_sparse_moe.{part}"
