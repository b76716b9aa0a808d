"""What a tokenizer is made of, as a file or a published vocabulary hands it over to be put to work.

It knows nothing of how text is encoded, nor of where the parts come from.
"""

from __future__ import annotations

from typing import NamedTuple

END_OF_TEXT = "<|endoftext|>"
"""The special token between two texts. Its id is never the result of encoding a reader's text."""


class TokenizerError(ValueError):
    """A tokenizer file that cannot be read, or ids that are not its own."""


class TokenizerParts(NamedTuple):
    """A table of byte strings and how to use it: `Tokenizer(*parts)` puts it to work."""

    name: str
    """What to call it in tables and messages."""
    ranks: dict[bytes, int]
    """Every ordinary token's bytes -> its id; pairs with the lowest id merge first."""
    special_tokens: dict[str, int]
    """Text -> id, for markers that stand outside the text."""
    pattern: str
    """The regular expression that cuts text into words before merging."""
