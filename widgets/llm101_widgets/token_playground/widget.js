// TokenizerPlayground: type or paste, and see the tokens of several tokenizers side by side.
//
// Reads:  text shown price (the reader's), names, vocabularies (pattern, runs, packed of those that were shown)
// Writes: text shown price; the kernel answers a new name in shown with its vocabulary
// The page computes all tokens itself, so for the vocabularies that it has it needs no kernel.

import { pageTokenizer, unpackRanks } from "./bpe.js";
import { make, makeFlow, piecesOf, sum } from "./flow.js";
import { describe } from "./pieces.js";

const SAVE_AFTER_MS = 300; // without a key pressed, the kernel hears of the text

/** Dollars with two digits that say something: "$0.0012". */
export function dollars(amount) {
  if (!(amount > 0)) return "$0";
  return `$${amount.toFixed(Math.max(2, 1 - Math.floor(Math.log10(amount))))}`;
}

const splits = (entry) => (entry.splits ??= piecesOf(entry).flat().filter((p) => p.char && p.from === 0).length);

/** The card of one tokenizer. */
function makeCard(name, { pattern, runs, packed }) {
  const count = make("strong", "count"), facts = make("span", "facts"), bar = make("div", "bar");
  const flow = makeFlow(), detail = make("p", "detail");
  const size = `${sum(runs, ([, n]) => n).toLocaleString("en")} different tokens`;
  const title = make("h4", "name", { textContent: name }, [make("small", "", { textContent: size })]);
  const parts = [title, make("p", "stats", {}, [count, facts]), bar, flow.node, detail];
  const node = make("section", "card", { ariaLabel: `Tokens by ${name}` }, parts);
  // Arrow keys go from token to token, and each is read out.
  Object.assign(flow.node, { role: "slider", ariaLabel: `Tokens by ${name}, one by one`, ariaValueMin: 1 });
  let [words, at, chosen, nTokens, tokenize] = [[], -1, null, 0, null];

  function show(text, asIds) {
    words = tokenize(text);
    nTokens = sum(words, ({ ids }) => ids.length);
    flow.show(words, asIds);
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
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, PageDown: 50, PageUp: -50,
      Home: -Infinity, End: Infinity }[event.key]; // prettier-ignore
    if (by === undefined) return;
    event.preventDefault();
    choose(Math.max(0, at + by));
    chosen?.scrollIntoView({ block: "nearest" });
  });
  const ready = unpackRanks(packed, runs).then((ranks) => (tokenize = pageTokenizer(pattern, ranks)));
  return { node, show, compare, ready, isReady: () => tokenize !== null };
}

function render({ model, el }) {
  const text = make("textarea", "text", { rows: 5, spellcheck: false, maxLength: 200_000 });
  const price = make("input", "", { type: "number", min: 0, max: 1000, step: "any" });
  const asIds = make("input", "", { type: "checkbox" });
  const boxes = model.get("names").map((value) => make("input", "", { type: "checkbox", value }));
  const chips = boxes.map((box) => make("label", "chip", {}, [box, box.value]));
  const choice = make("fieldset", "choice", {}, [make("legend", "", { textContent: "Tokenizers" }), ...chips]);
  const settings = make("div", "settings", {}, [
    make("label", "", {}, ["$ ", price, " per million tokens"]), make("label", "", {}, [asIds, " Show ids"]),
  ]); // prettier-ignore
  const error = make("p", "error", { role: "alert" }), cards = make("div", "cards");
  const waiting = make("p", "waiting", { role: "status" });
  const field = make("label", "field", {}, ["Type or paste any text", text]);
  const all = [field, choice, settings, error, waiting, cards];
  el.append(make("section", "root", { ariaLabel: "Tokenizer playground" }, all));
  const made = new Map();
  let saving = 0;

  function cardOf(name) {
    if (!made.has(name)) {
      const card = makeCard(name, model.get("vocabularies")[name]);
      made.set(name, card);
      const complain = (failure) => (error.textContent = `${name} does not work here: ${failure.message}`);
      card.ready.then(paint, complain);
    }
    return made.get(name);
  }

  function paint() {
    const names = model.get("names").filter((name) => model.get("shown").includes(name));
    const missing = names.filter((name) => !(name in model.get("vocabularies")));
    waiting.textContent = missing.length ? `Waiting for the kernel to send what ${missing.join(" and ")} knows.` : "";
    const chosen = names.filter((name) => !missing.includes(name)).map(cardOf);
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
  for (const name of ["text", "shown", "price", "vocabularies"]) model.on(`change:${name}`, showState);
  showState();
  return () => clearTimeout(saving);
}

export default { render };
