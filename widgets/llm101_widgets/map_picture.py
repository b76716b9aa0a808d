"""What a widget leaves behind where no widget can run: a picture, and the same in words.

GitHub, an e-mail, a printed page or a notebook saved without its widgets show these instead.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

FILL = {"thing": "#e8f1fb", "doer": "#fdf1e3"}


def map_as_svg(boxes: Mapping[str, Mapping[str, Any]], arrows: Iterable[Mapping[str, Any]]) -> str:
    """The boxes and arrows of a SystemMap as a picture that can stand alone."""
    parts = ['<rect x="-8" y="-8" width="604" height="398" fill="#fff"/>']
    for arrow in arrows:
        x1, y1, x2, y2 = arrow["line"]
        level = y1 == y2
        head = "l-8,-4v8l8,-4" if level else "l-4,-8h8l-4,8"
        parts.append(f'<path d="M{x1},{y1}L{x2},{y2}{head}" stroke="#555" fill="#555"/>')
        for number, line in enumerate(arrow["label"].split("\n")):
            x, y = ((x1 + x2) / 2 - 4, y1 - 6 + 20 * number) if level else (x1 + 9, (y1 + y2) / 2 + 14 * number - 4)
            parts.append(_words(x, y, line, anchor="middle" if level else "start"))
    for box in boxes.values():
        x, y, width, height = box["x"], box["y"], box["width"], box["height"]
        corner = 14 if box["kind"] == "thing" else 2
        place = f'x="{x}" y="{y}" width="{width}" height="{height}" rx="{corner}"'
        parts.append(f'<rect {place} fill="{FILL[box["kind"]]}" stroke="#555"/>')
        parts.append(_words(x + width / 2, y + (25 if box["now"] else 34), box["title"], weight="bold"))
        parts.append(_words(x + width / 2, y + 44, box["now"]))
    size = 'viewBox="-8 -8 604 398" width="604" height="398"'
    words = 'font-family="sans-serif" font-size="12" role="img"'
    xmlns = 'xmlns="http://www.w3.org/2000/svg"'
    return f"<svg {xmlns} {size} {words}><title>The whole system</title>{''.join(parts)}</svg>"


def map_as_text(boxes: Mapping[str, Mapping[str, Any]], arrows: Iterable[Mapping[str, Any]]) -> str:
    """The same in words: one paragraph a box, then one line an arrow."""
    lines = ["The whole system", ""]
    for box in boxes.values():
        now = f" ({box['now']})" if box["now"] else ""
        lines.append(f"{box['title']}{now}: {box['sentence']}" + (f" -> {box['chapter']}" if box["chapter"] else ""))
        lines += [f"    {label}: {value}" for label, value in box["facts"]]
    lines.append("")
    for arrow in arrows:
        label = arrow["label"].replace("\n", " ")
        lines.append(f"{boxes[arrow['start']]['title']} --[{label}]--> {boxes[arrow['end']]['title']}")
    return "\n".join(lines)


def _words(x: float, y: float, words: str, *, anchor: str = "middle", weight: str = "normal") -> str:
    if not words:
        return ""
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text {place} fill="#1b1b1b">{escape(words)}</text>'
