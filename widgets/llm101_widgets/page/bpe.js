// Byte-pair encoding in the page: the same tokens as tiktoken, from the same ranks and the same pattern.
//
// Reading order: pageRegExp (how text is cut into words), unpackRanks, pageTokenizer, mergeWord, inParts. What may take
// long is a generator, for slices.js. Knows nothing of widgets, nor of what a token looks like (pieces.js).

import { inSlices } from "./slices.js";

const PART = 100; // tokens of a word that are shown together: some words fill a book
const OFTEN = 256; // so many small things are done between two places at which to stop

/** A pattern of tiktoken's (Rust) as a JavaScript regular expression that finds the same words. */
export function pageRegExp(pattern) {
  const bothCases = (letters) =>
    [...letters].map((c) => c + c.toUpperCase() + ({ s: "ſ", k: "K" }[c] ?? "")).join(""); // and the Kelvin sign
  const plain = pattern
    // "++" gives nothing up again. None of the published patterns finds other words without that, only more slowly.
    .replace(/(\\[pP]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*\]|[^\\[])([+*?]|\{\d+(?:,\d*)?\})\+/gs, "$1$2")
    .replace(/\(\?i:((?:[^()]|\(\?:[^()]*\))*)\)/g, (_, body) =>
      `(?:${body.replace(/\[([a-z]+)\]|([a-z])/g, (__, many, one) => `[${bothCases(many ?? one)}]`)})`)
    // \s in JavaScript is another set: it has U+FEFF and lacks U+0085
    .replace(/\\(.)/gs, (escape, c) => ({ s: "\\p{White_Space}", S: "\\P{White_Space}" })[c] ?? escape);
  return new RegExp(plain, "gu");
}

export const asKey = new TextDecoder("latin1"); // each byte one character: bytes that can be keys of a Map
export const asBytes = new TextEncoder();
const asText = new TextDecoder("utf-8", { ignoreBOM: true });

/** Map token -> id, from zlib-compressed lengths (a byte each) and bytes, and from runs [first id, count]. */
export async function unpackRanks(packed, runs) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const plain = new Uint8Array(await new Response(stream).arrayBuffer());
  const n = runs.reduce((sum, [, count]) => sum + count, 0);
  return inSlices(readRanks(plain.subarray(0, n), asKey.decode(plain.subarray(n)), runs));
}

function* readRanks(lengths, all, runs) {
  const ranks = new Map();
  let [token, start] = [0, 0];
  for (const [first, count] of runs) {
    for (let id = first; id < first + count; id++) {
      ranks.set(all.slice(start, (start += lengths[token++])), id);
      if (token % OFTEN === 0) yield;
    }
  }
  return ranks;
}

/**
 * A tokenizer: text in, its words out, each with its token ids; a very long word in parts. The same word is always the
 * same object.
 */
export function pageTokenizer(pattern, ranks) {
  const regExp = pageRegExp(pattern);
  let longest = 0;
  for (const key of ranks.keys()) longest = Math.max(longest, key.length);
  let known = new Map();
  return function* tokenize(text) {
    if (known.size > 100_000) known = new Map();
    const words = [];
    for (const [word] of text.matchAll(regExp)) {
      if (!known.has(word)) known.set(word, yield* inParts(yield* mergeWord(word, ranks, longest)));
      for (const part of known.get(word)) words.push(part);
      yield;
    }
    return words;
  };
}

/** A word's bytes, the ids of its tokens and where each of them ends: lowest rank first, of equals the leftmost. */
export function* mergeWord(word, ranks, longest = Infinity) {
  const bytes = asBytes.encode(word);
  const [key, n] = [asKey.decode(bytes), bytes.length];
  if (ranks.has(key)) return { word, bytes, ids: [ranks.get(key)], ends: [n] };
  const end = new Int32Array(n), before = new Int32Array(n); // of the piece that starts at i; where the one before does
  const rank = new Int32Array(n).fill(-1); // of the piece at i joined to the next one
  const heap = [];
  for (let i = 0; i < n; i++) [end[i], before[i]] = [i + 1, i - 1];
  const consider = (i) => {
    rank[i] = -1;
    if (end[i] === n || end[end[i]] - i > longest) return;
    rank[i] = ranks.get(key.slice(i, end[end[i]])) ?? -1;
    if (rank[i] >= 0) push(heap, rank[i] * 2 ** 26 + i); // orders by rank, then by place
  };
  for (let i = 0; i < n - 1; i++) {
    consider(i);
    if (i % OFTEN === 0) yield;
  }
  for (let merges = 1; heap.length; merges++) {
    if (merges % OFTEN === 0) yield;
    const next = pop(heap);
    const i = next % 2 ** 26;
    if (rank[i] !== (next - i) / 2 ** 26) continue; // one of the two was merged with something else meanwhile
    rank[end[i]] = -1;
    end[i] = end[end[i]];
    if (end[i] < n) before[end[i]] = i;
    consider(i);
    if (i > 0) consider(before[i]);
  }
  const [ids, ends] = [[], []];
  for (let i = 0; i < n; i = end[i]) {
    ids.push(ranks.get(key.slice(i, end[i])));
    if (ends.push(end[i]) % OFTEN === 0) yield;
  }
  return { word, bytes, ids, ends };
}

/** A word as words of at most so many tokens, cut between whole characters where there is such a place. */
export function* inParts(entry, most = PART) {
  if (entry.ids.length <= most) return [entry];
  const isCut = (at) => (entry.bytes[at] & 0xc0) !== 0x80; // a character starts here, or nothing follows
  const parts = [];
  for (let from = 0, t = 1; t <= entry.ids.length; t++) {
    if (t < entry.ids.length && (t - from < most || !isCut(entry.ends[t - 1]))) continue;
    const start = entry.ends[from - 1] ?? 0, bytes = entry.bytes.slice(start, entry.ends[t - 1]);
    const ends = entry.ends.slice(from, t).map((end) => end - start);
    parts.push({ word: asText.decode(bytes), bytes, ids: entry.ids.slice(from, t), ends });
    from = t;
    yield;
  }
  return parts;
}

function push(heap, value) {
  let i = heap.push(value) - 1;
  while (i > 0 && heap[(i - 1) >> 1] > value) {
    heap[i] = heap[(i - 1) >> 1];
    i = (i - 1) >> 1;
  }
  heap[i] = value;
}

function pop(heap) {
  const [top, value] = [heap[0], heap.pop()];
  for (let i = 0, child = 1; heap.length; i = child, child = 2 * i + 1) {
    if (child + 1 < heap.length && heap[child + 1] < heap[child]) child++;
    if (child >= heap.length || heap[child] >= value) {
      heap[i] = value;
      break;
    }
    heap[i] = heap[child];
  }
  return top;
}
