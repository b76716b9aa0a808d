"""What can be wrong with a widget's layout, found on the page; and fonts that are the same on every machine.

Reading order: LAYOUT_FAULTS (run in the page), FONTS, use_font, no_font.
"""

from __future__ import annotations

import base64
import io
from functools import cache

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable, table__c_m_a_p
from playwright.sync_api import Page

# Everything wrong with the widgets on a page, or in an element of it, a line each: what is wider than its box, texts
# that lie on each other or on a control, what is cut off. What scrolls aside may hold more than is seen; the marks on a
# film's plane may meet.
LAYOUT_FAULTS = """(within) => {
  const faults = new Set(), SLACK = 1.5;
  const roots = [...(within ?? document).querySelectorAll("[class*='llm101-']")].filter(
    (node) => !node.parentElement.closest("[class*='llm101-']"));
  const name = (node) => [...node.classList].find((c) => c.startsWith("llm101-"))
    ?? (node.closest("[class*='llm101-']")?.classList[0] ?? "") + " " + node.localName;
  const words = (text) => `“${text.trim().replace(/\\s+/g, " ").slice(0, 30)}”`;
  const style = (node) => getComputedStyle(node);
  const scrolls = (node, axis) => ["auto", "scroll"].includes(style(node)[`overflow${axis}`]);
  const clips = (node, axis) => ["hidden", "clip"].includes(style(node)[`overflow${axis}`]);
  const hidden = (node) => !node.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    || /inset\\((50|100)%\\)|rect\\(0/.test(style(node).clipPath + style(node).clip);

  /** What is left of a rectangle in the boxes that scroll or clip it; what a box clips for good is a fault. */
  function seen(rect, node, text, root) {
    let { left, right, top, bottom } = rect;
    for (let at = node; at && at !== root.parentElement; at = at.parentElement) {
      if (style(at).position === "fixed") break;
      const box = at.getBoundingClientRect();
      const svg = at.localName === "svg";
      if (!svg && at instanceof SVGElement) continue;
      const cutAside = left < box.left - SLACK || right > box.right + SLACK;
      const cutBelow = top < box.top - SLACK || bottom > box.bottom + SLACK;
      if (cutAside && (svg || clips(at, "X") || at === root)) faults.add(`${words(text)} is cut off by ${name(at)}`);
      if (cutBelow && (svg || clips(at, "Y"))) faults.add(`${words(text)} is cut off by ${name(at)}`);
      if (scrolls(at, "X")) [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
      if (scrolls(at, "Y")) [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
    }
    return { left, right, top, bottom };
  }

  /** What can be read or used: lines of text, trimmed to where letters are, and controls. */
  function marks(root) {
    const found = [];
    const add = (rect, node, text, owner) => {
      if (rect.width <= 2 || rect.height <= 2) return;
      const part = seen(rect, node, text, root);
      if (part.right - part.left > 2 && part.bottom - part.top > 2) found.push({ ...part, node, text, owner });
    };
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let text = walk.nextNode(); text; text = walk.nextNode()) {
      const node = text.parentElement;
      if (!text.data.trim() || hidden(node) || node.closest("option, textarea, .llm101-film-mark, title")) continue;
      const range = document.createRange();
      range.selectNodeContents(text);
      const drawn = node instanceof SVGElement; // its letters may be squeezed, which a range does not know
      for (const { left, right, top, bottom } of drawn ? node.getClientRects() : range.getClientRects()) {
        const trim = 0.2 * (bottom - top);
        const rect = new DOMRect(left, top + trim, right - left, bottom - top - 2 * trim);
        add(rect, node, text.data, node.closest("text") ?? text);
      }
    }
    for (const control of root.querySelectorAll("input, select, textarea, progress, meter"))
      if (!hidden(control)) add(control.getBoundingClientRect(), control, control.localName, control);
    return found;
  }

  /** Whether a box holds more than it has room for, and nobody can get at the rest. */
  function isOver(node) {
    if (node instanceof SVGElement || hidden(node) || !node.clientWidth || scrolls(node, "X")) return false;
    const alone = "input[type=range], input[type=checkbox], input[type=radio], progress, meter";
    const typed = "input[type=text], input[type=search], input:not([type])"; // they scroll
    if (node.matches(`${alone}, ${typed}`) || (style(node).textOverflow === "ellipsis" && node.title)) return false;
    return node.scrollWidth > node.clientWidth + SLACK;
  }

  const stuck = (node) => {
    for (let at = node; at; at = at.parentElement) if (style(at).position === "sticky") return at;
  };
  function onEachOther(a, b) {
    const aside = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    return aside > SLACK && down > SLACK && a.owner !== b.owner && stuck(a.node) === stuck(b.node);
  }

  for (const root of roots) {
    const output = root.closest(".jp-OutputArea-output");
    if (output && output.scrollWidth > output.clientWidth + SLACK) faults.add(`${name(root)} is wider than its cell`);
    const over = [root, ...root.querySelectorAll("*")].filter((node) => isOver(node));
    for (const node of over.filter((node) => ![...node.children].some((child) => over.includes(child))))
      faults.add(`${name(node)} ${words(node.textContent)} holds ${node.scrollWidth} px in ${node.clientWidth}`);
    const all = marks(root).sort((a, b) => a.top - b.top);
    all.forEach((a, i) => {
      for (let k = i + 1; k < all.length && all[k].top < a.bottom; k++)
        if (onEachOther(a, all[k])) faults.add(`${words(a.text)} lies on ${words(all[k].text)} in ${name(a.node)}`);
    });
  }
  return [...faults];
}"""

