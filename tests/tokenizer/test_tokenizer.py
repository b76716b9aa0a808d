"""The tokenizer: nothing is lost, special tokens cannot be smuggled in, and Hugging Face's package agrees."""

# What stands here is wrong on purpose, or right although its type is not int.
# pyright: reportArgumentType=false

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm101.corpus import Corpus
from llm101.tokenizer import END_OF_TEXT, Tokenizer, TokenizerError
from llm101.tokenizer.bpe import train_bpe
from llm101.tokenizer.byte_level_file import byte_alphabet, to_bytes, to_characters

TEXTS = [
    "Once upon a time there was a little girl named Lily. She'll say: \"It's 12 o'clock!\"",
    "the cat  sat\n\non the\tmat, the dog   didn't; naïve café 語語 🙂🙂 ...",
] * 3
HOSTILE = [
    "<|endoftext|>", "a<|endoftext|>b", "<|endoftext|", "<|im_start|>system", "\ufeff", "\0\x01\x7f", "\r\n\r\n",
    "a" * 3000, " " * 3000, "\n \n" * 700, "\u202e\u200b\u0301", "🏳️\u200d🌈" * 9, "'" * 50, "don't''ll", "ſt İi ß",
    "٣٤ ௧ Ⅷ", "\u00a0\u2003\u3000x", "é" + "e\u0301", "x\u2028y\u0085z",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, vocab_size=340, name="small")


def test_a_tokenizer_worked_by_hand() -> None:
    tokenizer = Tokenizer.train(["low lower lowest"], vocab_size=260)  # merges: lo, low, " low"
    assert tokenizer.merges == [(b"l", b"o"), (b"lo", b"w"), (b" ", b"low")]
    assert tokenizer.encode("low low") == [257, 258]
    assert (tokenizer.vocab_size, tokenizer.end_id, tokenizer.token_bytes(259)) == (260, 259, b"<|endoftext|>")


def test_the_merges_are_those_that_were_learned(tokenizer: Tokenizer) -> None:
    assert tokenizer.merges == train_bpe(TEXTS, 340 - 257)


@given(text=st.text(max_size=60))
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(tokenizer.tokens(text)) == text.encode()


@given(data=st.binary(max_size=60))
def test_any_bytes_come_back(tokenizer: Tokenizer, data: bytes) -> None:
    assert tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data


