// A block of quantised numbers: a scale, perhaps a minimum, and small whole numbers; and what they are worth.
//
//     value = scale × (small − zero) + minimum
//
// The K kinds have 256 numbers, in groups with a small scale and minimum of their own; these multiply the block's.
// Reading order: BLOCKS, unpack, worth, workingOut.

import { decode } from "./bits.js";

const SIX = { minimum: 2, groups: 4, zero: 0, group: 32 }; // groups' scales and minimums in six bits each
/** Bits of a small number, numbers and bytes of a block, and where its parts lie, in bytes from its beginning. */
export const BLOCKS = {
  Q8_0: { width: 8, numbers: 32, bytes: 34, scale: 0, small: 2, zero: 0 },
  Q4_0: { width: 4, numbers: 32, bytes: 18, scale: 0, small: 2, zero: 8 },
  Q4_1: { width: 4, numbers: 32, bytes: 20, scale: 0, minimum: 2, small: 4, zero: 0 },
  Q5_0: { width: 5, numbers: 32, bytes: 22, scale: 0, high: 2, small: 6, zero: 16 },
  Q5_1: { width: 5, numbers: 32, bytes: 24, scale: 0, minimum: 2, high: 4, small: 8, zero: 0 },
  Q4_K: { ...SIX, width: 4, numbers: 256, bytes: 144, scale: 0, small: 16 },
  Q5_K: { ...SIX, width: 5, numbers: 256, bytes: 176, scale: 0, high: 16, small: 48 },
  Q6_K: { width: 6, numbers: 256, bytes: 210, small: 0, high: 128, groups: 192, scale: 208, zero: 32, group: 16 },
};

/** The block that begins there in `view`, a DataView: its parts as they are stored. */
export function unpack(dtype, view, begin) {
  const kind = BLOCKS[dtype];
  const { width, numbers, scale, minimum, group = numbers } = kind;
  const byte = (at) => view.getUint8(begin + at);
  const half = (at) => view.getUint16(begin + at, true);
  const small = Array.from({ length: numbers }, (_, i) =>
    width === 8 ? view.getInt8(begin + kind.small + i) : lower(kind, byte, i) | (upper(kind, byte, i) << 4),
  );
  const at = { kind, group, scale: half(scale), minimum: minimum === undefined ? null : half(minimum), small };
  if (kind.groups === undefined) return { ...at, scales: [1], minimums: [1] };
  const signed = (_, i) => view.getInt8(begin + kind.groups + i);
  if (minimum === undefined) return { ...at, scales: Array.from({ length: numbers / group }, signed), minimums: [0] };
  return { ...at, ...sixBits((i) => byte(kind.groups + i)) };
}

/** The lower four bits of a small number: first the lower halves of a stretch of bytes, then the upper ones. */
function lower({ small, numbers, width }, byte, i) {
  const stretch = numbers === 32 ? 16 : width === 6 ? 64 : 32;
  const [turn, inside] = [Math.floor(i / stretch), i % stretch];
  return (byte(small + Math.floor(turn / 2) * stretch + inside) >> (4 * (turn % 2))) & 15;
}

/** The others: one after the other in blocks of 32; in K blocks a byte has those of numbers that lie 32 apart. */
function upper({ high, numbers, width }, byte, i) {
  if (high === undefined) return 0;
  if (numbers === 32) return (byte(high + Math.floor(i / 8)) >> (i % 8)) & 1;
  const [bits, turn] = [width - 4, Math.floor(i / 32)];
  const perByte = 8 / bits;
  return (byte(high + 32 * Math.floor(turn / perByte) + (i % 32)) >> (bits * (turn % perByte))) & (2 ** bits - 1);
}

/** Eight scales and eight minimums of six bits each, in twelve bytes. */
function sixBits(byte) {
  const four = [0, 1, 2, 3];
  const last = (i, from, shift) => ((byte(8 + i) >> shift) & 15) | ((byte(from + i) >> 6) << 4);
  return {
    scales: [...four.map((i) => byte(i) & 63), ...four.map((i) => last(i, 0, 0))],
    minimums: [...four.map((i) => byte(4 + i) & 63), ...four.map((i) => last(i, 4, 4))],
  };
}

/** What number i of a block is worth, in float32 arithmetic. */
export function worth({ kind, group, scale, minimum, small, scales, minimums }, i) {
  const g = Math.floor(i / group) % scales.length;
  const product = Math.fround(Math.fround(decode(scale, "float16") * scales[g]) * (small[i] - kind.zero));
  if (minimum === null) return product;
  const low = Math.fround(decode(minimum, "float16") * minimums[g]);
  return Math.fround(kind.groups === undefined ? product + low : product - low);
}

/** The sum that gives the value, as text; a number below zero in brackets. */
export function workingOut({ kind, group, scale, minimum, small, scales, minimums }, i) {
  const said = (value) => (value < 0 ? `(−${short(-value)})` : short(value));
  const [g, low] = [Math.floor(i / group) % scales.length, minimum === null ? "" : said(decode(minimum, "float16"))];
  const factor = kind.zero ? `(${small[i]} − ${kind.zero})` : said(small[i]);
  const first = said(decode(scale, "float16"));
  if (kind.groups === undefined) return `${first} × ${factor}${low && ` + ${low}`}`;
  return `${first} × ${said(scales[g])} × ${factor}${low && ` − ${low} × ${minimums[g]}`}`;
}

/** A number in five figures at most. */
export const short = (value) => String(Number(value.toPrecision(5))).replaceAll("-", "−");

/** The bits of a small number. */
export const bitsOf = (small, width) => ((small + 2 ** width) % 2 ** width).toString(2).padStart(width, "0");
