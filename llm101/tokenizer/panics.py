"""What goes wrong inside a package that is written in Rust, told in one line.

Where Rust gives up ("panics"), Python gets an exception that is no `Exception`, which no handler of a reader's expects.
(The package also writes a word of its own to standard error; that cannot be helped from here.)
"""

from __future__ import annotations

from llm101.outside.strict_json import shown
from llm101.tokenizer.parts import TokenizerError


def told(error: BaseException, what: str) -> TokenizerError:
    """A TokenizerError in place of whatever a package raised; what a reader raises (Ctrl-C) is raised again.

    Args:
        error: what came out of the package.
        what: the package did not do; the line begins with it.

    Example:
        >>> told(ValueError("no model"), "small cannot be read")
        TokenizerError("small cannot be read: 'no model'")
    """
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    return TokenizerError(f"{what}: {shown(str(error))}")
