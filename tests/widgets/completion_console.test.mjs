import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { summary, surprise, tokensPerSecond } = await loadModule("completion_console/widget.js");

test("a rarer token never looks less surprising", () => {
  assert.deepEqual([1, 0.5, 0.49, 0.19, 0.04, 0.009].map((p) => surprise(Math.log(p))), [0, 0, 1, 2, 3, 4]);
  assert.equal(surprise(-Infinity), 4);
});

test("speed leaves out the first token, which waits for the prompt to be read", () => {
  assert.equal(tokensPerSecond(11, { first_s: 2, all_s: 3 }), 10);
});

test("one token has no speed", () => {
  assert.ok(Number.isNaN(tokensPerSecond(1, { first_s: 2, all_s: 2 })));
  assert.equal(summary(1, { first_s: 2, all_s: 2, end: "end" }, "Tiny"),
    "1 token · the first after 2.0 s · the text came to its end · Tiny, on this machine"); // prettier-ignore
});

test("a completion is summed up in one line", () => {
  assert.equal(summary(101, { first_s: 0.012, all_s: 1.012, end: "stopped" }, "Storyteller"),
    "101 tokens · 100 tokens per second · the first after 12 ms · stopped by you · Storyteller, on this machine"); // prettier-ignore
});

test("a reason that the console does not know is left out, and so is a speed of nothing", () => {
  assert.equal(summary(0, { first_s: 0, all_s: 0, end: null }, "Tiny"), "0 tokens · Tiny, on this machine");
});
