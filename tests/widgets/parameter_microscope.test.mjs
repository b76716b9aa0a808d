import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { bitsOf, colour, decode, flip, formula, groups, inFull, move, moveInGroup, part, place, seen, unpack, workingOut, worth } =
  await loadModule("parameter_microscope/widget.js");

/** The formula as one would write it in a line. */
function written(pattern, dtype) {
  return formula(pattern, dtype)[1].map((term) => (Array.isArray(term) ? `^(${term})` : term)).join("");
}

test("a third in float16, worked by hand", () => {
  const { sign, exponent, mantissa } = groups(0b0_01101_0101010101, "float16");
  assert.deepEqual([sign, exponent, mantissa], [0, 13, 341]);
  assert.equal(decode(0b0_01101_0101010101, "float16"), 0.333251953125);
  assert.equal(written(0b0_01101_0101010101, "float16"), "(−1)^(0) × 2^(13 − 15) × (1 + 341/1024)");
});

test("every float32 is worth what the machine says it is", () => {
  const bytes = new DataView(new ArrayBuffer(4));
  for (let pattern = 0; pattern < 2 ** 32; pattern += 65_521 * 3) {
    bytes.setUint32(0, pattern);
    assert.ok(Object.is(decode(pattern, "float32"), bytes.getFloat32(0)), pattern.toString(16));
  }
});

test("bfloat16 is the upper half of float32", () => {
  for (let pattern = 0; pattern < 2 ** 16; pattern += 7)
    assert.ok(Object.is(decode(pattern, "bfloat16"), decode(pattern * 2 ** 16, "float32")), pattern.toString(16));
});

test("every finite float16 is larger than the one before it", () => {
  for (let pattern = 1; pattern < 0x7c00; pattern++)
    assert.ok(decode(pattern, "float16") > decode(pattern - 1, "float16"), pattern.toString(16));
  assert.equal(decode(0x7bff, "float16"), 65504);
});

test("the special values are named", () => {
  const special = [0x7c00, 0xfc00, 0x7e00, 0x0001, 0x8000].map((pattern) => [decode(pattern, "float16"), formula(pattern, "float16")[0]]);
  assert.deepEqual(special.map(([value]) => inFull(value)), ["∞", "−∞", "NaN", "5.960464477539063e−8", "−0"]);
  for (const [i, word] of ["Infinite", "Infinite", "Not a number", "Subnormal", "Zero"].entries()) assert.match(special[i][1], new RegExp(`^${word}`));
  assert.equal(formula(0x3c00, "float16")[0], "");
  assert.equal(written(0x0001, "float16"), "(−1)^(0) × 2^(1 − 15) × (0 + 1/1024)");
});

const NUMBER = { tensor: "w", index: [3, 17], before: 0x3c00, after: 0x3c00 };

test("a flipped bit is noted, and the sign bit of a float32 stays a positive whole number", () => {
  assert.deepEqual(flip([], NUMBER, 14), [{ ...NUMBER, after: 0x7c00 }]);
  assert.equal(flip([], NUMBER, 31)[0].after, 0x80003c00);
});

test("a bit flipped twice leaves no trace, and other numbers stay changed", () => {
  const other = { ...NUMBER, index: [3, 18], after: 0 };
  const once = flip([other], NUMBER, 14);
  assert.equal(once.length, 2);
  assert.deepEqual(flip(once, once[1], 14), [other]);
});

test("a number is found by one place per axis", () => {
  assert.deepEqual(place(3 * 256 + 17, [4096, 256]), [3, 17]);
  assert.deepEqual(place(29, [2, 3, 5]), [1, 2, 4]);
  assert.deepEqual(place(0, []), []);
});

test("the arrow keys walk through the matrix and stop at its edges", () => {
  const walk = (index, ...keys) => keys.reduce((at, key) => move(at, key, [3, 4]), index);
  assert.equal(walk(0, "ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown"), 9);
  assert.equal(walk(0, "ArrowLeft", "ArrowUp"), 0);
  assert.deepEqual([walk(5, "Home"), walk(5, "End"), walk(5, "PageDown"), walk(9, "PageUp"), walk(5, "a")], [4, 7, 9, 1, 5]);
});

