"""The stepper's bars as a picture, for places where no widget can run. It knows nothing of widgets."""

from __future__ import annotations

from collections.abc import Sequence

from llm101_widgets.svg import plain

BAR, LINE = 260, 22  # width of the longest bar and height of a line, in the picture's units


def as_svg(before: str, top: Sequence[tuple[str, float]]) -> str:
    """Bars of tokens and their probabilities, under the end of the text before them.

    Example:
        >>> as_svg("<b>", [(" the", 0.25)]).count("<rect"), "&lt;b&gt;" in as_svg("<b>", [])
        (2, True)
    """
    shown = before if len(before) <= 60 else "…" + before[-59:]
    lines = [f'<text x="0" y="14" font-weight="bold">{plain(shown)}</text>']
    for i, (token, share) in enumerate(top, 1):
        y, width = i * LINE + 4, max(1.0, BAR * share / max(share for _, share in top))
        name = plain(token.replace(" ", "␣").replace("\n", "⏎"))
        lines += [
            f'<text x="110" y="{y + 14}" text-anchor="end">{name}</text>',
            f'<rect x="120" y="{y}" width="{width:.1f}" height="{LINE - 5}" fill="#1565c0"/>',
            f'<text x="{126 + width:.1f}" y="{y + 14}">{share:.1%}</text>',
        ]
    height = (len(top) + 1) * LINE + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -8 480 {height + 10}" width="480" height="{height}" '
        'font-family="sans-serif" font-size="13" role="img"><title>What could come next</title>'
        f'<rect x="-10" y="-8" width="480" height="{height + 10}" fill="white"/>{"".join(lines)}</svg>'
    )
