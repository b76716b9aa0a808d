"""Pages without a kernel, as they are written: what is in them, and what is refused."""

from __future__ import annotations

import base64
import json
import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest

from llm101_site import page_with, saved_state, write_page
from llm101_widgets import LayerGrid, ParameterMicroscope

HOSTILE = "</script><script>window.hacked=1</script>"


def grid(title: str = "A grid") -> LayerGrid:
    return LayerGrid([[0.5, -1.0]], rows=["first"], columns=["left", "right"], title=title)


def microscope() -> ParameterMicroscope:
    entry = SimpleNamespace(shape=(2, 3), dtype="float16", offset=100, n_bytes=12)
    parameters = SimpleNamespace(path="tiny", n_bytes=112, tensors={"w": entry}, raw=lambda name: bytes(range(12)))
    return ParameterMicroscope(parameters)


def saved_in(html: str) -> list[dict[str, Any]]:
    (saved,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(saved)


def test_a_saved_widget_has_its_traits_its_javascript_and_its_styles_and_nothing_of_jupyters() -> None:
    saved = saved_state(grid())
    state = saved["state"]
    assert (state["title"], state["values"], state["selected"]) == ("A grid", [[0.5, -1.0]], [0, 0])
    assert (state["_esm"], state["_css"]) == (LayerGrid._esm, LayerGrid._css)
    assert saved["buffers"] == []
    assert not [name for name in state if name.startswith(("_view", "_model")) or name == "layout"]


def test_bytes_lie_beside_the_state_with_the_way_to_them() -> None:
    scope = microscope()
    saved = saved_state(scope)
    data = {tuple(one["path"]): base64.b64decode(one["data"]) for one in saved["buffers"]}
    assert data[("view", "bytes")] == bytes(scope.view["bytes"]) == bytes(range(12))
    assert "bytes" not in saved["state"]["view"]
    json.dumps(saved)


def test_a_page_holds_the_widgets_in_their_order_and_its_title() -> None:
    html = page_with([grid("one"), microscope(), grid("two")], title="Three <widgets>")
    assert html.startswith("<!doctype html>")
    assert "<title>Three &lt;widgets&gt;</title>" in html
    assert [one["state"].get("title") for one in saved_in(html)] == ["one", None, "two"]
    assert html.count('class="llm101-place"') == 3


def test_a_page_names_no_address_and_forbids_all_but_its_own_parts() -> None:
    html = page_with([grid(), microscope()], title="A page")
    assert "default-src 'none'" in html
    assert not re.findall(
        r"\b(?:src|href)=|@import|url\(", re.sub(r'<script type="application/json">.*?</script>', "", html)
    )
    assert set(re.findall(r"https?://[^\s\"'\\]+", html)) <= {"http://www.w3.org/2000/svg"}


def test_text_that_ends_a_script_ends_none() -> None:
    html = page_with([grid(HOSTILE)], title=HOSTILE)
    assert HOSTILE not in html
    assert saved_in(html)[0]["state"]["title"] == HOSTILE


def test_without_javascript_a_page_says_what_its_widgets_are_in_words() -> None:
    shown = grid("A <b>grid</b>")
    (words,) = re.findall(r"<noscript><pre>(.*?)</pre></noscript>", page_with([shown], title="A page"), re.DOTALL)
    assert "<" not in words
    assert unescape(words) == repr(shown)


def test_a_page_is_written_into_a_file(tmp_path: Path) -> None:
    shown = grid("naïve 東京")
    write_page(tmp_path / "page.html", [shown], title="A page")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page_with([shown], title="A page")


def test_what_cannot_be_shown_is_refused_in_one_line() -> None:
    closed = grid()
    closed.close()
    for widgets, message in (
        ([], "a page needs at least one widget"),
        ([grid(), "a text"], "a page shows anywidgets, got str"),
        ([ipywidgets.IntSlider()], "a page shows anywidgets, got IntSlider"),
        ([closed], "this LayerGrid was closed: make it anew"),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            page_with(widgets, title="A page")
