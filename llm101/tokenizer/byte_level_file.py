"""Byte-level BPE as a tokenizer.json writes it down: its content from a tokenizer's parts, and the parts from it.

It knows the format, neither files nor how a text is encoded. The format spells bytes as printable characters (GPT-2's
alphabet). What byte-level BPE cannot do exactly as Hugging Face's `tokenizers` does is not taken for it.

Reading order: byte_alphabet, content_of, byte_level_parts.
"""

from __future__ import annotations

import re
from itertools import count, groupby
from typing import Any

from llm101.tokenizer.bpe import GPT2_WORD_PATTERN, is_last_merge, last_merge, merges_of
from llm101.tokenizer.file_content import Table, added_tokens, merges_of_model, model_type, start_ids, steps_of
from llm101.tokenizer.parts import TokenizerParts
from llm101.tokenizer.pattern import DIGITS_APART_PATTERN, for_oniguruma, in_both_dialects


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
_BYTE = dict.fromkeys(range(256), 0xFFFF) | {ord(character): b for b, character in enumerate(_CHARACTER)}


def to_characters(token: bytes) -> str:
    """A token as the file spells it.

    Example:
        >>> to_characters(b" dog")
        'Ġdog'
    """
    return "".join(_CHARACTER[b] for b in token)


def to_bytes(spelling: str) -> bytes:
    """The opposite of to_characters.

    Raises:
        KeyError: a character that spells no byte.
    """
    try:
        return spelling.translate(_BYTE).encode("latin-1")
    except UnicodeEncodeError:
        raise KeyError(spelling) from None


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def content_of(parts: TokenizerParts) -> Table:
    """All that a tokenizer.json says of a tokenizer."""
    merges = merges_of(parts.ranks)
    vocab = {to_characters(token): rank for token, rank in parts.ranks.items()}
    added = sorted({**parts.special_tokens, **parts.added_tokens}.items(), key=lambda pair: pair[1])
    if any(token_id != place for (_, token_id), place in zip(added, count(len(vocab)))):
        vocab |= dict(added)  # the format numbers added tokens by their place, unless the vocabulary has them
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_entry(text, token_id, text in parts.special_tokens) for text, token_id in added],
        "normalizer": {"type": "NFC"} if parts.nfc else None,
        "pre_tokenizer": _cutting(parts),
        "post_processor": _template(parts) if parts.start_ids else None,
        "decoder": {**BYTE_LEVEL, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": len(merges) < sum(len(token) > 1 for token in parts.ranks),  # a word may be a token anyway
            "vocab": vocab,
            "merges": [[to_characters(a), to_characters(b)] for a, b in merges],
        },
    }


def _added_entry(text: str, token_id: int, special: bool) -> Table:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": text, **flags, "special": special}


def _cutting(parts: TokenizerParts) -> Table:
    """How text is cut: GPT-2's way is ByteLevel's own, any other one stands before it."""
    if parts.pattern == GPT2_WORD_PATTERN and not parts.cuts_before:
        return {**BYTE_LEVEL, "use_regex": True}
    splits = [
        {"type": "Split", "pattern": {"Regex": for_oniguruma(p)}, "behavior": "Isolated", "invert": False}
        for p in (*parts.cuts_before, parts.pattern)
    ]
    return {"type": "Sequence", "pretokenizers": [*splits, {**BYTE_LEVEL, "use_regex": False}]}


def _template(parts: TokenizerParts) -> Table:
    """The rule that puts the start ids before a text."""
    spelled = {token_id: text for text, token_id in {**parts.special_tokens, **parts.added_tokens}.items()}
    spelled |= {token_id: to_characters(token) for token, token_id in parts.ranks.items()}
    before = [{"SpecialToken": {"id": spelled[i], "type_id": 0}} for i in parts.start_ids]
    one, other = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    named = {spelled[i]: {"id": spelled[i], "ids": [i], "tokens": [spelled[i]]} for i in parts.start_ids}
    return {
        "type": "TemplateProcessing",
        "single": [*before, one],
        "pair": [*before, one, other],
        "special_tokens": named,
    }


