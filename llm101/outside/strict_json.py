"""JSON from outside, read strictly: what a lenient reader would let pass is refused with its reason.

It knows nothing of what the JSON is for: headers of parameter files, config.json, tokenizer.json.
"""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import Any

from llm101.outside.atomic_file import reason

MAX_JSON_BYTES = 50_000_000
"""No config or index in use comes near this size."""


def strict_json(text: bytes) -> dict[str, Any]:
    """Read one JSON table: UTF-8, no name twice, no NaN, nothing after it.

    Raises:
        ValueError: what is wrong with it, in one line.

    Example:
        >>> strict_json(b'{"shape": [2, 3]}')
        {'shape': [2, 3]}
        >>> strict_json(b'{"a": 1, "a": 2}')
        Traceback (most recent call last):
        ValueError: not valid JSON: the name 'a' occurs twice
    """
    try:
        value = json.loads(text.decode(), object_pairs_hook=_table, parse_constant=_no_constant)
    except UnicodeError:
        raise ValueError("not valid JSON: not UTF-8 text") from None
    except RecursionError:
        raise ValueError("not valid JSON: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"not a JSON table, but {shown(value)}")
    return value


def read_strict_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON table.

    Raises:
        ValueError: not there, far too large, or not such JSON; the line begins with its name.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError("too large to be what its name says")
        return strict_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: {reason(error)}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"the name {shown(name)} occurs twice")
        for text in (name, value):
            if isinstance(text, str):
                text.encode()  # JSON can spell half of a character (\ud800), which could never be printed
        table[name] = value
    return table


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def shown(value: object) -> str:
    """Something from outside, short enough and safe enough to stand in one line of an error message.

    Example:
        >>> shown("two\\nlines"), shown(list(range(1000)))
        ("'two\\\\nlines'", '[0, 1, 2, 3, 4, 5, 6, 7, ...]')
    """
    short = reprlib.Repr()
    short.maxstring, short.maxother, short.maxdict, short.maxlist, short.maxlevel = 100, 100, 4, 8, 3
    try:
        text = short.repr(value)
    except Exception:  # a whole number of more digits than Python writes out
        return f"a {type(value).__name__} that cannot be shown"
    return " ".join(text.split()) if "\n" in text else text  # an array's numbers stand in several lines
