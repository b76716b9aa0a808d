// The monitor's pure helpers: places of a curve, readings, and what the buttons do in each state.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { commands, count, duration, newestFirst, place, polyline, readings, sentence, ticks, topOf } =
  await loadModule("training_monitor/widget.js");

test("a curve starts at the left, its highest value lies at the top", () => {
  const frame = { steps: 10, top: 4, width: 100, height: 50 };
  assert.deepEqual(place([0, 4], frame), [0, 0]);
  assert.deepEqual(place([10, 0], frame), [100, 50]);
  assert.equal(polyline([[0, 4], [5, 2]], frame), "0.0,0.0 50.0,25.0");
});

test("the lines behind it are at round values and reach no higher than the top", () => {
  assert.deepEqual(ticks(4), [0, 1, 2, 3, 4]);
  assert.deepEqual(ticks(3.5), [0, 1, 2, 3]);
  assert.deepEqual(ticks(0.8), [0, 0.2, 0.4, 0.6, 0.8]);
});

test("the top is at least 1 and no lower than any curve", () => {
  assert.equal(topOf([], []), 1);
  assert.equal(topOf([[1, 2.2]], [[1, 2.6]]), 3);
});

test("times are read in the unit that one would say", () => {
  assert.deepEqual([0.4, 59.4, 65, 3599, 5400].map(duration), ["0 s", "59 s", "1:05 min", "59:59 min", "1.5 h"]);
});

test("large counts are shortened", () => {
  assert.deepEqual([7, 12345.4, 1234567].map(count), ["7", "12,345", "1.23 M"]);
});

test("before the first step there is nothing to read, and nothing pretends", () => {
  assert.ok(readings({}, [], []).every(([, value]) => value === "–"));
});

test("the last value of each curve is read", () => {
  const now = { step: 3, steps: 10, learning_rate_factor: 0.5, tokens_seen: 5, tokens_per_second: 2, seconds: 1, seconds_left: 90 };
  const read = Object.fromEntries(readings(now, [[1, 4], [3, 2.126]], [[2, 2.5]]));
  assert.equal(read["training text, bits per byte"], "2.13");
  assert.equal(read["unknown text, bits per byte"], "2.50");
  assert.equal(read["learning rate"], "50 % of the highest");
  assert.equal(read["time left"], "1:30 min");
});

test("in each state the buttons offer what makes sense then", () => {
  const offered = (state) => commands(state).map((command) => command?.[0] ?? null);
  assert.deepEqual(offered("running"), ["pause", "stop"]);
  assert.deepEqual(offered("paused"), ["resume", "stop"]);
  assert.deepEqual(offered("stopped"), ["start", null]);
  assert.deepEqual(offered("done"), [null, null]);
  assert.deepEqual(offered("anything else"), [null, null]);
});

test("a failure says why", () => {
  assert.equal(sentence("failed", "the loss became nan"), "Failed: the loss became nan");
});

test("the newest sample comes first, and old ones make room", () => {
  assert.deepEqual(newestFirst([[0, "a"], [1, "b"], [2, "c"]], 2), [[2, "c"], [1, "b"]]);
});
