"""The grid as a picture, for places where no widget can run. It knows nothing of widgets."""

from __future__ import annotations

from collections.abc import Sequence

from llm101_widgets.svg import picture, plain

WIDTH, HEIGHT, NAMES = 74, 26, 110  # of a cell, and the width of the rows' names, in the picture's units


def as_svg(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    texts: Sequence[Sequence[str]],
) -> str:
    """Each number as the colour of its cell (orange above zero, blue below), with its text.

    Example:
        >>> as_svg("t", ["a"], ["<b>", "c"], [[0.5, -2.0]], [["x", "y"]]).count("<rect")
        3
    """
    lines = [f'<text x="0" y="-{HEIGHT + 12}" font-weight="bold">{plain(title)}</text>']
    for j, name in enumerate(columns):
        lines.append(_text(NAMES + (j + 0.5) * WIDTH, -8, visible(name), "middle"))
    for i, name in enumerate(rows):
        lines.append(_text(NAMES - 8, (i + 0.7) * HEIGHT, name, "end"))
        for j, value in enumerate(values[i]):
            place = f'x="{NAMES + j * WIDTH}" y="{i * HEIGHT}" width="{WIDTH - 2}" height="{HEIGHT - 2}"'
            colour = f'fill="{"#e67800" if value >= 0 else "#1e64c8"}" fill-opacity="{min(1.0, abs(value)) * 0.6:.2f}"'
            lines.append(f"<rect {place} {colour}/>")
            lines.append(_text(NAMES + (j + 0.5) * WIDTH, (i + 0.7) * HEIGHT, texts[i][j], "middle"))
    width, height = NAMES + len(columns) * WIDTH + 20, len(rows) * HEIGHT + 70
    return picture(title, lines, (-10, -58, width, height), font_size=12)


def visible(token: str) -> str:
    """A token whose white space can be seen.

    Example:
        >>> visible(" a"), visible("\\n")
        ('␣a', '⏎')
    """
    return token.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    shown = text if len(text) <= 11 else f"{text[:10]}…"
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{plain(shown)}</text>'
