"""A text in parts: the ids are the whole text's, and nobody but the template makes a special token."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest

from llm101.tokenizer import Tokenizer, TokenizerError
from llm101.tokenizer.library_encoding import HIDDEN
from llm101.tokenizer.spans import any_of, special_spans
from tests.tokenizer.kinds import BYTE_LEVEL, LIBRARY
from tests.tokenizer.test_kinds import lacks_a_token, made, reference
from tests.tokenizer.varied import varied_texts

Parts = list[tuple[str, bool]]

KINDS = [*BYTE_LEVEL, "split_inverted", "added_spaces", "sentence_piece_bpe", "metaspace_bpe", "unigram"]


def texts_in_parts(n: int, special: list[str], seed: int = 0) -> Iterator[Parts]:
    """Texts cut at random places, some of the parts a template's, some a user's, some empty."""
    rng = random.Random(seed)
    for text in varied_texts(n, special, seed):
        cuts = sorted(rng.choices(range(len(text) + 1), k=rng.randrange(5)))
        yield [(text[a:b], rng.random() < 0.6) for a, b in zip([0, *cuts], [*cuts, len(text)])]


def user_spells_special(parts: Parts, special: list[str]) -> bool:
    """Whether a user's character takes part in what looks like a special token."""
    text, marks = "".join(words for words, _ in parts), any_of(special)
    assert marks
    counting = set(special_spans(parts, marks, special))
    return any(match.span() not in counting for match in marks.finditer(text))


def owner_of(start: int, parts: Parts) -> int:
    return next(i for i, end in enumerate(accumulate(len(words) for words, _ in parts)) if start < end)


@pytest.mark.parametrize("kind", KINDS)
def test_the_ids_are_those_of_the_whole_text_where_no_user_writes_a_special_token(kind: str, tmp_path: Path) -> None:
    ours, theirs = made(kind, tmp_path), reference(kind, special=True)
    special, n_compared = [*ours.special_tokens], 0
    for parts in texts_in_parts(200, special):
        text = "".join(words for words, _ in parts)
        if lacks_a_token(kind, text) or user_spells_special(parts, special):
            continue
        ids, origins = ours.encode_parts(parts)
        expected = theirs.encode(text, add_special_tokens=False)
        assert ids == expected.ids, ascii(parts)
        if kind != "qwen":  # theirs tells places in the text before it is normalised
            assert origins == [owner_of(start, parts) for start, _ in expected.offsets], ascii(parts)
        n_compared += 1
    assert n_compared > 60


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_template_makes_special_tokens(kind: str, tmp_path: Path) -> None:
    ours = made(kind, tmp_path)
    special, n_spelled = [*ours.special_tokens], 0
    unknown = ours.special_tokens.get("<unk>")
    for parts in texts_in_parts(200, special, seed=1):
        text = "".join(words for words, _ in parts)
        if lacks_a_token(kind, text) or not user_spells_special(parts, special):
            continue
        ids, origins = ours.encode_parts(parts)
        counting = [text[a:b] for a, b in special_spans(parts, any_of(special), special)]
        found = [i for i in ids if i in ours.special_tokens.values() and i != unknown]
        assert found == [ours.special_tokens[mark] for mark in counting if mark != "<unk>"], ascii(parts)
        assert origins == sorted(origins)
        assert all(parts[origin][0] for origin in origins)
        if kind in BYTE_LEVEL and kind != "qwen":
            assert ours.decode(ids) == text
        n_spelled += 1
    assert n_spelled > 20


@pytest.fixture(scope="module")
def chat() -> Tokenizer:
    ranks = {bytes([b]): b for b in range(256)} | {b"Hi": 256, b"><": 257, b"\nHi": 258}
    return Tokenizer("chat", ranks, {"<|im_start|>": 300, "<|im_end|>": 301}, pattern=r"[\s\S]+")


def test_merges_reach_across_a_border_and_belong_to_where_they_begin(chat: Tokenizer) -> None:
    ids, origins = chat.encode_parts([("<|im_start|>user\n", True), ("", False), ("Hi", False), ("<|im_end|>", True)])
    assert ids == [300, *b"user", 258, 301]
    assert origins == [0, 0, 0, 0, 0, 0, 3]


@pytest.mark.parametrize(
    "parts",
    [
        [("<|im_end|>", False)],
        [("<|im_", False), ("end|>", True)],
        [("<|im_", True), ("end|>", False)],
        [("<|im_", False), ("end|>", False)],
        [("<|im_", True), ("end", False), ("|>", True)],
        [("<", True), ("|im_end|", False), (">", True)],
    ],
)
def test_a_special_token_that_a_user_helps_to_spell_is_text(chat: Tokenizer, parts: Parts) -> None:
    ids, origins = chat.encode_parts(parts)
    assert ids == list(b"<|im_end|>")
    assert origins == [owner_of(i, parts) for i in range(10)]


def test_a_special_token_in_two_parts_of_the_template_is_one(chat: Tokenizer) -> None:
    assert chat.encode_parts([("<|im_", True), ("", False), ("end|>", True)]) == ([301], [0])


def test_a_user_cannot_take_the_templates_special_token_away(chat: Tokenizer) -> None:
    assert chat.encode_parts([("<|im_end|", False), ("<|im_end|>", True)])[0] == [*b"<|im_end|", 301]


def test_text_that_is_no_unicode_is_its_bytes(chat: Tokenizer) -> None:
    ids, origins = chat.encode_parts([("a\udcff", False), ("é<|im_end|>", True)])
    assert ids == [97, 255, *"é".encode(), 301]
    assert origins == [0, 0, 1, 1, 1]
    with pytest.raises(TokenizerError, match="half of a character"):
        chat.encode_parts([("ab\ud83d", False)])
    with pytest.raises(TokenizerError, match="a text must be a str, got"):
        chat.encode_parts([(b"ab", False)])  # type: ignore[list-item]


def test_nothing_is_no_token(chat: Tokenizer) -> None:
    assert chat.encode_parts([]) == chat.encode_parts([("", True), ("", False)]) == ([], [])


@pytest.mark.parametrize("kind", LIBRARY)
def test_every_kind_takes_a_text_in_parts(kind: str, tmp_path: Path) -> None:
    tokenizer = made(kind, tmp_path)
    mark, token_id = next(reversed(tokenizer.special_tokens.items()))
    parts = [(f"{mark}the ", True), (f"old {mark}", False), (f"{mark} town", True)]
    ids, origins = tokenizer.encode_parts(parts)
    assert ids.count(token_id) == 2
    assert [origin for i, origin in zip(ids, origins) if i == token_id] == [0, 2]
    assert set(origins) == {0, 1, 2}


@pytest.mark.parametrize("kind", ["sentence_piece_bpe", "unigram", "split_inverted"])
def test_nobody_finds_the_name_under_which_a_special_token_is_hidden(kind: str, tmp_path: Path) -> None:
    tokenizer = made(kind, tmp_path)
    for mark, token_id in tokenizer.special_tokens.items():
        if mark == "<unk>":
            continue
        name = f"{HIDDEN}{token_id}{HIDDEN}"
        assert token_id not in tokenizer.encode_parts([(f"a{name}", False)])[0]
        with pytest.raises(TokenizerError, match="the text holds .*, which is no character: leave it out"):
            tokenizer.encode(name)
        with pytest.raises(TokenizerError, match="the text holds .*, which is no character: leave it out"):
            tokenizer.encode_parts([(mark + name, False)])
