"""A conversation as a chat model reads it: one text, made by the template that came with the model.

A chat model is a model that continues texts. Its makers agreed with it on how a conversation looks as a text, and wrote
that down as a template: who speaks is marked by special tokens, and the last mark leaves the word to the model. The
template's special tokens count as such, and whatever looks like one in a message stays the characters it consists of:
else a stranger could speak in another's name. It knows nothing of models; sandbox.py runs the template.

Reading order: ChatTemplate.prompt, ChatPrompt, then Piece and _pieces (who wrote which part of the text).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from llm101.outside import given
from llm101.outside.strict_json import shown
from llm101.tokenizer.sandbox import ChatTemplateError, run_template

if TYPE_CHECKING:
    from llm101.tokenizer.tokenizer import Tokenizer

__all__ = ["ROLES", "ChatPrompt", "ChatTemplate", "ChatTemplateError", "Message", "Piece", "checked_messages"]

ROLES = ("system", "user", "assistant", "tool")
"""Who can speak. A template writes the role into the text as it is, so no other word is taken for one."""
TEMPLATE = -1
"""The author of what the template adds."""

Message = Mapping[str, str]
"""{"role": one of ROLES, "content": a text}, as most chat programs write it down."""


class Piece(NamedTuple):
    """A part of the text that the model reads."""

    text: str
    author: int
    """Which message it comes from, counted from 0; TEMPLATE if from none."""


@dataclass(frozen=True)
class ChatPrompt:
    """A conversation, ready to be read by the model."""

    pieces: list[Piece]
    """The text, cut where another writer begins."""
    token_ids: list[int]
    authors: list[int]
    """For each token, who wrote it: the number of a message, or TEMPLATE."""

    @property
    def text(self) -> str:
        """All of it, as the template makes it."""
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True)
class ChatTemplate:
    """What a model's files say about how a conversation is written.

    Example:
        >>> template = ChatTemplate("{% for m in messages %}<{{ m.role }}> {{ m.content }}\\n{% endfor %}<assistant>")
        >>> template.text([{"role": "user", "content": "Hi!"}])
        '<user> Hi!\\n<assistant>'
        >>> template.pieces([{"role": "user", "content": "Hi!"}])[1]
        Piece(text='Hi!', author=0)
    """

    source: str
    """In jinja2's language."""
    named_tokens: Mapping[str, str] = field(default_factory=dict)
    """Special tokens that the template calls by a name, such as bos_token."""

    def text(self, messages: Iterable[Message]) -> str:
        """The text that the model reads; it ends where the model's own words begin.

        Raises:
            ChatTemplateError: no messages, or none that this template takes, or a template that cannot be run.
        """
        return self._run(checked_messages(messages))

    def _run(self, messages: Sequence[Message]) -> str:
        values = {"messages": [dict(m) for m in messages], "add_generation_prompt": True, "tools": None}
        return run_template(self.source, {**values, **self.named_tokens})

    def pieces(self, messages: Iterable[Message]) -> list[Piece]:
        """The same text, cut into what the template says and what the messages say.

        Raises:
            ChatTemplateError: as for `text`.
        """
        return self._pieces(checked_messages(messages))

    def _pieces(self, messages: Sequence[Message]) -> list[Piece]:
        """Found by writing the conversation once more, with a mark in the place of every message.

        Where a template changes what is in a message (some cut a model's thoughts out), the marks and the text do not
        fit together; then all of it counts as the template's.
        """
        text = self._run(messages)
        marks = {f"mark{uuid.uuid4().hex}": i for i in range(len(messages))}
        try:
            marked = self._run([{**m, "content": mark} for m, mark in zip(messages, marks)])
        except ChatTemplateError:
            return [Piece(text, TEMPLATE)]
        said = re.split("|".join(marks), marked)  # by the template: before, between and after the marks
        return _joined(said, [marks[mark] for mark in re.findall("|".join(marks), marked)], messages, text)

    def prompt(self, messages: Iterable[Message], tokenizer: Tokenizer) -> ChatPrompt:
        """What the model reads, as tokens.

        Raises:
            ChatTemplateError: as for `text`; or a message that spells a special token, where the template changes
                messages, so that nobody can tell whose word it is.
        """
        messages = checked_messages(messages)
        pieces = self._pieces(messages)
        if len(pieces) == 1 and pieces[0].author == TEMPLATE:
            _refuse_special(messages, tokenizer)
        ids, origins = tokenizer.encode_parts([(piece.text, piece.author == TEMPLATE) for piece in pieces])
        return ChatPrompt(pieces, ids, [pieces[origin].author for origin in origins])


def checked_messages(messages: Iterable[Message]) -> list[dict[str, str]]:
    """Messages in their order, each with a role and a content and nothing else.

    Raises:
        ChatTemplateError: what is wrong with which.

    Example:
        >>> checked_messages([{"role": "pirate", "content": "Arr!"}])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        llm101.tokenizer.sandbox.ChatTemplateError: message 0 has the role 'pirate'; roles are system, user, ...
    """
    if isinstance(messages, (str, bytes, Mapping)) or not hasattr(messages, "__iter__"):
        raise ChatTemplateError(
            f'messages must be a list such as [{{"role": "user", "content": "Hello!"}}], got {shown(messages)}'
        )
    checked = [_checked(i, message) for i, message in enumerate(messages)]
    if not checked:
        raise ChatTemplateError("there are no messages: give at least one")
    return checked


def _checked(i: int, message: object) -> dict[str, str]:
    if not isinstance(message, Mapping) or message.keys() != {"role", "content"}:
        raise ChatTemplateError(f"message {i} must have a role and a content and nothing else, got {shown(message)}")
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise ChatTemplateError(f"message {i} has the role {shown(role)}; roles are {', '.join(ROLES)}")
    try:
        (text,) = given.unicode_pieces(given.text(content))
    except ValueError as error:
        reason = error if "unpack" not in str(error) else "it holds a byte that is no UTF-8"
        raise ChatTemplateError(f"message {i} has no text as its content: {reason}") from None
    return {"role": role, "content": text}


def _joined(said: Sequence[str], authors: Sequence[int], messages: Sequence[Message], text: str) -> list[Piece]:
    """The template's words and the messages between them, if these make up the text."""
    pieces, rest = [Piece(said[0], TEMPLATE)], text
    for author, words, after in zip(authors, said, said[1:]):
        rest = rest.removeprefix(words)
        content = messages[author]["content"]
        ways = (content, content.strip(), content.lstrip(), content.rstrip())  # many a template cuts blanks off
        taken = next((way for way in ways if rest.startswith(way + after)), "")
        pieces += [Piece(taken, author), Piece(after, TEMPLATE)]
        rest = rest.removeprefix(taken)
    if "".join(piece.text for piece in pieces) != text:
        return [Piece(text, TEMPLATE)]
    return [piece for piece in pieces if piece.text]


def _refuse_special(messages: Sequence[Message], tokenizer: Tokenizer) -> None:
    for i, message in enumerate(messages):
        for special in tokenizer.special_tokens:
            if special in message["content"]:
                raise ChatTemplateError(
                    f"message {i} spells the special token {shown(special)}, which this model's chat template "
                    "could turn into a real one: leave it out"
                )
