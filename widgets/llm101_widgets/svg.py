"""What every still picture is made of: text that it may hold, the white page that it stands on, its place in an output.

Reading order: plain, picture, in_html.
"""

from base64 import b64encode
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


def in_html(svg: str, words: str) -> dict[str, str]:
    """A picture as it is left behind in an output, with the same in words for those who cannot see it.

    It is an image inside HTML: this is shown also where a notebook is not trusted yet, as any that comes from somewhere
    else. Of a bare SVG such a notebook shows nothing but text/plain.

    Example:
        >>> in_html("<svg/>", 'a "picture"')["text/html"]
        '<img alt="a &quot;picture&quot;" style="max-width: 100%" src="data:image/svg+xml;base64,PHN2Zy8+">'
    """
    source = f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
    return {"text/html": f'<img alt="{escape(words)}" style="max-width: 100%" src="{source}">'}
