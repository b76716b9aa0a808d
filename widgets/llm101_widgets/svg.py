"""What every still picture is made of: text that a picture may hold, and the white page that it stands on."""

from collections.abc import Iterable
from html import escape


def plain(text: str) -> str:
    """Text that an XML document may hold: no control characters, no markup.

    Example:
        >>> plain("<b>\\x00")
        '&lt;b&gt;�'
    """
    return escape("".join(c if c >= " " and c not in "\ufffe\uffff" else "�" for c in text))


def picture(title: str, parts: Iterable[str], view: tuple[int, int, int, int], font_size: int = 13) -> str:
    """Parts drawn on white, as an SVG that can stand alone.

    Args:
        title: what it shows, for those who cannot see it; any text.
        parts: SVG elements.
        view: left, top, width and height of what is shown, in the picture's units; one unit is one pixel.
        font_size: of texts that name none.

    Example:
        >>> picture("a <line>", ['<path d="M0,0H9"/>'], (0, 0, 9, 9)).count("<path")
        1
    """
    left, top, width, height = view
    size = f'viewBox="{left} {top} {width} {height}" width="{width}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="{font_size}" role="img">'
        f'<title>{plain(title)}</title><rect x="{left}" y="{top}" width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>"
    )
