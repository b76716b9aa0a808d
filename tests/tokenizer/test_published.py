"""The vocabularies that come with the package: the published ones to the byte, without a network."""

from __future__ import annotations

import hashlib
import json
import lzma
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tokenizers
from tiktoken_ext import openai_public

from llm101.tokenizer import Tokenizer, TokenizerError
from llm101.tokenizer import published as ranks
from llm101.tokenizer.byte_level_file import to_characters
from llm101.tokenizer.published import VOCABULARIES, Vocabulary, pack_tokens, read_ranks, unpack_tokens
from tests.tokenizer.varied import varied_texts

OPENAI = ("gpt2", "r50k_base", "p50k_base", "cl100k_base", "o200k_base")

MIXED = "It's 1234567 o'clock — naïve café, ЁЖИК, 東京, ไทย, \U0001f469‍\U0001f52c!\r\n\n  \tI'LL  they'ſ <|endoftext|> "


def asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], set[str]]:
    """What tiktoken would build, and the hashes it asks for, without its downloading anything."""
    hashes: set[str] = set()

    def load(*files: str, expected_hash: str = "", **more: str) -> dict[bytes, int]:
        hashes.update({expected_hash, *(value for key, value in more.items() if key.endswith("_hash"))})
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", load)
    monkeypatch.setattr(openai_public, "data_gym_to_mergeable_bpe_ranks", load)
    constructor: Callable[[], dict[str, Any]] = openai_public.ENCODING_CONSTRUCTORS[name]
    return constructor(), hashes


@pytest.mark.parametrize("name", OPENAI)
def test_the_vocabulary_is_the_one_that_tiktoken_asks_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, hashes = asked_for(name, monkeypatch)
    ours = VOCABULARIES[name]
    assert ours.sha256 in hashes or name == "gpt2"  # GPT-2's two files are rebuilt below
    assert (ours.pattern, ours.special_tokens) == (theirs["pat_str"], theirs["special_tokens"])
    vocab_size = theirs.get("explicit_n_vocab", max(ours.special_tokens.values()) + 1)
    assert Tokenizer.from_tiktoken(name).vocab_size == vocab_size


def test_gpt2s_original_files_can_be_rebuilt_from_its_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = Tokenizer.from_tiktoken("gpt2")
    lines = ["#version: 0.2", *(f"{to_characters(a)} {to_characters(b)}" for a, b in tokenizer.merges)]
    vocab_bpe = "".join(line + "\n" for line in lines).encode()
    spelled = {to_characters(token): token_id for token, token_id in tokenizer.ranks.items()}
    encoder_json = json.dumps(spelled | tokenizer.special_tokens).encode()
    rebuilt = {hashlib.sha256(file).hexdigest() for file in (vocab_bpe, encoder_json)}
    assert rebuilt | {""} == asked_for("gpt2", monkeypatch)[1] | {""}


