"""Tokenizers of every kind: the same ids, the same text and the same special tokens as Hugging Face's `tokenizers`."""

from __future__ import annotations

import copy
import json
import pickle
from functools import cache
from pathlib import Path

import pytest
import tokenizers

from llm101.tokenizer import Tokenizer, TokenizerError
from llm101.tokenizer.byte_level import ByteLevelBPE
from llm101.tokenizer.panics import told
from llm101.tokenizer.tokenizer_file import encoding_of
from tests.tokenizer.kinds import BYTE_LEVEL, LIBRARY, SPECIAL, Content
from tests.tokenizer.varied import varied_texts

KINDS = BYTE_LEVEL | LIBRARY
MISSING = set(b"\x00\x04\x06\xc0\xc1\xf5\xf6")
"""Bytes that some of the vocabularies lack, as SmolLM2's does."""


@cache
def content(kind: str) -> Content:
    return KINDS[kind]()


def made(kind: str, folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(content(kind)), encoding="utf-8")
    return Tokenizer.from_file(path)


def reference(kind: str, *, special: bool) -> tokenizers.Tokenizer:
    """Theirs; what its post-processor puts around a text is compared by itself."""
    theirs = tokenizers.Tokenizer.from_str(json.dumps(content(kind)))
    theirs.encode_special_tokens = not special
    return theirs


def lacks_a_token(kind: str, text: str) -> bool:
    return kind in ("smollm", "no_byte_and_two_ways") and not MISSING.isdisjoint(text.encode())


def compare(kind: str, folder: Path, n_texts: int) -> None:
    ours, plain, marked = made(kind, folder), reference(kind, special=False), reference(kind, special=True)
    special = [*ours.special_tokens, *ours.added_tokens]
    n_compared = 0
    for text in varied_texts(n_texts, special):
        if lacks_a_token(kind, text):
            with pytest.raises(TokenizerError, match=f"^{ours.name} has no token for .*: leave it out$"):
                ours.encode(text)
            continue
        ids = ours.encode(text)
        assert ours.encode(text, allow_special=True) == marked.encode(text, add_special_tokens=False).ids, ascii(text)
        assert ours.decode(ids) == plain.decode(ids, skip_special_tokens=False), ascii(text)
        if "unigram" in kind and any(mark in text for mark in ours.special_tokens):
            continue  # theirs takes a special token in the text for one, whatever it is told: see below
        assert ids == plain.encode(text, add_special_tokens=False).ids, ascii(text)
        n_compared += 1
    assert n_compared > n_texts / 2


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_texts_are_those_of_the_reference(kind: str, tmp_path: Path) -> None:
    compare(kind, tmp_path, 150)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_texts_of_ten_thousand_texts_are_those_of_the_reference(kind: str, tmp_path: Path) -> None:
    compare(kind, tmp_path, 10_000)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_book_can_do_exactly_it_does_and_the_package_the_rest(kind: str, tmp_path: Path) -> None:
    encoding = encoding_of(kind, json.dumps(content(kind)).encode())
    assert isinstance(encoding, ByteLevelBPE) == (kind in BYTE_LEVEL)
    tokenizer = made(kind, tmp_path)
    if kind in BYTE_LEVEL:
        assert Tokenizer(*tokenizer.parts).encode("the old town 12") == tokenizer.encode("the old town 12")
        return
    for name in ("parts", "ranks", "pattern", "merges"):
        with pytest.raises(TokenizerError, match="is read through the package tokenizers: it has no ranks"):
            getattr(tokenizer, name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_copied_or_pickled_tokenizer_is_the_same(kind: str, tmp_path: Path) -> None:
    tokenizer = made(kind, tmp_path)
    tokenizer.save(tmp_path / "again.json")
    others = [
        Tokenizer.from_file(tmp_path / "again.json"),
        copy.deepcopy(tokenizer),
        pickle.loads(pickle.dumps(tokenizer)),
    ]
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "again.json"))
    for text in varied_texts(40, SPECIAL, seed=2):
        if lacks_a_token(kind, text):
            continue
        ids = tokenizer.encode(text)
        assert [other.encode(text) for other in others] == [ids] * 3
        start = list(tokenizer.start_ids)
        assert theirs.encode(text).ids == start + tokenizer.encode(text, allow_special=True)
    for other in others:
        for name in ("vocab_size", "special_tokens", "added_tokens", "start_ids", "end_id"):
            assert getattr(other, name) == getattr(tokenizer, name)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_before_a_text_is_what_the_reference_puts_there(kind: str, tmp_path: Path) -> None:
    ours, theirs = made(kind, tmp_path), reference(kind, special=True)
    assert theirs.encode("the old town").ids == [*ours.start_ids, *ours.encode("the old town")]
    assert bool(ours.start_ids) == (kind in ("llama3", "sentence_piece_bpe", "metaspace_bpe"))


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_makes_a_special_token(kind: str, tmp_path: Path) -> None:
    tokenizer = made(kind, tmp_path)
    for mark, token_id in tokenizer.special_tokens.items():
        for text in (mark, f"a{mark}b", f" {mark}{mark} the old"):
            assert token_id not in tokenizer.encode(text)
            assert token_id in tokenizer.encode(text, allow_special=True)
            assert token_id not in tokenizer.encode_parts([(text, False)])[0]


@pytest.mark.parametrize("kind", ["sentence_piece_bpe", "metaspace_bpe", "unigram", "split_inverted", *BYTE_LEVEL])
def test_bytes_that_are_no_text_are_tokens_too(kind: str, tmp_path: Path) -> None:
    tokenizer = made(kind, tmp_path)
    for data in (b"the \xff old\xe2\x82 town\xfe", b"\x80", b"\xffab", "a\xffb€".encode("latin-1", "replace")):
        assert tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data


