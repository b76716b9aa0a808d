// Numbers and tokens as the widgets say them.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { counted, finePercent, grouped, percent, quoted } = await loadModule("page/words.js");

test("large numbers are grouped, and one of a kind is not called many", () => {
  assert.deepEqual([0, 999, 12_345, 1_234_567].map(grouped), ["0", "999", "12,345", "1,234,567"]);
  assert.deepEqual([0, 1, 4096].map((n) => counted(n, "token")), ["0 tokens", "1 token", "4,096 tokens"]);
});

test("a probability is said as precisely as it matters", () => {
  assert.deepEqual([1, 0.43, 0.0995, 0.0951, 0.0432, 0.001, 0.0004, 1e-40, 0].map(percent),
    ["100 %", "43 %", "10 %", "9.5 %", "4.3 %", "0.1 %", "< 0.1 %", "< 0.1 %", "0 %"]); // prettier-ignore
});

test("a share by itself has two figures however small it is", () => {
  assert.deepEqual([0, 0.0000412, 0.0031, 0.0995, 0.125, 0.5, 1].map(finePercent),
    ["0 %", "0.0041 %", "0.31 %", "10 %", "13 %", "50 %", "100 %"]); // prettier-ignore
});

test("invisible characters of a token can be seen in a list", () => {
  assert.equal(quoted(" a\n\tb"), "“ a⏎⇥b”");
  assert.equal(quoted(""), "(no text of its own)");
});
