"""The tokenizer: text to token ids and back, without losing a byte.

It knows nothing of models. A tokenizer is a table of byte strings, each with a rank: its token id and, at the same
time, its turn when neighbouring pieces are merged. The table is learned by bpe.py and put to work by byte_level.py.
Files of other kinds are put to work by library_encoding.py; whoever uses a Tokenizer need not know which it is.

Reading order: Tokenizer.train, encode, decode; then encode_parts; then save and from_file (Hugging Face's
tokenizer.json) and from_gguf.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from llm101.outside import given
from llm101.outside.strict_json import shown
from llm101.tokenizer.bpe import GPT2_WORD_PATTERN, Merge, train_bpe
from llm101.tokenizer.byte_level import ByteLevelBPE
from llm101.tokenizer.parts import END_OF_TEXT, TokenizerError, TokenizerParts
from llm101.tokenizer.published import published_parts
from llm101.tokenizer.spans import Part
from llm101.tokenizer.tokenizer_file import Encoding, encoding_of_gguf, read_tokenizer_file, write_tokenizer_file


class Tokenizer:
    """Text <-> token ids, by byte-pair encoding.

    Args:
        name: what to call it in tables and messages.
        ranks: every ordinary token's bytes -> its id; pairs with the lowest id merge first.
        special_tokens: text -> id, for markers that stand outside the text.
        pattern: the regular expression that cuts text into words before merging, as tiktoken (fancy-regex) has it.
        start_ids: what the tokenizer's maker puts before each text that a model reads.
        added_tokens: text -> id, for what is one token in any text.
        cuts_before: patterns that cut the text first, one after another.
        nfc: whether a text is brought into Unicode's form NFC first.

    Attributes:
        vocab_size: how many ids there are: the highest, and 0.
        special_tokens, added_tokens, start_ids: as given, or as the file says.

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
        start_ids: Sequence[int] = (),
        added_tokens: dict[str, int] | None = None,
        cuts_before: Sequence[str] = (),
        nfc: bool = False,
    ) -> None:
        special, added = special_tokens or {}, added_tokens or {}
        self._use(
            ByteLevelBPE(
                TokenizerParts(name, ranks, special, pattern, tuple(start_ids), added, tuple(cuts_before), nfc)
            )
        )

    def _use(self, encoding: Encoding) -> None:
        self._encoding, self.name, self.vocab_size = encoding, encoding.name, encoding.vocab_size
        self.special_tokens, self.added_tokens = encoding.special_tokens, encoding.added_tokens
        self.start_ids = encoding.start_ids

    @classmethod
    def _of(cls, encoding: Encoding) -> Tokenizer:
        tokenizer = cls.__new__(cls)
        tokenizer._use(encoding)
        return tokenizer

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
            TokenizerError: no text; half of a character (a lone surrogate), which has no bytes; or a character for
                which the vocabulary has no token.
        """
        return self._encoding.encode(_text(text), allow_special)

    def encode_many(self, texts: Iterable[str], n_threads: int = 2) -> list[list[int]]:
        """encode for many texts at once, on several threads."""
        return self._encoding.encode_many(list(given.texts(texts)), n_threads)

    def encode_parts(self, parts: Sequence[Part]) -> tuple[list[int], list[int]]:
        """The token ids of a text given in parts: a chat, in which a template's words stand beside a user's.

        The ids are those of the whole text, as if it had been encoded at once with allow_special, with one exception:
        a special token in which any of a user's characters takes part is encoded as the characters that it consists of.

        Args:
            parts: each part's text, and whether special tokens written in it count as such (the template's words).

        Returns:
            The ids, and for each id the index of the part in which it begins.

        Raises:
            TokenizerError: as for encode.

        Example:
            >>> tokenizer = Tokenizer.train(["hi hi"], 258)
            >>> tokenizer.encode_parts([("hi", False), ("<|endoftext|>", True), ("<|end", False)])[0]
            [256, 257, 60, 124, 101, 110, 100]
        """
        return self._encoding.encode_parts([(_text(words), is_template) for words, is_template in parts])

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
        for token_id in dict.fromkeys(row):
            self.token_bytes(token_id)  # says what is wrong
        return self._encoding.bytes_of(row)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token, as it stands within a text.

        Raises:
            TokenizerError: an id that this tokenizer does not have.
        """
        whole = given.whole(token_id)
        found = None if whole is None else self._encoding.token_bytes(whole)
        if found is None:
            raise TokenizerError(f"token id {shown(token_id)} is not one of {self.name}'s (0 to {self.vocab_size - 1})")
        return found

    def tokens(self, text: str) -> list[bytes]:
        """The bytes of each token of a text."""
        return [self.token_bytes(token_id) for token_id in self.encode(text)]

    @property
    def _byte_level(self) -> ByteLevelBPE:
        if isinstance(self._encoding, ByteLevelBPE):
            return self._encoding
        raise TokenizerError(
            f"{self.name} is read through the package tokenizers: it has no ranks, pattern or merges of byte-level BPE"
        )

    @property
    def parts(self) -> TokenizerParts:
        """What it is made of: `Tokenizer(*parts)` is the same tokenizer again.

        Raises:
            TokenizerError: it is no byte-level BPE; the same for ranks, pattern and merges.
        """
        return self._byte_level.parts

    @property
    def ranks(self) -> dict[bytes, int]:
        """Every ordinary token's bytes -> its id; pairs with the lowest id merge first."""
        return self._byte_level.parts.ranks

    @property
    def pattern(self) -> str:
        """The regular expression that cuts text into words before merging."""
        return self._byte_level.parts.pattern

    @property
    def merges(self) -> list[Merge]:
        """Each merge, first learned first: the two tokens that a longer token is made of."""
        return self._byte_level.merges

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a tokenizer.json, which Hugging Face's tokenizers and transformers open.

        Raises:
            TokenizerError: the file cannot be written, or has no way to say how this tokenizer cuts text.
        """
        write_tokenizer_file(self._encoding, _path(path))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read a tokenizer.json.

        Raises:
            TokenizerError: not such a file, or one that asks for what llm101 does not do.
        """
        return cls._of(read_tokenizer_file(_path(path)))

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any], name: str) -> Tokenizer:
        """The tokenizer that a GGUF file holds.

        Args:
            metadata: the file's, by name: texts, numbers, truth values and lists of them.
            name: what to call it in tables and messages.

        Raises:
            TokenizerError: there is none, or one of a kind that is not supported.
        """
        try:
            return cls._of(encoding_of_gguf(name, metadata))
        except ValueError as error:
            raise TokenizerError(f"{name}: {error}") from None

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
        if isinstance(self._encoding, ByteLevelBPE):
            return type(self), tuple(self._encoding.parts)
        return type(self)._of, (self._encoding,)

    def __repr__(self) -> str:
        return f"Tokenizer({self.name!r}, vocab_size={self.vocab_size:,})"


@cache
def _published(name: str) -> Tokenizer:
    """The second call returns the same one at once."""
    return Tokenizer(*published_parts(name))


def _text(value: str) -> str:
    try:
        return given.text(value)
    except ValueError as error:
        raise TokenizerError(str(error)) from None


def _path(value: str | os.PathLike[str]) -> Path:
    try:
        return given.path(value)
    except ValueError as error:
        raise TokenizerError(f"no tokenizer file: {error}") from None
