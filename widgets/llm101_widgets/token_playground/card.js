// The card of one tokenizer: how many tokens a text has, and each of them.

import { pageTokenizer, unpackRanks } from "../page/bpe.js";
import { tokenStep } from "../page/dom.js";
import { describe } from "../page/pieces.js";
import { inSlices } from "../page/slices.js";
import { counted, grouped } from "../page/words.js";
import { make, makeFlow, piecesOf, sum } from "./flow.js";

/** Dollars with two digits that say something: "$0.0012". */
export function dollars(amount) {
  if (!(amount > 0)) return "$0";
  return `$${amount.toFixed(Math.max(2, 1 - Math.floor(Math.log10(amount))))}`;
}

/** How large a vocabulary is: all its ids, and how many of them are text. */
export function sizeWords(vocabSize, runs) {
  const [all, text] = [vocabSize, sum(runs, ([, n]) => n)].map(grouped);
  return all === text ? `${all} tokens` : `${all} tokens, ${text} of them text`;
}

const splits = (entry) => (entry.splits ??= piecesOf(entry).flat().filter((p) => p.char && p.from === 0).length);

/** Work for slices.js: a text in words, and how many of its characters are split across tokens. */
export function* cut(text, tokenize) {
  const words = yield* tokenize(text);
  let split = 0;
  for (const entry of words) {
    split += splits(entry);
    yield;
  }
  return { words, split };
}

export function makeCard(name, { pattern, vocab_size, runs, packed }) {
  const count = make("strong", "count"), facts = make("span", "facts"), bar = make("div", "bar");
  const flow = makeFlow(), detail = make("p", "detail");
  const size = make("small", "", { textContent: sizeWords(vocab_size, runs) });
  const title = make("h4", "name", { textContent: name }, [size]);
  const parts = [title, make("p", "stats", {}, [count, facts]), bar, flow.node, detail];
  const node = make("section", "card", { ariaLabel: `Tokens by ${name}` }, parts);
  // Arrow keys go from token to token, and each is read out.
  Object.assign(flow.node, { role: "slider", ariaLabel: `Tokens by ${name}, one by one`, ariaValueMin: 1 });
  let [split, at, chosen, nTokens, tokenize] = [0, -1, null, 0, null];

  /** Shows a text's tokens; how many there are, or undefined if nobody wants them any more. */
  async function show(text, asIds, isWanted) {
    const found = await inSlices(cut(text, tokenize), isWanted);
    if (!found) return undefined;
    split = found.split;
    nTokens = sum(found.words, ({ ids }) => ids.length);
    flow.show(found.words, asIds);
    choose(-1);
    return nTokens;
  }

  function compare(characters, most, price) {
    count.textContent = counted(nTokens, "token");
    facts.textContent = [
      nTokens ? `${(characters / nTokens).toFixed(2)} characters per token` : "",
      price > 0 ? dollars((nTokens * price) / 1e6) : "",
      split ? `${counted(split, "character")} split across tokens` : "",
    ].filter(Boolean).join(" · "); // prettier-ignore
    bar.style.setProperty("--llm101-share", most ? nTokens / most : 0);
  }

  function choose(index) {
    chosen?.classList.remove("llm101-playground-chosen");
    at = Math.max(-1, Math.min(index, nTokens - 1));
    Object.assign(flow.node, { ariaValueMax: Math.max(1, nTokens), ariaValueNow: Math.max(1, at + 1) });
    const [entry, t, box] = at < 0 ? [] : flow.find(at);
    const about = entry ? `Token ${at + 1}: ${describe(entry, t)}` : "";
    detail.textContent = about || "Point at a token, or walk along them with the arrow keys.";
    flow.node.ariaValueText = about || "no token chosen";
    chosen = box ?? null;
    chosen?.classList.add("llm101-playground-chosen");
  }

  function pointAt(event) {
    const box = event.target.closest(".llm101-playground-token");
    if (box && box !== chosen) choose(flow.indexOf(box));
  }

  for (const event of ["pointerover", "click"]) flow.node.addEventListener(event, pointAt);
  flow.node.addEventListener("keydown", (event) => {
    const by = tokenStep(event.key);
    if (by === undefined) return;
    event.preventDefault();
    choose(Math.max(0, at + by));
    chosen?.scrollIntoView({ block: "nearest" });
  });
  const ready = unpackRanks(packed, runs).then((ranks) => (tokenize = pageTokenizer(pattern, ranks)));
  return { node, show, compare, ready, isReady: () => tokenize !== null, stop: flow.stop };
}
