"""A GGUF model in several files: NAME-00001-of-00003.gguf and so on, each of which says how many there are.

It opens no files. Nothing that a shard says is believed before it fits its name and the other shards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm101.outside.strict_json import shown
from llm101.parameters.errors import ParameterFileError

SHARD_NAME = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def shards_of(path: Path, metadata: Mapping[str, Any]) -> list[Path]:
    """All files of the model of which this is one, in their order; itself alone, if it is all of it.

    Args:
        path: of one file.
        metadata: what it says.

    Raises:
        ParameterFileError: it says that there are others, and its name does not tell their names.

    Example:
        >>> [shard.name for shard in shards_of(Path("m-00001-of-00002.gguf"), {"split.count": 2})]
        ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf']
    """
    count = metadata.get("split.count", 1)
    if count in (0, 1):
        return [path]
    name = SHARD_NAME.fullmatch(path.name)
    if name is None or int(name["count"]) != count or not 1 <= int(name["number"]) <= count:
        raise ParameterFileError(
            f"{path} says that it is one of {shown(count)} files, and so should be called "
            "NAME-00001-of-0000N.gguf as the others beside it"
        )
    return [path.with_name(f"{name['stem']}-{i:05}-of-{name['count']}.gguf") for i in range(1, count + 1)]


def check_shard(path: Path, number: int, first: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """See that a shard is the one that its name says, of the same model as the first.

    Args:
        path: of the shard, for the message.
        number: which one it is, counted from 0.
        first, metadata: what the first shard says, and what this one.

    Raises:
        ParameterFileError: it is another.
    """
    for key, expected in (("split.no", number), ("split.count", first.get("split.count"))):
        if metadata.get(key) != expected:
            raise ParameterFileError(
                f"{path}: {key} should be {shown(expected)}, and is {shown(metadata.get(key))}: of another model?"
            )


def check_sum(path: Path, first: Mapping[str, Any], n_tensors: int) -> None:
    """See that all shards together hold what the first says.

    Raises:
        ParameterFileError: more tensors, or fewer.
    """
    claimed = first.get("split.tensors.count", n_tensors)
    if claimed != n_tensors:
        raise ParameterFileError(f"{path} says that there are {shown(claimed)} tensors; all shards hold {n_tensors:,}")
