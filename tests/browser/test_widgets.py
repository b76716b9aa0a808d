"""The widgets as readers meet them: in JupyterLab with mouse and keyboard, in both themes, and far from any kernel."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from llm101_widgets import CompletionConsole, ParameterMicroscope, SystemMap
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab, NotebookPage
from tests.browser.test_harness import write_notebook

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script>'

# A parameter file of 100 rows and 200 columns, and a language model that says its prompt back, then markup.
FAKES = f"""
import struct, time
from types import SimpleNamespace
from llm101_widgets import CompletionConsole, ParameterMicroscope, SystemMap

HOSTILE = {HOSTILE!r}

class Parrot:
    name = HOSTILE
    def stream(self, prompt, *, max_tokens, temperature, seed):
        if "fail" in prompt:
            raise ValueError(HOSTILE)
        for i in range(max_tokens):
            if "slowly" in prompt:
                time.sleep(0.05)
            yield SimpleNamespace(text=f" {{seed}}:{{i}}" if i else HOSTILE, logprob=-float(i % 6), stop_reason=None)

raw = b"".join(struct.pack("<e", (i % 7 - 3) / 8) for i in range(20_000))
entry = SimpleNamespace(shape=(100, 200), dtype="float16", offset=100, n_bytes=40_000)
parameters = SimpleNamespace(path="tiny", n_bytes=40_100, tensors={{HOSTILE: entry}}, raw=lambda name: raw)
console = CompletionConsole(Parrot(), max_tokens=8)
drawn = SystemMap({{"parameters": {{"now": HOSTILE, "sentence": HOSTILE, "facts": [(HOSTILE, HOSTILE)]}},
                   "model": {{"chapter": "javascript:window.hacked=1"}}}})
