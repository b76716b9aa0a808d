"""The corpus: texts, turned into one long row of token ids on disk.

It knows tokenizers, but neither where texts come from (documents.py) nor models or training. On disk a corpus
is two files: `tokens.bin`, the ids as plain 16- or 32-bit whole numbers, and `corpus.json`, what they are. The
ids are memory-mapped: a corpus larger than memory costs nothing to open.

    <end> first text <end> second text <end> ... last text <end>

Reading order: CorpusFacts, Corpus.build, then the rest of Corpus.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llm101.corpus.documents import CorpusError, documents, n_bytes_of
from llm101.outside import given
from llm101.outside.atomic_file import reason
from llm101.tokenizer import END_OF_TEXT, Tokenizer

BATCH_CHARACTERS = 4_000_000

Progress = Callable[[int, "int | None"], None]
"""Called with bytes of text done and, where known, bytes in all."""


@dataclass(frozen=True)
class CorpusFacts:
    """What `corpus.json` says about `tokens.bin`."""

    n_tokens: int
    """Ids in the file, end-of-text tokens included."""
    n_documents: int
    n_bytes: int
    """Bytes of UTF-8 text, without separators: what bits per byte are counted against."""
    dtype: str
    """uint16 or uint32, little-endian."""
    vocab_size: int
    end_id: int
    sha256: str
    """Of tokens.bin, so that a run can tell whether its corpus has changed."""
    sources: list[str]


class Corpus:
    """Token ids on disk, memory-mapped.

    Example:
        >>> import tempfile
        >>> tokenizer = Tokenizer.train(["a cat", "a dog"], 257)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     corpus = Corpus.from_texts(["a cat", "a dog"], tokenizer, folder)
        ...     print(corpus.facts.n_documents, corpus.facts.n_tokens, corpus.token_ids[:3].tolist())
        2 13 [256, 97, 32]
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            self.folder = given.path(folder)
        except ValueError as error:
            raise CorpusError(f"no prepared corpus: {error}") from None
        try:
            self.facts = CorpusFacts(**json.loads((self.folder / "corpus.json").read_text(encoding="utf-8")))
            n_bytes = (self.folder / "tokens.bin").stat().st_size
        except (OSError, ValueError, TypeError) as error:
            raise CorpusError(f"{self.folder} is not a prepared corpus: {error}") from None
        counts = (self.facts.n_tokens, self.facts.n_documents, self.facts.n_bytes, self.facts.vocab_size)
        if not all(type(count) is int and count > 0 for count in counts):
            raise CorpusError(f"{self.folder} is not a prepared corpus: its counts must be whole numbers above 0")
        if self.facts.dtype not in ("uint16", "uint32"):
            raise CorpusError(f"{self.folder}: dtype must be uint16 or uint32, got {self.facts.dtype!r}")
        if n_bytes != self.facts.n_tokens * np.dtype(self.facts.dtype).itemsize:
            raise CorpusError(f"{self.folder}: tokens.bin has {n_bytes:,} bytes, not {self.facts.n_tokens:,} tokens")

    @cached_property
    def token_ids(self) -> npt.NDArray[np.integer]:
        """All ids in order, [n_tokens], read from disk as they are looked at."""
        return np.memmap(self.folder / "tokens.bin", dtype=np.dtype(self.facts.dtype).newbyteorder("<"), mode="r")

    @cached_property
    def document_starts(self) -> npt.NDArray[np.int64]:
        """Where each text starts: the positions of the end-of-text tokens *before* them, [n_documents]."""
        return np.flatnonzero(self.token_ids == self.facts.end_id)[:-1]

    @classmethod
    def build(
        cls,
        sources: Iterable[str | os.PathLike[str]],
        tokenizer: Tokenizer,
        folder: str | os.PathLike[str],
        progress: Progress | None = None,
    ) -> Corpus:
        """Read sources, encode them on two threads, write them to a folder.

        Raises:
            CorpusError: a source that cannot be read, no text at all, or no room; nothing is left behind then.
        """
        if isinstance(sources, (str, os.PathLike)):
            raise CorpusError(f"sources must be several, got the single {str(sources)!r}: put it into a list")
        sources = [str(source) for source in sources]
        sizes = [n_bytes_of(source) for source in sources]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        texts = (text for source in sources for text in documents(source))
        return cls.from_texts(texts, tokenizer, folder, sources=sources, progress=progress, total=total)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        tokenizer: Tokenizer,
        folder: str | os.PathLike[str],
        *,
        sources: list[str] | None = None,
        progress: Progress | None = None,
        total: int | None = None,
    ) -> Corpus:
        """Encode texts and write them to a folder; see build."""
        folder, texts = Path(folder), given.texts(texts)
        if tokenizer.end_id is None:
            raise CorpusError(f"tokenizer {tokenizer.name} has no {END_OF_TEXT} to put between texts")
        for there in (folder, _partial(folder)):
            if not is_only_corpus(there):
                raise CorpusError(f"{there} holds something else than a corpus; choose another folder")
        try:
            with _new_folder(folder) as partial:
                facts = _write_tokens(texts, tokenizer, partial / "tokens.bin", sources or [], progress, total)
                (partial / "corpus.json").write_text(json.dumps(asdict(facts), indent=1), encoding="utf-8")
        except OSError as error:
            raise CorpusError(f"cannot write the corpus to {folder}: {reason(error)}") from None
        return cls(folder)

    def hold_back(self, share: float, tokenizer: Tokenizer, train: Path, valid: Path) -> tuple[Corpus, Corpus]:
        """Copy the corpus as two: all but the last part, and the last part, which is then never trained on.

        The cut falls before a text where the last part has a beginning of one, else inside the last text.

        Args:
            share: of the tokens to hold back, at least.
            tokenizer: the one it was encoded with; it tells how many bytes each token stands for.
            train, valid: folders to write.
        """
        if not 0 < share < 1:
            raise ValueError(f"share must lie between 0 and 1, got {share}")
        cut = int(self.facts.n_tokens * (1 - share))
        before = self.document_starts[np.searchsorted(self.document_starts, cut, side="right") - 1]
        if before > self.facts.n_tokens * (1 - 2 * share):
            cut = int(before)
        parts = []
        for folder, ids in ((train, self.token_ids[:cut]), (valid, self.token_ids[cut:])):
            is_end = ids == self.facts.end_id
            if is_end.all():
                raise CorpusError(f"{self.facts.n_bytes:,} bytes of text are too little to hold {share:.0%} back")
            texts = [text[text != self.facts.end_id] for text in np.split(ids, np.flatnonzero(is_end))]
            # A cut inside a text can fall inside a character, whose bytes then count for neither part.
            decoded = (tokenizer.decode_bytes(text.tolist()).decode("utf-8", "ignore") for text in texts)
            parts.append(Corpus.from_texts(filter(None, decoded), tokenizer, folder, sources=self.facts.sources))
        return parts[0], parts[1]


