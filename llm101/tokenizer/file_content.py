"""What a tokenizer.json says, whatever kind of tokenizer it is for: looked at before any of it is believed.

It knows the format's tables, but neither files nor how text is encoded. A message says what is wrong with the content;
who knows the file puts its name before it.

Reading order: check_content, then added_tokens, start_ids, steps_of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from llm101.outside import given
from llm101.outside.strict_json import shown
from llm101.tokenizer.parts import TokenizerError

Table = dict[str, Any]

MODELS = ("BPE", "Unigram", "WordLevel", "WordPiece")


class AddedToken(NamedTuple):
    """A text that is one token wherever it stands, found before words are cut."""

    text: str
    token_id: int
    special: bool
    """Whether it is a marker that no text from outside may produce."""
    normalized: bool
    """Whether it is looked for after the text was normalised."""
    is_plain: bool
    """Whether it is found wherever its characters stand, and takes no white space with it."""


def check_content(content: Table) -> None:
    """See that every table is one, and nothing is asked for that llm101 would not do.

    Raises:
        TokenizerError: what is wrong, in words.
    """
    require("model" in content, "it has no model: a tokenizer.json holds a vocabulary under that name")
    model = table_in(content, "model")
    kind = model_type(model)
    require(kind in MODELS, f"its model is of the type {shown(kind)}; supported are {', '.join(MODELS)}")
    require(not model.get("dropout"), "it uses dropout: the same text would have other tokens each time")
    vocab = _vocabulary(kind, model.get("vocab"))
    if kind == "BPE":
        _check_merges(model, vocab)
    for name in ("truncation", "padding"):
        require(content.get(name) is None, f'it asks for {name}, which changes texts: set "{name}" to null in the file')
    for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        steps_of(content.get(name))
    _check_added(added_tokens(content), vocab, kind)


def model_type(model: Table) -> object:
    """BPE, Unigram, ... Older files of GPT-2's kind do not say it."""
    return model.get("type", "BPE" if "merges" in model else None)


def _vocabulary(kind: object, vocab: object) -> dict[str, int]:
    """Token -> id, each token of one id and each id of one token."""
    if kind == "Unigram":
        return _unigram_vocabulary(vocab)
    if not isinstance(vocab, dict) or not vocab:
        raise TokenizerError("its model has no vocabulary (a table of tokens and their ids)")
    odd = [token_id for token_id in vocab.values() if not _is_id(token_id)]
    require(not odd, f"{shown(odd[:1])} is no token id")
    require(len(set(vocab.values())) == len(vocab), "two tokens share one id")
    return vocab


def _unigram_vocabulary(vocab: object) -> dict[str, int]:
    if not isinstance(vocab, list) or not vocab:
        raise TokenizerError("its model has no vocabulary (a list of tokens and scores)")
    for pair in vocab:
        usable = isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
        if not usable or given.real(pair[1]) is None:
            raise TokenizerError(f"{shown(pair)} is no token with its score")
    spelled = {pair[0]: token_id for token_id, pair in enumerate(vocab)}
    require(len(spelled) == len(vocab), "two of its tokens are spelled alike")
    return spelled


def _check_merges(model: Table, vocab: dict[str, int]) -> None:
    require(not model.get("continuing_subword_prefix"), "it uses continuing_subword_prefix, which is not supported")
    require(not model.get("end_of_word_suffix"), "it uses end_of_word_suffix, which is not supported")
    for left, right in merges_of_model(model):
        if left not in vocab or right not in vocab or left + right not in vocab:
            raise TokenizerError(f"the merge {shown(left)} + {shown(right)} makes no token, or is of none")


def merges_of_model(model: Table) -> Iterator[tuple[str, str]]:
    """The merges of a BPE model as pairs, one at a time; the file writes them as "a b" or as ["a", "b"].

    Raises:
        TokenizerError: one that is no pair.
    """
    for merge in list_in(model, "merges"):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str) or not isinstance(pair[1], str):
            raise TokenizerError(f"{shown(merge)} is no merge of two tokens")
        yield pair[0], pair[1]


