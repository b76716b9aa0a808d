"""The stepper against an engine made of a few lines: what it takes, refuses, sends to the page and leaves behind."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llm101_widgets import InferenceStepper
from llm101_widgets.inference_stepper.scores import ALL, SOME, log_probability, packed_scores
from llm101_widgets.inference_stepper.tree import MOST, Tree
from tests.widgets.still_picture import svg_of

HOSTILE = '<img src=x onerror="alert(1)"></script>\x00'
TOKENS = [b"a", b"b", b"\xc3", b"\xa9", HOSTILE.encode(), b"<end>"]
END = 5


class Alphabet:
    """After token i, token i + 1 is likeliest, with three times the chance of every other."""

    end_ids = frozenset([END])

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def prompt_ids(self, text: str) -> list[int]:
        if not text:
            raise ValueError("the prompt is empty\nsecond line")
        return [TOKENS.index(c.encode()) for c in text]

    def token_bytes(self, token_id: int) -> bytes:
        return TOKENS[token_id]

    def next_logits(self, ids: list[int]) -> np.ndarray:
        self.asked.append(list(ids))
        if len(ids) > 8:
            raise ValueError("9 tokens do not fit the context of 8")
        scores = np.zeros(len(TOKENS), np.float32)
        scores[(ids[-1] + 1) % len(TOKENS)] = math.log(3)
        return scores


@pytest.fixture
def stepper() -> InferenceStepper:
    return InferenceStepper(Alphabet(), prompt="ab")


def page_sends(stepper: InferenceStepper, **message: object) -> list[tuple[dict[str, Any], list[bytes]]]:
    """What arrives when the page calls model.send(message), and what it gets back."""
    answers: list[tuple[dict[str, Any], list[bytes]]] = []
    stepper.send = lambda content, buffers=None: answers.append((content, list(buffers or [])))  # type: ignore[method-assign]
    stepper._handle_custom_msg(message, [])
    return answers


def test_it_begins_with_the_prompt_and_the_scores_of_what_follows(stepper: InferenceStepper) -> None:
    assert stepper.prompt_tokens == [[0, "a"], [1, "b"]]
    (root,) = stepper.nodes
    assert (root["parent"], root["bytes"], root["over"]) == (-1, "b", False)
    assert root["top"] == ["\xc3", "a", "b", "\xa9", HOSTILE, "<end>"]
    np.testing.assert_allclose(np.frombuffer(root["logits"], "<f4"), [0, 0, math.log(3), 0, 0, 0])
    assert (root["ids"], root["rest"], stepper.selected, stepper.token_ids) == (b"", [0, -99.0], 0, [])


def test_following_tokens_grows_branches_that_share_their_beginning(stepper: InferenceStepper) -> None:
    stepper.follow([2, 3, 0])
    assert (stepper.selected, stepper.token_ids) == (3, [2, 3, 0])
    stepper.selected = 1
    stepper.follow([3, 1])
    assert [node["parent"] for node in stepper.nodes] == [-1, 0, 1, 2, 2]
    assert stepper.token_ids == [2, 3, 1]
    assert stepper.nodes[1]["logprob"] == pytest.approx(math.log(3 / 8))
    assert stepper.nodes[4]["logprob"] == pytest.approx(math.log(1 / 8))


def test_the_engine_is_asked_once_for_each_node(stepper: InferenceStepper) -> None:
    stepper.follow([2, 3])
    stepper.selected = 0
    stepper.follow([2, 3])
    assert stepper._engine.asked == [[0, 1], [0, 1, 2], [0, 1, 2, 3]]


def test_the_page_gets_a_node_without_having_the_whole_tree_sent(stepper: InferenceStepper) -> None:
    ((content, [ids, logits]),) = page_sends(stepper, parent=0, token_id=2)
    assert content["number"] == 1
    assert json.loads(json.dumps(content["node"]))["bytes"] == "\xc3"
    assert (ids, len(logits)) == (b"", 24)
    assert len(stepper.nodes) == 1
    assert page_sends(stepper, parent=0, token_id=2)[0][0]["number"] == 1
    assert page_sends(stepper, keep=True) == []
    assert len(stepper.nodes) == 2


def test_the_page_can_begin_anew_even_with_the_same_prompt(stepper: InferenceStepper) -> None:
    page_sends(stepper, parent=0, token_id=2)
    assert page_sends(stepper, prompt="ab") == [({"anew": True}, [])]
    assert len(stepper.nodes) == 1
    page_sends(stepper, prompt="b")
    assert (stepper.prompt, stepper.prompt_tokens, stepper.selected) == ("b", [[1, "b"]], 0)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"parent": 9, "token_id": 1}, "list index out of range"),
        ({"parent": 0, "token_id": 99}, "index 99 is out of bounds for axis 0 with size 6"),
    ],
)
def test_the_page_shows_a_refusal_in_one_line(stepper: InferenceStepper, message: dict, words: str) -> None:
    before = stepper.nodes
    assert page_sends(stepper, **message) == [({"error": words}, [])]
    assert (stepper.nodes, stepper.prompt) == (before, "ab")


def test_after_its_end_a_text_cannot_go_on(stepper: InferenceStepper) -> None:
    stepper.follow([2, END])
    assert stepper.nodes[-1]["over"] is True
    assert (stepper.nodes[-1]["logits"], stepper.nodes[-1]["top"]) == (b"", [])
    with pytest.raises(ValueError, match="the text is over here"):
        stepper.follow([0])
    assert repr(stepper).endswith("could come: nothing")


def test_a_full_context_and_a_full_tree_are_said_so() -> None:
    tree = Tree(Alphabet(), "ab")
    with pytest.raises(ValueError, match="9 tokens do not fit the context of 8"):
        [tree.child(i, 1) for i in range(9)]
    tree.nodes += [tree.nodes[1]] * (MOST - len(tree.nodes))
    with pytest.raises(ValueError, match=f"the tree is full, it holds {MOST} tokens"):
        tree.child(0, 3)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("temperature", 2.5), ("temperature", None), ("top_k", 1.5), ("top_k", 101), ("top_p", 0), ("min_p", -0.1)],
)
def test_settings_out_of_range_are_refused(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{setting} must be a number from .* to .*, got {value!r}"):
        InferenceStepper(Alphabet(), prompt="ab", **{setting: value})


def test_a_node_that_is_not_there_cannot_be_selected(stepper: InferenceStepper) -> None:
    for number in (-1, 1, True):
        with pytest.raises(ValueError, match=f"selected must be a number from 0 to 0, got {number}"):
            stepper.selected = number
    assert stepper.selected == 0


def test_what_is_no_engine_is_refused_with_what_it_lacks() -> None:
    with pytest.raises(ValueError, match="SimpleNamespace lacks token_bytes, end_ids, next_logits"):
        InferenceStepper(SimpleNamespace(prompt_ids=list))


def test_of_a_large_vocabulary_the_page_gets_the_likeliest_and_the_sum_of_the_others() -> None:
    logits = np.random.default_rng(0).normal(size=ALL + 1).astype(np.float32)
    packed = packed_scores(logits)
    ids, kept = np.frombuffer(packed["ids"], "<i4"), np.frombuffer(packed["logits"], "<f4")
    assert len(ids) == len(kept) == SOME
    np.testing.assert_array_equal(kept, np.sort(logits)[::-1][:SOME])
    np.testing.assert_array_equal(logits[ids], kept)
    n_rest, rest = packed["rest"]
    assert n_rest == ALL + 1 - SOME
    assert np.exp(kept.astype(float)).sum() + math.exp(rest) == pytest.approx(np.exp(logits.astype(float)).sum())
    assert packed["top"] == ids[:20].tolist()


def test_scores_that_are_no_numbers_are_refused_and_impossible_tokens_can_be_sent() -> None:
    for broken in (math.nan, math.inf):
        with pytest.raises(ValueError, match="scores are not finite"):
            packed_scores([0.0, broken])
    assert np.isfinite(np.frombuffer(packed_scores([0.0, -math.inf])["logits"], "<f4")).all()
    assert log_probability([0.0, -math.inf], 1) == -99.0


def test_it_leaves_its_tree_behind_as_words_and_its_bars_as_a_picture(stepper: InferenceStepper) -> None:
    stepper.follow([2, 3, 4])
    stepper.selected = 0
    stepper.follow([0])
    stepper.selected = 3
    data = stepper._repr_mimebundle_()[0]
    assert data["text/plain"] == repr(stepper)
    assert repr(stepper).split("\n")[:3] == ["ab (ways on from here: 2)", f"  …é{HOSTILE}", "  …a"]
    picture = ET.fromstring(svg_of(stepper))
    words = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert words[0] == f"abé{HOSTILE}".replace("\x00", "�")
    assert words[1:3] == ["<end>", "37.5%"]
    assert {node.tag.rpartition("}")[2] for node in picture.iter()} == {"svg", "title", "rect", "text"}
