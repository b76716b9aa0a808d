"""A chat model of a few lines: it says back what it was told, and does some things when told to.

"slowly": it waits before each token; "fail": it fails before the first; "break": after the second; "refuse": its
template takes no such message. Tests also run this file inside a notebook, so it imports only the standard library.
"""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable, Iterator
from threading import Event
from types import SimpleNamespace
from typing import Any


class SmallTokenizer:
    """A token for each word; characters beyond ASCII are cut into their bytes. It learns words as they come."""

    def __init__(self) -> None:
        self.special_tokens = {"<|im_start|>": 0, "<|im_end|>": 1}
        self._bytes = [text.encode() for text in self.special_tokens]

    def encode(self, text: str) -> list[int]:
        pieces = [piece.encode() for piece in re.findall(r"\s?\w+|\s|[^\w\s]", text)]
        cut = [part for piece in pieces for part in ([piece] if piece.isascii() else [bytes([b]) for b in piece])]
        self._bytes += [part for part in dict.fromkeys(cut) if part not in self._bytes[2:]]
        return [self._bytes.index(part, 2) for part in cut]

    def token_bytes(self, token_id: int) -> bytes:
        return self._bytes[token_id]


class SmallTalk:
    """What a chat console needs of a model. `asked` remembers each question and its settings."""

    def __init__(
        self, *, context_length: int = 400, default: str = "You are small.", name: str = "smalltalk",
        takes_system: bool = True, pause: Callable[[int], Any] = lambda i: None,
    ) -> None:  # fmt: skip
        self.name, self.context_length, self.tokenizer = name, context_length, SmallTokenizer()
        self.default, self.takes_system, self.pause = default, takes_system, pause
        self.asked: list[tuple[list[dict[str, str]], dict[str, Any]]] = []

    def chat_prompt(self, messages: list[dict[str, str]]) -> SimpleNamespace:
        first = messages[0]["role"]
        if "refuse" in messages[-1]["content"] or (first == "system" and not self.takes_system):
            raise ValueError("the template refuses this message\nand says why at length")
        parts: list[tuple[str, int]] = []
        if first != "system" and self.default:
            parts += [("<|im_start|>", -1), (f"system\n{self.default}", -1), ("<|im_end|>", -1), ("\n", -1)]
        for i, message in enumerate(messages):
            parts += [("<|im_start|>", -1), (f"{message['role']}\n", -1), (message["content"], i)]
            parts += [("<|im_end|>", -1), ("\n", -1)]
        parts += [("<|im_start|>", -1), ("assistant\n", -1)]
        ids, authors = [], []
        for text, author in parts:
            special = self.tokenizer.special_tokens.get(text) if author < 0 else None
            new = self.tokenizer.encode(text) if special is None else [special]
            ids += new
            authors += [author] * len(new)
        return SimpleNamespace(text="".join(text for text, _ in parts), token_ids=ids, authors=authors)

    def stream_chat(
        self, messages: list[dict[str, str]], *, max_tokens: int, temperature: float, seed: int, cancel: Event
    ) -> Iterator[SimpleNamespace]:
        settings = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        self.asked.append((messages, settings))
        said, room = messages[-1]["content"], self.context_length - len(self.chat_prompt(messages).token_ids)
        if "fail" in said:
            raise ValueError("out of words\nsecond line")
        answer = [*self.tokenizer.encode(f"You said: {said}"), 1]
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for i, token_id in enumerate(answer):
            self.pause(i)
            if "slowly" in said:
                time.sleep(0.05)
            if "break" in said and i == 2:
                raise ValueError("the thread of thought is lost")
            if cancel.is_set():
                return
            last = {len(answer) - 1: "end", max_tokens - 1: "length", room - 1: "context"}
            reason = next((last[n] for n in sorted(last) if n == i), None)
            text = "" if token_id == 1 else decoder.decode(self.tokenizer.token_bytes(token_id))
            yield SimpleNamespace(id=token_id, text=text, stop_reason=reason)
            if reason:
                return
