"""Hugging Face's tokenizer.json on disk: read, and written in one step.

It knows the file; what stands in it is looked at by file_content.py and put to work by one of two kinds of encoding.
What a GGUF file says instead is told as the same content.

Reading order: read_tokenizer_file, encoding_of, encoding_of_gguf, write_tokenizer_file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm101.outside.atomic_file import atomic_file, reason
from llm101.outside.strict_json import shown, strict_json
from llm101.tokenizer.byte_level import ByteLevelBPE
from llm101.tokenizer.byte_level_file import byte_level_parts, content_of
from llm101.tokenizer.file_content import Table, check_content
from llm101.tokenizer.gguf_content import gguf_content
from llm101.tokenizer.library_encoding import LibraryEncoding
from llm101.tokenizer.parts import TokenizerError, TokenizerParts

MAX_FILE_BYTES = 200_000_000
"""No tokenizer.json in use comes near this size; a larger file is not one."""

Encoding = ByteLevelBPE | LibraryEncoding


def read_tokenizer_file(path: Path) -> Encoding:
    """Read a tokenizer.json.

    Raises:
        TokenizerError: not there, not such a file, or one that asks for what llm101 does not do; the line begins with
            its name.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TokenizerError(f"{path}: {path.stat().st_size:,} bytes is too large for a tokenizer.json")
        data = path.read_bytes()
    except OSError as error:
        raise TokenizerError(f"cannot read {path}: {reason(error)}") from None
    except UnicodeError:
        raise TokenizerError(f"no tokenizer file: {shown(str(path))} holds half of a character") from None
    try:
        return encoding_of(path.parent.name or path.stem, data)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None
    except ValueError as error:
        raise TokenizerError(f"{path} is not a tokenizer.json: {error}") from None


def encoding_of(name: str, data: bytes) -> Encoding:
    """What a tokenizer.json describes: byte-level BPE where that does exactly what it says, else through `tokenizers`.

    Raises:
        ValueError: no JSON.
        TokenizerError: a content that is not to be had.
    """
    parts = _parts(name, strict_json(data))
    return ByteLevelBPE(parts) if parts else LibraryEncoding(name, data)


def encoding_of_gguf(name: str, metadata: Mapping[str, Any]) -> Encoding:
    """The same for what a GGUF file says.

    Raises:
        TokenizerError: as for encoding_of.
    """
    content = gguf_content(metadata)
    parts = _parts(name, content)
    if not parts:
        return LibraryEncoding(name, json.dumps(content).encode())
    del content  # as large as what is made of it
    return ByteLevelBPE(parts)


def _parts(name: str, content: Table) -> TokenizerParts | None:
    """What byte-level BPE is made of, if that does exactly what a content says."""
    check_content(content)
    return byte_level_parts(name, content)


def write_tokenizer_file(encoding: Encoding, path: Path) -> None:
    """Write a tokenizer; what `tokenizers` reads for us is written as it was read.

    Raises:
        TokenizerError: the file cannot be written.
    """
    if isinstance(encoding, LibraryEncoding):
        data = encoding.data
    else:
        data = json.dumps(content_of(encoding.parts), ensure_ascii=False, indent=1).encode()
    try:
        with atomic_file(path) as file:
            file.write(data)
    except OSError as error:
        raise TokenizerError(f"cannot write {path}: {reason(error)}") from None
