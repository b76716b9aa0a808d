// The browser's pure helpers: searching, going back, and how strengths and shares are said.
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { back, forward, foundWords, level, peak, search, unpack, visit } =
  await loadModule("feature_browser/widget.js");

const latent = (id, words, promoted = [], strongest = 10) => ({ id, words, promoted, strongest });
const RECORDING = {
  tokens: [" Rain", " sea"],
  latents: [
    latent(1, ["golden", "rain"]), latent(2, ["rain", "cloud"]), latent(3, ["rainbow"]), latent(4, ["wet"], [[1, 2], [0, 1]]),
    latent(12, ["sun"]), latent(13, ["rain"], [], 20),
  ],
}; // prettier-ignore
const ids = (query) => search(RECORDING, query).map(({ id }) => id);

test("a word's most typical latent comes first, then beginnings of words, then what is promoted", () => {
  assert.deepEqual(ids("rain"), [13, 2, 1, 3, 4]); // of two that fit as well, the stronger one
  assert.deepEqual(ids("RAIN "), [13, 2, 1, 3, 4]);
});

test("of several words all must fit", () => {
  assert.deepEqual(ids("rain golden"), [1]);
  assert.deepEqual(ids("rain sun"), []);
});

test("a number finds its latent, and nothing finds all", () => {
  assert.deepEqual(ids("12"), [12]);
  assert.deepEqual(ids("#12"), [12]);
  assert.deepEqual(ids(" "), [1, 2, 3, 4, 12, 13]);
  assert.deepEqual(ids("<!>"), []);
});

test("one can go back and forward, and a new way forgets the old future", () => {
  const start = { past: [], now: 1, future: [] };
  const there = visit(visit(start, 2), 3);
  assert.deepEqual(there, { past: [1, 2], now: 3, future: [] });
  assert.equal(visit(there, 3), there);
  assert.deepEqual(back(there), { past: [1], now: 2, future: [3] });
  assert.deepEqual(forward(back(there)), there);
  assert.deepEqual(visit(back(there), 9), { past: [1, 2], now: 9, future: [] });
  assert.deepEqual(back(start), start);
  assert.deepEqual(forward(start), start);
});

test("a stronger token never looks weaker", () => {
  assert.deepEqual([0, 1, 24, 25, 50, 74, 75, 99].map(level), [0, 1, 1, 2, 3, 3, 4, 4]);
});

test("the strongest token of a passage is named", () => {
  assert.deepEqual(peak([[7, 8, 9], [0, 99, 12]]), [8, 99]);
});

test("what was found is said with what to do if nothing was", () => {
  assert.equal(foundWords(3, 3711, ""), "3,711 latents.");
  assert.equal(foundWords(1250, 3711, "a"), "1,250 of 3,711 latents; the first 200 are listed.");
  assert.equal(foundWords(0, 3711, " xyz "), "No latent for “xyz” among 3,711. Try one plain word, such as “rain”.");
});

test("the recording survives the way to the page", async () => {
  assert.deepEqual(await unpack(gzipSync(JSON.stringify(RECORDING))), RECORDING);
});
