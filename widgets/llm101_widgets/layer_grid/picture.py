"""The grid as a picture, for places where no widget can run. It knows nothing of widgets."""

from __future__ import annotations

from collections.abc import Sequence

from llm101_widgets.svg import picture, plain

WIDTH, HEIGHT, LETTER = 74, 26, 8  # of a cell, and the width of a wide letter, in the picture's units
CELL_LETTERS, NAME_LETTERS, TITLE_LETTERS = 10, 28, 60  # what a cell, the name of a row and the title have room for


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
    names, heading = [_shown(name, NAME_LETTERS) for name in rows], _shown(title, TITLE_LETTERS)
    left = LETTER * max(map(len, names)) + 8  # where the cells begin
    lines = [f'<text x="0" y="-{HEIGHT + 12}" font-weight="bold">{plain(heading)}</text>']
    for j, name in enumerate(columns):
        lines.append(_text(left + (j + 0.5) * WIDTH, -8, visible(name), "middle"))
    for i, name in enumerate(names):
        lines.append(_text(left - 8, (i + 0.7) * HEIGHT, name, "end", NAME_LETTERS))
        for j, value in enumerate(values[i]):
            place = f'x="{left + j * WIDTH}" y="{i * HEIGHT}" width="{WIDTH - 2}" height="{HEIGHT - 2}"'
            colour = f'fill="{"#e67800" if value >= 0 else "#1e64c8"}" fill-opacity="{min(1.0, abs(value)) * 0.6:.2f}"'
            lines.append(f"<rect {place} {colour}/>")
            lines.append(_text(left + (j + 0.5) * WIDTH, (i + 0.7) * HEIGHT, texts[i][j], "middle"))
    width = max(left + len(columns) * WIDTH, LETTER * len(heading)) + 20
    height = len(rows) * HEIGHT + 70
    return picture(title, lines, (-10, -58, width, height), font_size=12)


def visible(token: str) -> str:
    """A token whose white space can be seen.

    Example:
        >>> visible(" a"), visible("\\n")
        ('␣a', '⏎')
    """
    return token.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")


def _text(x: float, y: float, text: str, anchor: str, letters: int = CELL_LETTERS) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{plain(_shown(text, letters))}</text>'


def _shown(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
