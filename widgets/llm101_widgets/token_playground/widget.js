// TokenizerPlayground: type or paste, and see the tokens of several tokenizers side by side.
//
// Reads:  text shown price (the reader's), tokenizers (name, pattern, runs, packed of each)
// Writes: text shown price
// The page computes all tokens itself, so it needs no kernel once it is there.

import { pageTokenizer, unpackRanks } from "./bpe.js";
import { describe, hex, pieces, visible } from "./pieces.js";

const SAVE_AFTER_MS = 300; // without a key pressed, the kernel hears of the text
const SMALL_BLOCK = 100, LARGE_BLOCK = 300; // tokens that are laid out together, and only while they can be seen
const HUES = 4;

/** Dollars with two digits that say something: "$0.0012". */
export function dollars(amount) {
  if (!(amount > 0)) return "$0";
  return `$${amount.toFixed(Math.max(2, 1 - Math.floor(Math.log10(amount))))}`;
}

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

const piecesOf = (entry) => (entry.pieces ??= pieces(entry)); // kept with the word
const sum = (words, f) => words.reduce((total, entry) => total + f(entry), 0);
const splits = (entry) => (entry.splits ??= piecesOf(entry).flat().filter((p) => p.char && p.from === 0).length);

function make(tag, className, properties = {}, children = []) {
  const node = document.createElement(tag);
  if (className) node.className = `llm101-playground-${className}`;
  Object.assign(node, properties);
  node.append(...children);
  return node;
}

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
  return { boxes, nodes: entry.word.includes("\n") ? [...boxes, document.createElement("br")] : boxes };
}

/** Words that are painted together. In an edit, what stays the same keeps its boxes and their colours. */
function makeBlock(first, asIds) {
  const block = { node: make("div", "block"), words: [], painted: [], count: 0, edit };
  function edit(words) {
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
    block.words = words;
    block.count = sum(words, ({ ids }) => ids.length);
  }
  edit(first);
  return block;
}

/** The card of one tokenizer. */
function makeCard(info) {
  const count = make("strong", "count"), facts = make("span", "facts"), bar = make("div", "bar");
  const flow = make("div", "flow", { tabIndex: 0 }), detail = make("p", "detail");
  const size = `${sum(info.runs, ([, n]) => n).toLocaleString("en")} different tokens`;
  const title = make("h4", "name", { textContent: info.name }, [make("small", "", { textContent: size })]);
  const parts = [title, make("p", "stats", {}, [count, facts]), bar, flow, detail];
  const node = make("section", "card", { ariaLabel: `Tokens by ${info.name}` }, parts);
  // Arrow keys go from token to token, and each is read out.
  Object.assign(flow, { role: "slider", ariaLabel: `Tokens by ${info.name}, one by one`, ariaValueMin: 1 });
  let [words, blocks, asIds, at, chosen, nTokens, tokenize] = [[], [], false, -1, null, 0, null];

  function show(text, ids) {
    if (ids !== asIds) [words, blocks, asIds] = [[], (flow.replaceChildren(), []), ids];
    const next = tokenize(text);
    const [head, tail] = sameEnds(words, next);
    let [first, from, last, until] = [0, 0, blocks.length, words.length];
    while (first < last && from + blocks[first].words.length <= head) from += blocks[first++].words.length;
    while (last > first && until - blocks[last - 1].words.length >= words.length - tail)
      until -= blocks[--last].words.length;
    if (first === last && first > 0) from -= blocks[--first].words.length; // put in between two blocks: to the first
    if (blocks[last]?.count < SMALL_BLOCK) until += blocks[last++].words.length;
    const changed = blocksOf(next.slice(from, next.length - (words.length - until)));
    for (; first < last && changed.length; first++) blocks[first].edit(changed.shift());
    const fresh = changed.map((block) => makeBlock(block, asIds));
    const after = blocks[last]?.node ?? null;
    for (const old of blocks.splice(first, last - first, ...fresh)) old.node.remove();
    for (const block of fresh) flow.insertBefore(block.node, after);
    words = next;
    nTokens = sum(words, (entry) => entry.ids.length);
    choose(-1);
    return nTokens;
  }

  function compare(characters, most, price) {
    const split = sum(words, splits);
    count.textContent = `${nTokens.toLocaleString("en")} ${nTokens === 1 ? "token" : "tokens"}`;
    facts.textContent = [
      nTokens ? `${(characters / nTokens).toFixed(2)} characters per token` : "",
      price > 0 ? dollars((nTokens * price) / 1e6) : "",
      split ? `${split.toLocaleString("en")} ${split === 1 ? "character" : "characters"} split across tokens` : "",
    ].filter(Boolean).join(" · "); // prettier-ignore
    bar.style.setProperty("--llm101-share", most ? nTokens / most : 0);
  }

  function choose(index) {
    chosen?.classList.remove("llm101-playground-chosen");
    at = Math.max(-1, Math.min(index, nTokens - 1));
    Object.assign(flow, { ariaValueMax: Math.max(1, nTokens), ariaValueNow: Math.max(1, at + 1) });
    const [entry, t, box] = at < 0 ? [] : find(at);
    const about = entry ? `Token ${at + 1}: ${describe(entry, t)}` : "";
    detail.textContent = about || "Point at a token, or walk along them with the arrow keys.";
    flow.ariaValueText = about || "no token chosen";
    chosen = box ?? null;
    chosen?.classList.add("llm101-playground-chosen");
  }

  function find(index) {
    for (const block of blocks) {
      if (index >= block.count) index -= block.count;
      else for (const [i, entry] of block.words.entries()) {
        if (index < entry.ids.length) return [entry, index, block.painted[i].boxes[index]];
        index -= entry.ids.length;
      }
    }
  }

  function pointAt(event) {
    const box = event.target.closest(".llm101-playground-token");
    if (box && box !== chosen) choose([...flow.querySelectorAll(".llm101-playground-token")].indexOf(box));
  }

  for (const name of ["pointerover", "click"]) flow.addEventListener(name, pointAt);
  flow.addEventListener("keydown", (event) => {
    const to = { ArrowRight: at + 1, ArrowDown: at + 10, ArrowLeft: Math.max(0, at - 1), ArrowUp: Math.max(0, at - 10),
      PageDown: at + 50, PageUp: Math.max(0, at - 50), Home: 0, End: nTokens - 1 }[event.key]; // prettier-ignore
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
    chosen?.scrollIntoView({ block: "nearest" });
  });
  const ready = unpackRanks(info.packed, info.runs).then((ranks) => (tokenize = pageTokenizer(info.pattern, ranks)));
  return { node, show, compare, ready, isReady: () => tokenize !== null };
}

