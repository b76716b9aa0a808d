"""A recorded autoencoder: which latents there are, where each was strong, what it does to the output.

It is one JSON object, gzip-compressed; a page opens it without Python. This module checks one before it is believed,
cuts a smaller one out of it, and puts a latent into words. It knows nothing of widgets, nor of how one is recorded.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection
from typing import Any

FORMAT = "llm101 features 1"
MOST_BYTES = 100_000_000  # of JSON; a file of a few MB that unpacks to more was made to do harm
LATENT = {"id", "density", "strongest", "histogram", "promoted", "suppressed", "relatives", "words", "passages"}


def read_recording(packed: bytes) -> dict[str, Any]:
    """The recorded object, once it is known to hold what a browser shows.

    Raises:
        ValueError: the bytes are no recording, or a damaged one.

    Example:
        >>> read_recording(b"PK")
        Traceback (most recent call last):
        ValueError: no recording of features: it is not gzip-compressed JSON
    """
    try:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: with gzip's header
        recording = json.loads(unpacker.decompress(packed, MOST_BYTES))
        complete = unpacker.eof
    except (zlib.error, ValueError, RecursionError):
        raise ValueError("no recording of features: it is not gzip-compressed JSON") from None
    if not isinstance(recording, dict) or recording.get("format") != FORMAT:
        raise ValueError(f"no recording of features: its format is not {FORMAT!r}")
    if not complete:
        raise ValueError("damaged recording: its end is missing, so copy the file again")
    latents = recording.get("latents")
    if not isinstance(latents, list) or not latents:
        raise ValueError("a recording without latents: record the features again")
    for latent in latents:
        _check(latent, len(recording.get("tokens", ())))
    return recording


def _check(latent: Any, n_tokens: int) -> None:
    if missing := LATENT - set(latent if isinstance(latent, dict) else ()):
        raise ValueError(f"damaged recording: a latent lacks {', '.join(sorted(missing))}")
    used = [t for tokens, _ in latent["passages"] for t in tokens]
    used += [t for t, _ in [*latent["promoted"], *latent["suppressed"]]]
    if used and not 0 <= min(used) <= max(used) < n_tokens:
        raise ValueError(f"damaged recording: latent {latent['id']} uses a token beyond the {n_tokens} that there are")


def cut_out(recording: dict[str, Any], ids: Collection[int]) -> bytes:
    """A recording of some latents only, with no token that none of them uses.

    Example:
        >>> latent = {"id": 7, "passages": [[[1], [99]]], "promoted": [], "suppressed": []}
        >>> cut = cut_out({"tokens": ["a", "b"], "latents": [latent, {"id": 8}]}, [7])
        >>> json.loads(gzip.decompress(cut))
        {'tokens': ['b'], 'latents': [{'id': 7, 'passages': [[[0], [99]]], 'promoted': [], 'suppressed': []}]}
    """
    number: dict[int, int] = {}  # of a token in the whole recording -> in the cut one

    def renumbered(t: int) -> int:
        return number.setdefault(t, len(number))

    latents = [
        latent
        | {"passages": [[[renumbered(t) for t in tokens], strengths] for tokens, strengths in latent["passages"]]}
        | {side: [[renumbered(t), score] for t, score in latent[side]] for side in ("promoted", "suppressed")}
        for latent in recording["latents"]
        if latent["id"] in ids
    ]
    smaller = recording | {"tokens": [recording["tokens"][t] for t in number], "latents": latents}
    return gzip.compress(json.dumps(smaller, separators=(",", ":")).encode(), 9, mtime=0)


def in_words(recording: dict[str, Any], latent: dict[str, Any]) -> str:
    """A latent for readers without a page: the strong tokens of its passages stand in brackets."""
    tokens = recording["tokens"]

    def marked(passage: list[list[int]]) -> str:
        pairs = zip(*passage)
        return "".join(f"[{tokens[t]}]" if strength >= 50 else tokens[t] for t, strength in pairs).replace("\n", " ")

    lines = [f"latent {latent['id']} ({', '.join(latent['words'][:5])}), active on {latent['density']:.3%} of tokens"]
    lines += [f"  {marked(passage)}" for passage in latent["passages"][:3]]
    for side in ("promoted", "suppressed"):
        lines.append(f"  {side}: {', '.join(repr(tokens[t]) for t, _ in latent[side][:5])}")
    return "\n".join(lines)
