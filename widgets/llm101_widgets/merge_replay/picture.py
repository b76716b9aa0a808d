"""The pieces of a text as a picture, for places where no widget can run. It knows nothing of widgets."""

from __future__ import annotations

from collections.abc import Sequence

from llm101_widgets.svg import picture, plain

WIDTH, ROW, LETTER = 760, 34, 9.6  # in the picture's units: of the picture, a row and a letter


def spelled(piece: bytes) -> str:
    """A piece as a reader sees it: its text, with blanks made visible, or its bytes where they are no text.

    Example:
        >>> spelled(b" the"), spelled("é".encode()), spelled(b"\\xe2\\x80")
        ('␣the', 'é', 'E2 80')
    """
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        return piece.hex(" ").upper()
    return text.translate({ord(" "): "␣", ord("\n"): "⏎", ord("\t"): "⇥", ord("\r"): "␍"})


def as_svg(words: Sequence[Sequence[bytes]], caption: str) -> str:
    """Each piece in a box, the pieces of a word side by side.

    Example:
        >>> as_svg([[b"t", b"he"], [b" cat"]], "after 1 of 2 merges").count("<rect x")
        4
    """
    x, y, boxes = 0.0, 40.0, []
    for word in words:
        for piece in word:
            text = spelled(piece)
            width = LETTER * len(text) + 8
            if x + width > WIDTH and x > 0:
                x, y = 0.0, y + ROW
            boxes.append(_box(x, y, width, text))
            x += width + 2
        x += 6
    heading = f'<text x="0" y="8">{plain(caption)}</text>'
    return picture(caption, [heading, *boxes], (-12, -12, WIDTH + 24, int(y) + 30))


def _box(x: float, y: float, width: float, text: str) -> str:
    place = f'x="{x + 4:.1f}" y="{y:.1f}" textLength="{width - 8:.1f}" lengthAdjust="spacingAndGlyphs"'
    frame = f'<rect x="{x:.1f}" y="{y - 18:.1f}" width="{width:.1f}" height="26" rx="4" fill="#f3f3f3" stroke="#777"/>'
    return f'{frame}<text {place} font-family="monospace" font-size="16">{plain(text)}</text>'
