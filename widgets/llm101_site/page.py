"""Widgets as they are now, written into one page that is complete in itself.

It knows nothing of what a widget shows. Reading order: write_page, page_with, saved_state.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ipywidgets import DOMWidget, Widget

HOST = Path(__file__).with_name("host.js")
"""The page's half: an ES module with `mount`."""

# Only what stands in the file itself is ever asked for.
POLICY = "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; img-src data:"
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>$title</title>
<style>.llm101-place { margin: 1rem 0; }</style>
</head>
<body>
$places
<script type="application/json">$saved</script>
<script type="module">
$host
await showAll(document);
</script>
</body>
</html>
""")
_NOT_SHOWN = frozenset(DOMWidget.class_traits(sync=True))  # Jupyter's own: where a model and its view come from


def write_page(path: str | Path, widgets: Sequence[Any], *, title: str) -> None:
    """Write a page that shows widgets as they are now, for any browser: no kernel, no Jupyter, no network.

    Args:
        path: the file, which is replaced if it is there.
        widgets: at least one anywidget, in the order in which they are shown.
        title: of the page.

    Raises:
        ValueError: no widget, something that is none, or one that was closed.
        OSError: the file cannot be written.
    """
    Path(path).write_text(page_with(widgets, title=title), encoding="utf-8")


def page_with(widgets: Sequence[Any], *, title: str) -> str:
    """The page's HTML. Without JavaScript it shows each widget in words: its `repr`.

    Example:
        >>> page_with([], title="Nothing")
        Traceback (most recent call last):
        ValueError: a page needs at least one widget
    """
    if not widgets:
        raise ValueError("a page needs at least one widget")
    saved = json.dumps([saved_state(widget) for widget in widgets], allow_nan=False)
    words = (f"<noscript><pre>{escape(repr(widget))}</pre></noscript>" for widget in widgets)
    return PAGE.substitute(
        policy=POLICY,
        title=escape(title),
        places="\n".join(f'<div class="llm101-place">{of_one}</div>' for of_one in words),
        saved=saved.replace("<", "\\u003c"),  # or a text that says </script> would end the script
        host=HOST.read_text(encoding="utf-8"),
    )


def saved_state(widget: Any) -> dict[str, Any]:
    """A widget's traits as Jupyter saves them, with its JavaScript (`_esm`) and its styles (`_css`).

    Returns:
        `state`, which JSON can hold, and `buffers`: for each trait, or part of one, that is bytes its `path` in the
        state and its `data` in base64.

    Raises:
        ValueError: it is no anywidget, or one that was closed.
    """
    if not isinstance(widget, Widget) or not hasattr(widget, "_esm"):
        raise ValueError(f"a page shows anywidgets, got {type(widget).__name__}")
    if widget.comm is None:
        raise ValueError(f"this {type(widget).__name__} was closed: make it anew")
    (saved,) = Widget.get_manager_state(widgets=[widget])["state"].values()
    state = {name: value for name, value in saved["state"].items() if name not in _NOT_SHOWN}
    buffers = [{"path": list(one["path"]), "data": one["data"]} for one in saved.get("buffers", [])]
    return {"state": state, "buffers": buffers}
