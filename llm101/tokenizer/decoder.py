"""How the tokens of a tokenizer.json become bytes again, for files whose tokens are not spelled in GPT-2's alphabet.

It knows the format's decoders, and nothing of how text is encoded. SentencePiece spells a space as U+2581 and a byte
that is no token by itself as <0xE2>; the space that it puts before a text is no part of the text.

Reading order: Decoder.of, then token_bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from llm101.outside.strict_json import shown
from llm101.tokenizer.byte_level_file import to_bytes
from llm101.tokenizer.file_content import Table, require, steps_of

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True)
class Decoder:
    """Spelling to bytes, step by step.

    Example:
        >>> llama = Decoder.of({"type": "Sequence", "decoders": [
        ...     {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        ...     {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})
        >>> llama.token_bytes("▁the"), llama.token_bytes("<0xE2>"), llama.strip
        (b' the', b'\\xe2', b' ')
    """

    replacements: tuple[tuple[str, str], ...] = ()
    """What stands in a token -> what it means."""
    first: str = ""
    """A character of which the first token of a text loses all, as Metaspace has it."""
    has_byte_tokens: bool = False
    """Whether <0xE2> is a byte."""
    is_byte_level: bool = False
    """Whether the characters are those of GPT-2's alphabet."""
    strip: bytes = b""
    """What is taken from the beginning of a text, once."""

    @classmethod
    def of(cls, decoder: Any) -> Decoder:
        """The decoder of a file.

        Raises:
            TokenizerError: there is none, or it does what is not supported.
        """
        steps = steps_of(decoder)
        require(steps != [], "it does not say how its tokens become text (it has no decoder)")
        kinds = [step["type"] for step in steps]
        if kinds == ["ByteLevel"]:
            return cls(is_byte_level=True)
        strip = _strip(steps.pop()) if kinds[-2:] == ["Fuse", "Strip"] else b""
        steps = [step for step in steps if step["type"] != "Fuse"]
        has_byte_tokens = bool(steps) and steps[-1]["type"] == "ByteFallback" and bool(steps.pop())
        metaspace = bool(steps) and steps[-1]["type"] == "Metaspace"
        first, spaces = _metaspace(steps.pop()) if metaspace else ("", ())
        return cls((*map(_replacement, steps), *spaces), first, has_byte_tokens, False, strip)

    def token_bytes(self, spelling: str, is_first: bool = False) -> bytes:
        """The bytes of one token as it stands in a text, or at its beginning."""
        if self.is_byte_level:
            try:
                return to_bytes(spelling)
            except KeyError:
                return spelling.encode()
        if is_first and self.first:
            spelling = spelling.replace(self.first, "")
        for old, new in self.replacements:
            spelling = spelling.replace(old, new)
        byte = _BYTE_TOKEN.fullmatch(spelling) if self.has_byte_tokens else None
        return bytes.fromhex(byte[1]) if byte else spelling.encode()


def _replacement(step: Table) -> tuple[str, str]:
    kind, pattern, content = step["type"], step.get("pattern"), step.get("content")
    require(kind == "Replace", f"how its tokens become text (a decoder {shown(kind)}) is not supported")
    old = pattern.get("String") if isinstance(pattern, dict) else None
    if not isinstance(old, str) or not isinstance(content, str) or old == "":
        require(False, f"its decoder's replacement of {shown(pattern)} by {shown(content)} is not supported")
    return str(old), str(content)


def _metaspace(step: Table) -> tuple[str, tuple[tuple[str, str], ...]]:
    space, scheme = step.get("replacement"), step.get("prepend_scheme", "always")
    require(isinstance(space, str) and len(space) == 1, f"its decoder's {shown(space)} is no sign for a space")
    return "" if scheme == "never" or step.get("add_prefix_space") is False else str(space), ((str(space), " "),)


def _strip(step: Table) -> bytes:
    what, start, stop = step.get("content"), step.get("start"), step.get("stop")
    usable = isinstance(what, str) and len(what) == 1 and start in (0, 1) and stop == 0
    require(usable, "its decoder strips more than one character from the beginning of a text")
    return str(what).encode() * int(start or 0)
