"""Hugging Face's tokenizer.json: how a byte-level BPE tokenizer is written down and read back.

It knows the file, not the algorithm. The format stores bytes as printable characters (GPT-2's alphabet),
a vocabulary, the merges, and how text is cut before merging.

Reading order: byte_alphabet, write_tokenizer_file, read_tokenizer_file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llm101.outside.atomic_file import atomic_file, reason
from llm101.outside.strict_json import shown, strict_json
from llm101.tokenizer.bpe import GPT2_WORD_PATTERN, merges_of
from llm101.tokenizer.parts import TokenizerError, TokenizerParts

MAX_FILE_BYTES = 200_000_000
"""No tokenizer.json in use comes near this size; a larger file is not one."""


def byte_alphabet() -> list[str]:
    """One printable character for each byte, as GPT-2 chose them: itself if it shows, else one from U+0100 on.

    Example:
        >>> byte_alphabet()[ord("A")], byte_alphabet()[ord(" ")], byte_alphabet()[0]
        ('A', 'Ġ', 'Ā')
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [b for b in range(256) if b not in printable]
    character = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(hidden)}
    return [character[b] for b in range(256)]


_CHARACTER = byte_alphabet()
_BYTE = {character: b for b, character in enumerate(_CHARACTER)}


def to_characters(token: bytes) -> str:
    """A token as the file spells it.

    Example:
        >>> to_characters(b" dog")
        'Ġdog'
    """
    return "".join(_CHARACTER[b] for b in token)


def to_bytes(spelling: str) -> bytes:
    """The opposite of to_characters."""
    return bytes(_BYTE[character] for character in spelling)


def write_tokenizer_file(parts: TokenizerParts, path: Path) -> None:
    """Write a tokenizer with GPT-2's way of cutting words; the file is replaced in one step."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    cut: dict[str, Any] = {**byte_level, "use_regex": True}
    if parts.pattern != GPT2_WORD_PATTERN:
        split = {"type": "Split", "pattern": {"Regex": parts.pattern}, "behavior": "Isolated", "invert": False}
        cut = {"type": "Sequence", "pretokenizers": [split, {**byte_level, "use_regex": False}]}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": token_id,
                "content": text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for text, token_id in parts.special_tokens.items()
        ],
        "normalizer": None,
        "pre_tokenizer": cut,
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {to_characters(token): rank for token, rank in parts.ranks.items()},
            "merges": [[to_characters(a), to_characters(b)] for a, b in merges_of(parts.ranks)],
        },
    }
    try:
        with atomic_file(path) as file:
            file.write(json.dumps(content, ensure_ascii=False, indent=1).encode())
    except OSError as error:
        raise TokenizerError(f"cannot write {path}: {reason(error)}") from None


def read_tokenizer_file(path: Path) -> TokenizerParts:
    """Read a tokenizer.json of a byte-level BPE tokenizer (GPT-2, Llama 3, Qwen, SmolLM2, ours).

    Raises:
        TokenizerError: not there, not JSON, or using a feature that would change the tokens.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TokenizerError(f"{path}: {path.stat().st_size:,} bytes is too large for a tokenizer.json")
        content = strict_json(path.read_bytes())
    except OSError as error:
        raise TokenizerError(f"cannot read {path}: {reason(error)}") from None
    except TokenizerError:
        raise
    except ValueError as error:
        raise TokenizerError(f"{path} is not a tokenizer.json: {error}") from None
    try:
        return _build(path, content)
    except TokenizerError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise TokenizerError(
            f"{path} is not a byte-level BPE tokenizer.json: {shown(error)} is missing or odd"
        ) from None


def _build(path: Path, content: dict[str, Any]) -> TokenizerParts:
    model = content["model"]
    _require(path, model.get("type") == "BPE", f"its model is {shown(model.get('type'))}, only BPE is supported")
    for feature in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        _require(path, not model.get(feature), f"it uses {feature}, which byte-level BPE does not have")
    _require(path, not content.get("normalizer"), "it changes the text before encoding (a normalizer)")
    special = {token["content"]: token["id"] for token in content.get("added_tokens", [])}
    for text in special:
        _require(path, isinstance(text, str), f"{shown(text)} is no text of a special token")
    ranks: dict[bytes, int] = {}
    for spelling, token_id in model["vocab"].items():
        if spelling in special:
            continue
        _require(path, set(spelling) <= _BYTE.keys(), f"token {shown(spelling)} is not spelled in bytes")
        ranks[to_bytes(spelling)] = token_id
    for token_id in (*ranks.values(), *special.values()):
        usable = isinstance(token_id, int) and not isinstance(token_id, bool) and 0 <= token_id < 2**31
        _require(path, usable, f"{shown(token_id)} is no token id")
    _check_merge_order(path, model["merges"], ranks)
    return TokenizerParts(path.parent.name or path.stem, ranks, special, _pattern(path, content.get("pre_tokenizer")))


def _check_merge_order(path: Path, merges: list[Any], ranks: dict[bytes, int]) -> None:
    """tiktoken merges in the order of the ids, so the file's order of merges has to be that of the ids.

    Several merges may make one token: Llama 3's file lists every way in which two tokens give a third.
    """
    previous = -1
    for merge in merges:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        rank = ranks.get(to_bytes(left) + to_bytes(right))
        _require(path, rank is not None, f"the merge {shown(left)} + {shown(right)} makes no token")
        assert rank is not None
        _require(path, rank >= previous, "its merges are not in the order of its token ids")
        previous = rank


def _pattern(path: Path, pre_tokenizer: dict[str, Any] | None) -> str:
    """The regular expression that cuts the text, from one of the two ways in which it is written down."""
    steps = (pre_tokenizer or {}).get("pretokenizers", [pre_tokenizer] if pre_tokenizer else [])
    *before, last = steps or [{}]
    _require(path, last.get("type") == "ByteLevel", "its text is not cut into bytes (no ByteLevel pre-tokenizer)")
    _require(path, not last.get("add_prefix_space"), "it puts a space before the text")
    if last.get("use_regex", True) and not before:
        return GPT2_WORD_PATTERN
    supported = len(before) == 1 and before[0].get("type") == "Split" and before[0].get("behavior") == "Isolated"
    _require(path, supported and not last.get("use_regex", True), "its way of cutting words is not supported")
    pattern = before[0]["pattern"]["Regex"]
    _require(path, isinstance(pattern, str), f"{shown(pattern)} is no regular expression that cuts text")
    return pattern


def _require(path: Path, condition: bool, problem: str) -> None:
    if not condition:
        raise TokenizerError(f"{path}: {problem}")
