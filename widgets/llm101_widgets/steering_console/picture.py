"""A pair of texts for places where no widget can run: as a picture, side by side, and in words.

It knows nothing of widgets.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from llm101_widgets.svg import in_html, picture, plain

WIDTH, LINE, LETTERS = 430, 20, 56  # of a column, between lines, and letters to a line


def pictures(stories: Sequence[Mapping[str, Any]], concept: str) -> dict[str, str]:
    """The last pair as it stands in an output, by its kind; nothing if there is none."""
    return in_html(as_svg(stories[-1], concept), in_words(stories, concept)) if stories else {}


def as_svg(story: Mapping[str, Any], concept: str) -> str:
    """The plain text left, the steered one right; what mentions the concept is bold and underlined.

    Example:
        >>> texts = {"plain": {"tokens": []}, "steered": {"tokens": [" sea"]}}
        >>> as_svg({"prompt": "<A>", "latent": 7, "strength": 9, **texts}, "sea").count("underline")
        1
    """
    columns = [_lines(text_of(story, side)) for side in ("plain", "steered")]
    parts = []
    for x, title, column in zip((0, WIDTH), ("as it is", held(story)), columns):
        parts.append(f'<text x="{x}" y="14" font-weight="bold">{plain(title)}</text>')
        for y, line in enumerate(column, 1):
            parts.append(f'<text x="{x}" y="{y * LINE + 18}">{_marked(line, concept)}</text>')
    view = (-10, -8, 2 * WIDTH + 10, max(map(len, columns)) * LINE + 40)
    return picture("The same beginning and seed, plain and steered", parts, view, font_size=14)


def in_words(stories: Sequence[Mapping[str, Any]], concept: str) -> str:
    """Both texts of the last pair, and how often each mentions the concept."""
    if not stories:
        return "a steering console, nothing written yet"
    story, lines = stories[-1], []
    for side, name in (("plain", "as it is"), ("steered", held(story))):
        n = len(mentions("".join(story[side]["tokens"]), concept))
        lines.append(f"{name} ({n} × {concept}): {text_of(story, side)}")
    return "\n".join(lines)


def text_of(story: Mapping[str, Any], side: str) -> str:
    """The beginning and what was written after it."""
    return story["prompt"] + "".join(story[side]["tokens"])


def held(story: Mapping[str, Any]) -> str:
    """How the steered text was steered."""
    return f"latent {story['latent']} held at {story['strength']:g}"


def mentions(text: str, concept: str) -> list[tuple[int, int]]:
    """Where a text says one of some words, which have commas between them; "bridge" also finds "Bridges".

    The page counts in the same way (measure.js).

    Example:
        >>> mentions("A bridge, two Bridges, abridged", "golden gate, bridge")
        [(2, 8), (14, 21)]
    """
    words = [re.escape(word.strip()) for word in concept.split(",") if word.strip()]
    pattern = rf"(?<!\w)(?:{'|'.join(words)})\w*"
    return [match.span() for match in re.finditer(pattern, text, re.IGNORECASE)] if words else []


def _lines(text: str) -> list[str]:
    return [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, LETTERS) or [""]]


def _marked(line: str, concept: str) -> str:
    parts, at = [], 0
    for start, end in mentions(line, concept):
        mark = f'<tspan font-weight="bold" text-decoration="underline">{plain(line[start:end])}</tspan>'
        parts += [plain(line[at:start]), mark]
        at = end
    return "".join([*parts, plain(line[at:])])
