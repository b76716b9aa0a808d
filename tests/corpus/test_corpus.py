"""The corpus on disk: every text whole between end-of-text tokens; nothing half written, nothing of others deleted."""

from __future__ import annotations

import errno
import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm101.corpus import Corpus, CorpusError
from llm101.corpus import corpus as module
from llm101.tokenizer import Tokenizer

TEXTS = ["a cat", "the dog and the cat", "naïve 🙂", "x"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["the dog and the cat"] * 3, vocab_size=262)


def texts_of(corpus: Corpus, tokenizer: Tokenizer) -> list[str]:
    ids = corpus.token_ids
    parts = np.split(ids, np.flatnonzero(ids == corpus.facts.end_id))
    return [tokenizer.decode(part[1:].tolist()) for part in parts[1:-1]]


def test_a_corpus_worked_by_hand(tmp_path: Path) -> None:
    tokenizer = Tokenizer.train(["aa"], vocab_size=258)  # 256 is "aa", 257 the end of text
    corpus = Corpus.from_texts(["aab", "c"], tokenizer, tmp_path / "corpus")
    assert corpus.token_ids.tolist() == [257, 256, 98, 257, 99, 257]
    assert corpus.document_starts.tolist() == [0, 3]
    facts = corpus.facts
    assert (facts.n_tokens, facts.n_documents, facts.n_bytes, facts.dtype) == (6, 2, 4, "uint16")
    assert facts.sha256 == sha256((tmp_path / "corpus" / "tokens.bin").read_bytes()).hexdigest()


def test_every_text_comes_back_from_the_disk(tokenizer: Tokenizer, tmp_path: Path) -> None:
    corpus = Corpus.from_texts(TEXTS, tokenizer, tmp_path / "corpus")
    assert texts_of(Corpus(tmp_path / "corpus"), tokenizer) == TEXTS
    assert corpus.facts.n_bytes == sum(len(text.encode()) for text in TEXTS)


