// Byte-pair encoding in the page: the same tokens as tiktoken, from the same ranks and the same pattern.
//
// Reading order: pageRegExp (how text is cut into words), unpackRanks, pageTokenizer, mergeWord. Knows nothing of
// widgets, nor of what a token looks like (pieces.js).

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

/** Map token -> id, from zlib-compressed lengths (a byte each) and bytes, and from runs [first id, count]. */
export async function unpackRanks(packed, runs) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const plain = new Uint8Array(await new Response(stream).arrayBuffer());
  const n = runs.reduce((sum, [, count]) => sum + count, 0);
  const all = asKey.decode(plain.subarray(n));
  const ranks = new Map();
  let [token, start] = [0, 0];
  for (const [first, count] of runs) {
    for (let id = first; id < first + count; id++) {
      ranks.set(all.slice(start, (start += plain[token++])), id);
    }
  }
  return ranks;
}

/** A tokenizer: text in, its words out, each with its token ids. The same word is always the same object. */
export function pageTokenizer(pattern, ranks) {
  const regExp = pageRegExp(pattern);
  let longest = 0;
  for (const key of ranks.keys()) longest = Math.max(longest, key.length);
  let known = new Map();
  return function tokenize(text) {
    if (known.size > 100_000) known = new Map();
    return (text.match(regExp) ?? []).map((word) => {
      let entry = known.get(word);
      if (!entry) known.set(word, (entry = mergeWord(word, ranks, longest)));
      return entry;
    });
  };
}

/** A word's bytes, the ids of its tokens and where each of them ends: lowest rank first, of equals the leftmost. */
export function mergeWord(word, ranks, longest = Infinity) {
  const bytes = asBytes.encode(word);
  const [key, n] = [asKey.decode(bytes), bytes.length];
  if (ranks.has(key)) return { word, bytes, ids: [ranks.get(key)], ends: [n] };
  const end = Int32Array.from({ length: n }, (_, i) => i + 1); // of the piece that starts at i
  const before = Int32Array.from({ length: n }, (_, i) => i - 1); // where the piece before it starts
  const rank = new Int32Array(n).fill(-1); // of the piece at i joined to the next one
  const heap = [];
  const consider = (i) => {
    rank[i] = -1;
    if (end[i] === n || end[end[i]] - i > longest) return;
    rank[i] = ranks.get(key.slice(i, end[end[i]])) ?? -1;
    if (rank[i] >= 0) push(heap, rank[i] * 2 ** 26 + i); // orders by rank, then by place
  };
  for (let i = 0; i < n - 1; i++) consider(i);
  while (heap.length) {
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
    ends.push(end[i]);
  }
  return { word, bytes, ids, ends };
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
