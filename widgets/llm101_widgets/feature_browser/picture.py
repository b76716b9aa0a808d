"""One latent as a picture, for places where no widget can run: its passages and how often it is how strong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llm101_widgets.svg import picture, plain

WIDTH, LINE, HISTOGRAM = 860, 24, 60  # in the picture's units


def as_svg(tokens: Sequence[str], latent: dict[str, Any]) -> str:
    """The strong tokens of each passage are underlined, and bold where they are strongest.

    Example:
        >>> latent = {"id": 7, "words": ["sea"], "histogram": [1, 3], "passages": [[[0, 1], [0, 99]]]}
        >>> as_svg(["<a>", " sea"], latent).count("underline")
        1
    """
    title = f"Latent {latent['id']}: {', '.join(latent['words'][:5])}"
    lines = [f'<text x="0" y="14" font-weight="bold">{plain(title)}</text>']
    for i, passage in enumerate(latent["passages"], 1):
        lines.append(f'<text x="0" y="{i * LINE + 20}" xml:space="preserve">{_marked(tokens, passage)}</text>')
    top = len(lines) * LINE + 20
    most = max([1, *latent["histogram"]])
    for i, count in enumerate(latent["histogram"]):
        height = HISTOGRAM * count / most
        place = f'x="{i * 30}" y="{top + HISTOGRAM - height:.1f}" width="28" height="{height:.1f}"'
        lines.append(f'<rect {place} fill="#1565c0"/>')
    lines.append(f'<text x="0" y="{top + HISTOGRAM + 18}">how often it is how strong, from weak to strong</text>')
    return picture(title, lines, (-12, -10, WIDTH, top + HISTOGRAM + 40))


def _marked(tokens: Sequence[str], passage: list[list[int]]) -> str:
    return "".join(_tspan(tokens[t], strength) for t, strength in zip(passage[0], passage[1]))


def _tspan(token: str, strength: int) -> str:
    if strength < 25:
        return _one_line(token)
    weight = ' font-weight="bold"' if strength >= 75 else ""
    return f'<tspan fill="#a33c00" text-decoration="underline"{weight}>{_one_line(token)}</tspan>'


def _one_line(token: str) -> str:
    return plain(token.replace("\n", "⏎"))