def test_batches_do_not_show(tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Corpus.from_texts(TEXTS, tokenizer, tmp_path / "whole")
    monkeypatch.setattr(module, "BATCH_CHARACTERS", 6)
    done = []
    parts = Corpus.from_texts(TEXTS, tokenizer, tmp_path / "parts", progress=lambda n, _: done.append(n))
    assert parts.facts == whole.facts
    assert done == [24, 35, 36]  # bytes so far; a batch ends at six characters


def test_the_marker_in_a_text_is_only_text(tokenizer: Tokenizer, tmp_path: Path) -> None:
    corpus = Corpus.from_texts(["a<|endoftext|>b"], tokenizer, tmp_path / "corpus")
    assert corpus.document_starts.tolist() == [0]
    assert texts_of(corpus, tokenizer) == ["a<|endoftext|>b"]


def test_large_vocabularies_take_four_bytes_a_token(tmp_path: Path) -> None:
    ranks = {bytes([b]): b for b in range(256)} | {b"zz": 70_000}
    corpus = Corpus.from_texts(["zz"], Tokenizer("large", ranks, {"<|endoftext|>": 70_001}), tmp_path / "corpus")
    assert (corpus.facts.dtype, corpus.token_ids.tolist()) == ("uint32", [70_001, 70_000, 70_001])


def test_sources_are_read_one_after_the_other_with_progress(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("one")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "two.md").write_text("two")
    told = []
    sources = [tmp_path / "one.txt", tmp_path / "more"]
    corpus = Corpus.build(sources, tokenizer, tmp_path / "corpus", lambda *done: told.append(done))
    assert texts_of(corpus, tokenizer) == ["one", "two"]
    assert told == [(6, 6)]
    assert corpus.facts.sources == list(map(str, sources))


def test_the_last_texts_are_held_back(tokenizer: Tokenizer, tmp_path: Path) -> None:
    texts = [f"text number {n}" for n in range(50)]
    corpus = Corpus.from_texts(texts, tokenizer, tmp_path / "whole")
    train, valid = corpus.hold_back(0.11, tokenizer, tmp_path / "train", tmp_path / "valid")
    kept, held = texts_of(train, tokenizer), texts_of(valid, tokenizer)
    assert kept + held == texts
    assert 0.11 <= valid.facts.n_tokens / corpus.facts.n_tokens < 0.15


def test_of_a_single_text_the_end_is_held_back(tokenizer: Tokenizer, tmp_path: Path) -> None:
    text = "🙂é" * 50  # no token is a whole character here, so the cut falls inside one
    corpus = Corpus.from_texts([text], tokenizer, tmp_path / "whole")
    train, valid = corpus.hold_back(0.25, tokenizer, tmp_path / "train", tmp_path / "valid")
    (kept,), (held,) = texts_of(train, tokenizer), texts_of(valid, tokenizer)
    assert text.startswith(kept)
    assert text.endswith(held)
    assert 0 <= len(text) - len(kept) - len(held) <= 1
    assert 0.2 < len(held) / len(text) < 0.3


def test_too_little_to_hold_back_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    corpus = Corpus.from_texts(["a cat"], tokenizer, tmp_path / "whole")
    with pytest.raises(CorpusError, match="too little to hold 2% back"):
        corpus.hold_back(0.02, tokenizer, tmp_path / "train", tmp_path / "valid")
    with pytest.raises(ValueError, match="share must lie between 0 and 1, got 1"):
        corpus.hold_back(1, tokenizer, tmp_path / "train", tmp_path / "valid")


@pytest.mark.parametrize("texts", [[], [""]])
def test_no_text_is_refused_and_leaves_nothing_behind(tokenizer: Tokenizer, tmp_path: Path, texts: list[str]) -> None:
    with pytest.raises(CorpusError, match="no text in stories.txt"):
        Corpus.from_texts(texts, tokenizer, tmp_path / "a" / "b" / "corpus", sources=["stories.txt"])
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_fails_halfway_leaves_the_old_corpus(tokenizer: Tokenizer, tmp_path: Path) -> None:
    Corpus.from_texts(["old"], tokenizer, tmp_path / "corpus")
    (tmp_path / "bad.txt").write_bytes(b"good\n<|endoftext|>\nbad\xff")
    with pytest.raises(CorpusError, match="odd byte at offset 22"):
        Corpus.build([tmp_path / "bad.txt"], tokenizer, tmp_path / "corpus")
    assert texts_of(Corpus(tmp_path / "corpus"), tokenizer) == ["old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.txt", "corpus"]


def test_a_full_disk_leaves_the_old_corpus(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Corpus.from_texts(["old"], tokenizer, tmp_path / "corpus")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CorpusError, match="cannot write the corpus to .*corpus: No space left on device"):
        Corpus.from_texts(["new"], tokenizer, tmp_path / "corpus")
    assert texts_of(Corpus(tmp_path / "corpus"), tokenizer) == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_folder_that_cannot_be_made_is_reported(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match="cannot write the corpus"):
        Corpus.from_texts(["text"], tokenizer, tmp_path / "file" / "corpus")


def test_a_folder_with_other_things_is_never_replaced(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(CorpusError, match="holds something else than a corpus; choose another folder"):
        Corpus.from_texts(["text"], tokenizer, tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_what_a_killed_attempt_left_is_in_nobodys_way(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "corpus.partial").mkdir()
    (tmp_path / "corpus.partial" / "tokens.bin").write_bytes(b"half")
    Corpus.from_texts(["text"], tokenizer, tmp_path / "corpus")
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_tokenizer_without_end_of_text_is_refused(tmp_path: Path) -> None:
    endless = Tokenizer("endless", {bytes([b]): b for b in range(256)})
    with pytest.raises(CorpusError, match="tokenizer endless has no <|endoftext|>"):
        Corpus.from_texts(["text"], endless, tmp_path / "corpus")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float64"}, "dtype must be uint16 or uint32, got 'float64'"),
        ({"n_tokens": 10**15}, "tokens.bin has .* bytes, not 1,000,000,000,000,000 tokens"),
        ({"n_tokens": "7"}, "counts must be whole numbers above 0"),
        ({"n_bytes": 0}, "counts must be whole numbers above 0"),
        ({"surprise": 1}, "is not a prepared corpus"),
    ],
)
def test_a_folder_that_does_not_fit_together_is_refused(
    tokenizer: Tokenizer, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    Corpus.from_texts(["text"], tokenizer, tmp_path / "corpus")
    path = tmp_path / "corpus" / "corpus.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CorpusError, match=message):
        Corpus(tmp_path / "corpus")


def test_a_folder_that_is_no_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is not a prepared corpus"):
        Corpus(tmp_path)
    (tmp_path / "corpus.json").write_text("[1]")
    with pytest.raises(CorpusError, match="is not a prepared corpus"):
        Corpus(tmp_path)


@pytest.mark.parametrize("name", ["corpus", "corpus.partial"])
def test_a_folder_with_anything_else_in_it_is_never_replaced(tokenizer: Tokenizer, tmp_path: Path, name: str) -> None:
    Corpus.from_texts(["a cat"], tokenizer, tmp_path / name)
    (tmp_path / name / "notes.txt").write_text("a reader's own")
    with pytest.raises(CorpusError, match=f"{name} holds something else than a corpus; choose another folder"):
        Corpus.from_texts(["a dog"], tokenizer, tmp_path / "corpus")
    assert (tmp_path / name / "notes.txt").read_text() == "a reader's own"