def added_tokens(content: Table) -> list[AddedToken]:
    """What is found in a text before its words are cut.

    Raises:
        TokenizerError: one without a text, or with an id that cannot be.
    """
    found: dict[str, AddedToken] = {}
    for entry in list_in(content, "added_tokens") if content.get("added_tokens") else ():
        require(isinstance(entry, dict), f"{shown(entry)} is no added token")
        text, token_id = entry.get("content"), entry.get("id")
        require(isinstance(text, str), f"{shown(text)} is no text of a special token")
        require(text != "", "it has an added token without a single byte, which would be found everywhere")
        require(text not in found, f"it lists the added token {shown(text)} twice")
        require(_is_id(token_id), f"{shown(token_id)} is no token id")
        plain = not any(entry.get(flag) for flag in ("single_word", "lstrip", "rstrip"))
        found[text] = AddedToken(text, token_id, bool(entry.get("special")), bool(entry.get("normalized")), plain)
    return list(found.values())


def _check_added(added: list[AddedToken], vocab: dict[str, int], kind: object) -> None:
    """See that each added token has one id and each id one token. (A Unigram model's ids are places in its list.)"""
    ids, next_id = {token.token_id for token in added}, len(vocab)
    taken = {token_id: text for text, token_id in vocab.items() if token_id in ids}
    for text, token_id in ((token.text, token.token_id) for token in added):
        is_known = (
            vocab.get(text, token_id) == token_id == (vocab.get(text, next_id) if kind == "Unigram" else token_id)
        )
        require(is_known, f"its added token {shown(text)} has the id {token_id}, but another one in the vocabulary")
        require(taken.setdefault(token_id, text) == text, "two tokens share one id")
        next_id = max(next_id, token_id + 1)


def steps_of(part: object) -> list[Table]:
    """A normalizer, pre-tokenizer, post-processor or decoder as a list of steps, since each may be a Sequence of them.

    Raises:
        TokenizerError: something that is no step.

    Example:
        >>> steps_of({"type": "Sequence", "normalizers": [{"type": "NFC"}]}), steps_of(None)
        ([{'type': 'NFC'}], [])
    """
    if part is None:
        return []
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise TokenizerError(f"{shown(part)} does not say by its type what it does to a text")
    if part["type"] != "Sequence":
        return [part]
    names = ("normalizers", "pretokenizers", "processors", "decoders")
    inner = list_in(part, next((name for name in names if name in part), "pretokenizers"))
    return [step for one in inner for step in steps_of(one)]


def start_ids(content: Table) -> tuple[int, ...]:
    """What the post-processor puts before a text.

    Raises:
        TokenizerError: it does something else with a text, such as putting a token after it.
    """
    ids: tuple[int, ...] = ()
    for step in steps_of(content.get("post_processor")):
        if step["type"] == "TemplateProcessing":
            ids = _before_text(step) + ids
        elif step["type"] != "ByteLevel":  # which moves no token
            raise TokenizerError(f"its post-processor {shown(step['type'])} is not supported; TemplateProcessing is")
    return ids


def _before_text(template: Table) -> tuple[int, ...]:
    """The ids before the text in a TemplateProcessing. (Its rule for pairs of texts is never used.)"""
    names = [_name_of(piece) for piece in list_in(template, "single")]
    require(names.count(None) == 1, "its TemplateProcessing does not take one text once")
    after = names[-1]
    require(after is None, f"it puts {shown(after)} after each text, and a model would go on after that, not the text")
    ids: list[int] = []
    for name in names[:-1]:
        entry = table_in(table_in(template, "special_tokens"), str(name))
        listed = list_in(entry, "ids")
        require(all(_is_id(token_id) for token_id in listed), f"{shown(listed)} are no token ids")
        ids += listed
    return tuple(ids)


def _name_of(piece: object) -> str | None:
    """The special token that a piece of a template names, or None for the text."""
    special = piece.get("SpecialToken") if isinstance(piece, dict) else None
    if isinstance(special, dict) and isinstance(special.get("id"), str):
        return special["id"]
    require(isinstance(piece, dict) and "Sequence" in piece, f"{shown(piece)} is no piece of a TemplateProcessing")
    return None


def table_in(holder: Table, name: str) -> Table:
    """A table within a table."""
    value = holder.get(name)
    if not isinstance(value, dict):
        raise TokenizerError(f"its {shown(name)} is {shown(value)}, no table")
    return value


def list_in(holder: Table, name: str) -> list[Any]:
    """A list within a table."""
    value = holder.get(name)
    if not isinstance(value, list):
        raise TokenizerError(f"its {shown(name)} is {shown(value)}, no list")
    return value


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def require(condition: bool, problem: str) -> None:
    """Refuse a content unless a condition holds."""
    if not condition:
        raise TokenizerError(problem)
