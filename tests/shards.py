"""The same model in several files, as those that are too large for one are published."""

from __future__ import annotations

import json
from pathlib import Path

from llm101.parameters import ParameterFile, write_parameters

INDEX = "model.safetensors.index.json"


def split_into_shards(folder: Path, n_files: int = 2) -> Path:
    """Replace a folder's model.safetensors by so many shards and their index."""
    whole = ParameterFile(folder / "model.safetensors")
    names, weight_map = list(whole.tensors), {}
    for i in range(n_files):
        part = names[i * len(names) // n_files : (i + 1) * len(names) // n_files]
        shard = f"model-{i + 1:05}-of-{n_files:05}.safetensors"
        write_parameters(folder / shard, {name: whole.tensor(name) for name in part}, whole.metadata)
        weight_map |= dict.fromkeys(part, shard)
    total_size = sum(entry.n_bytes for entry in whole.tensors.values())
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=2))
    (folder / "model.safetensors").unlink()
    return folder