function render({ model, el }) {
  const text = make("textarea", "text", { rows: 5, spellcheck: false, maxLength: 200_000 });
  const price = make("input", "", { type: "number", min: 0, max: 1000, step: "any" });
  const asIds = make("input", "", { type: "checkbox" });
  const boxes = model.get("tokenizers").map(({ name }) => make("input", "", { type: "checkbox", value: name }));
  const chips = boxes.map((box) => make("label", "chip", {}, [box, box.value]));
  const choice = make("fieldset", "choice", {}, [make("legend", "", { textContent: "Tokenizers" }), ...chips]);
  const settings = make("div", "settings", {}, [
    make("label", "", {}, ["$ ", price, " per million tokens"]), make("label", "", {}, [asIds, " Show ids"]),
  ]); // prettier-ignore
  const error = make("p", "error", { role: "alert" }), cards = make("div", "cards");
  const field = make("label", "field", {}, ["Type or paste any text", text]);
  el.append(make("section", "root", { ariaLabel: "Tokenizer playground" }, [field, choice, settings, error, cards]));
  const made = new Map();
  let saving = 0;

  function cardOf(info) {
    if (!made.has(info.name)) {
      const card = makeCard(info);
      made.set(info.name, card);
      const complain = (failure) => (error.textContent = `${info.name} does not work here: ${failure.message}`);
      card.ready.then(paint, complain);
    }
    return made.get(info.name);
  }

  function paint() {
    const chosen = model.get("tokenizers").filter(({ name }) => model.get("shown").includes(name)).map(cardOf);
    if (chosen.some(({ node }, i) => cards.children[i] !== node) || cards.children.length !== chosen.length)
      cards.replaceChildren(...chosen.map(({ node }) => node));
    const ready = chosen.filter(({ isReady }) => isReady());
    const most = Math.max(0, ...ready.map((card) => card.show(text.value, asIds.checked)));
    const characters = [...text.value].length;
    for (const card of ready) card.compare(characters, most, Number(model.get("price")));
  }

  function save() {
    clearTimeout(saving);
    if (text.value === model.get("text")) return;
    model.set("text", text.value);
    model.save_changes();
  }

  function showState() {
    if (document.activeElement !== text || !saving) text.value = model.get("text");
    if (document.activeElement !== price) price.value = model.get("price");
    for (const box of boxes) box.checked = model.get("shown").includes(box.value);
    paint();
  }

  text.addEventListener("input", () => {
    paint();
    clearTimeout(saving);
    saving = setTimeout(() => (save(), (saving = 0)), SAVE_AFTER_MS);
  });
  text.addEventListener("change", save);
  asIds.addEventListener("change", paint);
  price.addEventListener("input", () => {
    const value = Number(price.value);
    if (price.value === "" || !(value >= 0 && value <= 1000)) return;
    model.set("price", value);
    model.save_changes();
  });
  choice.addEventListener("change", () => {
    model.set("shown", boxes.filter((box) => box.checked).map((box) => box.value));
    model.save_changes();
  });
  for (const name of ["text", "shown", "price"]) model.on(`change:${name}`, showState);
  showState();
  return () => clearTimeout(saving);
}

export default { render };
