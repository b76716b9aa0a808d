"""The tokenizer: text to token ids and back, without losing a byte.

It knows nothing of models. A tokenizer is a table of byte strings, each with a rank: its token id and, at
the same time, its turn when neighbouring pieces are merged. The table is learned by bpe.py; the encoding
itself is done by tiktoken, which does the same thing fast.

Reading order: Tokenizer.train, encode, decode; then save and from_file (Hugging Face's tokenizer.json).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import cache, cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import tiktoken

from llm101.outside import given
from llm101.outside.strict_json import shown
from llm101.tokenizer.bpe import GPT2_WORD_PATTERN, Merge, merges_of, train_bpe
from llm101.tokenizer.parts import END_OF_TEXT, TokenizerError, TokenizerParts
from llm101.tokenizer.published import published_parts
from llm101.tokenizer.tokenizer_file import read_tokenizer_file, write_tokenizer_file

LONGEST_SPACE = 100_000
"""White space without end is cut after so many characters: at about a million, tiktoken's expression overflows."""


class Tokenizer:
    """Text <-> token ids, by byte-pair encoding.

    Args:
        name: what to call it in tables and messages.
        ranks: every ordinary token's bytes -> its id; pairs with the lowest id merge first.
        special_tokens: text -> id, for markers that stand outside the text.
        pattern: the regular expression that cuts text into words before merging.

    Example:
        >>> tokenizer = Tokenizer.train(["low lower lowest"], vocab_size=260)
        >>> tokenizer.encode("lower")
        [257, 101, 114]
        >>> tokenizer.tokens("lower")
        [b'low', b'e', b'r']
        >>> tokenizer.decode([257, 101, 114])
        'lower'
    """

    def __init__(
        self,
        name: str,
        ranks: dict[bytes, int],
        special_tokens: dict[str, int] | None = None,
        pattern: str = GPT2_WORD_PATTERN,
    ) -> None:
        special_tokens = special_tokens or {}
        missing = [b for b in range(256) if bytes([b]) not in ranks]
        if missing:
            raise TokenizerError(f"{name}: no token for byte {missing[0]}, so some texts could not be encoded")
        self.name, self.ranks, self.special_tokens, self.pattern = name, ranks, special_tokens, pattern
        self._bytes = {token_id: token for token, token_id in ranks.items()}
        self._bytes |= {token_id: text.encode() for text, token_id in special_tokens.items()}
        if len(self._bytes) != len(ranks) + len(special_tokens):
            raise TokenizerError(f"{name}: two tokens share one id")
        if b"" in self._bytes.values():
            raise TokenizerError(f"{name}: a token without a single byte, which would be found everywhere")
        self.vocab_size = max(self._bytes) + 1
        try:
            self._encoding = tiktoken.Encoding(
                name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=special_tokens
            )
        except ValueError:
            raise TokenizerError(f"{name}: {shown(pattern)} is no regular expression that cuts text") from None

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, name: str = "trained") -> Tokenizer:
        """Learn a tokenizer from text: 256 bytes, then merges, then the end-of-text token.

        Raises:
            ValueError: vocab_size below 257, or more than the texts can fill; a single text in place of several.
        """
        size = given.whole(vocab_size)
        if size is None or size < 257:
            raise TokenizerError(
                f"vocab_size must be at least 257 (256 bytes and {END_OF_TEXT}), got {shown(vocab_size)}"
            )
        merges = train_bpe(texts, size - 257)
        tokens = dict.fromkeys([bytes([b]) for b in range(256)] + [a + b for a, b in merges])
        if len(tokens) + 1 < size:
            raise TokenizerError(
                f"the text yields only {len(tokens) + 1} tokens, {shown(size)} were asked for; "
                "give more text or a smaller vocab_size"
            )
        return cls(name, {token: i for i, token in enumerate(tokens)}, {END_OF_TEXT: len(tokens)})

    @property
    def end_id(self) -> int | None:
        """The id of the end-of-text token, or None if there is none."""
        return self.special_tokens.get(END_OF_TEXT)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """The token ids of a text.

        Args:
            text: any text. What merely looks like a special token is encoded as the characters it consists of.
                Bytes that Python could not decode ("surrogateescape") are encoded as those bytes.
            allow_special: turn special tokens written in the text into their ids. Never for text from outside.

        Raises:
            TokenizerError: no text, or half of a character (a lone surrogate), which has no bytes.
        """
        encode = self._encoding.encode_ordinary
        if allow_special:
            encode = partial(self._encoding.encode, allowed_special="all")
        first, *rest = self._pieces(text)
        ids = _encoded(first, encode)
        for byte, piece in zip(rest[::2], rest[1::2]):
            ids.append(self.ranks[byte.encode("utf-8", "surrogateescape")])
            ids += _encoded(piece, encode)
        return ids

    def _pieces(self, value: str) -> list[str]:
        try:
            return given.unicode_pieces(given.text(value))
        except ValueError as error:
            raise TokenizerError(str(error)) from None

    def encode_many(self, texts: Iterable[str], n_threads: int = 2) -> list[list[int]]:
        """encode for many texts at once, on several threads."""
        several = list(given.texts(texts))
        if any(len(one) > LONGEST_SPACE or len(self._pieces(one)) > 1 for one in several):
            return [self.encode(one) for one in several]
        return self._encoding.encode_ordinary_batch(several, num_threads=n_threads)

    def encode_bytes(self, data: bytes) -> list[int]:
        """The token ids of any bytes, text or not; decode_bytes gives the same bytes back.

        Example:
            >>> Tokenizer.train(["aa"], 257).encode_bytes(b"a\\xff")
            [97, 255]
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TokenizerError(f"encode_bytes takes bytes, got {shown(data)}; encode takes a text")
        return self.encode(bytes(data).decode("utf-8", errors="surrogateescape"))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids. Bytes that are not valid UTF-8 (half a character, say) show as U+FFFD.

        Args:
            ids: a list, an array or a tensor of them, in a row.

        Raises:
            TokenizerError: an id that this tokenizer does not have, or no row of ids.
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of token ids, exactly; see decode."""
        try:
            row = given.id_row(ids, f"{self.name}'s token ids are whole numbers from 0 to {self.vocab_size - 1}")
        except ValueError as error:
            raise TokenizerError(str(error)) from None
        return b"".join(map(self.token_bytes, row))

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token.

        Raises:
            TokenizerError: an id that this tokenizer does not have.
        """
        found = self._bytes.get(given.whole(token_id))  # type: ignore[arg-type]
        if found is None:
            raise TokenizerError(f"token id {shown(token_id)} is not one of {self.name}'s (0 to {self.vocab_size - 1})")
        return found

    def tokens(self, text: str) -> list[bytes]:
        """The bytes of each token of a text."""
        return [self.token_bytes(token_id) for token_id in self.encode(text)]

    @property
    def parts(self) -> TokenizerParts:
        """What it is made of: `Tokenizer(*parts)` is the same tokenizer again."""
        return TokenizerParts(self.name, self.ranks, self.special_tokens, self.pattern)

    @cached_property
    def merges(self) -> list[Merge]:
        """Each merge, first learned first: the two tokens that every longer token was made of."""
        return merges_of(self.ranks)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a tokenizer.json, which Hugging Face's tokenizers and transformers open."""
        write_tokenizer_file(self.parts, Path(path))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read a tokenizer.json.

        Raises:
            TokenizerError: not such a file, or one with a feature that byte-level BPE does not have.
        """
        try:
            return cls(*read_tokenizer_file(given.path(path)))
        except TokenizerError:
            raise
        except ValueError as error:
            raise TokenizerError(f"no tokenizer file: {error}") from None

    @classmethod
    def from_tiktoken(cls, name: str) -> Tokenizer:
        """A well-known model's tokenizer, from the files that come with this package (see published/).

        Args:
            name: gpt2, r50k_base, p50k_base, cl100k_base (GPT-4) or o200k_base (GPT-4o), as tiktoken calls them;
                or one by other makers: qwen2.5, tekken (Mistral).

        Raises:
            TokenizerError: another name; the message lists those that are known.

        Example:
            >>> Tokenizer.from_tiktoken("o200k_base").encode("Once upon a time")
            [18049, 7557, 261, 1058]
        """
        return _published(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self.parts)

    def __repr__(self) -> str:
        return f"Tokenizer({self.name!r}, vocab_size={self.vocab_size:,})"


@cache
def _published(name: str) -> Tokenizer:
    """The second call returns the same one at once."""
    return Tokenizer(*published_parts(name))


def _encoded(text: str, encode: Callable[[str], list[int]]) -> list[int]:
    if len(text) <= LONGEST_SPACE:
        return encode(text)
    return [token_id for part in _cut_long_spaces(text) for token_id in encode(part)]


def _cut_long_spaces(text: str) -> list[str]:
    """The text in one piece, or, where white space runs on and on, in several."""
    runs = (match.span() for match in re.finditer(r"\s+", text))
    cuts = [at for start, stop in runs for at in range(start + LONGEST_SPACE, stop, LONGEST_SPACE)]
    return [text[start:stop] for start, stop in pairwise([0, *cuts, len(text)])]