def test_a_tokenizer_without_tokens_for_bytes_says_so(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="has no token for the byte 0x.*: leave it out"):
        made("unigram_with_unknown", tmp_path).encode_bytes(b"a\xff")
    with pytest.raises(TokenizerError, match="has no token for the byte 0xf5.*: leave it out"):
        made("smollm", tmp_path).encode_bytes(b"a\xf5")


def test_a_token_adds_its_space_within_a_text_and_loses_it_at_the_beginning(tmp_path: Path) -> None:
    tokenizer = made("sentence_piece_bpe", tmp_path)
    ids = tokenizer.encode("the town")
    assert b"".join(map(tokenizer.token_bytes, ids)) == b" the town"
    assert tokenizer.decode(ids) == "the town"
    euro = tokenizer.encode("€")
    assert [tokenizer.token_bytes(i) for i in euro][-3:] == [b"\xe2", b"\x82", b"\xac"]
    assert b"".join(tokenizer.tokens("the town")) == b" the town"


def test_text_between_two_words_is_kept() -> None:
    ranks = {bytes([b]): b for b in range(256)} | {b"low": 256}
    tokenizer = Tokenizer("words", ranks, pattern=r"\w+")
    assert tokenizer.decode(tokenizer.encode("low low, low")) == "low low, low"
    assert tokenizer.encode("low,low") == [256, 44, 256]
    long = "- " * 150_000
    assert tokenizer.decode(tokenizer.encode(long)) == long


def test_the_longest_added_token_is_found() -> None:
    ranks = {bytes([b]): b for b in range(256)}
    tokenizer = Tokenizer("marks", ranks, {"<a>": 300, "<a>b": 301}, added_tokens={"<think>": 302})
    assert tokenizer.encode("<a>b<a>", allow_special=True) == [301, 300]
    assert tokenizer.encode("<think><a>") == [302, *b"<a>"]
    assert tokenizer.decode([302, 301]) == "<think><a>b"


CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize(
    ("file", "text", "ids"),
    [
        ("qwen_nfc", "the old town in 1998", [280, 265, 266, 285, 220, 16, 24, 24, 23]),
        ("qwen_nfc", "cafe\u0301", [66, 64, 69, 127, 102]),
        ("smollm_digits", "the old town in 1998", [280, 265, 266, 285, 220, 16, 24, 24, 23]),
        ("llama3", "the old town", [280, 265, 266]),
        ("split_inverted", "the then", [116, 258, 32, 116, 258, 110]),
        ("pair_without_merge", "xyz", [120, 121, 122]),
        ("added_spaces", "a  b", [97, 280, 98]),
    ],
)
def test_files_that_were_not_read_or_read_with_another_meaning(file: str, text: str, ids: list[int]) -> None:
    tokenizer = Tokenizer.from_file(CASES / f"{file}.json")
    theirs = tokenizers.Tokenizer.from_file(str(CASES / f"{file}.json"))
    assert tokenizer.encode(text) == ids == theirs.encode(text, add_special_tokens=False).ids
    assert tokenizer.start_ids == ((305,) if file == "llama3" else ())


def test_a_file_that_cuts_texts_off_is_refused() -> None:
    with pytest.raises(TokenizerError, match=r'truncation\.json: it asks for truncation, .*: set "truncation" to null'):
        Tokenizer.from_file(CASES / "truncation.json")


def test_an_inverted_split_cuts_around_what_it_matches(tmp_path: Path) -> None:
    assert made("split_inverted", tmp_path).tokens("a b") == [b"a", b" ", b"b"]


def test_a_word_in_the_vocabulary_without_a_merge_is_not_found(tmp_path: Path) -> None:
    assert made("words_without_a_merge", tmp_path).tokens("xyz") == [b"x", b"y", b"z"]


def test_an_added_token_of_two_spaces_is_found_in_any_text(tmp_path: Path) -> None:
    tokenizer = made("added_spaces", tmp_path)
    assert tokenizer.tokens("a  b     c") == [b"a", b"  ", b"b", b"    ", *tokenizer.tokens(" c")]


def test_letter_and_accent_become_one(tmp_path: Path) -> None:
    tokenizer = made("qwen", tmp_path)
    assert tokenizer.encode("cafe\u0301") == tokenizer.encode("café")
    assert tokenizer.decode(tokenizer.encode("cafe\u0301")) == "café"
    younger = "\U00016d67\U00016d67"  # than some Pythons: a letter with its mark, in one
    assert tokenizer.encode(younger) == reference("qwen", special=False).encode(younger).ids


def test_a_pattern_that_is_too_much_for_its_package_gets_one_line(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    ranks = {bytes([b]): b for b in range(256)}
    deep = Tokenizer("deep", ranks, pattern=r"(?:(?!x)[\s\S])+")
    endless = copy.deepcopy(content("split_inverted"))
    endless["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(a+)+$"
    (tmp_path / "tokenizer.json").write_text(json.dumps(endless), encoding="utf-8")
    with pytest.raises(TokenizerError, match="^deep: tiktoken does not encode this text: .*StackOverflow"):
        deep.encode("- " * 1_000_000)
    with pytest.raises(TokenizerError, match="does not cut this text: .*retry-limit|does not encode .*retry-limit"):
        Tokenizer.from_file(tmp_path / "tokenizer.json").encode("a" * 200 + "c")
    assert "Traceback" not in capfd.readouterr().err


def test_ctrl_c_is_no_fault_of_a_package() -> None:
    with pytest.raises(KeyboardInterrupt):
        told(KeyboardInterrupt(), "nothing")
