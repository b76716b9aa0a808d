"""Several texts written at once: all of them take their next token, and what was taken is read together.

It knows how texts grow and end, and not how they are read: that is a function, of which the engine has two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor

from llm101.inference.completion import Cancel, Completion, CompletionToken, is_cancelled
from llm101.inference.writer import Writer

Read = Callable[[Sequence[int], Sequence[Sequence[int]]], Sequence[Tensor]]
"""Called with the numbers of some texts and the next ids of each, as many of one as of the other; returns for each
the logits [vocab_size] of what comes after."""
PROMPT_TOKENS = 4096
"""How many tokens of prompts are read at once, at most; a prompt that is longer is read alone."""


@dataclass
class Text:
    """A text of a batch, on its way."""

    prompt_ids: list[int]
    writer: Writer
    made: list[CompletionToken] = field(default_factory=list)
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self.prompt_ids) + len(self.made)

    def completion(self) -> Completion:
        """What has become of it."""
        return Completion.of(self.made, self.prompt_ids, self.prefill_seconds, self.decode_seconds)


def write_together(texts: Sequence[Text], read: Read, context_length: int, cancel: Cancel) -> None:
    """Write all texts to their ends, or until cancelled."""
    for group in equally_long([text.prompt_ids for text in texts]):
        start = time.perf_counter()
        for i, logits in zip(group, read(group, [texts[i].prompt_ids for i in group])):
            texts[i].logits = logits
            texts[i].prefill_seconds = time.perf_counter() - start
    start, open_texts = time.perf_counter(), [*range(len(texts))]
    while open_texts and not is_cancelled(cancel):
        for text in map(texts.__getitem__, open_texts):
            text.made.append(text.writer.next_token(text.logits, context_length - text.length))
            text.decode_seconds = time.perf_counter() - start
        open_texts = [i for i in open_texts if texts[i].made[-1].stop_reason is None]
        if open_texts:
            for i, logits in zip(open_texts, read(open_texts, [[texts[i].made[-1].id] for i in open_texts])):
                texts[i].logits = logits


def equally_long(prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The numbers of prompts that can be read side by side with nothing to fill up: those of the same length.

    Example:
        >>> list(equally_long([[1, 2], [3], [4, 5]]))
        [[1], [0, 2]]
    """
    by_length = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for length, same in groupby(by_length, key=lambda i: len(prompts[i])):
        group, at_once = [*same], max(1, PROMPT_TOKENS // length)
        for start in range(0, len(group), at_once):
            yield group[start : start + at_once]