@pytest.mark.parametrize("name", OPENAI)
def test_encoding_equals_that_of_stock_tiktoken(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock tiktoken, reading our vocabulary from the cache folder where it would keep its downloads."""
    stem = "r50k_base" if name == "gpt2" else name
    url = f"https://openaipublic.blob.core.windows.net/encodings/{stem}.tiktoken"
    content = ranks.tiktoken_file(read_ranks(VOCABULARIES[stem]))
    (tmp_path / hashlib.sha1(url.encode()).hexdigest()).write_bytes(content)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    stock = tiktoken.Encoding(**openai_public.ENCODING_CONSTRUCTORS[stem]())
    assert Tokenizer.from_tiktoken(name).encode(MIXED) == stock.encode_ordinary(MIXED)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_any_text_comes_back_as_it_was(name: str) -> None:
    tokenizer = Tokenizer.from_tiktoken(name)
    assert tokenizer.decode(tokenizer.encode(MIXED)) == MIXED
    assert not set(tokenizer.encode(MIXED)) & set(tokenizer.special_tokens.values())


def test_known_encodings() -> None:
    assert Tokenizer.from_tiktoken("gpt2").encode("hello world") == [31373, 995]  # tiktoken's own tests
    assert Tokenizer.from_tiktoken("cl100k_base").encode("hello world") == [15339, 1917]
    assert Tokenizer.from_tiktoken("o200k_base").encode("hello world") == [24912, 2375]


def test_tekkens_ids_follow_its_thousand_special_tokens() -> None:
    tekken = Tokenizer.from_tiktoken("tekken")
    assert (tekken.special_tokens["<s>"], tekken.token_bytes(1000), tekken.vocab_size) == (1, b"\x00", 131_072)
    assert tekken.tokens("2024") == [b"2", b"0", b"2", b"4"]


def test_qwen_has_gpt4s_words_but_none_of_its_long_numbers() -> None:
    qwen, gpt4 = Tokenizer.from_tiktoken("qwen2.5"), Tokenizer.from_tiktoken("cl100k_base")
    text = unicodedata.normalize("NFC", "The old lighthouse keeper")
    assert qwen.tokens(text) == gpt4.tokens(text)
    missing = gpt4.ranks.keys() - qwen.ranks.keys()
    assert len(missing) == 1100
    assert all(token.isdigit() for token in missing)


def compare_saved(name: str, folder: Path, n_texts: int) -> None:
    """What is saved has to mean the same to Hugging Face's `tokenizers`."""
    ours = Tokenizer.from_tiktoken(name)
    ours.save(folder / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for i, text in enumerate(varied_texts(n_texts, [*ours.special_tokens], seed=5)):
        ids = ours.encode(text, allow_special=i % 2 == 0)
        theirs.encode_special_tokens = i % 2 == 1
        assert theirs.encode(text, add_special_tokens=False).ids == ids, ascii(text)


def test_a_saved_vocabulary_means_the_same_to_everybody(tmp_path: Path) -> None:
    compare_saved("cl100k_base", tmp_path, 300)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.encode("3.14159").ids == Tokenizer.from_tiktoken("cl100k_base").encode("3.14159")
    assert theirs.encode("3.14159").ids == [18, 13, 9335, 2946]


@pytest.mark.slow
@pytest.mark.parametrize("name", VOCABULARIES)
def test_ten_thousand_texts_have_the_same_ids_by_every_saved_vocabulary(name: str, tmp_path: Path) -> None:
    compare_saved(name, tmp_path, 10_000)
    ours, back = Tokenizer.from_tiktoken(name), Tokenizer.from_file(tmp_path / "tokenizer.json")
    assert (back.ranks, back.special_tokens) == (ours.ranks, ours.special_tokens)
    for text in varied_texts(1000, seed=7):
        assert back.encode(text) == ours.encode(text), ascii(text)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_saved_pattern_cuts_at_the_same_places(name: str, tmp_path: Path) -> None:
    """A vocabulary of all that three neighbouring bytes can be joins whatever no cut keeps apart."""
    neighbours = Counter(b"".join(t) for text in varied_texts(400, seed=6) for t in zip(*_shifted(text.encode())))
    tokens = [bytes([b]) for b in range(256)] + [t[:2] for t in neighbours] + [*neighbours]
    cutter = Tokenizer("cutter", {t: i for i, t in enumerate(dict.fromkeys(tokens))}, {}, VOCABULARIES[name].pattern)
    cutter.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in varied_texts(400, seed=6):
        assert theirs.encode(text).ids == cutter.encode(text), ascii(text)


def _shifted(data: bytes) -> list[list[bytes]]:
    return [[data[i : i + 1] for i in range(start, len(data))] for start in range(3)]


def test_an_unknown_name_gets_one_line_that_lists_the_known_ones() -> None:
    with pytest.raises(TokenizerError, match=r"^no tokenizer 'o200k': did you mean 'o200k_base'\? known are gpt2.*n$"):
        Tokenizer.from_tiktoken("o200k")
    with pytest.raises(TokenizerError, match="no tokenizer '../../etc/passwd': known are"):
        Tokenizer.from_tiktoken("../../etc/passwd")


def test_the_second_call_costs_nothing() -> None:
    assert Tokenizer.from_tiktoken("gpt2") is Tokenizer.from_tiktoken("gpt2")


def one_file(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Vocabulary:
    (folder / "small.xz").write_bytes(content)
    monkeypatch.setattr(ranks, "FOLDER", folder)
    tokens = dict.fromkeys([bytes([b]) for b in range(256)])
    wanted = hashlib.sha256(ranks.tiktoken_file({token: i for i, token in enumerate(tokens)})).hexdigest()
    return replace(VOCABULARIES["gpt2"], file="small", n_tokens=256, sha256=wanted)


def test_a_vocabulary_with_one_wrong_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = [bytes([b]) for b in range(256)]
    assert len(read_ranks(one_file(tmp_path, pack_tokens(tokens), monkeypatch))) == 256
    tokens[10], tokens[11] = tokens[11], tokens[10]
    with pytest.raises(TokenizerError, match=r"small\.xz is damaged: its tokens have SHA-256"):
        read_ranks(one_file(tmp_path, pack_tokens(tokens), monkeypatch))


@pytest.mark.parametrize("damage", [lambda f: f[:-20], lambda f: b"", lambda f: b"text", lambda f: f + b"more"])
def test_a_damaged_file_is_refused(
    damage: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = damage(pack_tokens([bytes([b]) for b in range(256)]))
    with pytest.raises(TokenizerError, match=r"cannot read .*small\.xz: .*install llm101 anew"):
        read_ranks(one_file(tmp_path, packed, monkeypatch))


def test_a_file_that_counts_more_tokens_than_it_holds_is_refused() -> None:
    for n_tokens in (5, 2**32 - 1):
        with pytest.raises(ValueError, match="its tokens have"):
            unpack_tokens(lzma.compress(n_tokens.to_bytes(4, "little") + b"\x01\x01ab"))


def test_all_vocabularies_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in ranks.FOLDER.glob("*.xz")) < 2_100_000
