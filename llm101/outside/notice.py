"""A word to the reader that is no error: one plain line, said once. Python's own warnings carry it."""

from __future__ import annotations

import warnings
from typing import Any


class Notice(UserWarning):
    """Something that a reader should know, and that stops nothing. `warnings` can filter it or make it an error."""


_said: dict[Any, int] = {}


def notice(text: str) -> None:
    """Say one line, the first time only.

    Under its own name, not under a line of some file: Python would print that line of code below the text.

    Example:
        >>> with warnings.catch_warnings(record=True) as heard:
        ...     warnings.simplefilter("default", Notice)
        ...     notice("config.json has a key that nobody here knows")
        ...     notice("config.json has a key that nobody here knows")
        >>> [str(warning.message) for warning in heard]
        ['config.json has a key that nobody here knows']
    """
    warnings.warn_explicit(text, Notice, "llm101", 1, registry=_said)
