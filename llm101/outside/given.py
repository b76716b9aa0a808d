"""What a reader gives, taken as it was meant: whole numbers, rows of token ids, texts.

NumPy and torch have whole numbers and rows of their own, and a learner's loop is full of them: what Python itself
takes for a whole number (`__index__`) is one here. What only looks like it is refused, in one line.

Reading order: whole, real, id_row, then texts, path and unicode_pieces.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from llm101.outside.strict_json import shown

LONGEST_PATH = 4096
"""Characters; Linux takes no more, other systems fewer."""

_ESCAPED_BYTE = re.compile("([\udc80-\udcff])")
_HALF_CHARACTER = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def whole(value: object) -> int | None:
    """The int that a value is, or None if it is no whole number. Truth values are none.

    Example:
        >>> import numpy as np
        >>> whole(np.int64(5)), whole(5.0), whole(True)
        (5, None, None)
    """
    if type(value) is int:
        return value
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except Exception:  # TypeError, and what torch raises for tensors that hold no numbers
        return None


def real(value: object) -> float | None:
    """The float that a number is, or None if it is none. Texts and truth values are none.

    Example:
        >>> from fractions import Fraction
        >>> real(Fraction(1, 2)), real("0.5"), real(10**400)
        (0.5, None, None)
    """
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")) or getattr(value, "ndim", 0) != 0:
        return None
    if not hasattr(type(value), "__float__") and not hasattr(type(value), "__index__"):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except Exception:
        return None


def id_row(ids: Iterable[Any], allowed: str) -> list[int]:
    """Token ids as a list of ints: from a list, a tuple, an array or a tensor with one axis.

    Args:
        ids: in their order.
        allowed: what the ids may be; the error message begins with it.

    Raises:
        ValueError: no row of whole numbers; the line says what it is instead.

    Example:
        >>> import numpy as np
        >>> id_row(np.array([3, 1]), "token ids are whole numbers")
        [3, 1]
        >>> id_row(b"Once", "token ids are whole numbers")
        Traceback (most recent call last):
        ValueError: token ids are whole numbers, got bytes: b'Once'
    """
    n_axes = getattr(ids, "ndim", 1)
    if n_axes != 1:
        raise ValueError(f"{allowed}, in a row; got shape {tuple(ids.shape)}")  # type: ignore[attr-defined]
    is_no_row = isinstance(ids, (str, bytes, bytearray, memoryview, Mapping, Set)) or not hasattr(ids, "__iter__")
    if is_no_row:
        raise ValueError(f"{allowed}, got {_kind_and_value(ids)}")
    row = []
    for given in ids.tolist() if hasattr(ids, "tolist") else ids:  # type: ignore[attr-defined]
        token_id = whole(given)
        if token_id is None:
            raise ValueError(f"{allowed}, got {shown(given)}")
        row.append(token_id)
    return row


def texts(values: Iterable[str], name: str = "texts") -> Iterator[str]:
    """Texts, one by one: never the letters of a single text.

    Raises:
        ValueError: at once: a single text, or nothing to walk through; on the way: something that is no text.

    Example:
        >>> texts("hello")
        Traceback (most recent call last):
        ValueError: texts must be several texts, got the single text 'hello': put it into a list
    """
    if isinstance(values, (str, bytes)):
        raise ValueError(f"{name} must be several texts, got the single text {shown(values)}: put it into a list")
    if not hasattr(values, "__iter__"):
        raise ValueError(f"{name} must be several texts, got {shown(values)}")
    return (text(value) for value in values)


def text(value: object) -> str:
    """The value, if it is a text.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str):
        hint = "; decode them first, such as with .decode('utf-8')" if isinstance(value, (bytes, bytearray)) else ""
        raise ValueError(f"a text must be a str, got {_kind_and_value(value)}{hint}")
    return value


def path(value: str | os.PathLike[str]) -> Path:
    """The place of a file or folder.

    Raises:
        ValueError: no path, an empty one, or one that no file can have.

    Example:
        >>> path("")
        Traceback (most recent call last):
        ValueError: a path must be one line of 1 to 4,096 characters, got ''
    """
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise ValueError(f"a path must be a str or a Path, got {_kind_and_value(value)}")
    spelled = os.fspath(value)
    if not 1 <= len(spelled) <= LONGEST_PATH or any(c in spelled for c in "\0\r\n"):
        raise ValueError(f"a path must be one line of 1 to {LONGEST_PATH:,} characters, got {shown(spelled)}")
    return Path(value)


def unicode_pieces(given: str) -> list[str]:
    """A text cut around the bytes in it that are no UTF-8: text, byte, text, byte, ... text.

    Python reads such a byte, in an argument or a file's name, as one of the characters U+DC80 to U+DCFF (PEP 383,
    "surrogateescape"). They are taken for the bytes that they stand for; any other half of a character is refused.

    Raises:
        ValueError: half of a character, and where it stands.

    Example:
        >>> unicode_pieces("café"), unicode_pieces("caf\\udce9!")
        (['café'], ['caf', '\\udce9', '!'])
    """
    try:
        given.encode()
        return [given]
    except UnicodeEncodeError:
        pass
    half = _HALF_CHARACTER.search(given)
    if half:
        raise ValueError(f"the text holds half of a character, {half[0]!a} at position {half.start()}: no Unicode")
    return _ESCAPED_BYTE.split(given)


def _kind_and_value(value: object) -> str:
    return "nothing (None)" if value is None else f"{type(value).__name__}: {shown(value)}"
