"""What goes wrong inside a package that is written in Rust, told in one line.

Where Rust gives up ("panics"), Python gets an exception that is no `Exception`, which no handler of a reader's expects.
(The package also writes a word of its own to standard error; that cannot be helped from here.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llm101.outside.strict_json import shown
from llm101.tokenizer.parts import TokenizerError


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn whatever a package raises into a TokenizerError; what the reader raises (Ctrl-C) goes through.

    Args:
        what: the package did not do; the line begins with it.

    Example:
        >>> with told("small cannot be read"):
        ...     raise KeyError("model")
        Traceback (most recent call last):
        llm101.tokenizer.parts.TokenizerError: small cannot be read: "'model'"
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise TokenizerError(f"{what}: {shown(str(error))}") from None
