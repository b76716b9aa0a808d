"""One moment of the film as a picture, for places where no widget can run. It knows nothing of widgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm101_widgets.svg import picture, plain

SIZE = 440  # of the plane, in the picture's units
COLOURS = ("#1565c0", "#b55d00", "#2e7d32", "#8e24aa", "#c62828", "#455a64")


def as_svg(film: Mapping[str, Any], number: int) -> str:
    """The words on their plane, as far apart as at that moment; all moments are drawn to one scale.

    Example:
        >>> moment = {"step": 5, "positions": [[0.5, -0.5]]}
        >>> as_svg({"groups": {"animals": ["cat"]}, "moments": [moment]}, 0).count(">cat<")
        1
    """
    reach = max([1e-9, *(abs(v) for moment in film["moments"] for place in moment["positions"] for v in place)])
    moment, marks, number_of_word = film["moments"][number], [], 0
    for colour, (group, words) in zip(COLOURS * len(film["groups"]), film["groups"].items(), strict=False):
        for word in words:
            x, y = (SIZE / 2 * (1 + sign * v / reach) for sign, v in zip((1, -1), moment["positions"][number_of_word]))
            marks.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="middle">{plain(word)}</text>')
            number_of_word += 1
        row = SIZE + 26 + 18 * (list(film["groups"]).index(group) // 3)
        column = 150 * (list(film["groups"]).index(group) % 3)
        marks.append(f'<text x="{column}" y="{row}" fill="{colour}">{plain(group)}</text>')
    title = f"Where words lie after step {moment['step']:,}"
    heading = f'<text x="0" y="-16" font-weight="bold">{title}</text>'
    return picture(title, [heading, *marks], (-40, -40, SIZE + 80, SIZE + 100))