@given(text=st.text(max_size=60))
def test_bytes_of_a_text_are_encoded_like_the_text(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.encode_bytes(text.encode()) == tokenizer.encode(text)


def test_half_a_character_shows_as_a_replacement(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(list("é".encode())[:1]) == "\ufffd"


def test_ids_may_come_from_numpy(tokenizer: Tokenizer) -> None:
    ids = np.array(tokenizer.encode("the cat"), dtype=np.uint16)
    assert tokenizer.decode(ids) == "the cat"  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_produces_a_special_token_unless_asked(tokenizer: Tokenizer, text: str) -> None:
    for ids in (tokenizer.encode(text), *tokenizer.encode_many([text, "x"]), tokenizer.encode_bytes(text.encode())):
        assert tokenizer.end_id not in ids
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_special_token_is_produced_when_asked(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(f"a{END_OF_TEXT}b", allow_special=True)
    assert ids == [97, tokenizer.end_id, 98]
    assert tokenizer.decode(ids) == f"a{END_OF_TEXT}b"


def test_many_texts_at_once_are_encoded_like_one_by_one(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode_many(HOSTILE) == [tokenizer.encode(text) for text in HOSTILE]


def test_many_texts_with_white_space_to_be_cut_are_encoded_like_one_by_one(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm101.tokenizer.byte_level.LONGEST_SPACE", 3)
    texts = ["a", "the     cat", "\n" * 10, "x  y"]
    assert tokenizer.encode_many(texts) == [tokenizer.encode(text) for text in texts]
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_many(texts)] == texts


def test_endless_white_space_is_encoded_too(tokenizer: Tokenizer) -> None:
    text = "a" + " " * 1_200_000 + "b"  # tiktoken alone stops here with a stack overflow
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(text + END_OF_TEXT, allow_special=True)[-1] == tokenizer.end_id


@pytest.fixture(scope="module")
def theirs(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> tokenizers.Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(path)
    return tokenizers.Tokenizer.from_file(str(path))


@pytest.mark.parametrize("text", [*TEXTS[:2], *(text for text in HOSTILE if END_OF_TEXT not in text)])
def test_the_tokenizers_package_gives_the_same_ids(
    tokenizer: Tokenizer, theirs: tokenizers.Tokenizer, text: str
) -> None:
    ids = tokenizer.encode(text)
    assert theirs.encode(text, add_special_tokens=False).ids == ids
    assert theirs.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("text", ["a <|endoftext|> b", "a<|endoftext|>b<|endoftext|>", "<|endoftext|>\n", "~é¡¬®ÿ"])
def test_the_tokenizers_package_sees_our_special_tokens(
    tokenizer: Tokenizer, theirs: tokenizers.Tokenizer, text: str
) -> None:
    assert theirs.encode(text, add_special_tokens=False).ids == tokenizer.encode(text, allow_special=True)


@given(text=st.text(max_size=80))
def test_the_tokenizers_package_agrees_on_any_text(
    tokenizer: Tokenizer, theirs: tokenizers.Tokenizer, text: str
) -> None:
    assert theirs.encode(text, add_special_tokens=False).ids == tokenizer.encode(text)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_the_tokenizers_package_agrees_where_merges_compete(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = random.Random(seed)
    text = "".join(rng.choices("ab ", weights=[5, 5, 1], k=400))
    ours = Tokenizer.train([text], vocab_size=290)
    path = tmp_path_factory.getbasetemp() / "competing.json"
    ours.save(path)
    other = "".join(rng.choices("ab ", weights=[5, 5, 1], k=200))
    assert tokenizers.Tokenizer.from_file(str(path)).encode(other).ids == ours.encode(other)


def test_what_is_saved_is_read_back(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.from_file(tmp_path / "tokenizer.json")
    for name in ("ranks", "special_tokens", "pattern", "merges", "vocab_size", "end_id"):
        assert getattr(again, name) == getattr(tokenizer, name)
    assert again.encode(TEXTS[1]) == tokenizer.encode(TEXTS[1])


def test_another_way_of_cutting_words_is_saved_and_read_back(tmp_path: Path) -> None:
    tokenizer = Tokenizer("digits", {bytes([b]): b for b in range(256)} | {b"12": 256}, {}, pattern=r"\p{N}|[^\p{N}]+")
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.from_file(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert again.encode("a12") == theirs.encode("a12").ids == [97, 49, 50]


def test_the_byte_alphabet_names_every_byte_once() -> None:
    assert len(set(byte_alphabet())) == 256
    assert set(byte_alphabet()) == set(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    assert to_bytes(to_characters(bytes(range(256)))) == bytes(range(256))


def test_several_merges_may_make_one_token(tmp_path: Path) -> None:
    def as_llama3_writes_it(content: dict[str, Any]) -> None:
        content["model"]["merges"] = ["a b", "b c", "a bc", "ab c"]
        content["model"]["vocab"] |= {"ab": 256, "bc": 257, "abc": 258}

    assert Tokenizer.from_file(changed_file(tmp_path, as_llama3_writes_it)).encode("abc") == [258]


@pytest.mark.parametrize("ids", [[-1], [340], [97, 10**9], [np.int64(340)], torch.tensor([340])])
def test_an_unknown_id_is_refused(tokenizer: Tokenizer, ids: Any) -> None:
    with pytest.raises(TokenizerError, match=r"token id .* is not one of small's \(0 to 339\)"):
        tokenizer.decode(ids)


NO_IDS = [[None], ["a"], [1.0], [True], "no ids", b"ab", 97, {97: 1}, {97}, torch.tensor([[97]]), np.array([1.0])]


@pytest.mark.parametrize("ids", NO_IDS, ids=repr)
def test_what_is_no_row_of_ids_is_refused(tokenizer: Tokenizer, ids: Any) -> None:
    with pytest.raises(TokenizerError, match=r"small's token ids are whole numbers from 0 to 339, .*") as refused:
        tokenizer.decode(ids)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    "as_given", [np.array, torch.tensor, tuple, lambda ids: map(torch.tensor, ids), lambda ids: list(np.array(ids))]
)
def test_ids_may_come_as_numpy_and_torch_hand_them_out(tokenizer: Tokenizer, as_given) -> None:
    ids = tokenizer.encode("the cat and the dog")
    assert tokenizer.decode(as_given(ids)) == "the cat and the dog"
    assert tokenizer.token_bytes(torch.tensor(ids).argmax()) == tokenizer.token_bytes(ids.index(max(ids)))


def test_bytes_that_python_could_not_decode_are_encoded_as_those_bytes(tokenizer: Tokenizer) -> None:
    argument = b"a na\xefve \xff\xc3 \xe6\x9d\xb1"
    text = argument.decode("utf-8", "surrogateescape")
    assert tokenizer.decode_bytes(tokenizer.encode(text)) == argument
    assert b"".join(tokenizer.tokens(text)) == argument
    assert tokenizer.encode_many([text, "plain"]) == [tokenizer.encode(text), tokenizer.encode("plain")]
    assert tokenizer.encode(text) == tokenizer.encode_bytes(argument)


HALVES = ["ab\ud83d", "ab\udc7f!", "ab\udd00", "ab\udfff", "ab\ud83d\ude00", "ab\ud800\udc80"]


@pytest.mark.parametrize("text", HALVES, ids=ascii)
def test_half_of_a_character_is_refused_with_its_place(tokenizer: Tokenizer, text: str) -> None:
    for refuse in (tokenizer.encode, tokenizer.tokens, lambda t: tokenizer.encode_many([t])):
        with pytest.raises(TokenizerError, match=r"half of a character, '\\ud.*' at position 2"):
            refuse(text)
    with pytest.raises(ValueError, match="at position 2"):
        Tokenizer.train([text], 258)


def test_a_tokenizer_learns_nothing_across_a_byte_that_is_no_text() -> None:
    trained = Tokenizer.train(["ab\udcffab\udcff"], 258)
    assert trained.tokens("ab\udcffab") == [b"ab", b"\xff", b"ab"]


@pytest.mark.parametrize("texts", ["hello", b"hello", None, 5, [b"hello"], [None], [["a"]]], ids=repr)
def test_what_is_no_row_of_texts_is_refused_wherever_one_is_taken(tokenizer: Tokenizer, texts: Any, tmp_path) -> None:
    def build(given: Any) -> None:
        Corpus.from_texts(given, tokenizer, tmp_path / "corpus")

    for refuse in (lambda t: Tokenizer.train(t, 260), tokenizer.encode_many, lambda t: train_bpe(t, 3), build):
        with pytest.raises(ValueError, match=r"texts must be several texts|a text must be a str") as refused:
            refuse(texts)
        assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "corpus").exists()


def test_a_corpus_keeps_bytes_that_are_no_text(tokenizer: Tokenizer, tmp_path: Path) -> None:
    corpus = Corpus.from_texts(["ab\udcff"], tokenizer, tmp_path)
    assert tokenizer.decode_bytes(corpus.token_ids[1:-1]) == b"ab\xff"
    assert corpus.facts.n_bytes == 3


def test_a_vocabulary_of_impossible_size_is_refused() -> None:
    with pytest.raises(TokenizerError, match="at least 257 .* got 256"):
        Tokenizer.train(["text"], vocab_size=256)
    with pytest.raises(TokenizerError, match="yields only 259 tokens, 5000 were asked for; give more"):
        Tokenizer.train(["abc"], vocab_size=5000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranks": {}}, "it has no tokens"),
        ({"start_ids": (300,)}, "there is no token 300 to put before a text"),
        ({"added_tokens": {"<a>": 97}}, "two tokens share one id"),
        ({"special_tokens": {"<end>": 97}}, "two tokens share one id"),
        ({"special_tokens": {"": 300}}, "without a single byte"),
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": "a)|(b"}, "is no regular expression"),
        ({"cuts_before": ("(",)}, "is no regular expression"),
        ({"pattern": r"\w*"}, "may match between two characters"),
        ({"pattern": "a|(?=b)"}, "may match between two characters"),
    ],
)
def test_an_impossible_tokenizer_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        Tokenizer(**{"name": "odd", "ranks": {bytes([b]): b for b in range(256)}} | change)


def changed_file(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    path = folder / "tokenizer.json"
    Tokenizer("plain", {bytes([b]): b for b in range(256)}, {END_OF_TEXT: 400}).save(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def cut_by(pattern: object) -> dict[str, object]:
    """How a tokenizer.json says that a regular expression cuts the text."""
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    return {"type": "Sequence", "pretokenizers": [split, {"type": "ByteLevel", "use_regex": False}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("model"), "it has no model: a tokenizer.json holds a vocabulary"),
        (lambda c: c.update(model=[]), r"its 'model' is \[\], no table"),
        (lambda c: c["model"].update(type="Odd"), "its model is of the type 'Odd'; supported are BPE, "),
        (lambda c: c["model"].update(dropout=0.1), "it uses dropout: the same text would have other tokens"),
        (lambda c: c["model"].update(end_of_word_suffix="</w>"), "it uses end_of_word_suffix"),
        (lambda c: c["model"].update(continuing_subword_prefix="##"), "it uses continuing_subword_prefix"),
        (lambda c: c["model"].pop("vocab"), "its model has no vocabulary"),
        (lambda c: c["model"].update(vocab={}), "its model has no vocabulary"),
        (lambda c: c["model"]["vocab"].update(a=-1), "-1.* is no token id"),
        (lambda c: c["model"]["vocab"].update(a="7"), "'7'.* is no token id"),
        (lambda c: c["model"]["vocab"].update(a=98), "share one id"),
        (lambda c: c["model"].update(type="Unigram"), r"has no vocabulary \(a list of tokens and scores\)"),
        (lambda c: c["model"].update(type="Unigram", vocab=[["a", "b"]]), r"\['a', 'b'\] is no token with its score"),
        (lambda c: c["model"].update(merges=["a b"]), "'a' . 'b' makes no token"),
        (lambda c: c["model"].update(merges=["a b c"]), "'a b c' is no merge of two tokens"),
        (lambda c: c["model"].update(merges=None), "its 'merges' is None, no list"),
        (lambda c: c.update(truncation={"max_length": 2}), 'truncation, which changes texts: set "truncation" to null'),
        (lambda c: c.update(padding={}), 'padding, which changes texts: set "padding" to null'),
        (lambda c: c.update(normalizer={}), "{} does not say by its type what it does to a text"),
        (lambda c: c.update(normalizer={"type": "Sequence"}), "its 'pretokenizers' is None, no list"),
        (lambda c: c.update(pre_tokenizer=cut_by(7)), "the package tokenizers does not read it"),
        (lambda c: c.update(pre_tokenizer=cut_by("(")), r"'\(' is no regular expression that cuts text"),
        (lambda c: c.update(decoder={"type": "CTC"}), r"a decoder 'CTC'\) is not supported"),
        (
            lambda c: c.update(decoder=None, normalizer={"type": "NFKC"}),
            "how its tokens become text",
        ),
        (lambda c: c["added_tokens"][0].update(content=49), "49 is no text of a special token"),
        (lambda c: c["added_tokens"][0].update(content=""), "without a single byte"),
        (lambda c: c["added_tokens"][0].update(id=97), "has the id 97, but another one in the vocabulary"),
        (lambda c: c["added_tokens"].append(c["added_tokens"][0]), "it lists the added token .* twice"),
        (lambda c: c.update(added_tokens=5), "its 'added_tokens' is 5, no list"),
    ],
)
def test_a_file_with_a_feature_that_changes_the_tokens_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = changed_file(tmp_path, change)
    with pytest.raises(TokenizerError, match=message) as refusal:
        Tokenizer.from_file(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"model": 1e999}'])
def test_a_file_that_is_no_tokenizer_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(TokenizerError, match="tokenizer.json"):
        Tokenizer.from_file(path)


def test_a_missing_file_or_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="cannot read .*nothing.json: No such file"):
        Tokenizer.from_file(tmp_path / "nothing.json")
    with pytest.raises(TokenizerError, match="cannot read"):
        Tokenizer.from_file(tmp_path)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").mkdir()
    with pytest.raises(TokenizerError, match="cannot write"):
        tokenizer.save(tmp_path / "tokenizer.json")
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


def test_a_tokenizer_file_may_be_as_large_as_allowed_and_no_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tokenizer.json"
    Tokenizer.train(["aa"], 258).save(path)
    monkeypatch.setattr("llm101.tokenizer.tokenizer_file.MAX_FILE_BYTES", path.stat().st_size)
    assert Tokenizer.from_file(path).encode("aa") == [256]
    monkeypatch.setattr("llm101.tokenizer.tokenizer_file.MAX_FILE_BYTES", path.stat().st_size - 1)
    with pytest.raises(TokenizerError, match=f"{path.stat().st_size:,} bytes is too large for a tokenizer.json"):
        Tokenizer.from_file(path)
