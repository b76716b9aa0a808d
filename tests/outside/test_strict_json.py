"""What an error message shows of a thing from outside: enough to recognise it, on one line, whatever its size."""

from __future__ import annotations

import pytest

from llm101.outside.strict_json import shown, strict_json


def test_a_text_is_shown_whole_up_to_a_hundred_characters() -> None:
    whole = "a" * 98  # and its two quotes
    assert shown(whole) == f"'{whole}'"
    assert shown(whole + "a") == f"'{'a' * 47}...{'a' * 48}'"
    assert len(shown("a" * 10_000)) == 100


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (list(range(8)), "[0, 1, 2, 3, 4, 5, 6, 7]"),
        (list(range(9)), "[0, 1, 2, 3, 4, 5, 6, 7, ...]"),
        (dict.fromkeys("abcd", 1), "{'a': 1, 'b': 1, 'c': 1, 'd': 1}"),
        (dict.fromkeys("abcde", 1), "{'a': 1, 'b': 1, 'c': 1, 'd': 1, ...}"),
        ([[[1]]], "[[[1]]]"),
        ([[[[1]]]], "[[[[...]]]]"),
        (KeyError("k" * 88), f"KeyError('{'k' * 88}')"),
    ],
)
def test_tables_and_lists_are_shown_by_their_beginnings(value: object, text: str) -> None:
    assert shown(value) == text


def test_another_kind_of_object_is_cut_in_its_middle() -> None:
    assert len(shown(KeyError("k" * 200))) == 100


@pytest.mark.parametrize("text", [b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b'{"a": {"b": "\\ud800x"}}'])
def test_half_a_character_is_refused_as_it_could_never_be_printed(text: bytes) -> None:
    with pytest.raises(ValueError, match="not valid JSON: not UTF-8 text"):
        strict_json(text)


def test_a_whole_character_spelt_in_halves_is_welcome() -> None:
    assert strict_json(b'{"a": "\\ud83d\\ude42"}') == {"a": "🙂"}
