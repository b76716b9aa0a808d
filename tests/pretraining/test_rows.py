"""Rows: every token is scored once; the order of training is a pure function of the seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm101.corpus import Corpus, CorpusError
from llm101.pretraining.rows import ShuffledRows, rows_in_order
from llm101.tokenizer import Tokenizer

BYTES = Tokenizer("bytes", {bytes([b]): b for b in range(256)}, {"<|endoftext|>": 256})


def corpus_of(lengths: list[int], folder: Path) -> Corpus:
    """Texts of so many tokens, which count up: 0 1 2 ..."""
    letters = iter("abcdefghijklmnopqrstuvwxyz" * 40)
    return Corpus.from_texts(["".join(next(letters) for _ in range(n)) for n in lengths], BYTES, folder)


def test_rows_worked_by_hand(tmp_path: Path) -> None:
    corpus = corpus_of([3, 2, 9], tmp_path / "corpus")  # <end> abc <end> de <end> fghijklmn <end>
    # Two texts fit one row of 8; the third is longer than a row and is cut.
    assert rows_in_order(corpus, 8) == [(0, 7), (7, 15), (15, 17)]
    assert rows_in_order(corpus, 5) == [(0, 4), (4, 7), (7, 12), (12, 17)]


@settings(max_examples=50)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12), row_length=st.integers(1, 40))
def test_every_token_is_scored_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], row_length: int
) -> None:
    corpus = corpus_of(lengths, tmp_path_factory.getbasetemp() / "rows")
    rows = rows_in_order(corpus, row_length)
    scored = [position for start, stop in rows for position in range(start + 1, stop + 1)]
    assert scored == list(range(1, corpus.facts.n_tokens))
    assert all(0 < stop - start <= row_length for start, stop in rows)


def test_a_text_that_fits_a_row_is_never_cut(tmp_path: Path) -> None:
    corpus = corpus_of([5, 6, 7, 3, 2], tmp_path / "corpus")
    beginnings = {*corpus.document_starts.tolist(), corpus.facts.n_tokens - 1}
    assert all({start, stop} <= beginnings for start, stop in rows_in_order(corpus, 8))


def test_a_row_is_a_stretch_of_the_corpus_with_one_token_more(tmp_path: Path) -> None:
    corpus = corpus_of([5, 30, 2, 9], tmp_path / "corpus")
    windows = np.lib.stride_tricks.sliding_window_view(corpus.token_ids, 9)
    rows = ShuffledRows(corpus, 8, seed=0).take(0, 40)
    assert rows.shape == (40, 9)
    assert all((windows == row).all(1).any() for row in rows)


def test_rows_depend_on_nothing_but_their_number_and_the_seed(tmp_path: Path) -> None:
    corpus = corpus_of([5, 30, 2, 9, 12], tmp_path / "corpus")
    at_once = ShuffledRows(corpus, 8, seed=1).take(0, 60)
    backwards = ShuffledRows(corpus, 8, seed=1)
    singly = [backwards.take(number, 1)[0] for number in reversed(range(60))]
    assert np.array_equal(at_once, singly[::-1])
    assert not np.array_equal(at_once, ShuffledRows(corpus, 8, seed=2).take(0, 60))


def test_each_pass_begins_every_text_once_and_in_a_new_order(tmp_path: Path) -> None:
    corpus = corpus_of([8] * 20, tmp_path / "corpus")
    rows = ShuffledRows(corpus, 9, seed=0)
    beginnings = [rows.take(number, 1)[0, :9].tolist() for number in range(60)]
    passes = [beginnings[at : at + 20] for at in (0, 20, 40)]
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(passes[2])
    assert passes[0] != passes[1] != passes[2]
    assert all(row[0] == 256 for row in beginnings)  # the end-of-text token before it


def test_of_a_long_text_every_token_comes_up(tmp_path: Path) -> None:
    letters = "".join(chr(33 + n) for n in range(60))
    corpus = Corpus.from_texts([letters], BYTES, tmp_path / "corpus")
    rows = ShuffledRows(corpus, 8, seed=0).take(0, 8 * 20)
    assert set(rows[:, 1:].flatten().tolist()) == {*letters.encode(), 256}


def test_a_corpus_of_exactly_one_row_is_enough_and_one_token_less_is_not(tmp_path: Path) -> None:
    corpus = corpus_of([7], tmp_path / "corpus")  # nine tokens
    assert ShuffledRows(corpus, 8, seed=0).take(0, 2).tolist() == [corpus.token_ids.tolist()] * 2
    with pytest.raises(CorpusError, match="9 tokens, less than one row of 9 and its target; give more"):
        ShuffledRows(corpus, 9, seed=0)
