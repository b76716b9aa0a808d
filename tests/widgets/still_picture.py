"""The picture that a widget leaves behind in an output, taken out of it again."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from typing import Any


class _Image(HTMLParser):
    """The only element that is allowed: one image."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: dict[str, str | None] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "img"
        assert not self.attributes, "more than one image"
        self.attributes = dict(attrs)

    def handle_data(self, data: str) -> None:
        raise AssertionError(f"words outside of the picture: {data}")


def svg_of(widget: Any) -> str:
    """Its picture as SVG; that its description says what the widget says in words is checked on the way."""
    attributes = _Image(widget._repr_mimebundle_()[0]["text/html"]).attributes
    assert attributes["alt"] == repr(widget)
    kind, _, packed = str(attributes["src"]).partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(packed).decode()
