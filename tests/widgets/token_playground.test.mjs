// The playground's pure helpers: how text is cut, merged, made visible and put into words.
import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const playground = await loadModule("token_playground/card.js");
const { cut, finish, inParts, inSlices, pageRegExp, pageTokenizer, unpackRanks } = playground;
const { blocksOf, describe, dollars, hex, pieces, sameEnds, sizeWords, visible } = playground;
const mergeWord = (word, ranks) => finish(playground.mergeWord(word, ranks));

const bytesAsRanks = () => new Map(Array.from({ length: 256 }, (_, b) => [new TextDecoder("latin1").decode(Uint8Array.of(b)), b]));
const ranksWith = (...tokens) => new Map([...bytesAsRanks(), ...tokens.map((token, i) => [token, 256 + i])]);

test("a possessive quantifier becomes a plain one, and nothing else does", () => {
  assert.equal(pageRegExp(String.raw`\p{L}++|\p{N}{1,3}+|[^\r\n]?+x*+|\p{L}+|a\+`).source, String.raw`\p{L}+|\p{N}{1,3}|[^\r\n]?x*|\p{L}+|a\+`);
});

test("white space is Unicode's, not JavaScript's", () => {
  const space = pageRegExp(String.raw`\s`);
  assert.deepEqual(["\u0085", "\ufeff", "\u3000"].map((c) => c.match(space) !== null), [true, false, true]);
});

test("letters without regard to case include the long s and the Kelvin sign", () => {
  assert.deepEqual("'s 'S 'ſ 'LL 'x".match(pageRegExp("'(?i:[sk]|ll)")), ["'s", "'S", "'ſ", "'LL"]);
});

test("the lowest rank merges first, and of equals the leftmost", () => {
  const ranks = ranksWith("ab", "bc", "abc");
  assert.deepEqual(mergeWord("abc", ranks).ids, [258]); // a whole word that is a token
  assert.deepEqual(mergeWord("xabc", ranks).ids, [120, 258]); // ab, then abc
  assert.deepEqual(mergeWord("aaa", ranksWith("aa")).ids, [256, 97]);
  assert.deepEqual(mergeWord("bcab", ranksWith("ca", "bc")).ids, [98, 256, 98]);
});

test("merging goes on with what was merged before", () => {
  assert.deepEqual(mergeWord("aaaaaaaax", ranksWith("aa", "aaaa", "aaaaaaaa")).ids, [258, 120]);
});

/** A table that counts how often it is asked. */
class Asked extends Map {
  times = 0;
  get(key) {
    this.times++;
    return super.get(key);
  }
}

/** How much is asked of a table between two places at which the work can stop: at most, and in all. */
function longestSlice(work, ranks) {
  let [most, all] = [0, 0];
  for (let done = false; !done; ) {
    ranks.times = 0;
    ({ done } = work.next());
    [most, all] = [Math.max(most, ranks.times), all + ranks.times];
  }
  return [most, all];
}

const LONG = {
  "many words": Array.from({ length: 40_000 }, (_, i) => `w${i % 9000}`).join(" "),
  "one word of letters": "ab".repeat(100_000),
  "one word of characters that are cut": "京".repeat(66_000),
  "nothing but white space": " ".repeat(200_000),
};
for (const [kind, text] of Object.entries(LONG)) {
  test(`cutting 200,000 characters can be stopped at any moment: ${kind}`, () => {
    const ranks = new Asked(ranksWith("ab", "abab", "w1", "\xe4\xba", "  ", "    "));
    const tokenize = pageTokenizer(String.raw` ?\p{L}+| ?\p{N}+|\s+`, ranks);
    const [most, all] = longestSlice(cut(text, tokenize), ranks);
    assert.ok(most < 2000 && all > 10 * most, `${most} of ${all} at once`);
  });
}

test("long work leaves the page its turn, and ends when nobody wants the result", async () => {
  const steps = function* (ms, n) {
    for (let i = 0; i < n; i++) {
      for (const until = performance.now() + ms; performance.now() < until; );
      yield;
    }
    return "done";
  };
  let turns = 0;
  const page = setInterval(() => turns++);
  assert.equal(await inSlices(steps(5, 30)), "done");
  clearInterval(page);
  assert.ok(turns > 1);
  assert.equal(await inSlices(steps(5, 30), () => false), undefined);
  assert.equal(await inSlices(steps(0, 3), () => false), "done"); // a short one is over at once
});

