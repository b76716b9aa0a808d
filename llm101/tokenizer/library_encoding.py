"""Tokenizers of other kinds, through Hugging Face's `tokenizers`: SentencePiece's BPE, Unigram, and what else it reads.

It knows the package, and what llm101 does otherwise: a text never produces a special token unless that is asked for, no
character is left out in silence, and what goes wrong inside the package is told in one line.

Reading order: LibraryEncoding, and in it encode, then encode_parts; then what the package is given: without_special,
with_its_ids.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llm101.outside import given
from llm101.outside.strict_json import shown, strict_json
from llm101.tokenizer.byte_level_file import to_characters
from llm101.tokenizer.decoder import Decoder
from llm101.tokenizer.file_content import Table, added_tokens, merges_of_model, model_type, start_ids
from llm101.tokenizer.panics import told
from llm101.tokenizer.parts import TokenizerError
from llm101.tokenizer.spans import Part, any_of, ends_of, owners, sections, special_spans

if TYPE_CHECKING:
    import tokenizers

STAND_IN = "\U0010fffe"
"""A character that is none (Unicode reserves it): in a text it stands for a byte that is no UTF-8."""
HIDDEN = "\U0010ffff"
"""The beginning of a special token's name where it is not to be found."""


class LibraryEncoding:
    """Text <-> token ids, as `tokenizers` does it.

    Args:
        name: what to call it in tables and messages.
        data: a tokenizer.json whose content check_content has passed.

    Raises:
        TokenizerError: the package does not read it, or its tokens become text in a way that llm101 does not have.
    """

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.data = name, data
        content = strict_json(data)
        added = added_tokens(content)
        self.start_ids = start_ids(content)
        self.special_tokens = {token.text: token.token_id for token in added if token.special}
        self.added_tokens = {token.text: token.token_id for token in added if not token.special}
        self._decoder = Decoder.of(content.get("decoder"))
        self._model: Table = content["model"]
        self._spelling = spellings(self._model) | {token.token_id: token.text for token in added}
        self._id = {spelling: token_id for token_id, spelling in self._spelling.items()}
        self.vocab_size = max(self._spelling) + 1
        if not all(token_id in self._spelling for token_id in self.start_ids):
            raise TokenizerError(f"{name}: one of the tokens {shown(self.start_ids)} before a text is not there")
        self._literal = {token.text for token in added if self._decoder.is_byte_level}
        self._token_bytes = {token_id: self._bytes(token_id) for token_id in self._spelling}
        self._library = self._built(without_special(with_its_ids(content), self.special_tokens))
        self._alphabet = self._only_characters()

    @cached_property
    def _library_with_special(self) -> tokenizers.Tokenizer:
        return self._built(with_its_ids(strict_json(self.data)))

    def _built(self, content: Table) -> tokenizers.Tokenizer:
        """The package's own tokenizer; what is put around a text and how tokens become text again, we do."""
        import tokenizers

        try:
            return tokenizers.Tokenizer.from_str(json.dumps(content | {"post_processor": None, "decoder": None}))
        except BaseException as error:
            raise told(error, f"{self.name}: the package tokenizers does not read it") from None

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """The token ids of a text; see Tokenizer.encode."""
        if allow_special:
            return self._ids_and_spans(self._library_with_special, text)[0]
        return self._without_special(text)[0]

    def _without_special(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        ids, spans = self._ids_and_spans(self._library, text)
        unknown = self._id.get(str(self._unknown))
        if any(self._is_special(i) and i != unknown for i in ids):
            raise TokenizerError(f"{self.name}: the text holds {HIDDEN!a}, which is no character: leave it out")
        return ids, spans

    def _is_special(self, token_id: int) -> bool:
        return self._spelling[token_id] in self.special_tokens

    def _ids_and_spans(self, library: tokenizers.Tokenizer, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids, and from where to where, in characters, each stands in the text."""
        try:
            pieces = given.unicode_pieces(text)
        except ValueError as error:
            raise TokenizerError(str(error)) from None
        words = STAND_IN.join(pieces[::2])
        self._refuse_lost_characters(words)
        try:
            encoding = library.encode(words, add_special_tokens=False)
        except BaseException as error:
            raise told(error, f"{self.name}: the package tokenizers does not encode this text") from None
        ids, spans = encoding.ids, encoding.offsets
        return self._with_bytes(ids, spans, pieces[1::2]) if pieces[1:] else (ids, spans)

    def _with_bytes(
        self, ids: list[int], spans: list[tuple[int, int]], escaped: Sequence[str]
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Put bytes that are no text where the four bytes of their stand-ins are."""
        stand_in = [self._byte_id(b) for b in STAND_IN.encode()]
        values = [self._byte_id(c.encode("utf-8", "surrogateescape")[0]) for c in escaped]
        places = [i for i in range(len(ids)) if ids[i : i + len(stand_in)] == stand_in]
        if len(places) != len(values):
            raise TokenizerError(f"{self.name} has no way to encode bytes that are no UTF-8: leave them out")
        for place, value in reversed(list(zip(places, values))):
            ids[place : place + len(stand_in)] = [value]
            spans[place : place + len(stand_in)] = [spans[place]]
        return ids, spans

    def _byte_id(self, byte: int) -> int:
        spelling = to_characters(bytes([byte])) if self._decoder.is_byte_level else f"<0x{byte:02X}>"
        if spelling not in self._id or spelling in self.special_tokens:
            raise TokenizerError(f"{self.name} has no token for the byte {byte:#04x}: leave it out")
        return self._id[spelling]

    def encode_many(self, texts: Sequence[str], n_threads: int) -> list[list[int]]:
        """encode for many texts."""
        return [self.encode(text) for text in texts]

    def encode_parts(self, parts: Sequence[Part]) -> tuple[list[int], list[int]]:
        """The ids of a text given in parts, and for each id the part in which it begins; see Tokenizer.encode_parts."""
        text, ends = "".join(words for words, _ in parts), ends_of(parts)
        ids, spans = self._ids_and_spans(self._library_with_special, text)
        if any(self._is_special(i) and self._touches_user(span, parts, ends) for i, span in zip(ids, spans)):
            ids, spans = self._by_sections(text, parts)
        return ids, owners((start for start, _ in spans), ends)

    def _touches_user(self, span: tuple[int, int], parts: Sequence[Part], ends: Sequence[int]) -> bool:
        first, last = owners((span[0], max(span[0], span[1] - 1)), ends)
        return any(words and not is_template for words, is_template in parts[first : last + 1])

    def _by_sections(self, text: str, parts: Sequence[Part]) -> tuple[list[int], list[tuple[int, int]]]:
        """The template's special tokens as such, and what lies between them without any."""
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        marks = any_of(self.special_tokens)
        for start, stop, is_special in sections(special_spans(parts, marks, self.special_tokens), len(text)):
            section = text[start:stop]
            if is_special:
                new, where = [self.special_tokens[section]], [(0, len(section))]
            else:
                new, where = self._without_special(section)
            ids += new
            spans += [(start + a, start + b) for a, b in where]
        return ids, spans

    def token_bytes(self, token_id: int) -> bytes | None:
        """The bytes of a token, as it stands within a text; None if there is no such token."""
        return self._token_bytes.get(token_id)

    def bytes_of(self, ids: Sequence[int]) -> bytes:
        """The bytes of a text's tokens: without the space that SentencePiece puts before a text."""
        if not ids:
            return b""
        text = self._bytes(ids[0], is_first=True) + b"".join(map(self._token_bytes.__getitem__, ids[1:]))
        return text.removeprefix(self._decoder.strip)

    def _bytes(self, token_id: int, is_first: bool = False) -> bytes:
        spelling = self._spelling[token_id]
        return spelling.encode() if spelling in self._literal else self._decoder.token_bytes(spelling, is_first)

    @property
    def _unknown(self) -> Any:
        """The spelling of the token for what has none."""
        if model_type(self._model) != "Unigram":
            return self._model.get("unk_token")
        return self._spelling.get(self._model.get("unk_id"))  # type: ignore[arg-type]

    def _only_characters(self) -> set[str] | None:
        """The only characters that have tokens, if the package would leave out all others without a word."""
        if model_type(self._model) != "BPE" or self._unknown is not None:
            return None
        single = {spelling for spelling in self._model["vocab"] if len(spelling) == 1}
        byte_tokens = {f"<0x{b:02X}>" for b in range(256)}
        return None if self._model.get("byte_fallback") and byte_tokens <= self._id.keys() else single

    def _refuse_lost_characters(self, text: str) -> None:
        if self._alphabet is None:
            return
        library = self._library
        try:
            text = library.normalizer.normalize_str(text) if library.normalizer else text
            cut = library.pre_tokenizer.pre_tokenize_str(text) if library.pre_tokenizer else [(text, (0, 0))]
        except BaseException as error:
            raise told(error, f"{self.name}: the package tokenizers does not cut this text") from None
        lost = {character for piece, _ in cut for character in piece} - self._alphabet
        if lost:
            what = {self._decoder.token_bytes(character) for character in lost}
            raise TokenizerError(f"{self.name} has no token for {shown(min(what))}, which the text holds: leave it out")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.data)


def spellings(model: Table) -> dict[int, str]:
    """Token id -> how the model spells it."""
    if model_type(model) == "Unigram":
        return {token_id: spelling for token_id, (spelling, _) in enumerate(model["vocab"])}
    return {token_id: spelling for spelling, token_id in model["vocab"].items()}


def without_special(content: Table, special: dict[str, int]) -> Table:
    """A content in which no text finds a special token: each keeps its id, under a name that nobody writes."""
    name = {text: f"{HIDDEN}{token_id}{HIDDEN}" for text, token_id in special.items()}
    model = dict(content["model"])
    if model_type(model) == "Unigram":
        model["vocab"] = [[name.get(spelling, spelling), score] for spelling, score in model["vocab"]]
    else:
        model["vocab"] = {name.get(spelling, spelling): token_id for spelling, token_id in model["vocab"].items()}
    if model_type(model) == "BPE":
        merges = merges_of_model(model)
        model["merges"] = [[a, b] for a, b in merges if not name.keys() & {a, b, a + b}]
    if isinstance(model.get("unk_token"), str):
        model["unk_token"] = name.get(model["unk_token"], model["unk_token"])
    added = [entry | {"content": name.get(entry["content"], entry["content"])} for entry in content["added_tokens"]]
    return content | {"model": model, "added_tokens": added}


def with_its_ids(content: Table) -> Table:
    """A content whose added tokens stand in the vocabulary: else the package would number them by their place."""
    model, added = content["model"], added_tokens(content)
    if model_type(model) != "Unigram":
        model = model | {"vocab": model["vocab"] | {token.text: token.token_id for token in added}}
    return content | {"model": model, "added_tokens": content.get("added_tokens") or []}
