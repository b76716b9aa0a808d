"""Documents: texts from a file, a folder or a hub dataset, one after the other.

It knows files and nothing of tokens. Nothing is downloaded unless the reader names a dataset of the hub.

Reading order: documents, then the two places where texts come from: _file_documents, _hub_documents.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from pathlib import Path

from llm101.outside.atomic_file import reason
from llm101.tokenizer import END_OF_TEXT

TEXT_ENDINGS = (".txt", ".md")
READ_BYTES = 4_000_000


class CorpusError(ValueError):
    """Text that cannot be read as a corpus, or a corpus folder that is not one."""


def documents(source: str | os.PathLike[str]) -> Iterator[str]:
    """The texts of one source, one after the other; no more than one of them has to fit into memory.

    Args:
        source: a text file (texts separated by `<|endoftext|>`), a folder (all .txt and .md files in it), or the
            name of a Hugging Face dataset such as `roneneldan/TinyStories` (downloaded; `:valid` or another
            split may follow; needs the package `datasets`). Line breaks at both ends of a text are left out,
            and a byte order mark at the beginning of a file; all else stays as it is.

    Raises:
        CorpusError: no such source, or not UTF-8 text.
    """
    path = Path(source)
    if path.is_dir() and str(source):
        files = text_files(path)
        if not files:
            raise CorpusError(f"no {' or '.join(TEXT_ENDINGS)} files in {path}")
        for file in files:
            yield from _file_documents(file)
    elif path.is_file():
        yield from _file_documents(path)
    elif path.exists() and str(source):
        raise CorpusError(f"{source} is neither a file nor a folder")
    elif is_hub_name(str(source)):
        yield from _hub_documents(str(source))
    else:
        raise CorpusError(f"no file or folder {str(source)!r}; a hub dataset is named owner/name")


def text_files(folder: Path) -> list[Path]:
    """The files of a folder that count as its texts, in the order in which they are read."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in TEXT_ENDINGS and p.is_file())


def n_bytes_of(source: str | os.PathLike[str]) -> int | None:
    """Bytes of a file, or of the texts in a folder; None if it is neither."""
    path = Path(source)
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in text_files(path)) if path.is_dir() else None


def is_hub_name(source: str) -> bool:
    """Whether it could be owner/name on the hub, and not a file whose name has a slip of the pen.

    Example:
        >>> is_hub_name("roneneldan/TinyStories:valid"), is_hub_name("stories/train.txt")
        (True, False)
    """
    path = Path(source)
    is_path = source.startswith((".", "/", "~")) or path.suffix.lower() in TEXT_ENDINGS or path.parent.is_dir()
    return source.count("/") == 1 and not is_path


def _file_documents(path: Path) -> Iterator[str]:
    """Read a file bit by bit; what may be the first half of a separator waits for the next bit."""
    pieces: list[str] = []  # of the text that is being read
    held, half = "", len(END_OF_TEXT) - 1
    for part in _decoded(path):
        *complete, held = (held + part).split(END_OF_TEXT)
        for end in complete:
            if text := "".join([*pieces, end]).strip("\r\n"):
                yield text
            pieces = []
        pieces.append(held[:-half])
        held = held[-half:]
    if text := "".join([*pieces, held]).strip("\r\n"):
        yield text


def _decoded(path: Path) -> Iterator[str]:
    """The text of a file in parts of READ_BYTES."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0  # of the bytes that the decoder sees next, those that it kept from the last part included
    try:
        with path.open("rb") as file:
            while data := file.read(READ_BYTES):
                if b"\0" in data:
                    zero = file.tell() - len(data) + data.index(0)
                    raise CorpusError(f"{path} is not text: a zero byte at offset {zero:,}")
                part = decoder.decode(data)
                yield part if offset else part.removeprefix("\ufeff")
                offset = file.tell() - len(decoder.getstate()[0])
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 text: an odd byte at offset {offset + error.start:,}") from None
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {reason(error)}") from None


def _hub_documents(name: str) -> Iterator[str]:
    try:  # an optional package, and the only thing here that downloads
        from datasets import load_dataset  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise CorpusError(
            f"no file or folder {name}. If it is a hub dataset, install what reads those: pip install 'llm101[hub]'"
        ) from None
    dataset, _, split = name.partition(":")
    try:
        rows = load_dataset(dataset, split=split or "train", streaming=True)
        for row in rows:
            if not isinstance(row.get("text"), str):
                raise CorpusError(f"dataset {name} has no column `text`; it has {', '.join(row)}")
            if text := row["text"].strip("\r\n"):
                yield text
    except CorpusError:
        raise
    except Exception as error:  # the hub client raises dozens of kinds, from many packages
        reason = str(error).strip().splitlines()
        raise CorpusError(f"cannot read dataset {name}: {reason[0] if reason else type(error).__name__}") from None
