// The film's pure helpers: curves, places of words, and a moment in a sentence.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { caption, curveOf, placesOf, reachOf, spread, wordsOf, written } = await loadModule("training_film/widget.js");

const film = {
  steps: 2000,
  groups: { animals: ["cat", "dog"], food: ["cake"] },
  moments: [
    { step: 0, valid_bits_per_byte: { a: 3 }, positions: [[0, 0], [0.5, 0], [0, 0]] },
    { step: 1600, tokens_seen: 12345, valid_bits_per_byte: { a: 0.519 }, positions: [[2, -1], [0, 1], [0, 0]] },
  ],
};

test("a curve has a point for each moment, early ones spread out", () => {
  assert.deepEqual(curveOf(film, "a"), [[0, 3], [1600, 0.519]]);
  assert.deepEqual(spread(curveOf(film, "a")), [[0, 3], [40, 0.519]]);
});

test("words come in the order of their positions, each with its group", () => {
  assert.deepEqual(wordsOf(film), [{ word: "cat", number: 0 }, { word: "dog", number: 0 }, { word: "cake", number: 1 }]);
});

test("all moments are drawn to one scale, the middle in the middle, upwards is up", () => {
  assert.equal(reachOf(film), 2);
  assert.deepEqual(placesOf(film.moments[1], 2, 100), [[100, 75], [50, 25], [50, 50]]);
});

test("a moment says how far it is and how well it does", () => {
  assert.equal(caption(film, 0), "Step 0 of 2,000. Bits per byte: a 3.00.");
  assert.equal(caption(film, 1), "Step 1,600 of 2,000, 12,345 tokens read. Bits per byte: a 0.52.");
});

test("a word is written beside its mark where it lies on no mark and on no other word, or not at all", () => {
  const places = [[0, 0], [100, 0], [130, 2], [0, 50], [200, 100], [205, 104]];
  assert.deepEqual(written(places, [40, 40, 40, 40, 40, 40], 10), ["right", "left", "right", "right", "left", "right"]);
  assert.deepEqual(written(places.slice(0, 1), [40], 10, [-60, 40]), ["left"]); // there the drawing ends
  assert.deepEqual(written([[0, 0], [20, 0], [-20, 0]], [40, 40, 40], 10), [null, "right", "left"]);
});
