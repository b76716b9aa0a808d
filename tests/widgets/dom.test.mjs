// What a page is made of, in a document that only remembers what it was told.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { consume, keepingEnd, makers, onEnter, scrolled, tokenStep } = await loadModule("page/dom.js");

class Node {
  children = [];
  dataset = {};
  attributes = {};
  append = (...children) => this.children.push(...children);
  setAttribute = (name, value) => (this.attributes[name] = value);
}
globalThis.document = { createElement: () => new Node(), createElementNS: () => new Node() };
const { make, draw } = makers("llm101-x");

test("an element has its properties, its children, and the widget's prefix before each of its classes", () => {
  const node = make("p", "note llm101-error", { role: "status" }, ["a", make("b")]);
  assert.deepEqual([node.className, node.role], ["llm101-x-note llm101-error", "status"]);
  assert.deepEqual([node.children[0], node.children[1].className], ["a", undefined]);
});

test("JupyterLab leaves the arrow keys to sliders and lists, and to nothing else", () => {
  const suppresses = (tag, properties) => make(tag, "", properties).dataset.lmSuppressShortcuts === "true";
  assert.deepEqual([suppresses("select"), suppresses("input", { type: "range" })], [true, true]);
  assert.ok(suppresses("div", { role: "listbox" }));
  assert.deepEqual([suppresses("input", { type: "text" }), suppresses("button")], [false, false]);
});

test("a drawing has its attributes, and its classes with the prefix", () => {
  const { attributes, children } = draw("g", { class: "word group-1", x: 3 }, ["a"]);
  assert.deepEqual([attributes, children], [{ class: "llm101-x-word llm101-x-group-1", x: 3 }, ["a"]]);
  assert.deepEqual(draw("path", { class: "" }).attributes, {});
});

test("Enter acts, but neither with Shift, nor while an input method is composing, nor does any other key", () => {
  const field = new EventTarget();
  let acted = 0;
  onEnter(field, () => acted++);
  const press = (of) => {
    const event = Object.assign(new Event("keydown", { cancelable: true }), { key: "Enter", ...of });
    field.dispatchEvent(event);
    return [acted, event.defaultPrevented];
  };
  assert.deepEqual(press({ shiftKey: true }), [0, false]);
  assert.deepEqual(press({ isComposing: true }), [0, false]);
  assert.deepEqual(press({ key: "a" }), [0, false]);
  assert.deepEqual(press({}), [1, true]);
});

test("a key that did something goes no further", () => {
  const heard = [];
  consume({ preventDefault: () => heard.push("page"), stopPropagation: () => heard.push("notebook") });
  assert.deepEqual(heard, ["page", "notebook"]);
});

test("a cell is scrolled into view beside the names, and no further than needed", () => {
  const box = { names: 100, room: 400 }; // 300 wide between them
  const to = (at, start) => scrolled(at, { start, size: 60 }, box);
  assert.equal(to(0, 100), 0, "the first column is in view");
  assert.equal(to(0, 340), 0, "one that just fits too");
  assert.equal(to(0, 700), 360, "one further right comes to the right edge");
  assert.equal(to(360, 700), 360, "and is in view now");
  assert.equal(to(360, 160), 60, "one that the names cover comes out from under them");
});

test("where nothing covers the start, it comes to the edge", () => {
  assert.equal(scrolled(500, { start: 40, size: 60 }, { room: 200 }), 40);
  assert.equal(scrolled(0, { start: 400, size: 300 }, { room: 200 }), 400, "of what is too long, the start");
});

test("keys walk along tokens, and others are left to the page", () => {
  assert.deepEqual(["ArrowRight", "ArrowUp", "Home", "a"].map(tokenStep), [1, -10, -Infinity, undefined]);
});

test("who has the end in view keeps it, and who reads further up is left there", () => {
  const scrolling = (scrollTop) => ({ scrollHeight: 500, clientHeight: 100, scrollTop });
  for (const [from, to] of [[400, 600], [361, 600], [360, 360], [0, 0]]) {
    const node = scrolling(from);
    keepingEnd(node, () => (node.scrollHeight = 600));
    assert.equal(node.scrollTop, to);
  }
});
