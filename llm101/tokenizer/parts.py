"""What a byte-level tokenizer is made of, as a file or a published vocabulary hands it over to be put to work.

It knows nothing of how text is encoded, nor of where the parts come from.
"""

from __future__ import annotations

from typing import NamedTuple

END_OF_TEXT = "<|endoftext|>"
"""The special token between two texts. Its id is never the result of encoding a reader's text."""


class TokenizerError(ValueError):
    """A tokenizer file that cannot be read, a text that it has no tokens for, or ids that are not its own."""


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
    start_ids: tuple[int, ...] = ()
    """What the tokenizer's maker puts before each text that a model reads."""
    added_tokens: dict[str, int] = {}  # noqa: RUF012 (nobody changes it)
    """Text -> id, for what is one token wherever it stands, in any text, before words are cut: `<think>`, say."""
    cuts_before: tuple[str, ...] = ()
    """Patterns that cut the text first, one after another; each piece is then cut by the next as if it stood alone."""
    nfc: bool = False
    """Whether a text is brought into Unicode's form NFC first: e and U+0301, its accent, become é."""
