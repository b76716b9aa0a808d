"""MergeReplay: a text falls into single bytes, and the merges that a tokenizer learned join them again, one by one.

It takes the merges as pairs of bytes, first learned first, and, if known, how often each pair occurred.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import anywidget
import regex
import traitlets as t

from llm101_widgets.merge_replay.picture import as_svg
from llm101_widgets.page import page_of
from llm101_widgets.svg import in_html

TEXT = "The lighthouse keeper told the children another story."
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class MergeReplay(anywidget.AnyWidget):
    """Step forwards and back through a training run, as one text sees it."""

    _esm, _css = page_of("merge_replay", root="llm101-replay-root")
    # the reader sets, here or in the page: the text, and how many merges are made
    text, step = t.Unicode().tag(sync=True), t.Int().tag(sync=True)
    # the page reads: [left, right] of each merge, a character for each byte; how often it occurred; the cuts into words
    merges, counts, pattern = t.List().tag(sync=True), t.List().tag(sync=True), t.Unicode().tag(sync=True)

    def __init__(self, merges: Iterable[tuple[bytes, bytes]], *, text: str = TEXT, step: int = 0,
                 counts: Sequence[int] = (), pattern: str = PATTERN) -> None:  # fmt: skip
        self._merges = [(bytes(left), bytes(right)) for left, right in merges]
        if not self._merges:
            raise ValueError("there is nothing to replay: the list of merges is empty")
        if counts and len(counts) != len(self._merges):
            raise ValueError(f"counts must have one number for each of {len(self._merges)} merges, got {len(counts)}")
        spelled = [[left.decode("latin-1"), right.decode("latin-1")] for left, right in self._merges]
        super().__init__(merges=spelled, counts=list(counts), pattern=pattern, text=text, step=step)

    @t.validate("text", "step")
    def _is_possible(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if name == "text" and len(value) > 2000:
            raise ValueError(f"text must have at most 2,000 characters to be watched, got {len(value):,}")
        if name == "step" and not 0 <= value <= len(self._merges):
            raise ValueError(f"step must be from 0 to {len(self._merges)} (all merges), got {value}")
        return value

    def pieces(self) -> list[list[bytes]]:
        """The pieces of each word of the text, after as many merges as `step` says."""
        words = [[bytes([b]) for b in word.encode()] for word in regex.findall(self.pattern, self.text)]
        for pair in self._merges[: self.step]:
            for word in words:
                i = 0
                while i < len(word) - 1:
                    if (word[i], word[i + 1]) == pair:
                        word[i : i + 2] = [word[i] + word[i + 1]]
                    i += 1
        return words

    def _caption(self) -> str:
        n_pieces = sum(map(len, self.pieces()))
        return f"after {self.step:,} of {len(self._merges):,} merges, {n_pieces} pieces"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return data | in_html(as_svg(self.pieces(), self._caption()), repr(self)), metadata

    def __repr__(self) -> str:
        pieces = [piece.decode("utf-8", "backslashreplace") for word in self.pieces() for piece in word]
        return f"{self._caption()}: {'|'.join(pieces)}"
