"""The playground and the replay, as Python sees them: what they take, refuse, send and leave behind."""

from __future__ import annotations

import xml.etree.ElementTree as ET
import zlib
from itertools import accumulate, pairwise
from types import SimpleNamespace

import pytest

from llm101.tokenizer import Tokenizer
from llm101.tokenizer.bpe import GPT2_WORD_PATTERN, train_bpe
from llm101_widgets import MergeReplay, TokenizerPlayground
from llm101_widgets.merge_replay import PATTERN
from llm101_widgets.token_playground.packed_ranks import packed_ranks
from tests.widgets.still_picture import svg_of

HOSTILE = '<img src=x onerror="alert(1)"></script>'
STORY = "The keeper lit the lamp. The lamp lit the sea, and the sea lit the sky. " + HOSTILE


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([STORY], vocab_size=280, name="small")


def test_what_is_sent_to_the_page_holds_every_token(tokenizer: Tokenizer) -> None:
    sent = packed_ranks(tokenizer)
    plain = zlib.decompress(sent["packed"])
    n_tokens = sum(count for _, count in sent["runs"])
    ends = list(accumulate(plain[:n_tokens], initial=n_tokens))
    ids = [first + i for first, count in sent["runs"] for i in range(count)]
    assert dict(zip((plain[a:b] for a, b in pairwise(ends)), ids, strict=True)) == tokenizer.ranks
    assert sent["vocab_size"] == tokenizer.vocab_size == n_tokens + 1  # the end of a text is a token without text
    assert packed_ranks(Tokenizer.from_tiktoken("p50k_base"))["runs"] == [[0, 50256], [50257, 24]]
    assert packed_ranks(Tokenizer.from_tiktoken("tekken"))["runs"] == [[1000, 130072]]


def test_a_token_too_long_for_the_page_is_refused() -> None:
    with pytest.raises(ValueError, match="odd: a token of 256 bytes; the page takes up to 255"):
        packed_ranks(SimpleNamespace(name="odd", pattern=".", ranks={b"a" * 256: 0}))


def test_the_playground_leaves_its_tokens_behind_as_text_and_as_a_picture(tokenizer: Tokenizer) -> None:
    playground = TokenizerPlayground([tokenizer], text=f"a lamp\n{HOSTILE}")
    assert repr(playground).startswith("small: ")
    assert "a| lamp|⏎" in repr(playground)
    html = playground._repr_mimebundle_()[0]["text/html"]
    assert "&lt;" in html
    assert "<img" not in html
    assert "</script" not in html


def test_half_a_character_is_left_behind_as_its_bytes() -> None:
    playground = TokenizerPlayground([Tokenizer.train(["abc"], vocab_size=257, name="bytes")], text="é")
    assert repr(playground) == r"bytes: 2 tokens: \xc3|\xa9"


def test_the_playground_shows_the_first_three_tokenizers_unless_told_otherwise() -> None:
    several = [Tokenizer.train(["abc"], vocab_size=257, name=name) for name in "abcd"]
    assert TokenizerPlayground(several).shown == ["a", "b", "c"]
    assert TokenizerPlayground(several, shown=["d"]).shown == ["d"]
    assert repr(TokenizerPlayground(several, shown=[])) == "no tokenizer is shown"


def test_the_page_gets_a_vocabulary_once_it_is_shown_and_keeps_it() -> None:
    several = [Tokenizer.train(["abc"], vocab_size=257, name=name) for name in "abcd"]
    playground = TokenizerPlayground(several, shown=["b"])
    assert (playground.names, list(playground.vocabularies)) == (["a", "b", "c", "d"], ["b"])
    sent: list[str] = []
    playground.observe(lambda change: sent.extend(change["new"]), "vocabularies")
    playground.shown = ["d", "a"]
    assert sorted(sent) == ["a", "b", "d"]
    assert sorted(playground.vocabularies) == ["a", "b", "d"]
    assert playground.vocabularies["d"] == packed_ranks(several[3])


def test_the_playground_refuses_what_it_cannot_show(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="needs at least one tokenizer"):
        TokenizerPlayground([])
    playground = TokenizerPlayground([tokenizer])
    with pytest.raises(ValueError, match="no tokenizer 'gpt9' in this playground; it has small"):
        playground.shown = ["gpt9"]
    with pytest.raises(ValueError, match="price must be from 0 to 1000 dollars per million tokens, got -1"):
        playground.price = -1.0
    with pytest.raises(ValueError, match="at most 200,000 characters, got 200,001"):
        playground.text = "a" * 200_001
    assert (playground.shown, playground.price) == (["small"], 1.0)


def test_the_replay_ends_with_the_tokens_of_the_tokenizer(tokenizer: Tokenizer) -> None:
    replay = MergeReplay(tokenizer.merges, text=STORY, step=len(tokenizer.merges))
    assert [piece for word in replay.pieces() for piece in word] == tokenizer.tokens(STORY)


def test_the_replay_starts_with_single_bytes_and_can_go_back(tokenizer: Tokenizer) -> None:
    replay = MergeReplay(tokenizer.merges, text="a lamp é")
    assert repr(replay) == f"after 0 of {len(tokenizer.merges)} merges, 9 pieces: a| |l|a|m|p| |\\xc3|\\xa9"
    replay.step = len(tokenizer.merges)
    assert repr(replay).endswith(r"5 pieces: a| lamp| |\xc3|\xa9")
    replay.step = 0
    assert len(replay.pieces()[1]) == 5


def test_the_replay_cuts_words_as_the_training_does() -> None:
    assert PATTERN == GPT2_WORD_PATTERN


def test_the_replay_shows_how_often_each_pair_occurred() -> None:
    seen: list[int] = []
    merges = train_bpe([STORY], 5, on_merge=lambda _, count: seen.append(count))
    assert MergeReplay(merges, counts=seen).counts == seen
    with pytest.raises(ValueError, match="counts must have one number for each of 5 merges, got 1"):
        MergeReplay(merges, counts=[3])


def test_the_replay_refuses_what_it_cannot_show(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="the list of merges is empty"):
        MergeReplay([])
    replay = MergeReplay(tokenizer.merges)
    for step in (-1, len(tokenizer.merges) + 1):
        with pytest.raises(ValueError, match=f"step must be from 0 to {len(tokenizer.merges)}"):
            replay.step = step
    with pytest.raises(ValueError, match="at most 2,000 characters to be watched, got 2,001"):
        replay.text = "a" * 2001
    assert replay.step == 0


def test_the_replay_leaves_its_pieces_behind_as_a_picture(tokenizer: Tokenizer) -> None:
    replay = MergeReplay(tokenizer.merges, text=f"the lamp\n{HOSTILE} \x00京", step=5)
    texts = [text.text for text in ET.fromstring(svg_of(replay)).iter("{http://www.w3.org/2000/svg}text")]
    n_pieces = sum(map(len, replay.pieces()))
    assert texts[0] == f"after 5 of {len(tokenizer.merges)} merges, {n_pieces} pieces"
    assert len(texts) == 1 + n_pieces
    assert {"E4", "⏎", "<", "�"} <= set(texts)
