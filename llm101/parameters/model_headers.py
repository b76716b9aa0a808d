"""The headers of all files that make one model, read and compared: of one file, or of shards.

It knows nothing of numbers. What an index says is in shard_index.py, what GGUF shards say of each other in
gguf_shards.py, what one file says in file_header.py.

Reading order: model_headers, then the two ways.
"""

from __future__ import annotations

from pathlib import Path

from llm101.parameters.errors import ParameterFileError
from llm101.parameters.file_header import FileHeader, header_of
from llm101.parameters.gguf_shards import check_shard, check_sum, shards_of
from llm101.parameters.opened_file import OpenedFile
from llm101.parameters.shard_index import check_index, is_index, read_index


def model_headers(path: Path) -> dict[OpenedFile, FileHeader]:
    """Each file of the model, and what its header says; the file that begins the model comes first.

    Args:
        path: the only file, an index, or one of several GGUF shards.

    Raises:
        ParameterFileError: a file that is missing, no parameter file, or not of the same model as the others.
    """
    if is_index(path):
        return _by_index(path)
    file = OpenedFile.at(path)
    header = header_of(file)
    shards = shards_of(path, header.gguf_metadata)
    return {file: header} if len(shards) == 1 else _by_name(shards)


def _by_index(path: Path) -> dict[OpenedFile, FileHeader]:
    shard_of = read_index(path)
    files = [OpenedFile.at(path.parent / shard) for shard in sorted(set(shard_of.values()))]
    headers = {file: header_of(file) for file in files}
    check_index(path, shard_of, {file.path.name: header.tensors for file, header in headers.items()})
    return headers


def _by_name(shards: list[Path]) -> dict[OpenedFile, FileHeader]:
    headers: dict[OpenedFile, FileHeader] = {}
    first: FileHeader | None = None
    for number, shard in enumerate(shards):
        try:
            file = OpenedFile.at(shard)
        except ParameterFileError as error:
            raise ParameterFileError(
                f"{error}; the model lies in {len(shards)} files, and this one is missing"
            ) from None
        header = headers[file] = header_of(file)
        first = first or header
        check_shard(shard, number, first.gguf_metadata, header.gguf_metadata)
    names = [name for header in headers.values() for name in header.tensors]
    if len(set(names)) < len(names):
        raise ParameterFileError(f"{shards[0]}: a tensor lies in two of its {len(shards)} files")
    check_sum(shards[0], next(iter(headers.values())).gguf_metadata, len(names))
    return headers
