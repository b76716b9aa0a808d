"""What a chat model really reads of a conversation: the template's words and everybody's, as tokens.

A model is whatever has the following; llm101's LanguageModel does.
    chat_prompt(messages): text, token_ids, and authors, for each token the number of its message, -1 for the template's
    stream_chat(messages, max_tokens=, temperature=, seed=, cancel=): tokens with an id, a text, perhaps a stop_reason
    tokenizer: token_bytes(id), and special_tokens, text -> id of those that stand outside of all texts
    perhaps a name, and a context_length: the most tokens that it holds, read and written
It knows nothing of widgets.

Reading order: checked_model, facts_of, own_system; as_messages, read_by, packed, as_written, reply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

Message = dict[str, str]
"""role and content."""
Token = list[Any]
"""id, bytes (a character for each), whether it is special; of a written one also what it adds to the text."""


def checked_model(model: Any) -> Any:
    """The model, if it is one that a reader can talk to.

    Raises:
        ValueError: it lacks something.
    """
    needed = ("chat_prompt", "stream_chat", "tokenizer")
    if missing := [name for name in needed if not hasattr(model, name)]:
        raise ValueError(f"a chat console needs a model with {' and '.join(missing)}, got {type(model).__name__}")
    return model


def facts_of(model: Any) -> dict[str, Any]:
    """What does not change: name, own_system (see there) and context_length, 0 where nobody knows.

    Raises:
        ValueError: the model is not made for conversations.
    """
    name, most = str(getattr(model, "name", type(model).__name__)), int(getattr(model, "context_length", 0))
    return {"name": name, "own_system": own_system(model), "context_length": most}


def own_system(model: Any) -> str:
    """The system prompt that the template adds to a conversation without one; "" if it adds none.

    It is what then stands in the place of one that is given.

    Raises:
        ValueError: the model is not made for conversations.
    """
    question, mark = {"role": "user", "content": "question"}, "a system prompt"
    without: str = model.chat_prompt([question]).text
    try:
        given: str = model.chat_prompt([{"role": "system", "content": mark}, question]).text
    except ValueError:
        return ""  # a template that takes no system prompt
    before, _, after = given.partition(mark)
    inside = without.startswith(before) and without.endswith(after) and len(without) >= len(before) + len(after)
    return without[len(before) : len(without) - len(after)] if inside else ""


def as_messages(system: str, turns: Sequence[Mapping[str, str]], text: str) -> list[Message]:
    """What a model gets of a conversation that goes on with a text of the reader's.

    Raises:
        ValueError: there is no text.

    Example:
        >>> [message["role"] for message in as_messages("Be brief.", [], "Hello!")]
        ['system', 'user']
    """
    if not text.strip():
        raise ValueError("there is no message yet: write one first")
    said = [*turns, {"role": "user", "content": text}]
    messages = [{"role": turn["role"], "content": turn["content"]} for turn in said]
    return [{"role": "system", "content": system}, *messages] if system else messages


def read_by(model: Any, messages: Sequence[Message]) -> list[dict[str, Any]]:
    """What the model reads, cut where another writer begins: who (a role, or "template") wrote which tokens.

    Raises:
        ValueError: the template refuses the messages, or they leave no room for an answer.
    """
    prompt = model.chat_prompt(messages)
    n, most = len(prompt.token_ids), getattr(model, "context_length", 0)
    if 0 < most <= n:
        raise ValueError(f"that makes {n:,} tokens; this model holds {most:,}, its answer included: begin anew")
    who = ["template" if author < 0 else messages[author]["role"] for author in prompt.authors]
    signed = zip(prompt.authors, who, packed(prompt.token_ids, model.tokenizer))
    stretches = groupby(signed, key=itemgetter(0, 1))
    return [{"who": name, "tokens": [token for *_, token in stretch]} for (_, name), stretch in stretches]


def packed(token_ids: Iterable[int], tokenizer: Any) -> list[Token]:
    """Tokens as the page wants them.

    Example:
        >>> from types import SimpleNamespace
        >>> tokenizer = SimpleNamespace(token_bytes={3: b"\\xff", 0: b"<end>"}.get, special_tokens={"<end>": 0})
        >>> packed([3, 0], tokenizer)
        [[3, 'ÿ', False], [0, '<end>', True]]
    """
    special = frozenset(tokenizer.special_tokens.values())
    return [[i, tokenizer.token_bytes(i).decode("latin-1"), i in special] for i in token_ids]


def as_written(tokens: Sequence[Any], tokenizer: Any) -> list[Token]:
    """The same of tokens that the model wrote, each with what it adds to the text."""
    return [[*token, made.text] for token, made in zip(packed([made.id for made in tokens], tokenizer), tokens)]


def reply(written: Iterable[Token], report: Mapping[str, Any]) -> dict[str, Any]:
    """The turn that written tokens are, and why it ended.

    Example:
        >>> reply([[7, "Hi", False, "Hi"], [0, "<end>", True, ""]], {"end": "end"})
        {'role': 'assistant', 'content': 'Hi', 'end': 'end'}
    """
    return {"role": "assistant", "content": "".join(token[3] for token in written), "end": report["end"]}
