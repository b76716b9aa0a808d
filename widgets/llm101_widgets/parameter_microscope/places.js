// Places in a tensor, and what a number there looks like on the map.
//
// Reading order: place, move, seen (where), flip (what was changed), colour, part.

import { BLOCKS } from "./blocks.js";

export const clamp = (i, size) => Math.min(size - 1, Math.max(0, Math.floor(i)));
const STRETCH = 64; // so many quantised numbers of a row are seen at a time

/** The list of changed numbers once a bit of `number` is flipped; a number that is as it was at first drops out. */
export function flip(changed, number, bit) {
  const others = changed.filter((c) => c.tensor !== number.tensor || `${c.index}` !== `${number.index}`);
  const after = (number.after ^ (2 ** bit)) >>> 0;
  return after === number.before ? others : [...others, { ...number, after }];
}

/** One place per axis, for a number counted along the rows. */
export function place(index, shape) {
  return shape.map((size, axis) => Math.floor(index / shape.slice(axis + 1).reduce((n, m) => n * m, 1)) % size);
}

/** Where a key leads in a matrix of numbers; the edges hold. */
export function move(index, key, [rows, columns]) {
  const [row, column] = [Math.floor(index / columns), index % columns];
  const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    PageUp: [-16, 0], PageDown: [16, 0], Home: [0, -column], End: [0, columns] }[key] ?? [0, 0]; // prettier-ignore
  return clamp(row + down, rows) * columns + clamp(column + right, columns);
}

/** Blue below zero, orange above, nothing at zero, at full strength from the limit on. */
export function colour(value, limit) {
  return `rgb(${value < 0 ? "58 126 240" : "232 119 0"} / ${Math.min(1, Math.abs(value) / limit).toFixed(3)})`;
}

/** The part of the window that is seen: all of it, of wide blocks the stretch that the chosen number lies in. */
export function seen({ row, column, rows, columns, matrix }, dtype, index) {
  const first = column + (dtype in BLOCKS) * STRETCH * Math.floor(((index % matrix[1]) - column) / STRETCH);
  return { row, rows, column: first, columns: dtype in BLOCKS ? Math.min(STRETCH, column + columns - first) : columns };
}

/** Which part of a model a tensor belongs to, going by its name. */
export function part(name) {
  const embeddings = /embd|embed|wte|wpe|lm_head|^output\./;
  const parts = { embeddings, norms: /norm|ln_/, attention: /attn|attention/, MLP: /mlp|ffn/ };
  return Object.keys(parts).find((key) => parts[key].test(name)) ?? "others";
}
