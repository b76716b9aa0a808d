"""One text with steering and one without, from the same beginning and seed. It knows nothing of widgets.

Reading order: SETTINGS, write_pair, write; then what a console is given, checked.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from math import inf
from time import monotonic
from typing import Any

from llm101_widgets.limits import within

BOTH = ("prompt", "max_tokens", "temperature", "seed")
"""What both texts of a pair have in common."""
SETTINGS = (*BOTH, "latent", "strength")
"""What a pair is written with."""
LIMITS = {"max_tokens": (1, 1024), "temperature": (0.0, 2.0), "seed": (0, 2**32 - 1), "latent": (0, 2**31 - 1)}
MOST_STORIES = 40  # pairs that are remembered
EVERY_S = 0.05  # seconds: as often as an eye can follow

Pair = dict[str, Any]
"""What it was written with, by SETTINGS, and for each of "plain" and "steered": tokens, their texts, and loss_nats."""


def write_pair(model: Any, settings: Mapping[str, Any], before: Sequence[Pair]) -> Generator[tuple[str, Pair]]:
    """Both texts as they grow: which of them is being written, and the pair so far. The last pair is whole.

    Args:
        model: as the console takes it.
        settings: those of SETTINGS.
        before: pairs written before; a plain text with the same settings is taken from there.
    """
    known = (pair["plain"] for pair in before if all(pair[name] == settings[name] for name in BOTH))
    pair = {**settings, "plain": next(known, None) or {"tokens": []}, "steered": {"tokens": []}}
    for side, latent in (("plain", None), ("steered", settings["latent"])):
        yield side, pair
        if "loss_nats" in pair[side]:
            continue
        with closing(write(model, settings, latent)) as growing:
            for text in growing:
                pair = {**pair, side: text}
                yield side, pair


def write(model: Any, settings: Mapping[str, Any], latent: int | None) -> Generator[dict[str, Any]]:
    """One text as it grows: its tokens, and at last also loss_nats per token (None where there are no tokens)."""
    tokens: list[str] = []
    ids: list[int] = []
    shown = 0.0
    given = {name: settings[name] for name in (*BOTH[1:], "strength")}
    with closing(model.stream(settings["prompt"], latent=latent, **given)) as stream:  # or it would stay steered
        for token in stream:
            tokens.append(token.text)
            ids.append(token.id)
            if monotonic() - shown > EVERY_S:
                yield {"tokens": list(tokens)}
                shown = monotonic()
    yield {"tokens": tokens, "loss_nats": float(model.loss_nats(settings["prompt"], ids)) if ids else None}


def checked_model(model: Any, latents: Mapping[int, str]) -> Any:
    """The model, if it is one that can be steered, and there is a latent to steer it with."""
    missing = [name for name in ("stream", "loss_nats") if not callable(getattr(model, name, None))]
    if missing:
        raise ValueError(f"a steering console needs a model with {missing[0]}(), got {type(model).__name__}")
    if not latents:
        raise ValueError('a steering console needs latents with their names, such as {7: "rain"}, got none')
    return model


def check(name: str, value: Any, strongest: float = inf) -> Any:
    """A setting, if it is within its limits.

    Example:
        >>> check("seed", 7), check("strength", -2.5, 10.0)
        (7, -2.5)
        >>> check("seed", 1.5)
        Traceback (most recent call last):
        ValueError: seed must be a number from 0 to 4294967295, got 1.5
    """
    return within(name, value, LIMITS.get(name, (-strongest, strongest)))
