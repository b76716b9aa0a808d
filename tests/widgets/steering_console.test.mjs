// The console's pure helpers: what counts as a mention, how texts are measured, which of them belong together.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { caption, measure, mentions, pairOf, readings, repeatedTrigrams, stretches, textsOf } =
  await loadModule("steering_console/widget.js");

const SETTINGS = { prompt: "A", max_tokens: 9, temperature: 1, seed: 0, latent: 7, strength: 4 };
const text = (words, loss_nats) => ({ tokens: words.split(/(?= )/), loss_nats });
const pair = (plain, steered, changes = {}) => ({ ...SETTINGS, plain: text(plain, 1), steered: text(steered, 2), ...changes });

test("a mention begins where a word does, as Python counts", () => {
  assert.deepEqual(mentions("rain, Rainy; a train in the rain_2", "rain"), [[0, 4], [6, 11], [28, 34]]); // prettier-ignore
  assert.deepEqual(mentions("the Golden Gate (bridge)", "golden gate, (bridge"), [[4, 15], [16, 23]]); // prettier-ignore
  assert.deepEqual(mentions("anything", " , "), []);
});

test("a text is cut at its mentions and loses nothing", () => {
  const cut = stretches("A bridge, a Bridge", "bridge");
  assert.deepEqual(cut, [["A ", false], ["bridge", true], [", a ", false], ["Bridge", true]]); // prettier-ignore
  assert.deepEqual(stretches("", "bridge"), []);
});

test("three tokens that come again are repeated, as Python measures", () => {
  assert.equal(repeatedTrigrams(["1", "2", "3", "1", "2", "3"]), 0.25);
  assert.ok(Math.abs(repeatedTrigrams(["1", "1", "1", "1", "1"]) - 2 / 3) < 1e-12);
  assert.equal(repeatedTrigrams(["1", "2"]), 0);
  assert.equal(repeatedTrigrams(["a,b", "c", "d", "a", "b,c", "d"]), 0, "commas in tokens are no borders");
});

test("texts are measured together: repetition by text, loss by token", () => {
  const texts = [text(" a bridge", 3), text(" x x x x x", 1), { tokens: [" bridge", " bridge"] }];
  const { n, nSaying, nMentions, repeated, loss } = measure(texts, "bridge");
  assert.deepEqual([n, nSaying, nMentions], [3, 2, 3]);
  assert.ok(Math.abs(repeated - 2 / 9) < 1e-12);
  assert.equal(loss, (2 * 3 + 5 * 1) / 7);
});

test("nothing is no number", () => {
  const nothing = measure([], "bridge");
  assert.deepEqual(readings(nothing, nothing), [["mentions", "0 ×", "–"], ["repeated 3-grams", "–", "–"], ["loss per token", "–", "–"]]); // prettier-ignore
});

test("what is read below a text", () => {
  const rows = readings(measure([text(" a bridge", 1.234)], "bridge"), measure([text(" a", 1), text(" bridge", 2)], "bridge"));
  assert.deepEqual(rows, [
    ["mentions", "1 ×", "in 1 of 2 (50 %)"],
    ["repeated 3-grams", "0 %", "0 %"],
    ["loss per token", "1.23 nats", "1.50 nats"],
  ]);
});

test("a plain text counts once, however often it stood beside another steered one", () => {
  const stories = [pair(" cat", " sea"), pair(" cat", " seas", { strength: 8 }), pair(" dog", " bay", { seed: 1 })];
  assert.deepEqual(textsOf(stories, "plain", SETTINGS).map((one) => one.tokens[0]), [" cat", " dog"]); // prettier-ignore
  assert.deepEqual(textsOf(stories, "steered", SETTINGS).map((one) => one.tokens[0]), [" sea", " bay"]); // prettier-ignore
});

test("the last pair with these settings is found", () => {
  const stories = [pair(" a", " b"), pair(" a", " c"), pair(" a", " d", { seed: 1 })];
  assert.equal(pairOf(stories, SETTINGS), stories[1]);
  assert.equal(pairOf(stories, { ...SETTINGS, strength: 5 }), undefined);
});

test("a pair says what it was written with", () => {
  assert.match(caption(SETTINGS), /^Both go on from “A” with seed 0, temperature 1, at most 9 tokens\./);
});
