// Tokens on the page, in blocks: a block is painted when it comes near the view, and after an edit only what changed.
//
// Reading order: sameEnds and blocksOf (what to keep, what to make), paintWord, makeBlock, makeFlow. A word is what
// bpe.js makes of it.

import { makers } from "../page/dom.js";
import { hex, pieces, visible } from "../page/pieces.js";

export const { make } = makers("llm101-playground");
const SMALL_BLOCK = 50, LARGE_BLOCK = 150; // tokens that are painted together
const AT_ONCE = 2; // blocks that are painted without waiting to be seen
const HUES = 4, NEAR = "200px", TOKEN_HEIGHT = 4; // px: where a token is, before it is painted

/** How many words two lists share at their beginning and, after that, at their end. */
export function sameEnds(a, b) {
  const shorter = Math.min(a.length, b.length);
  let [head, tail] = [0, 0];
  while (head < shorter && a[head] === b[head]) head++;
  while (tail < shorter - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  return [head, tail];
}

/** Words in blocks of a few hundred tokens, cut where a line ends if one does. */
export function blocksOf(words) {
  const blocks = [];
  let [block, size] = [[], 0];
  for (const entry of words) {
    block.push(entry);
    size += entry.ids.length;
    if (size >= LARGE_BLOCK || (size >= SMALL_BLOCK && entry.word.includes("\n"))) {
      blocks.push(block);
      [block, size] = [[], 0];
    }
  }
  return block.length ? [...blocks, block] : blocks;
}

export const piecesOf = (entry) => (entry.pieces ??= pieces(entry)); // kept with the word
export const sum = (words, f) => words.reduce((total, entry) => total + f(entry), 0);

/** A word on the page: a box for each token, and the end of a line where the word holds one. */
function paintWord(entry, asIds) {
  const boxes = piecesOf(entry).map((parts, t) => {
    const box = make("span", "token");
    if (asIds) box.append(entry.ids[t]);
    else for (const part of parts) {
      if (part.char) box.append(make("i", "bytes", { textContent: hex(part.bytes) }));
      else for (const [kind, s] of visible(part.text))
        box.append(kind === "sign" ? make("i", "sign", { textContent: s }) : s);
    }
    return box;
  });
  return { boxes, nodes: entry.word.includes("\n") ? [...boxes, make("br")] : boxes };
}

/** Words that are painted together. In an edit, what stays the same keeps its boxes and their colours. */
function makeBlock(first, asIds) {
  const block = { node: make("div", "block"), words: [], painted: null, count: 0, edit, paint };

  function edit(words) {
    if (block.painted) repaint(words);
    block.words = words;
    block.count = sum(words, ({ ids }) => ids.length);
    if (!block.painted) block.node.style.minHeight = `${TOKEN_HEIGHT * block.count}px`;
  }

  function paint() {
    if (block.painted) return;
    const words = block.words;
    [block.words, block.painted] = [[], []];
    block.node.style.minHeight = "";
    edit(words);
  }

  function repaint(words) {
    const [head, tail] = sameEnds(block.words, words);
    const fresh = words.slice(head, words.length - tail).map((entry) => paintWord(entry, asIds));
    for (const { nodes } of block.painted.splice(head, block.words.length - head - tail, ...fresh))
      for (const node of nodes) node.remove();
    const next = block.painted[head + fresh.length]?.boxes[0] ?? null;
    const boxes = fresh.flatMap((word) => word.boxes);
    let hue = block.painted[head - 1]?.boxes.at(-1).hue ?? HUES - 1;
    for (const box of boxes) box.hue = hue = (hue + 1) % HUES;
    if (boxes.length && next?.hue === hue) boxes.at(-1).hue = (hue + 1) % HUES; // neighbours never look alike
    for (const box of boxes) box.classList.add(`llm101-playground-hue-${box.hue}`);
    for (const { nodes } of fresh) for (const node of nodes) block.node.insertBefore(node, next);
  }
  edit(first);
  return block;
}

/** A stretch of tokens on the page. */
export function makeFlow() {
  const node = make("div", "flow", { tabIndex: 0 });
  let [words, blocks, asIds] = [[], [], false];
  const paintSeen = (seen) => {
    const nodes = new Set(seen.filter(({ isIntersecting }) => isIntersecting).map(({ target }) => target));
    for (const block of blocks) if (nodes.has(block.node)) block.paint();
    for (const target of nodes) watch.unobserve(target);
  };
  const watch = new IntersectionObserver(paintSeen, { root: node, rootMargin: NEAR });

  function show(next, ids) {
    if (ids !== asIds) [words, blocks, asIds] = [[], (node.replaceChildren(), []), ids];
    const [head, tail] = sameEnds(words, next);
    let [first, from, last, until] = [0, 0, blocks.length, words.length]; // which blocks, and which words, change
    while (first < last && from + blocks[first].words.length <= head) from += blocks[first++].words.length;
    while (last > first && until - blocks[last - 1].words.length >= words.length - tail)
      until -= blocks[--last].words.length;
    if (first === last && first > 0) from -= blocks[--first].words.length; // put in between two blocks: to the first
    if (blocks[last]?.count < SMALL_BLOCK) until += blocks[last++].words.length;
    const changed = blocksOf(next.slice(from, next.length - (words.length - until)));
    for (; first < last && changed.length; first++) blocks[first].edit(changed.shift());
    const fresh = changed.map((block) => makeBlock(block, asIds));
    const after = blocks[last]?.node ?? null;
    for (const old of blocks.splice(first, last - first, ...fresh)) {
      watch.unobserve(old.node);
      old.node.remove();
    }
    for (const block of fresh) {
      node.insertBefore(block.node, after);
      watch.observe(block.node);
    }
    for (const block of blocks.slice(0, AT_ONCE)) block.paint();
    words = next;
  }

  /** Where a token is: its word, its number in the word, its box. */
  function find(index) {
    for (const block of blocks) {
      if (index >= block.count) index -= block.count;
      else for (const [i, entry] of block.words.entries()) {
        block.paint();
        if (index < entry.ids.length) return [entry, index, block.painted[i].boxes[index]];
        index -= entry.ids.length;
      }
    }
  }

  /** The other way round: the number of a token, from its box. */
  function indexOf(box) {
    const at = blocks.findIndex((block) => block.node.contains(box));
    const before = blocks.slice(0, at).reduce((total, { count }) => total + count, 0);
    return before + blocks[at].painted.flatMap(({ boxes }) => boxes).indexOf(box);
  }

  return { node, show, find, indexOf, stop: () => watch.disconnect() };
}
