"""The index of a model that is too large for one file: which of several, called shards, holds which tensor.

    {"metadata": {"total_size": 10951168}, "weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors", ...}}

It does not open the shards. Nothing in an index is believed: a shard lies beside it, and holds what the index says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from llm101.outside.strict_json import read_strict_json, shown
from llm101.parameters.errors import ParameterFileError


def is_index(path: Path) -> bool:
    """Whether a file of that name lists shards.

    Example:
        >>> is_index(Path("model.safetensors.index.json")), is_index(Path("model.safetensors"))
        (True, False)
    """
    return path.name.endswith(".safetensors.index.json")


def read_index(path: Path) -> dict[str, str]:
    """For each tensor, the name of the shard that holds it.

    Raises:
        ParameterFileError: not an index, or one that names anything else than safetensors files beside it.
    """
    try:
        shard_of = read_strict_json(path).get("weight_map")
    except ValueError as error:
        raise ParameterFileError(str(error)) from None
    if not isinstance(shard_of, dict) or not all(isinstance(shard, str) for shard in shard_of.values()):
        raise ParameterFileError(f"{path}: weight_map must be a table from tensors to files")
    for shard in shard_of.values():
        if Path(shard).name != shard or "\\" in shard or not shard.endswith(".safetensors"):
            raise ParameterFileError(f"{path}: {shown(shard)} is not the name of a safetensors file beside it")
    return shard_of


def check_index(path: Path, shard_of: Mapping[str, str], found: Mapping[str, Iterable[str]]) -> None:
    """Compare what an index says with what its shards hold.

    Args:
        path: of the index, for the message.
        shard_of: what it says.
        found: for each shard, the tensors in it.

    Raises:
        ParameterFileError: a tensor that lies elsewhere, or nowhere.
    """
    for shard, names in found.items():
        for name in names:
            if shard_of.get(name) != shard:
                raise ParameterFileError(
                    f"{path} does not say that {shown(name)} lies in {shown(shard)}; is it the right index?"
                )
    lost = shard_of.keys() - {name for names in found.values() for name in names}
    if lost:
        raise ParameterFileError(f"{path}: {shown(min(lost))} is not in {shown(shard_of[min(lost)])}")
