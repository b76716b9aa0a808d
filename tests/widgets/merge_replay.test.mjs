// The replay's pure helpers: merges by number, what they do to a text, and how a piece is spelled.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { numberMerges, replay, spell, stepAt } = await loadModule("merge_replay/widget.js");

const lastEnds = (words, merges) => replay(words, numberMerges(merges)).at(-1).ends;

test("a text starts as single bytes, a step for each merge that changes it", () => {
  const steps = replay(["low", " low"], numberMerges([["l", "o"], ["x", "y"], ["lo", "w"]]));
  assert.deepEqual(steps.map(({ made }) => made), [0, 1, 3]);
  assert.deepEqual(steps[0].ends, [[1, 2, 3], [1, 2, 3, 4]]);
  assert.deepEqual(steps[1].ends, [[2, 3], [1, 3, 4]]);
  assert.deepEqual(steps[2].ends, [[3], [1, 4]]);
  assert.deepEqual(steps[2].fresh, [[0], [1]]); // which pieces are new
});

test("of overlapping pairs the left one is joined", () => {
  assert.deepEqual(lastEnds(["aaa", "aaaa"], [["a", "a"]]), [[2, 3], [2, 4]]);
});

test("two ways to the same piece are told apart", () => {
  assert.deepEqual(lastEnds(["abc"], [["b", "c"], ["ab", "c"]]), [[1, 3]]); // bc first, then there is no ab
  assert.deepEqual(lastEnds(["abc"], [["a", "b"], ["a", "bc"]]), [[2, 3]]);
});

test("bytes beyond ASCII are counted one by one", () => {
  assert.deepEqual(lastEnds(["é"], [["Ã", "©"]]), [[2]]); // the bytes C3 and A9, a character for each
  assert.deepEqual(lastEnds(["“"], [["\u00e2", "\u0080"]]), [[2, 3]]);
});

test("after a number of merges the text is where its last change left it", () => {
  const steps = [{ made: 0 }, { made: 5 }, { made: 9 }];
  assert.deepEqual([0, 4, 5, 8, 100].map((made) => stepAt(steps, made)), [0, 0, 1, 1, 2]);
});

test("a change asks only for the pairs of the words that it changes", () => {
  const numbers = numberMerges([["a", "b"], ["ab", "c"], ["x", "y"]]);
  let asked = 0;
  const counted = { get: (key) => (asked++, numbers.get(key)) };
  const steps = replay(["abc", ...Array(50).fill("zzzz")], counted);
  assert.deepEqual(steps.at(-1).ends[0], [3]);
  assert.equal(asked, 2 + 50 * 3 + 1); // each pair once, then the one pair that is new
});

test("no text, no steps but the first", () => {
  assert.equal(replay([], numberMerges([["a", "b"]])).length, 1);
});

test("a piece is spelled by its text, or by its bytes where they are no text", () => {
  assert.equal(spell(" the"), "␣the");
  assert.equal(spell("\u00c3\u00a9"), "é");
  assert.equal(spell("\u00e2\u0080"), "E2 80");
  assert.equal(spell("<b>"), "<b>");
});
