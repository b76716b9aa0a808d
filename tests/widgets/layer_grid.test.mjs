// The grid's pure helpers: walking by keys, colours, and how tokens are written.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { colour, move, visible } = await loadModule("layer_grid/widget.js");

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

test("colour says the sign and the size, and ends at 1", () => {
  assert.equal(colour(0.5), "rgb(230 120 0 / 0.280)");
  assert.equal(colour(9), "rgb(230 120 0 / 0.560)");
  assert.equal(colour(-1), "rgb(58 126 240 / 0.400)");
});

test("what cannot be seen is spelled out", () => {
  assert.equal(visible(" a\n\t"), "␣a⏎⇥");
});
