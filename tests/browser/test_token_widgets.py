"""The playground and the replay in Chromium: typed texts, keys, hostile texts, both themes, no kernel needed."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from llm101.tokenizer import Tokenizer
from llm101_widgets import MergeReplay, TokenizerPlayground
from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Lab
from tests.browser.widget_page import FAINT_TEXTS, faint_texts, show_without_kernel, was_hacked, write_notebook

HOSTILE = "<img src=x onerror='window.hacked = 1'><script>window.hacked = 1</script> \u202e\u200b &lt;b&gt; "
STORY = "The keeper lit the lamp. " * 3 + "naïve “東京” 👩‍🔬\n\tend  "

pytestmark = pytest.mark.browser

expect.set_options(timeout=30_000)


ALL_TOKENS = """async (flow) => {
  for (const block of flow.children) {
    block.scrollIntoView();
    while (!block.firstChild) await new Promise(requestAnimationFrame);
  }
  return [...flow.querySelectorAll(".llm101-playground-token")].map((node) => node.textContent);
}"""


def tokens_on(page: Page, name: str) -> list[str]:
    """The texts of its tokens, also of those so far down that nobody has seen them yet."""
    return page.get_by_role("slider", name=f"Tokens by {name}").evaluate(ALL_TOKENS)


@pytest.fixture
def small() -> Tokenizer:
    return Tokenizer.train([STORY], vocab_size=290, name="small")


def test_typed_text_becomes_the_tokens_of_each_tokenizer(page: Page, small: Tokenizer) -> None:
    gpt2 = Tokenizer.from_tiktoken("gpt2")
    show_without_kernel(page, TokenizerPlayground([small, gpt2], text="", price=2.0))
    page.get_by_role("textbox").type("The keeper lit")
    expect(page.locator(".llm101-playground-count").nth(1)).to_have_text("3 tokens")
    assert tokens_on(page, "gpt2") == [t.decode().replace(" ", "␣") for t in gpt2.tokens("The keeper lit")]
    assert tokens_on(page, "small") == [t.decode().replace(" ", "␣") for t in small.tokens("The keeper lit")]


EDITS = [["x", "Backspace"], ["Enter", "a", " ", "b"], ["Delete"] * 5, ["é", "京", "Backspace"]]


@pytest.mark.parametrize("edits", EDITS)
def test_after_any_edit_the_tokens_are_those_of_the_whole_text(page: Page, small: Tokenizer, edits: list[str]) -> None:
    text = STORY * 30  # several blocks
    show_without_kernel(page, TokenizerPlayground([small], text=text))
    area = page.get_by_role("textbox")
    for share in (0.0, 0.3, 0.5, 0.9, 1.0):
        area.evaluate("(t, share) => { t.focus(); t.selectionStart = t.selectionEnd = share * t.value.length; }", share)
        for key in edits:
            page.keyboard.press(key) if len(key) > 1 else page.keyboard.insert_text(key)
    n_tokens = len(small.encode(area.input_value()))
    expect(page.locator(".llm101-playground-count")).to_have_text(f"{n_tokens:,} tokens")
    edited = tokens_on(page, "small")
    show_without_kernel(page, TokenizerPlayground([small], text=area.input_value()))
    expect(page.locator(".llm101-playground-count")).to_have_text(f"{n_tokens:,} tokens")
    assert edited == tokens_on(page, "small")


@pytest.mark.parametrize("kind", ["words", "one word"])
def test_a_pasted_book_is_cut_while_the_page_goes_on_and_only_what_is_seen_is_painted(page: Page, kind: str) -> None:
    gpt2 = Tokenizer.from_tiktoken("gpt2")
    text = "".join(f" word{i}" for i in range(20_000))[:200_000] if kind == "words" else "東京" * 60_000
    show_without_kernel(page, TokenizerPlayground([gpt2], text="short"))
    area, waiting = page.get_by_role("textbox"), page.locator(".llm101-playground-waiting")
    expect(page.locator(".llm101-playground-name")).to_have_text("gpt250,257 tokens, 50,256 of them text")
    page.evaluate(
        """() => { window.said = []; new MutationObserver(() => window.said.push(
          document.querySelector(".llm101-playground-waiting").textContent)).observe(
          document.querySelector(".llm101-playground-waiting"), { childList: true }); }"""
    )
    area.fill(text)
    expect(page.locator(".llm101-playground-count")).to_have_text(f"{len(gpt2.encode(text)):,} tokens")
    expect(waiting).to_be_empty()
    if kind == "one word":  # long enough on any machine
        assert f"Cutting {len(text):,} characters into tokens …" in page.evaluate("() => window.said")
    painted = page.locator(".llm101-playground-token")
    expect(painted.first).to_be_visible()
    assert painted.count() < 5_000
    slider = page.get_by_role("slider", name="Tokens by gpt2")
    slider.press("End")
    expect(page.locator(".llm101-playground-detail")).to_contain_text(f"Token {len(gpt2.encode(text))}: ")
    assert painted.count() < 5_000


def test_a_price_that_was_cleared_is_the_one_in_use_again(page: Page, small: Tokenizer) -> None:
    show_without_kernel(page, TokenizerPlayground([small], text="the lamp", price=2.5))
    price = page.get_by_label("per million tokens")
    price.fill("")
    price.blur()
    expect(price).to_have_value("2.5")
    price.fill("5000")
    price.blur()
    expect(price).to_have_value("1000")


def test_each_token_can_be_read_by_keyboard_and_by_pointer(page: Page) -> None:
    show_without_kernel(page, TokenizerPlayground([Tokenizer.from_tiktoken("gpt2")], text="a 東"))
    slider = page.get_by_role("slider", name="Tokens by gpt2")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "Token 4: id 109 · byte B1 · byte 3 of the 3 of “東”")
    slider.press("ArrowLeft")
    expect(page.locator(".llm101-playground-detail")).to_contain_text("byte 2 of the 3")
    slider.press("Home")
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuenow", "1")
    slider.locator(".llm101-playground-token").nth(1).hover()
    expect(page.locator(".llm101-playground-detail")).to_contain_text("Token 2: id ")


def test_a_tokenizer_that_the_page_does_not_have_is_waited_for(page: Page, small: Tokenizer) -> None:
    playground = TokenizerPlayground([small, Tokenizer.train(["abc"], 257, "bytes")], text="the lamp", shown=["small"])
    show_without_kernel(page, playground)
    page.get_by_label("bytes").check()
    expect(page.locator(".llm101-playground-waiting")).to_have_text("Waiting for the kernel to send what bytes knows.")
    expect(page.get_by_role("alert")).to_contain_text("The kernel does not answer.")
    expect(page.locator(".llm101-playground-card")).to_have_count(1)


def test_the_kernel_sends_what_is_asked_for_and_hears_what_was_typed(lab: Lab, open_notebook: OpenNotebook) -> None:
    code = (
        "from llm101 import Tokenizer\nfrom llm101_widgets import TokenizerPlayground\n"
        "p = TokenizerPlayground([Tokenizer.from_tiktoken(n) for n in ('gpt2', 'p50k_base')], shown=['gpt2'])"
    )
    notebook = open_notebook(write_notebook(lab, "playground.ipynb", code, "p"))
    notebook.run_all()
    assert notebook.errors() == []
    notebook.page.locator(".llm101-playground-root textarea").fill(f"the  lamp {HOSTILE}")
    notebook.page.get_by_label("p50k_base").check()
    expect(notebook.page.locator(".llm101-playground-card")).to_have_count(2)
    expect(notebook.page.locator(".llm101-playground-count").first).to_contain_text("tokens")
    assert not was_hacked(notebook.page)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.use_theme(theme)
        faint = notebook.page.evaluate(FAINT_TEXTS)
        assert faint == [], (theme, faint[:5])


def test_the_replay_steps_forwards_and_back_with_no_kernel(page: Page, small: Tokenizer) -> None:
    show_without_kernel(page, MergeReplay(small.merges, text="the lamp"))
    pieces = page.locator(".llm101-replay-piece")
    assert pieces.count() == len(b"the lamp")
    page.get_by_role("button", name="Change ▶").click()
    assert pieces.count() == len(b"the lamp") - 1
    expect(page.locator(".llm101-replay-fresh")).to_have_count(1)
    page.get_by_role("button", name="◀ Change").click()
    assert pieces.count() == len(b"the lamp")
    page.get_by_role("button", name="▶| All merges").click()
    assert pieces.all_inner_texts() == [t.decode().replace(" ", "␣") for t in small.tokens("the lamp")]
    page.get_by_role("slider").press("Home")
    assert pieces.count() == len(b"the lamp")
    exact = page.get_by_role("spinbutton", name="of 33 merges")
    exact.fill("99999")
    expect(page.locator(".llm101-replay-caption")).to_contain_text("Merge 33")
    exact.blur()
    expect(exact).to_have_value("33")
    exact.fill("")
    exact.blur()
    expect(exact).to_have_value("33")


def test_hostile_text_is_shown_as_text_and_every_text_can_be_read(page: Page, small: Tokenizer) -> None:
    hostile = Tokenizer.train([HOSTILE * 9], vocab_size=290, name=HOSTILE)
    for widget in (TokenizerPlayground([hostile, small], text=HOSTILE), MergeReplay(hostile.merges, text=HOSTILE)):
        show_without_kernel(page, widget)
        page.locator(".llm101-playground-token, .llm101-replay-piece").first.wait_for()
        page.wait_for_timeout(300)
        assert not was_hacked(page)
        assert faint_texts(page) == []
        for width in (900, 600):
            page.set_viewport_size({"width": width, "height": 900})
            root = page.locator(".llm101-playground-root, .llm101-replay-root")
            assert root.evaluate("(node) => node.scrollWidth <= node.clientWidth")