def byte_level_parts(name: str, content: Table) -> TokenizerParts | None:
    """The tokenizer that a content describes, if byte-level BPE does exactly what it says; else None.

    Args:
        name: what to call it.
        content: as check_content has passed it.
    """
    model, added = content["model"], added_tokens(content)
    kinds = {step["type"] for step in steps_of(content.get("normalizer"))}
    cuts = _cuts(content.get("pre_tokenizer"))
    plain = all(token.is_plain for token in added) and len({token.normalized for token in added}) <= 1
    if model_type(model) != "BPE" or model.get("byte_fallback") or not plain or not cuts or not kinds <= {"NFC"}:
        return None
    if kinds and any(token.normalized for token in added):
        return None
    if {step["type"] for step in steps_of(content.get("decoder"))} - {"ByteLevel"}:
        return None
    vocab = _ordinary(model, {token.text for token in added})
    if not vocab or not _merges_by_rank(model, vocab):
        return None
    return TokenizerParts(
        name,
        {to_bytes(spelling): token_id for spelling, token_id in vocab.items()},
        special_tokens={token.text: token.token_id for token in added if token.special},
        pattern=cuts[-1],
        start_ids=start_ids(content),
        added_tokens={token.text: token.token_id for token in added if not token.special},
        cuts_before=tuple(cuts[:-1]),
        nfc=bool(kinds),
    )


def _ordinary(model: Table, added: set[str]) -> dict[str, int] | None:
    """The ordinary tokens and their ids; None if they do not spell bytes, or some text would be the unknown token."""
    vocab = {spelling: token_id for spelling, token_id in model["vocab"].items() if spelling not in added}
    has_all = all(character in vocab for character in _CHARACTER)
    spells_bytes = set().union(*vocab) <= set(_CHARACTER)
    return vocab if spells_bytes and (has_all or not model.get("unk_token")) else None


def _merges_by_rank(model: Table, vocab: dict[str, int]) -> bool:
    """Whether merging what makes the token of the lowest id, as tiktoken does, is what the file's merges do.

    The file's merges have to be in the order of the ids that they make, and each token's last merge has to be among
    them (see bpe.py). Others may be: Llama 3's file lists every way in which two tokens give a third. A token that no
    merge makes is found only where a whole word is that token, which the file must allow ("ignore_merges").
    """
    by_token = groupby(merges_of_model(model), "".join)
    made, pairs = next(by_token, (None, iter(())))
    seam: dict[str, int] = {}
    for token in sorted(vocab, key=vocab.__getitem__):
        listed = []
        if made == token:
            listed = list(pairs)
            made, pairs = next(by_token, (None, iter(())))
        if any(left not in vocab or right not in vocab for left, right in listed):
            return False  # an added token
        if len(token) < 2:
            continue
        merge = next((pair for pair in listed if is_last_merge(*pair, vocab, seam)), None)
        if merge:
            seam[token] = len(merge[0])
        elif last_merge(token, vocab) or not model.get("ignore_merges"):
            return False  # it is not listed, or the token's turn is before that of its parts; or nothing makes it
    return made is None  # else a merge makes an added token, or stands before one that makes an earlier token


def _cuts(pre_tokenizer: Any) -> list[str]:
    """The patterns that cut a text one after another; empty if it is cut in another way, or in one dialect only."""
    *before, last = steps_of(pre_tokenizer) or [{}]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        return []
    cuts = [_cut(step) for step in before] + [GPT2_WORD_PATTERN] * bool(last.get("use_regex", True))
    if cuts == [r"\p{N}", GPT2_WORD_PATTERN]:
        return [DIGITS_APART_PATTERN]
    return cuts if all(in_both_dialects(cut) for cut in cuts) else []


def _cut(step: Table) -> str:
    """The pattern by which a step cuts, or "" if it does something else."""
    if step["type"] == "Digits":
        return r"\p{N}" if step.get("individual_digits") else r"\p{N}+"
    pattern = step.get("pattern")
    if step["type"] != "Split" or step.get("behavior") != "Isolated" or step.get("invert"):
        return ""
    written = pattern if isinstance(pattern, dict) and len(pattern) == 1 else {}
    if isinstance(written.get("String"), str):
        return re.sub(r"([\[\]{}()|.*+?^$\\/-])", r"\\\1", written["String"])
    return written["Regex"] if isinstance(written.get("Regex"), str) else ""