test("colour says the sign, and its strength how far from zero, up to the limit", () => {
  assert.equal(colour(0.5, 1), "rgb(232 119 0 / 0.500)");
  assert.equal(colour(-9, 1), "rgb(58 126 240 / 1.000)");
});

test("Llama's and GPT-2's names are sorted into the same parts of a model", () => {
  const names = ["model.embed_tokens.weight", "wte.weight", "model.layers.0.self_attn.q_proj.weight", "h.0.attn.c_attn.weight",
    "model.layers.0.post_attention_layernorm.weight", "h.0.ln_1.bias", "h.0.mlp.c_fc.weight", "x"]; // prettier-ignore
  assert.deepEqual(names.map(part), ["embeddings", "embeddings", "attention", "attention", "norms", "norms", "MLP", "others"]);
});

/** A block of bytes, for unpack. */
const bytesOf = (...bytes) => new DataView(new Uint8Array(bytes).buffer);

test("a block of four bits, worked by hand: scale 0.5, minimum −1, number 3 is 7 and number 19 is 10", () => {
  const block = unpack("Q4_1", bytesOf(0x00, 0x38, 0x00, 0xbc, 0, 0, 0, 0xa7, ...Array(12).fill(0)), 0);
  assert.deepEqual([block.small[3], block.small[19], block.small[0]], [7, 10, 0]);
  assert.deepEqual([worth(block, 3), worth(block, 19), worth(block, 0)], [2.5, 4, -1]);
  assert.equal(workingOut(block, 3), "0.5 × 7 + (−1)");
  assert.equal(bitsOf(block.small[3], 4), "0111");
});

test("kinds without a minimum count from the middle, or have a sign", () => {
  const q4 = unpack("Q4_0", bytesOf(9, 9, 0x00, 0x38, ...Array(16).fill(0x3f)), 2);
  assert.deepEqual([worth(q4, 0), workingOut(q4, 0)], [3.5, "0.5 × (15 − 8)"]);
  const q8 = unpack("Q8_0", bytesOf(0x00, 0x34, 0xfe, ...Array(31).fill(0)), 0);
  assert.deepEqual([worth(q8, 0), workingOut(q8, 0), bitsOf(-2, 8)], [-0.5, "0.25 × (−2)", "11111110"]);
});

test("the arrow keys walk through the numbers of a group and stop at its ends", () => {
  const walk = (at, ...keys) => keys.reduce((position, key) => moveInGroup(position, key, 32, 32, 8), at);
  assert.deepEqual([walk(32, "ArrowLeft"), walk(32, "ArrowRight", "ArrowDown"), walk(63, "ArrowRight")], [32, 41, 63]);
  assert.deepEqual([walk(40, "Home"), walk(40, "End"), walk(40, "ArrowUp"), walk(40, "ArrowUp", "ArrowUp")], [32, 63, 32, 32]);
  assert.equal(moveInGroup(40, "a", 32, 32, 8), undefined);
});

test("of wide blocks the page shows the stretch of 64 numbers that the chosen one lies in", () => {
  const view = { row: 5, rows: 32, column: 256, columns: 256, matrix: [100, 512] };
  assert.deepEqual(seen(view, "Q6_K", 7 * 512 + 300), { row: 5, rows: 32, column: 256, columns: 64 });
  assert.deepEqual(seen(view, "Q6_K", 7 * 512 + 511), { row: 5, rows: 32, column: 448, columns: 64 });
  assert.deepEqual(seen({ ...view, column: 32, columns: 64 }, "Q4_1", 7 * 512 + 95), { row: 5, rows: 32, column: 32, columns: 64 });
  assert.deepEqual(seen({ ...view, column: 3, columns: 48 }, "float16", 7 * 512 + 50), { row: 5, rows: 32, column: 3, columns: 48 });
});

test("llama.cpp's names are sorted into the parts of a model", () => {
  const names = ["token_embd.weight", "output.weight", "output_norm.weight", "blk.0.attn_output.weight", "blk.0.ffn_up.weight"];
  assert.deepEqual(names.map(part), ["embeddings", "embeddings", "norms", "attention", "MLP"]);
});
