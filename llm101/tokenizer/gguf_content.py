"""The tokenizer in a GGUF file, told as the tokenizer.json that says the same.

It knows what llama.cpp's converters write, and nothing of files. Two kinds are read: "gpt2", byte-level BPE, where one
word stands for the pattern that cuts text; and "llama", SentencePiece's BPE, where a score takes the place of merges.

Reading order: gguf_content, then _byte_level and _sentence_piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm101.outside import given
from llm101.outside.strict_json import shown
from llm101.tokenizer.bpe import GPT2_WORD_PATTERN
from llm101.tokenizer.byte_level_file import BYTE_LEVEL
from llm101.tokenizer.file_content import Table, require
from llm101.tokenizer.pattern import DIGITS_APART_PATTERN
from llm101.tokenizer.published import O200K_PATTERN, QWEN_PATTERN, TEKKEN_PATTERN

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""The types of a token. Control tokens stand outside the text; user-defined ones are found in any text."""

LLAMA3_PATTERN = QWEN_PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

PATTERNS = {
    "gpt-2": GPT2_WORD_PATTERN,
    "smollm": DIGITS_APART_PATTERN,
    "starcoder": DIGITS_APART_PATTERN,
    "llama-bpe": LLAMA3_PATTERN,
    "llama3": LLAMA3_PATTERN,
    "llama-v3": LLAMA3_PATTERN,
    "qwen2": QWEN_PATTERN,
    "deepseek-r1-qwen": QWEN_PATTERN,
    "tekken": TEKKEN_PATTERN,
    "gpt-4o": O200K_PATTERN,
}
"""tokenizer.ggml.pre: what its makers' tokenizer.json says of cutting text."""

_WHOLE_WORDS = ("llama-bpe", "llama3", "llama-v3", "tekken")
"""Where a word that is a token is taken as it is, whether or not merges make it; and a text begins with a token."""
_NFC = ("qwen2", "deepseek-r1-qwen")


def gguf_content(metadata: Mapping[str, Any]) -> Table:
    """The content of a tokenizer.json.

    Args:
        metadata: a GGUF file's, by name.

    Raises:
        TokenizerError: there is no tokenizer, or one of a kind that is not supported, by name.
    """
    kind = metadata.get("tokenizer.ggml.model")
    require(kind is not None, "it holds no tokenizer (no tokenizer.ggml.model)")
    require(kind in ("gpt2", "llama"), f"its tokenizer is of the kind {shown(kind)}; supported are 'gpt2' and 'llama'")
    require(
        not metadata.get("tokenizer.ggml.add_eos_token"), "it puts the end of a text after each text (add_eos_token)"
    )
    tokens = _listed(metadata, "tokens", str)
    require(tokens != [], "its vocabulary is empty")
    require(len(set(tokens)) == len(tokens), "two of its tokens are spelled alike")
    types = _listed(metadata, "token_type", int) or [NORMAL] * len(tokens)
    require(len(types) == len(tokens), f"it has {len(tokens):,} tokens, but the types of {len(types):,}")
    content = (_byte_level if kind == "gpt2" else _sentence_piece)(metadata, tokens, types)
    content["added_tokens"] = [
        _added(token_id, tokens[token_id], special=kind in (CONTROL, UNKNOWN))
        for token_id, kind in enumerate(types)
        if kind in (CONTROL, USER_DEFINED, UNKNOWN)
    ]
    return content


def _byte_level(metadata: Mapping[str, Any], tokens: list[str], types: list[int]) -> Table:
    pre = metadata.get("tokenizer.ggml.pre", "default")
    known = f"tokenizer.ggml.pre is {shown(pre)}; known are {', '.join(PATTERNS)}"
    require(isinstance(pre, str) and pre in PATTERNS, f"how its text is cut into words is not known: {known}")
    pattern = PATTERNS[pre]
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    model = {
        "type": "BPE",
        "ignore_merges": pre in _WHOLE_WORDS,
        "vocab": {token: token_id for token_id, token in enumerate(tokens)},
        "merges": _listed(metadata, "merges", str),
    }
    return {
        "normalizer": {"type": "NFC"} if pre in _NFC else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, {**BYTE_LEVEL, "use_regex": False}]},
        "post_processor": _start(metadata, tokens, default=pre in _WHOLE_WORDS),
        "decoder": {**BYTE_LEVEL, "use_regex": True},
        "model": model,
    }


def _sentence_piece(metadata: Mapping[str, Any], tokens: list[str], types: list[int]) -> Table:
    scores = _listed(metadata, "scores", float)
    require(len(scores) == len(tokens), f"it has {len(tokens):,} tokens, but the scores of {len(scores):,}")
    unknown = _token(metadata, "unknown", tokens, default=0)
    prefix = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    texts = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    strip = [{"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    model = {
        "type": "BPE",
        "unk_token": tokens[unknown],
        "fuse_unk": True,
        "byte_fallback": True,
        "vocab": {token: token_id for token_id, token in enumerate(tokens)},
        "merges": merges_by_score(tokens, scores, types),
    }
    before = [{"type": "Prepend", "prepend": "▁"}] if prefix else []
    return {
        "normalizer": {"type": "Sequence", "normalizers": [*before, spaces]},
        "pre_tokenizer": None,
        "post_processor": _start(metadata, tokens, default=True),
        "decoder": {"type": "Sequence", "decoders": [texts, {"type": "ByteFallback"}, *strip]},
        "model": model,
    }


def merges_by_score(tokens: Sequence[str], scores: Sequence[float], types: Sequence[int]) -> list[list[str]]:
    """The merges that SentencePiece does: any two neighbours that make a token, the one of the highest score first.

    Example:
        >>> merges_by_score(["a", "b", "ab", "aba"], [0.0, 0.0, -1.0, -2.0], [NORMAL] * 4)
        [['a', 'b'], ['ab', 'a']]
    """
    ordinary = {token: token_id for token_id, token in enumerate(tokens) if types[token_id] == NORMAL}
    found = [
        (-scores[token_id], token_id, len(token) - cut, token[:cut], token[cut:])
        for token, token_id in ordinary.items()
        for cut in range(1, len(token))
        if token[:cut] in ordinary and token[cut:] in ordinary
    ]
    return [[left, right] for *_, left, right in sorted(found)]


def _start(metadata: Mapping[str, Any], tokens: list[str], default: bool) -> Table | None:
    """The rule that puts the begin-of-text token before a text, if the file asks for it."""
    asked = metadata.get("tokenizer.ggml.add_bos_token", default)
    require(isinstance(asked, bool), f"its add_bos_token is {shown(asked)}, neither true nor false")
    if not asked:
        return None
    begin = _token(metadata, "bos", tokens, default=None)
    name = tokens[begin]
    return {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [begin], "tokens": [name]}},
    }


def _added(token_id: int, text: str, special: bool) -> Table:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": text, **flags, "special": special}


def _token(metadata: Mapping[str, Any], name: str, tokens: list[str], default: int | None) -> int:
    token_id = given.whole(metadata.get(f"tokenizer.ggml.{name}_token_id", default))
    if token_id is None or not 0 <= token_id < len(tokens):
        require(False, f"it names no token of its own as {name}_token_id")
    return int(token_id or 0)


def _listed(metadata: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    """A list of one type, empty if it is not there."""
    value = metadata.get(f"tokenizer.ggml.{name}", [])
    fits = isinstance(value, list) and all(isinstance(one, kind) and not isinstance(one, bool) for one in value)
    require(fits, f"its list tokenizer.ggml.{name} is {shown(value)}")
    return value
