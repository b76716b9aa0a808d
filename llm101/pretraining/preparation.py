"""The preparation of a run: texts become a tokenizer and corpora in its folder.

It knows texts and the run folder, nothing of models. What is ready stays: a resumed run, or a second try after a
mistake, begins with it.

Reading order: look_at, prepare.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from llm101.corpus import Corpus, CorpusError, Progress, is_only_corpus
from llm101.corpus.documents import documents, is_hub_name, n_bytes_of
from llm101.model import ModelConfig
from llm101.outside.atomic_file import atomic_file
from llm101.pretraining.run_folder import RunFolder, RunFolderError
from llm101.tokenizer import Tokenizer

Source = str | os.PathLike[str]

HELD_BACK = 0.02
"""The share of the corpus that is kept for validation if no validation text is given."""


def look_at(sources: Sequence[Source], valid: Sequence[Source], config: ModelConfig) -> None:
    """See that all texts are there, and that they could fill a row, before the first of them is read.

    Raises:
        CorpusError: a source that is not there, two of one name to judge it on, or too little text for the context.
    """
    _names(valid)
    for source in [*sources, *valid]:
        if n_bytes_of(source) is None and not is_hub_name(str(source)):
            next(documents(source), None)  # says what is wrong with it
    sizes = [n_bytes_of(source) for source in sources]
    n_bytes = sum(size or 0 for size in sizes)
    # A token is a byte or more, and each text ends with one that stands for none.
    if None not in sizes and 2 * n_bytes < config.context_length:
        if all(next(documents(source), None) is None for source in sources):
            raise CorpusError(f"no text in {', '.join(map(str, sources))}")
        raise CorpusError(
            f"the corpus has {n_bytes:,} bytes, less than one row of {config.context_length} and its target; "
            "give more text or a shorter context"
        )


def prepare(
    folder: RunFolder,
    sources: Sequence[Source],
    valid: Sequence[Source],
    vocab_size: int,
    progress: Callable[[str], Progress] | None,
) -> None:
    """Train the tokenizer and encode the text, unless an earlier start of this run did."""
    corpus, texts = folder.path / "corpus", _texts(sources, valid, vocab_size)
    ready = corpus / "ready"
    if ready.exists():
        if (found := ready.read_text(encoding="utf-8")) in ("", texts):  # "": of a run that did not write them down
            return
        if folder.settings() is not None:
            raise RunFolderError(
                f"{folder.out} holds a run on other text ({found}, not {texts}); "
                "give the same to go on with it, or choose another folder"
            )
    all_texts = (text for source in sources for text in documents(source))
    first = next(all_texts, None)
    if first is None:
        raise CorpusError(f"no text in {', '.join(map(str, sources))}")
    _remove_corpora(corpus)
    told = progress and progress(f"learning {vocab_size:,} tokens from " + ", ".join(map(str, sources)))
    counted = _counted(chain([first], all_texts), sources, told)
    tokenizer = Tokenizer.train(counted, vocab_size, folder.out.resolve().name)
    tokenizer.save(folder.path / "tokenizer.json")

    def build(what: Sequence[Source], name: str) -> Corpus:
        told = progress and progress("encoding " + ", ".join(map(str, what)))
        return Corpus.build(what, tokenizer, corpus / name, told)

    if valid:
        build(sources, "train")
        for name, source in _names(valid).items():
            build([source], f"valid/{name}")
    else:
        build(sources, "whole").hold_back(HELD_BACK, tokenizer, corpus / "train", corpus / "valid" / "held_back")
        _remove_corpora(corpus / "whole")
    with atomic_file(ready) as file:
        file.write(texts.encode())


def _counted(texts: Iterable[str], sources: Sequence[Source], told: Progress | None) -> Iterator[str]:
    """The same texts, while somebody is told how many bytes have been read."""
    done, sizes = 0, [n_bytes_of(source) for source in sources]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    for text in texts:
        yield text
        done += len(text.encode())
        if told:
            told(done, total)


def remove_prepared(folder: RunFolder) -> None:
    """Remove what `prepare` made, and nothing else."""
    _remove_corpora(folder.path / "corpus")
    (folder.path / "tokenizer.json").unlink(missing_ok=True)


def _remove_corpora(folder: Path) -> None:
    """Remove a folder of corpora, whole or half written, and whatever else is in it not."""
    if folder.is_symlink():
        return
    (folder / "ready").unlink(missing_ok=True)
    inner = [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()] if folder.is_dir() else []
    for path in sorted([folder, *inner], reverse=True):  # innermost first
        with suppress(OSError):
            if is_only_corpus(path):
                for file in path.iterdir():
                    file.unlink()
            path.rmdir()


def _texts(sources: Sequence[Source], valid: Sequence[Source], vocab_size: int) -> str:
    """What was prepared, in one line: the same line means the same tokens, wherever the files have been moved to."""

    def listed(some: Sequence[Source]) -> str:
        return ", ".join(f"{Path(source).name} {n_bytes_of(source)}" for source in some)

    return f"{vocab_size} tokens of {listed(sources)}" + (f", judged on {listed(valid)}" if valid else "")


def _names(valid: Sequence[Source]) -> dict[str, Source]:
    """Validation texts under short names, which also name folders."""
    names: dict[str, Source] = {}
    for source in valid:
        name = Path(os.path.abspath(source)).stem.replace(":", "-")
        if name in names:
            raise CorpusError(f"two validation texts are called {name} ({names[name]} and {source}); rename one")
        names[name] = source
    return names
