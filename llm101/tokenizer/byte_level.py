"""Byte-level BPE put to work: the book's own kind of tokenizer, from a table of byte strings.

It knows nothing of files or models. A text is cut into words by a pattern, a word into bytes, and neighbouring bytes
are merged in the order of rank; tiktoken does it, fast. What tiktoken does not do stands here: added tokens, Unicode's
form NFC, cuts before the cuts, text between two words, and bytes for which there is no token. Only tiktoken keeps the
table, which Python would need as much memory for again; whoever wants it gets it from there.

Reading order: ByteLevelBPE, and in it encode, then encode_parts.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, chain, pairwise

import regex
import tiktoken

from llm101.outside import given
from llm101.outside.strict_json import shown
from llm101.tokenizer.bpe import Merge, merges_of
from llm101.tokenizer.panics import told
from llm101.tokenizer.parts import TokenizerError, TokenizerParts
from llm101.tokenizer.pattern import keeping_gaps, may_match_nothing
from llm101.tokenizer.spans import Part, any_of, ends_of, sections, special_spans

LONGEST_SPACE = 100_000
"""White space without end is cut after so many characters: at about a million, tiktoken's expression overflows."""


class ByteLevelBPE:
    """Text <-> token ids, where every token is a string of bytes.

    Args:
        parts: what it is made of.

    Raises:
        TokenizerError: parts that do not fit together.
    """

    def __init__(self, parts: TokenizerParts) -> None:
        self._parts, self.name, self.start_ids = parts._replace(ranks={}), parts.name, parts.start_ids
        self.special_tokens, self.added_tokens = parts.special_tokens, parts.added_tokens
        self._added = {**parts.special_tokens, **parts.added_tokens}
        self._added_bytes = {token_id: text.encode() for text, token_id in self._added.items()}
        check_parts(parts)
        self._ids = array("q", parts.ranks.values())
        self.vocab_size = max(chain(self._ids, self._added_bytes)) + 1
        self._marks = any_of(self._added)
        self._cuts = [self._compiled(cut) for cut in parts.cuts_before]
        missing = [bytes([b]) for b in range(256) if bytes([b]) not in parts.ranks]
        self._stand_ins = {self.vocab_size + i: byte for i, byte in enumerate(missing)}  # tiktoken needs all bytes
        self._tiktoken = self._encoding(parts.ranks | {byte: token_id for token_id, byte in self._stand_ins.items()})

    def _compiled(self, pattern: str) -> regex.Pattern[str]:
        try:
            return regex.compile(pattern)
        except regex.error:
            raise TokenizerError(f"{self.name}: {shown(pattern)} is no regular expression that cuts text") from None

    def _encoding(self, ranks: dict[bytes, int]) -> tiktoken.Encoding:
        """Empties `ranks`."""
        pattern = self._parts.pattern
        if may_match_nothing(pattern):
            raise TokenizerError(f"{self.name}: {shown(pattern)} may match between two characters, and so cuts nothing")
        try:
            tiktoken.Encoding(self.name, pat_str=pattern, mergeable_ranks={b"a": 0}, special_tokens={})
            made = tiktoken.Encoding(self.name, pat_str=keeping_gaps(pattern), mergeable_ranks=ranks, special_tokens={})
        except ValueError:
            raise TokenizerError(f"{self.name}: {shown(pattern)} is no regular expression that cuts text") from None
        ranks.clear()  # tiktoken's own table is not Python's; this one it would keep beside that
        return made

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """The token ids of a text.

        Args:
            text: bytes that Python could not decode ("surrogateescape") are encoded as those bytes.
            allow_special: turn special tokens written in the text into their ids.

        Raises:
            TokenizerError: half of a character, or a byte for which there is no token.
        """
        marks = self._marks if allow_special or self.added_tokens else None
        if not marks:
            return self._encode_words(text)
        ids, _ = list[int](), _unicode_pieces(text)  # half of a character is told by its place in the whole text
        found = [m.span() for m in marks.finditer(text) if allow_special or m[0] in self.added_tokens]
        for start, stop, is_added in sections(found, len(text)):
            ids += [self._added[text[start:stop]]] if is_added else self._encode_words(text[start:stop])
        return ids

    def _encode_words(self, text: str) -> list[int]:
        """The ids of a text without any added token."""
        first, *rest = _unicode_pieces(text)
        ids = self._encode_unicode(first)
        for byte, piece in zip(rest[::2], rest[1::2]):
            ids += self._checked([self._tiktoken.encode_single_token(byte.encode("utf-8", "surrogateescape"))])
            ids += self._encode_unicode(piece)
        return ids

    def _encode_unicode(self, text: str) -> list[int]:
        encode, text = self._tiktoken.encode_ordinary, self._normal(text)
        try:
            if not self._cuts and len(text) <= LONGEST_SPACE:
                return self._checked(encode(text))
            return self._checked([token_id for piece in self._pieces(text) for token_id in encode(piece)])
        except TokenizerError:
            raise
        except BaseException as error:
            raise told(error, f"{self.name}: tiktoken does not encode this text") from None

    def _pieces(self, text: str) -> list[str]:
        """A text cut where no word can reach across."""
        pieces = [text]
        for cut in self._cuts:
            pieces = [part for piece in pieces for part in cut_apart(piece, cut)]
        return [part for piece in pieces for part in cut_long_spaces(piece)]

    def _checked(self, ids: list[int]) -> list[int]:
        if self._stand_ins and max(ids, default=0) >= self.vocab_size:
            byte = next(self._stand_ins[token_id] for token_id in ids if token_id in self._stand_ins)[0]
            what = f"the character {chr(byte)!a}" if byte < 128 else f"the byte {byte:#04x}, which the text holds"
            raise TokenizerError(f"{self.name} has no token for {what}: leave it out")
        return ids

    def encode_many(self, texts: Sequence[str], n_threads: int) -> list[list[int]]:
        """encode for many texts at once, on several threads where nothing is to be done but tiktoken's part."""
        plain = not (self.added_tokens or self._parts.nfc or self._cuts or self._stand_ins)
        if plain and all(len(text) <= LONGEST_SPACE and len(_unicode_pieces(text)) == 1 for text in texts):
            return self._tiktoken.encode_ordinary_batch(list(texts), num_threads=n_threads)
        return [self.encode(text) for text in texts]

    def encode_parts(self, parts: Sequence[Part]) -> tuple[list[int], list[int]]:
        """The ids of a text given in parts, and for each id the part in which it begins; see Tokenizer.encode_parts."""
        text, ends = "".join(words for words, _ in parts), ends_of(parts)
        ids: list[int] = []
        origins: list[int] = []
        for start, stop, is_special in sections(special_spans(parts, self._marks, self.special_tokens), len(text)):
            section = text[start:stop]
            new = [self.special_tokens[section]] if is_special else self.encode(section)
            ids += new
            origins += self._origins(section, start, new, ends)
        return ids, origins

    def _origins(self, section: str, start: int, ids: Sequence[int], ends: Sequence[int]) -> list[int]:
        """The part in which each token of a section begins; the section begins at `start`, the parts end at `ends`."""
        first = bisect_right(ends, start)
        inside = ends[first : bisect_left(ends, start + len(section))]
        borders = [len(self._normal(section[: end - start]).encode("utf-8", "surrogateescape")) for end in inside]
        before = accumulate((len(self.token_bytes(token_id) or b"") for token_id in ids), initial=0)
        return [first + bisect_right(borders, at) for at, _ in zip(before, ids)]

    def _normal(self, text: str) -> str:
        return nfc(text) if self._parts.nfc else text

    def token_bytes(self, token_id: int) -> bytes | None:
        """The bytes of a token; None if there is no such token."""
        added = self._added_bytes.get(token_id)
        if added is not None or not 0 <= token_id < self.vocab_size:
            return added
        try:
            return self._tiktoken.decode_single_token_bytes(token_id)
        except KeyError:
            return None

    def bytes_of(self, ids: Sequence[int]) -> bytes:
        """The bytes of tokens that this tokenizer has."""
        known = {token_id: self.token_bytes(token_id) or b"" for token_id in set(ids)}
        return b"".join(map(known.__getitem__, ids))

    @cached_property
    def parts(self) -> TokenizerParts:
        """What it is made of."""
        of_id = self._tiktoken.decode_single_token_bytes
        return self._parts._replace(ranks={of_id(token_id): token_id for token_id in self._ids})

    @cached_property
    def merges(self) -> list[Merge]:
        """Each merge, first learned first."""
        return merges_of(self.parts.ranks)


