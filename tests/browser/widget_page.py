"""What tests of widgets share: hostile text, a look into the kernel, contrast, and a page without any kernel."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import nbformat
from nbformat import v4
from playwright.sync_api import Page

from llm101_site.page import HOST, saved_state
from tests.browser.lab import Lab, NotebookPage

HOSTILE = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script>'


def write_notebook(lab: Lab, name: str, *sources: str) -> str:
    cells = [v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3"}  # without it JupyterLab asks which one to use
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), Path(lab.folder, name))
    return name


EXECUTE = """async (code) => {
  const future = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({ code });
  let said = "";
  future.onIOPub = ({ content }) => { said += content.text ?? content.evalue ?? ""; };
  await future.done;
  return said;
}"""


def evaluate(notebook: NotebookPage, expression: str) -> Any:
    """What a Python expression is worth in the notebook's kernel."""
    return json.loads(notebook.page.evaluate(EXECUTE, f"import json; print(json.dumps({expression}))"))


def expect_python(notebook: NotebookPage, expression: str, value: Any, seconds: float = 15) -> None:
    """Wait until a Python expression is worth this: what a click sets may reach the kernel later than the page."""
    deadline = time.monotonic() + seconds
    while (found := evaluate(notebook, expression)) != value and time.monotonic() < deadline:
        notebook.page.wait_for_timeout(100)
    assert found == value


def was_hacked(page: Page) -> bool:
    return page.evaluate("() => 'hacked' in window || document.querySelectorAll('[class^=llm101-] img').length > 0")


# Every text with too little contrast: what is painted behind it is painted again, layer by layer, on one pixel.
FAINT_TEXTS = """() => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  const paint = (colour) => { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); };
  const light = () => [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const faint = [];
  for (const node of document.querySelectorAll("[class^=llm101-], [class^=llm101-] *")) {
    const words = [...node.childNodes].map((child) => (child.nodeType === 3 ? child.data.trim() : "")).join("");
    if (!words || node.closest("svg, select, :disabled") || !node.checkVisibility()) continue;
    const behind = [];
    for (let at = node; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    ["white", ...behind].forEach(paint);
    const back = light();
    paint(getComputedStyle(node).color);
    const [low, high] = [back, light()].sort((a, b) => a - b);
    if ((high + 0.05) / (low + 0.05) < 4.5) faint.push(`${node.className}: ${words.slice(0, 40)}`);
  }
  return faint;
}"""


def faint_texts(page: Page) -> list[str]:
    """Every text with too little contrast on a page without Jupyter, in a light theme or in a dark one."""
    found = list[str]()
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {text}" for text in page.evaluate(FAINT_TEXTS)]
    return found


MOUNT = """async ([host, saved, into, throws]) => {
  const address = URL.createObjectURL(new Blob([host], { type: "text/javascript" }));
  const { mount } = await import(address);
  const el = document.querySelector(into).appendChild(document.createElement("div"));
  const send = throws ? () => { throw Error("Cannot send"); } : undefined;
  window.cleanUp = await mount(saved, el, send);
}"""


def show_without_kernel(page: Page, widget: Any) -> None:
    """Put the widget's saved state on an empty page."""
    page.set_content("<!doctype html><title>A page</title>")
    mount(page, widget, "body")


def mount(page: Page, widget: Any, into: str, *, throws: bool = False) -> None:
    """Put the widget's saved state into an element of a page. Its line to Python is silent, or throws."""
    page.evaluate(MOUNT, [HOST.read_text(encoding="utf-8"), saved_state(widget), into, throws])
