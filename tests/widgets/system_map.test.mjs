import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { chapterTitle, isRelative, labPath, neighbour, shorten } = await loadModule("system_map/widget.js");

// 1 2 .
// . 3 4
const BOXES = { 1: { x: 0, y: 0 }, 2: { x: 224, y: 0 }, 3: { x: 224, y: 108 }, 4: { x: 448, y: 108 } };

test("an arrow key goes to the nearest box on that side", () => {
  assert.equal(neighbour(BOXES, "1", "ArrowRight"), "2");
  assert.equal(neighbour(BOXES, "2", "ArrowDown"), "3");
  assert.equal(neighbour(BOXES, "3", "ArrowUp"), "2");
  assert.equal(neighbour(BOXES, "4", "ArrowLeft"), "3");
});

test("where there is no box on that side, the focus stays", () => {
  for (const key of ["ArrowLeft", "ArrowUp", "Tab"]) assert.equal(neighbour(BOXES, "1", key), "1");
});

test("a text too long for its box is cut between letters, never inside one", () => {
  assert.equal(shorten("Once upon\n a time", 20), "Once upon a time");
  assert.equal(shorten("🌉🌉🌉🌉", 3), "🌉🌉…");
});

test("in JupyterLab a chapter is opened beside the notebook that shows the map", () => {
  assert.equal(labPath("/lab/tree/book/00_the_map.ipynb", "01_parameters.ipynb"), "book/01_parameters.ipynb");
  assert.equal(labPath("/user/ada/lab/workspaces/auto-k/tree/my%20book/00.ipynb", "01.ipynb"), "my book/01.ipynb");
  assert.equal(labPath("/lab/tree/00_the_map.ipynb", "01_parameters.ipynb"), "01_parameters.ipynb");
});

test("anywhere else a plain link does", () => {
  for (const path of ["/notebooks/00.ipynb", "/lab", "/index.html"]) assert.equal(labPath(path, "01.ipynb"), "");
});

test("a chapter is called by its file", () => {
  assert.equal(chapterTitle("book/01_parameters.ipynb"), "01 parameters");
});

test("only an address beside this page becomes a link", () => {
  for (const address of ["01_parameters.ipynb", "../book/02 x.html"]) assert.ok(isRelative(address), address);
  for (const address of ["", "javascript:alert(1)", "//evil.example", "/etc", "https://evil.example/01.ipynb"])
    assert.ok(!isRelative(address), address); // prettier-ignore
});