def is_only_corpus(folder: Path) -> bool:
    """Whether a folder, where there is one, holds a corpus or half of one and nothing else, so that it may be replaced.

    Example:
        >>> is_only_corpus(Path("nowhere")), is_only_corpus(Path(__file__).parent)
        (True, False)
    """
    if not os.path.lexists(folder):
        return True
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {"tokens.bin", "corpus.json"}


def _partial(folder: Path) -> Path:
    """Where a corpus is written until it is complete."""
    return folder.with_name(folder.name + ".partial")


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A place for files that becomes `folder`, in one step, once all of them are written; else nothing is left."""
    partial = _partial(folder)
    shutil.rmtree(partial, ignore_errors=True)  # of an attempt that was killed
    made = [parent for parent in partial.parents if not parent.exists()]
    try:
        partial.mkdir(parents=True)
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in made:
            with suppress(OSError):
                parent.rmdir()
        raise


def _write_tokens(
    texts: Iterable[str],
    tokenizer: Tokenizer,
    path: Path,
    sources: list[str],
    progress: Progress | None,
    total: int | None,
) -> CorpusFacts:
    dtype = "uint16" if tokenizer.vocab_size <= 2**16 else "uint32"
    end_id = tokenizer.end_id
    assert end_id is not None
    digest = sha256()
    n_tokens = n_documents = n_bytes = 0
    with path.open("wb") as file:

        def write(ids: list[int]) -> None:
            nonlocal n_tokens
            data = np.asarray(ids, dtype=np.dtype(dtype).newbyteorder("<")).tobytes()
            digest.update(data)
            file.write(data)
            n_tokens += len(ids)

        write([end_id])
        for batch in _batches(texts):
            for ids in tokenizer.encode_many(batch):
                write([*ids, end_id])
            n_documents += len(batch)
            n_bytes += sum(len(text.encode("utf-8", "surrogateescape")) for text in batch)
            if progress:
                progress(n_bytes, total)
        file.flush()
        os.fsync(file.fileno())
    if not n_bytes:
        raise CorpusError(f"no text in {', '.join(sources) or 'the corpus'}")
    return CorpusFacts(n_tokens, n_documents, n_bytes, dtype, tokenizer.vocab_size, end_id, digest.hexdigest(), sources)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
