// The grid's pure helpers: walking by keys, colours, and how tokens and shares are written.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadWidget } from "./load_widget.mjs";

const { colour, move, percent, scrolled, visible } = await loadWidget("layer_grid");

test("arrow keys walk through the grid and stop at its edges", () => {
  const size = [2, 3];
  assert.deepEqual(move([0, 0], "ArrowRight", size), [0, 1]);
  assert.deepEqual(move([0, 2], "ArrowRight", size), [0, 2]);
  assert.deepEqual(move([0, 1], "ArrowDown", size), [1, 1]);
  assert.deepEqual(move([0, 1], "ArrowUp", size), [0, 1]);
  assert.deepEqual(move([1, 1], "Home", size), [1, 0]);
  assert.deepEqual(move([1, 1], "End", size), [1, 2]);
  assert.deepEqual(move([1, 1], "x", size), [1, 1]);
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

test("colour says the sign and the size, and ends at 1", () => {
  assert.equal(colour(0.5), "rgb(230 120 0 / 0.280)");
  assert.equal(colour(9), "rgb(230 120 0 / 0.560)");
  assert.equal(colour(-1), "rgb(58 126 240 / 0.400)");
});

test("what cannot be seen is spelled out, and a share is as precise as it matters", () => {
  assert.equal(visible(" a\n\t"), "␣a⏎⇥");
  assert.deepEqual([0, 0.0004, 0.043, 0.43].map(percent), ["0.0 %", "< 0.1 %", "4.3 %", "43 %"]);
});