microscope = ParameterMicroscope(parameters, index=(3, 17))
"""

# Every text with too little contrast: what is painted behind it is painted again, layer by layer, on one pixel.
FAINT_TEXTS = """() => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  const paint = (colour) => { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); };
  const light = () => [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const faint = [];
  for (const node of document.querySelectorAll("[class^=llm101-], [class^=llm101-] *")) {
    const words = [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data.trim()).join("");
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


@pytest.fixture
def notebook(lab: Lab, open_notebook: OpenNotebook) -> NotebookPage:
    """All three widgets, one under the other."""
    notebook = open_notebook(write_notebook(lab, "widgets.ipynb", FAKES, "console", "drawn", "microscope", "later = 1"))
    notebook.run_all()
    assert notebook.errors() == []
    notebook.page.locator(".llm101-scope-bit").first.wait_for()
    return notebook


def evaluate(notebook: NotebookPage, expression: str) -> Any:
    """What a Python expression is worth in the notebook's kernel."""
    code = f"import json; print(json.dumps({expression}))"
    return json.loads(
        notebook.page.evaluate(
            """async (code) => {
              const future = %s.requestExecute({ code });
              let said = "";
              future.onIOPub = ({ content }) => { said += content.text ?? content.evalue ?? ""; };
              await future.done;
              return said;
            }"""
            % NotebookPage.KERNEL.replace("?.", "."),
            code,
        )
    )


def was_hacked(page: Page) -> bool:
    return page.evaluate("() => 'hacked' in window || document.querySelectorAll('[class^=llm101-] img').length > 0")


def test_the_console_completes_stops_and_shows_every_text_as_text(notebook: NotebookPage) -> None:
    console, page = notebook.page.locator(".llm101-console"), notebook.page
    console.get_by_label("Type a beginning").fill("Once")
    console.get_by_label("Type a beginning").press("Enter")
    expect(console.locator(".llm101-console-status")).to_contain_text("8 tokens · ")
    expect(console.locator(".llm101-console-text")).to_contain_text(f"Once{HOSTILE} 0:1 0:2")
    console.get_by_role("button", name="Again").click()
    expect(console.locator(".llm101-console-text")).to_contain_text("1:7")
    assert evaluate(notebook, "[console.seed, len(console.tokens), console.prompt]") == [1, 8, "Once"]

    console.get_by_label("Most tokens").fill("400")
    console.get_by_label("Type a beginning").fill("slowly")
    console.get_by_role("button", name="Continue").click()
    expect(console.locator(".llm101-console-text")).to_contain_text("1:3")
    console.get_by_role("button", name="Stop").click()
    expect(console.locator(".llm101-console-status")).to_contain_text("stopped by you")
    assert 3 < evaluate(notebook, "len(console.tokens)") < 400

    console.get_by_label("Type a beginning").fill("fail")
    console.get_by_label("Type a beginning").press("Enter")
    expect(console.get_by_role("alert")).to_have_text(HOSTILE)
    assert not was_hacked(page)


def test_an_empty_prompt_is_refused_in_the_page(notebook: NotebookPage) -> None:
    console = notebook.page.locator(".llm101-console")
    console.get_by_label("Type a beginning").fill("  ")
    console.get_by_label("Type a beginning").press("Enter")
    expect(console.get_by_role("alert")).to_contain_text("Type a beginning first")


def test_a_reader_is_told_while_the_kernel_is_busy_and_gets_the_answer_afterwards(notebook: NotebookPage) -> None:
    console = notebook.page.locator(".llm101-console")
    notebook.page.evaluate(
        f"() => void {NotebookPage.KERNEL.replace('?.', '.')}.requestExecute({{ code: 'time.sleep(4)' }})"
    )
    console.get_by_label("Type a beginning").press("Enter")
    expect(console.locator(".llm101-console-status")).to_contain_text("Waiting for the kernel")
    expect(console.locator(".llm101-console-status")).to_contain_text("8 tokens · ", timeout=10_000)


def test_the_map_is_walked_by_keyboard(notebook: NotebookPage) -> None:
    page, panel = notebook.page, notebook.page.locator(".llm101-map-panel")
    page.get_by_role("button", name="Text", exact=True).focus()
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("What you write to the model.")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(panel).to_contain_text("Your text as a list of numbers")
    expect(page.locator(".llm101-map-box[aria-pressed=true]")).to_be_focused()
    assert evaluate(notebook, "drawn.selected") == "input"
    panel.get_by_role("button", name="Inference engine").press("Enter")
    expect(panel).to_contain_text("each time for one more token")


def test_the_map_shows_every_text_as_text_and_follows_no_strange_link(notebook: NotebookPage) -> None:
    panel = notebook.page.locator(".llm101-map-panel")
    expect(panel.get_by_role("link")).to_have_count(0)
    notebook.page.locator(".llm101-map-box").nth(2).click()
    expect(panel.locator("dd")).to_have_text(HOSTILE)
    expect(panel.get_by_role("link")).to_have_attribute("href", "01_parameters.ipynb")
    assert not was_hacked(notebook.page)


def test_a_chapter_opens_in_the_same_jupyterlab(notebook: NotebookPage, lab: Lab) -> None:
    write_notebook(lab, "01_parameters.ipynb", "1")
    notebook.page.locator(".llm101-map-box").nth(2).click()
    notebook.page.get_by_role("link", name="Open chapter 01 parameters").click()
    notebook.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget?.context?.path.endsWith('01_parameters.ipynb')"
    )
    assert len(notebook.page.context.pages) == 1


def test_a_flipped_bit_reaches_python_and_comes_back(notebook: NotebookPage) -> None:
    scope = notebook.page.locator(".llm101-scope-grid")
    value = scope.locator(".llm101-scope-value")
    assert evaluate(notebook, "microscope.number['value']") == 0.25
    expect(value).to_have_text("0.25")
    scope.get_by_role("button", name="bit 14", exact=True).click()
    expect(value).to_have_text("16384was 0.25")
    changed = [{"tensor": HOSTILE, "index": [3, 17], "before": 0x3400, "after": 0x7400}]
    assert evaluate(notebook, "microscope.changed") == changed
    evaluate(notebook, "microscope.flip(15)")
    expect(value).to_have_text("−16384was 0.25")
    scope.get_by_role("button", name="Undo all").click()
    expect(value).to_have_text("0.25")
    assert evaluate(notebook, "microscope.changed") == []
    assert not was_hacked(notebook.page)


def test_the_cursor_leaves_the_window_and_the_kernel_sends_the_next(notebook: NotebookPage) -> None:
    scope = notebook.page.locator(".llm101-scope-grid")
    scope.get_by_role("application").focus()
    for _ in range(3):
        notebook.page.keyboard.press("PageDown")
    notebook.page.keyboard.press("End")
    expect(scope.locator(".llm101-scope-origin")).to_contain_text("[51, 199]")
    expect(scope.locator(".llm101-scope-legend")).to_contain_text("columns 152–199 of 200")
    assert evaluate(notebook, "microscope.index") == 51 * 200 + 199


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_text_can_be_read_in_both_themes(notebook: NotebookPage, theme: str) -> None:
    notebook.use_theme(theme)
    notebook.page.locator(".llm101-console-prompt").press("Enter")
    notebook.page.locator(".llm101-console-below details summary").click()
    notebook.page.locator(".llm101-scope-bit").nth(1).click()
    assert notebook.page.evaluate(FAINT_TEXTS) == []


@pytest.mark.parametrize("width", [600, 1280])
def test_nothing_is_wider_than_the_page(notebook: NotebookPage, width: int) -> None:
    notebook.page.set_viewport_size({"width": width, "height": 900})
    for name in ("console", "map", "scope-grid"):
        widget = notebook.page.locator(f".llm101-{name}")
        widget.scroll_into_view_if_needed()
        inside = "(node) => node.scrollWidth <= node.clientWidth && node.getBoundingClientRect().right <= innerWidth"
        assert widget.evaluate(inside), name


# anywidget's part of the page, for a state that was saved: what a chapter is without a kernel and without a network.
HOST = """async ([source, saved]) => {
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const state = JSON.parse(saved, (_, value) => value?.base64 === undefined ? value : bytes(value.base64));
  const heard = {};
  const model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; (heard[`change:${name}`] ?? []).forEach((tell) => tell()); },
    save_changes() {}, send() {}, off() {},
    on: (event, tell) => (heard[event] ??= []).push(tell),
  };
  const { default: widget } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const el = document.body.appendChild(document.createElement("div"));
  window.cleanUp = await widget.render({ model, el });
}"""


def show_without_kernel(page: Page, widget: Any) -> None:
    """Put the widget's saved state on an empty page."""
    names = [
        name for name in widget.traits(sync=True) if not name.startswith("_") and name not in ("layout", "tooltip")
    ]
    as_text = json.dumps(
        {name: getattr(widget, name) for name in names},
        default=lambda value: {"base64": base64.b64encode(value).decode()},
    )
    page.set_content("<!doctype html><title>A page</title>")
    page.add_style_tag(content=Path(type(widget)._css._path).read_text(encoding="utf-8"))
    page.evaluate(HOST, [Path(type(widget)._esm._path).read_text(encoding="utf-8"), as_text])


@pytest.fixture
def page(browser: Browser) -> Any:
    page = browser.new_page(viewport={"width": 900, "height": 900})
    yield page
    page.close()


def fakes() -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(FAKES, namespace)
    return namespace


def test_without_a_kernel_bits_can_still_be_flipped(page: Page) -> None:
    microscope: ParameterMicroscope = fakes()["microscope"]
    show_without_kernel(page, microscope)
    page.get_by_role("button", name="bit 15", exact=True).click()
    expect(page.locator(".llm101-scope-value")).to_have_text("−0.25was 0.25")
    page.get_by_role("application").press("ArrowLeft")
    expect(page.locator(".llm101-scope-value")).to_have_text("0.125")
    for _ in range(3):
        page.get_by_role("application").press("PageDown")
    expect(page.locator(".llm101-scope-value")).to_contain_text("waiting for the kernel")
    assert not was_hacked(page)


def test_without_a_kernel_the_map_opens_its_boxes(page: Page) -> None:
    drawn: SystemMap = fakes()["drawn"]
    show_without_kernel(page, drawn)
    page.locator(".llm101-map-box").nth(2).click()
    expect(page.locator(".llm101-map-panel dd")).to_have_text(HOSTILE)
    assert not was_hacked(page)


def test_without_a_kernel_the_last_completion_is_still_there_and_a_new_one_waits(page: Page) -> None:
    console: CompletionConsole = fakes()["console"]
    console.run("Once")
    show_without_kernel(page, console)
    expect(page.locator(".llm101-console-text")).to_contain_text("Once")
    expect(page.locator(".llm101-console-text")).to_contain_text("0:7")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".llm101-console-status")).to_contain_text("Waiting for the kernel")
    assert not was_hacked(page)
