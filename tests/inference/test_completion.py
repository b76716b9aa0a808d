"""Text that never has to be taken back: characters split across tokens, stop strings that span tokens."""

from __future__ import annotations

import random

import pytest

from llm101.inference.completion import Completion, CompletionToken, Rules, ShownText
from llm101.inference.sampling import SamplingSettings


def shown(pieces: list[bytes], stop: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    text = ShownText(stop)
    out = []
    for i, piece in enumerate(pieces):
        out.append(text.add(piece, last=i == len(pieces) - 1))
        if text.stopped:
            break
    return out, text.stopped


def test_half_a_character_waits_for_its_other_half():
    assert shown([b"a", b"\xf0", b"\x9f\x8c", b"\x89", b"b"]) == (["a", "", "", "\N{BRIDGE AT NIGHT}", "b"], False)


def test_bytes_that_can_never_become_a_character_show_as_such_at_once():
    assert shown([b"a\xff", b"b"])[0] == ["a\N{REPLACEMENT CHARACTER}", "b"]


def test_half_a_character_at_the_very_end_shows_as_decode_shows_it():
    assert shown([b"a", b"\xe2\x82"])[0] == ["a", "\N{REPLACEMENT CHARACTER}"]


def test_a_stop_string_across_tokens_is_never_shown():
    assert shown([b"yes\n", b"\n", b"no"], ("\n\n",)) == (["yes", ""], True)


def test_what_only_looked_like_a_stop_string_is_shown_later():
    assert shown([b"yes\n", b"no", b"\n"], ("\n\n",)) == (["yes", "\nno", "\n"], False)


def test_the_earliest_stop_string_counts():
    assert shown([b"one two three"], ("three", "two")) == (["one "], True)


def test_a_stop_string_that_begins_anew_within_itself_is_found():
    assert shown([b"a", b"a", b"b", b"!"], ("ab",)) == (["", "a", ""], True)


def test_a_stop_string_with_a_character_split_across_tokens_is_found():
    assert shown([b"caf\xc3", b"\xa9!"], ("é",)) == (["caf", ""], True)


def test_any_cutting_into_pieces_gives_the_same_text_and_never_shows_a_stop_string():
    rng = random.Random(0)
    alphabet = ["a", "b", "é", "\N{BRIDGE AT NIGHT}", "\n"]
    for _ in range(2000):
        text = "".join(rng.choices(alphabet, k=rng.randrange(1, 14)))
        stop = tuple("".join(rng.choices(alphabet, k=rng.randrange(1, 4))) for _ in range(rng.randrange(3)))
        data = text.encode()
        cuts = sorted(rng.sample(range(len(data) + 1), min(len(data), 4)))
        pieces = [data[i:j] for i, j in zip([0, *cuts], [*cuts, len(data)])]
        found = [at for s in stop if (at := text.find(s)) >= 0]
        whole, stopped = shown(pieces, stop)
        assert stopped == bool(found)
        # a stop string that is complete first wins over one that begins earlier but ends later
        assert text.startswith("".join(whole))
        assert not any(s in "".join(whole) for s in stop)
        if not found:
            assert "".join(whole) == text


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_tokens": 0}, "max_tokens must be a whole number from 1 upwards, got 0"),
        ({"max_tokens": 2.5}, "max_tokens .* got 2.5"),
        ({"n_alternatives": -1}, "n_alternatives must be a whole number from 0 upwards, got -1"),
        ({"stop": ""}, "stop must be texts of at least one character, got ''"),
        ({"stop": ("a", "")}, "stop must be texts"),
        ({"stop": (1,)}, "stop must be texts"),
    ],
)
def test_rules_out_of_range_are_refused_with_the_range(asked, message):
    with pytest.raises(ValueError, match=message):
        Rules(SamplingSettings(), **asked)


def test_speed_is_tokens_over_seconds_and_nothing_is_no_speed():
    made = [CompletionToken(id=5, text="a", logprob=-1.0, alternatives=[], stop_reason=None)] * 6
    completion = Completion.of(made, [1], prefill_seconds=9.0, decode_seconds=2.0)
    assert completion.decode_tokens_per_second == 3.0
    assert completion.stop_reason == "cancelled"
    assert Completion.of([], [1], 1.0, 0.0).decode_tokens_per_second == 0.0