test("a very long word is shown in parts that hold all of it, cut between characters", () => {
  const whole = mergeWord("a京b".repeat(100), ranksWith("\xe4\xba"));
  const parts = finish(inParts(whole, 50));
  assert.ok(parts.length > 5 && parts.every(({ ids }) => ids.length <= 53));
  assert.equal(parts.map(({ word }) => word).join(""), whole.word);
  assert.deepEqual(parts.flatMap(({ ids }) => ids), whole.ids);
  assert.deepEqual(parts.flatMap(({ bytes }) => [...bytes]), [...whole.bytes]);
  for (const { bytes, ends } of parts) assert.equal(ends.at(-1), bytes.length);
  assert.deepEqual(finish(inParts(whole, 1000)), [whole]);
});

test("a vocabulary is as large as its ids, those that are no text too", () => {
  assert.equal(sizeWords(4096, [[0, 4095]]), "4,096 tokens, 4,095 of them text");
  assert.equal(sizeWords(256, [[0, 256]]), "256 tokens");
});

test("ranks survive the way to the page, with gaps between ids", async () => {
  const packed = deflateSync(Buffer.from([1, 2, 3, ...Buffer.from("abbccc")]));
  assert.deepEqual([...(await unpackRanks(packed, [[0, 2], [7, 1]]))], [["a", 0], ["bb", 1], ["ccc", 7]]);
});

test("the same word is the same object, so that only new words are painted", () => {
  const tokenize = pageTokenizer(String.raw` ?\p{L}+`, bytesAsRanks());
  const [first, second, again] = finish(tokenize("a dog dog"));
  assert.equal(second, again);
  assert.notEqual(first, second);
  assert.equal(finish(tokenize("dog dog"))[1], second);
  assert.deepEqual(finish(tokenize("")), []);
});

test("a character that is split across tokens is told apart from whole ones", () => {
  const word = { word: "a京b", bytes: new TextEncoder().encode("a京b"), ids: [1, 2], ends: [3, 5] };
  const [first, second] = pieces(word);
  assert.deepEqual([first[0], first[1].char, first[1].from, first[1].of], [{ text: "a" }, "京", 0, 3]);
  assert.deepEqual([second[0].from, hex(second[0].bytes), second[1]], [2, "AC", { text: "b" }]);
  assert.equal(describe(word, 0), "id 1 · 3 bytes 61 E4 BA · “a” and bytes 1 to 2 of the 3 of “京”");
  assert.equal(describe(word, 1), "id 2 · 2 bytes AC 62 · byte 3 of the 3 of “京” and “b”");
});

test("one character can be cut into three tokens", () => {
  const parts = pieces({ word: "京", bytes: new TextEncoder().encode("京"), ids: [1, 2, 3], ends: [1, 2, 3] });
  assert.deepEqual(parts.map(([part]) => part.from), [0, 1, 2]);
});

test("what cannot be seen is spelled out", () => {
  assert.deepEqual(visible(" a\n"), [["sign", "␣"], ["plain", "a"], ["sign", "⏎"]]);
  assert.deepEqual(visible("\u200b\u202e\u00a0"), [["sign", "U+200B"], ["sign", "U+202E"], ["sign", "⍽"]]);
  assert.deepEqual(visible("\u0301"), [["plain", "◌\u0301"]]);
  assert.deepEqual(visible("<b>&amp;"), [["plain", "<b>&amp;"]]);
});

test("dollars have two digits that say something", () => {
  assert.deepEqual([0, 0.000001234, 0.0123, 1.5, 1234].map(dollars), ["$0", "$0.0000012", "$0.012", "$1.50", "$1234.00"]);
});

test("the common ends of two lists never overlap", () => {
  assert.deepEqual(sameEnds([1, 1, 1], [1, 1]), [2, 0]);
  assert.deepEqual(sameEnds([1, 2, 3], [1, 9, 3]), [1, 1]);
  assert.deepEqual(sameEnds([], [1]), [0, 0]);
});

test("blocks are cut at the end of a line where there is one, and lose no word", () => {
  const words = Array.from({ length: 700 }, (_, i) => ({ word: i === 150 ? "\n" : "x", ids: [i] }));
  const blocks = blocksOf(words);
  assert.deepEqual(blocks.map((block) => block.length), [150, 150, 150, 150, 100]);
  assert.deepEqual(blocks.flat(), words);
});
