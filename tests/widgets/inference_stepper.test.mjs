import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { childrenOf, pathTo, pick, places, scoresOf, settle, spell, textOf, walk } =
  await loadModule("inference_stepper/widget.js");

const OWN = { temperature: 1, top_k: 0, top_p: 1, min_p: 0 };
const bytes = (Kind, numbers) => new DataView(Kind.from(numbers).buffer);
const none = bytes(Int32Array, []);
const node = (chances) => ({ ids: none, logits: bytes(Float32Array, chances.map(Math.log)), rest: [0, -99] });
const shares = (chances, settings) =>
  settle(scoresOf(node(chances)), { ...OWN, ...settings }).shares.map((p) => Number(p.toFixed(4)));

test("scores come likeliest first, equal ones in the order of their ids", () => {
  const { ids, scores } = scoresOf(node([0.1, 0.4, 0.1, 0.4]));
  assert.deepEqual(ids, [1, 3, 0, 2]);
  assert.deepEqual(scores.map((s) => Number(Math.exp(s).toFixed(4))), [0.4, 0.4, 0.1, 0.1]);
});

test("bytes that lie crooked in a message are read all the same", () => {
  const whole = new Uint8Array(9);
  whole.set(new Uint8Array(Float32Array.from([1.5, 2.5]).buffer), 1);
  const { scores } = scoresOf({ ids: none, logits: new DataView(whole.buffer, 1, 8), rest: [0, -99] });
  assert.deepEqual(scores, [2.5, 1.5]);
});

test("each setting cuts as it says", () => {
  const four = [0.5, 0.3, 0.15, 0.05];
  assert.deepEqual(shares(four, {}), four);
  assert.deepEqual(shares(four, { top_k: 2 }), [0.625, 0.375, 0, 0]);
  assert.deepEqual(shares(four, { top_p: 0.7 }), [0.625, 0.375, 0, 0]);
  assert.deepEqual(shares(four, { min_p: 0.2 }), [0.5263, 0.3158, 0.1579, 0]);
  assert.deepEqual(shares(four, { temperature: 0 }), [1, 0, 0, 0]);
  assert.deepEqual(shares(four, { temperature: 0.5 }), [0.6849, 0.2466, 0.0616, 0.0068]);
});

test("of a large vocabulary the tokens that are not there one by one still count", () => {
  const logits = bytes(Float32Array, [0.5, 0.3].map(Math.log));
  const large = { ids: bytes(Int32Array, [7, 3]), logits, rest: [4, Math.log(0.2)] };
  const all = scoresOf(large);
  assert.deepEqual(all.ids, [7, 3]);
  const own = settle(all, OWN);
  assert.deepEqual([...own.shares, own.rest].map((p) => Number(p.toFixed(4))), [0.5, 0.3, 0.2]);
  assert.equal(own.nKept, 6);
  const cut = settle(all, { ...OWN, top_p: 0.75 });
  assert.deepEqual([...cut.shares, cut.rest, cut.nKept].map((p) => Number(p.toFixed(4))), [0.625, 0.375, 0, 2]);
  assert.equal(settle(all, { ...OWN, top_k: 5 }).nKept, 2, "which three of the four cannot be told, so none");
  assert.equal(settle(all, { ...OWN, min_p: 0.2 }).nKept, 2);
});

test("every draw hits a token, in proportion, and never one that was cut", () => {
  const from = [0.5, 0, 0.25, 0.25];
  assert.deepEqual([0, 0.49, 0.5, 0.74, 0.75, 0.9999999].map((draw) => pick(from, draw)), [0, 0, 2, 2, 3, 3]);
  assert.equal(pick([0.1, 0.1], 0.6), 1, "shares need not add up to 1");
});

//      0 ─ 1 ─ 3
//          └ 4 ─ 5
//        └ 2
const TREE = [-1, 0, 0, 1, 1, 4].map((parent) => ({ parent }));

test("the tree is laid out so that no two nodes share a place", () => {
  assert.deepEqual(places(TREE).map(({ column, row }) => [column, row]), [[0, 0], [1, 0], [1, 2], [2, 0], [2, 1], [3, 1]]);
  assert.deepEqual(pathTo(TREE, 5), [1, 4, 5]);
  assert.deepEqual(childrenOf(TREE, 1), [3, 4]);
  assert.deepEqual(pathTo(TREE, 0), []);
});

test("arrow keys walk along the tree, and return the way that was taken", () => {
  const to = (at, key, back) => walk(TREE, at, key, back);
  assert.deepEqual([to(5, "ArrowLeft"), to(0, "ArrowLeft"), to(5, "Home")], [4, 0, 0]);
  assert.deepEqual([to(1, "ArrowRight"), to(1, "ArrowRight", { 1: 4 }), to(5, "ArrowRight")], [3, 4, 5]);
  assert.deepEqual([to(3, "ArrowDown"), to(4, "ArrowDown"), to(4, "ArrowUp"), to(1, "ArrowDown")], [4, 4, 3, 2]);
  assert.equal(to(1, "x"), undefined);
});

test("a character that is split across tokens is whole in the text, and its parts are shown as bytes", () => {
  assert.equal(textOf(["caf", "\u00c3", "\u00a9"]), "café");
  assert.deepEqual([" a b", "\n", "\u00c3", ""].map(spell), ["␣a␣b", "⏎", "C3", "(nothing)"]);
});