def check_parts(parts: TokenizerParts) -> None:
    """See that parts fit together.

    Raises:
        TokenizerError: no token, two of one id, one without a byte, or one before each text that is not there.
    """
    added = {**parts.special_tokens, **parts.added_tokens}
    ids = {*parts.ranks.values(), *added.values()}
    if not parts.ranks or len(ids) != len(parts.ranks) + len(added):
        raise TokenizerError(f"{parts.name}: " + ("two tokens share one id" if parts.ranks else "it has no tokens"))
    if b"" in parts.ranks or "" in added:
        raise TokenizerError(f"{parts.name}: a token without a single byte, which would be found everywhere")
    unknown = [token_id for token_id in parts.start_ids if token_id not in ids]
    if unknown:
        raise TokenizerError(f"{parts.name}: there is no token {shown(unknown[0])} to put before a text")


def _unicode_pieces(text: str) -> list[str]:
    try:
        return given.unicode_pieces(text)
    except ValueError as error:
        raise TokenizerError(str(error)) from None


def nfc(text: str) -> str:
    """The text in Unicode's form NFC.

    Example:
        >>> nfc("cafe\\u0301") == "café"
        True
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def cut_apart(text: str, pattern: regex.Pattern[str]) -> Iterator[str]:
    """What a pattern matches, and what lies between, each for itself.

    Example:
        >>> list(cut_apart("in 1998", regex.compile(r"\\d")))
        ['in ', '1', '9', '9', '8']
    """
    at = 0
    for match in pattern.finditer(text):
        yield from (piece for piece in (text[at : match.start()], match[0]) if piece)
        at = match.end()
    if at < len(text):
        yield text[at:]


def cut_long_spaces(text: str) -> list[str]:
    """The text in one piece, or, where white space runs on and on, in several."""
    if len(text) <= LONGEST_SPACE:
        return [text]
    runs = (match.span() for match in re.finditer(rf"\s{{{LONGEST_SPACE},}}", text))
    cuts = [at for start, stop in runs for at in range(start + LONGEST_SPACE, stop, LONGEST_SPACE)]
    return [text[start:stop] for start, stop in pairwise([0, *cuts, len(text)])]