# Text zoom, as browsers do it: every text twice as large as its widget set it, and nothing else.
DOUBLE_THE_TEXT = """() => {
  const nodes = [...document.querySelectorAll("[class*='llm101-'], [class*='llm101-'] *")]
    .filter((node) => !(node instanceof SVGElement));
  const sizes = nodes.map((node) => parseFloat(getComputedStyle(node).fontSize));
  nodes.forEach((node, i) => node.style.setProperty("font-size", `${2 * sizes[i]}px`, "important"));
}"""

FONTS = {"narrow": (0.42, 1), "wide": (0.66, 1), "doubled": (0.5, 2)}
"""How wide each character is, in units of the font's size, and how large the text. Arial's are 0.5 wide on average,
DejaVu Sans's 0.58, and its bold ones 0.65."""


@cache
def font_of_boxes(width: float) -> bytes:
    """A TrueType font in which every character that there is is a box so wide: the same layout on every machine.

    Args:
        width: of every character, in units of the font's size.
    """
    units, wide = 1000, int(1000 * width)
    pen = TTGlyphPen(None)
    for x, y in ((60, 0), (60, 500), (wide - 60, 500), (wide - 60, 0)):
        (pen.lineTo if (x, y) != (60, 0) else pen.moveTo)((x, y))
    pen.closePath()
    font = FontBuilder(units, isTTF=True)
    font.setupGlyphOrder([".notdef", "box"])
    font.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "box": pen.glyph()})
    font.setupHorizontalMetrics({".notdef": (wide, 0), "box": (wide, 60)})
    font.setupHorizontalHeader(ascent=920, descent=-240)
    font.setupCharacterMap({ord("x"): "box"})
    font.setupNameTable({"familyName": "Boxes", "styleName": "Regular"})
    font.setupOS2(sTypoAscender=920, sTypoDescender=-240, usWinAscent=920, usWinDescent=240)
    font.setupPost()
    everything = CmapSubtable.newSubtable(13)  # one glyph for a whole stretch of characters
    everything.platformID, everything.platEncID, everything.format, everything.language = 3, 10, 13, 0
    everything.reserved, everything.length = 0, 0
    everything.cmap = dict.fromkeys(range(0x20, 0x110000), "box")
    table = table__c_m_a_p()
    table.tableVersion, table.tables = 0, [*font.font["cmap"].tables[:1], everything]
    font.font["cmap"] = table
    file = io.BytesIO()
    font.save(file)
    return file.getvalue()


def use_font(page: Page, width: float) -> None:
    """Set everything in widgets in boxes so wide, until no_font."""
    no_font(page)
    data = base64.b64encode(font_of_boxes(width)).decode()
    css = (
        f'@font-face {{ font-family: "Boxes"; src: url(data:font/ttf;base64,{data}); }}'
        "[class*='llm101-'], [class*='llm101-'] * { font-family: Boxes !important; }"
    )
    page.evaluate(
        "(css) => document.head.append(Object.assign(document.createElement('style'),"
        " { className: 'test-font', textContent: css }))",
        css,
    )
    assert page.evaluate("() => document.fonts.load('16px Boxes').then((fonts) => fonts.length)") == 1


def no_font(page: Page) -> None:
    page.evaluate("() => document.querySelectorAll('.test-font').forEach((style) => style.remove())")
