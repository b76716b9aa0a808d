"""Byte-pair encoding: the fast training learns what the plain one learns."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm101.tokenizer.bpe import count_pairs, count_words, merge_pair, split_into_words, train_bpe, train_bpe_plainly

# Few characters, so that pairs repeat and tie; wide and odd white space, marks, digits and bytes beyond ASCII.
awkward_text = st.text(alphabet="ab'st 12,.\n\t\r\u00a0\u2003é語🙂", max_size=80)


def test_a_word_worked_by_hand() -> None:
    # hug x10, pug x5, hugs x5: u+g occurs 20 times, then h+ug 15 times, then p+ug and hug+s 5 times each.
    text = "hug\n" * 10 + "pug\n" * 5 + "hugs\n" * 5
    assert train_bpe_plainly(text, 4) == [(b"u", b"g"), (b"h", b"ug"), (b"p", b"ug"), (b"hug", b"s")]


def test_of_equally_frequent_pairs_the_older_one_wins() -> None:
    assert train_bpe_plainly("zz\naa", 2) == [(b"a", b"a"), (b"z", b"z")]
    assert train_bpe_plainly("ab\nab\nabc\nxyc", 3)[1:] == [(b"x", b"y"), (b"ab", b"c")]


def test_words_are_cut_as_gpt2_cuts_them() -> None:
    assert split_into_words("I'll  say: 'tis 2024!\n\n x") == [
        "I", "'ll", " ", " say", ":", " '", "tis", " 2024", "!", "\n\n", " x",
    ]  # fmt: skip


def test_overlapping_pairs_merge_from_the_left() -> None:
    assert merge_pair([b"a"] * 5, (b"a", b"a")) == [b"aa", b"aa", b"a"]
    assert count_pairs([b"a"] * 3) == {(b"a", b"a"): 2}


@given(st.lists(awkward_text, max_size=4), st.integers(0, 40))
def test_fast_training_learns_the_same_merges(texts: list[str], n_merges: int) -> None:
    # The plain loop reads one text; words never cross from one text into the next, as they would not here.
    fast = train_bpe(texts, n_merges)
    words = [word for text in texts for word in split_into_words(text)]
    assert fast == _plainly(words, n_merges)


@given(awkward_text, st.integers(0, 40))
def test_fast_training_on_one_text_equals_the_plain_loop(text: str, n_merges: int) -> None:
    assert train_bpe([text], n_merges) == train_bpe_plainly(text, n_merges)


@given(st.lists(awkward_text, max_size=4))
def test_counting_words_by_chunks_equals_counting_them_one_by_one(texts: list[str]) -> None:
    assert count_words(texts) == Counter(word for text in texts for word in split_into_words(text))


@given(awkward_text)
def test_no_token_is_learned_twice(text: str) -> None:
    tokens = [a + b for a, b in train_bpe([text], 60)]
    assert len(set(tokens)) == len(tokens)


def test_merges_end_where_the_words_run_out_of_pairs() -> None:
    assert train_bpe(["ab ab"], 100) == [(b"a", b"b"), (b" ", b"ab")]
    assert train_bpe([], 5) == train_bpe(["a b"], 0) == []


def test_each_merge_is_reported_with_its_count() -> None:
    seen = []
    merges = train_bpe(["low lower lowest"], 3, on_merge=lambda merge, count: seen.append((merge, count)))
    assert seen == list(zip(merges, [3, 3, 2], strict=True))


def _plainly(words: list[str], n_merges: int) -> list[tuple[bytes, bytes]]:
    """An independent reference: ages in a list, words as lists of bytes, nothing kept between merges."""
    pieces = [[bytes([b]) for b in word.encode()] for word in words]
    ages = [bytes([b]) for b in range(256)]
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < n_merges:
        counts = Counter(pair for word in pieces for pair in pairwise(word))
        if not counts:
            break
        best = sorted(counts, key=lambda pair: (-counts[pair], ages.index(pair[0]), ages.index(pair[1])))[0]
        merges.append(best)
        ages.append(best[0] + best[1])
        pieces = [merge_pair(word, best) for word in pieces]
    return merges


@pytest.mark.parametrize("space", ["  ", "\n\n", " \n ", "\u00a0 ", "\u3000\u3000", "\u2028 \u2029"])
def test_wide_white_space_is_counted_with_its_neighbours(space: str) -> None:
    text = f"cat{space}dog{space} 12{space}"
    assert count_words([text]) == Counter(split_into_words(text))
