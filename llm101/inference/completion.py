"""What an inference engine is asked for and hands back: rules, completion tokens, text that is safe to show.

It knows nothing of models: ids and bytes come in, text goes out.
"""

from __future__ import annotations

import codecs
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from llm101.inference.sampling import SamplingSettings
from llm101.outside.given import whole
from llm101.outside.strict_json import shown

StopReason = Literal["end", "length", "stop", "context", "cancelled"]
"""Why a completion ended: the model's own end token, max_tokens, a stop string, a full context, or the reader."""

Cancel = threading.Event | Callable[[], bool] | None
"""How a reader can end a completion early: an Event that gets set, or a function that comes to say True."""


def is_cancelled(cancel: Cancel) -> bool:
    """Whether the reader wants no more.

    Raises:
        ValueError: it is something else than a Cancel.
    """
    if cancel is None:
        return False
    if isinstance(cancel, threading.Event):
        return cancel.is_set()
    if not callable(cancel):
        raise ValueError(f"cancel must be an Event or a function that comes to say True, got {shown(cancel)}")
    return cancel()


@dataclass(frozen=True)
class Rules:
    """What one completion was asked for.

    Raises:
        ValueError: naming what was asked for, its allowed range and the value it got.
    """

    sampling: SamplingSettings
    max_tokens: int = 100
    stop: str | Sequence[str] = ()
    """Texts that end the completion and are never shown; kept as a tuple."""
    n_alternatives: int = 0

    def __post_init__(self) -> None:
        for name, lowest in (("max_tokens", 1), ("n_alternatives", 0)):
            value = whole(getattr(self, name))
            if value is None or value < lowest:
                raise ValueError(
                    f"{name} must be a whole number from {lowest} upwards, got {shown(getattr(self, name))}"
                )
            object.__setattr__(self, name, value)
        several = hasattr(self.stop, "__iter__") and not isinstance(self.stop, str)
        stop = tuple(self.stop) if several else (self.stop,)
        if not all(isinstance(s, str) and s for s in stop):
            raise ValueError(f"stop must be texts of at least one character, got {shown(self.stop)}")
        object.__setattr__(self, "stop", stop)


class Alternative(NamedTuple):
    """A token that could have been next."""

    id: int
    text: str
    probability: float


@dataclass(frozen=True)
class CompletionToken:
    """One token, as it is made.

    Attributes:
        text: what can be shown now. Half a character, or what may be the beginning of a stop string, waits
            for the tokens after it; joined together the texts are exactly the completion's text.
        logprob: natural logarithm of the probability that the model itself gave the token (temperature 1, no cuts).
        alternatives: the likeliest next tokens, likeliest first, with the model's own probabilities.
        stop_reason: why this is the last token; None on all others.
    """

    id: int
    text: str
    logprob: float
    alternatives: list[Alternative]
    stop_reason: StopReason | None = None


@dataclass(frozen=True)
class Completion:
    """A finished continuation.

    Attributes:
        token_ids: every token made, the model's end token included.
        prompt_ids: what it continued, the start token included.
        prefill_seconds: time to read the prompt.
        decode_seconds: time to make the tokens.
    """

    text: str
    token_ids: list[int]
    prompt_ids: list[int]
    stop_reason: StopReason
    prefill_seconds: float
    decode_seconds: float

    @classmethod
    def of(
        cls, made: Sequence[CompletionToken], prompt_ids: list[int], prefill_seconds: float, decode_seconds: float
    ) -> Completion:
        """What the tokens made amount to. If none says that it is the last, the reader stopped it."""
        return cls(
            text="".join(token.text for token in made),
            token_ids=[token.id for token in made],
            prompt_ids=prompt_ids,
            stop_reason=(made[-1].stop_reason if made else None) or "cancelled",
            prefill_seconds=prefill_seconds,
            decode_seconds=decode_seconds,
        )

    @property
    def decode_tokens_per_second(self) -> float:
        """Tokens made per second, reading the prompt not counted."""
        return len(self.token_ids) / self.decode_seconds if self.decode_seconds > 0 else 0.0


class ShownText:
    """Turns the bytes of tokens into text that never has to be taken back.

    Example:
        >>> shown = ShownText(stop=("THE END",))
        >>> [shown.add(piece) for piece in (b"caf", b"\\xc3", b"\\xa9 TH", b"E", b" END, he said")]
        ['caf', '', 'é ', '', '']
        >>> shown.stopped
        True
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def add(self, piece: bytes, last: bool = False) -> str:
        """The text that has become certain with these bytes; with last=True all that is left."""
        self._held += self._decoder.decode(piece, final=last)
        found = [at for at in map(self._held.find, self._stop) if at >= 0]
        if found:
            self.stopped = True
            certain, self._held = self._held[: min(found)], ""
            return certain
        held = 0 if last else max((_overlap(self._held, stop) for stop in self._stop), default=0)
        certain, self._held = self._held[: len(self._held) - held], self._held[len(self._held) - held :]
        return certain


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of the text could be the beginning of the stop string."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
