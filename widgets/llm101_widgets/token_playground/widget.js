// TokenizerPlayground: type or paste, and see the tokens of several tokenizers side by side.
//
// Reads:  text shown price (the reader's), names, vocabularies (see packed_ranks.py) of those that were shown
// Writes: text shown price; the kernel answers a new name in shown with its vocabulary
// The page computes all tokens itself, so for the vocabularies that it has it needs no kernel.

import { lineToPython } from "../page/kernel.js";
import { numberField } from "../page/number_field.js";
import { onChange, save, saveWhileTyping } from "../page/traits.js";
import { grouped } from "../page/words.js";
import { makeCard } from "./card.js";
import { make } from "./flow.js";

const BUSY_AFTER_MS = 150; // a reader is told that a long text takes a moment

/** Characters as readers count them: one that takes two places in a string is one. */
export const countCharacters = (text) => text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);

function render({ model, el }) {
  const text = make("textarea", "text", { rows: 5, spellcheck: false, maxLength: 200_000 });
  const price = numberField({ min: 0, max: 1000, step: "any" }, () => model.get("price"));
  const asIds = make("input", "", { type: "checkbox" });
  const boxes = model.get("names").map((value) => make("input", "", { type: "checkbox", value }));
  const chips = boxes.map((box) => make("label", "chip", {}, [box, box.value]));
  const choice = make("fieldset", "choice", {}, [make("legend", "", { textContent: "Tokenizers" }), ...chips]);
  const settings = make("div", "settings", {}, [
    make("label", "", {}, ["$ ", price.input, " per million tokens"]), make("label", "", {}, [asIds, " Show ids"]),
  ]); // prettier-ignore
  const error = make("p", "llm101-error", { role: "alert" }), cards = make("div", "cards");
  const waiting = make("p", "waiting", { role: "status" });
  const field = make("label", "llm101-field", {}, ["Type or paste any text", text]);
  const all = [field, choice, settings, error, waiting, cards];
  el.append(make("section", "root", { ariaLabel: "Tokenizer playground" }, all));
  const line = lineToPython(model, (words) => (error.textContent = words));
  const made = new Map();
  let rounds = 0, busy = 0;

  function cardOf(name) {
    if (!made.has(name)) {
      const card = makeCard(name, model.get("vocabularies")[name]);
      made.set(name, card);
      const complain = (failure) => (error.textContent = `${name} does not work here: ${failure.message}`);
      card.ready.then(paint, complain);
    }
    return made.get(name);
  }

  const missing = () => model.get("shown").filter((name) => !(name in model.get("vocabularies")));

  /** What the reader waits for: a vocabulary, or the tokens of a long text. */
  function sayWaiting(long = 0) {
    const names = missing().join(" and ");
    waiting.textContent = long ? `Cutting ${grouped(long)} characters into tokens …`
      : names && `Waiting for the kernel to send what ${names} knows.`; // prettier-ignore
  }

  /** All cards of the text as it is now. A later round takes the place of one that is not done yet. */
  async function paint() {
    const round = ++rounds, isWanted = () => round === rounds;
    const names = model.get("names").filter((name) => model.get("shown").includes(name) && !missing().includes(name));
    const chosen = names.map(cardOf);
    if (chosen.some(({ node }, i) => cards.children[i] !== node) || cards.children.length !== chosen.length)
      cards.replaceChildren(...chosen.map(({ node }) => node));
    const ready = chosen.filter(({ isReady }) => isReady());
    const characters = countCharacters(text.value);
    clearTimeout(busy);
    busy = setTimeout(sayWaiting, BUSY_AFTER_MS, characters);
    let most = 0;
    for (const card of ready) {
      const nTokens = await card.show(text.value, asIds.checked, isWanted);
      if (nTokens === undefined) return;
      most = Math.max(most, nTokens);
    }
    clearTimeout(busy);
    sayWaiting();
    for (const card of ready) card.compare(characters, most, model.get("price"));
  }

  function showState() {
    if (!typing.isPending() && text.value !== model.get("text")) text.value = model.get("text");
    if (document.activeElement !== price.input) price.input.value = model.get("price");
    for (const box of boxes) box.checked = model.get("shown").includes(box.value);
    if (!missing().length) line.heard();
    paint();
  }

  text.addEventListener("input", paint);
  const typing = saveWhileTyping(model, "text", text);
  asIds.addEventListener("change", paint);
  price.input.addEventListener("input", () => save(model, { price: price.value() }));
  choice.addEventListener("change", () => {
    error.textContent = "";
    save(model, { shown: boxes.filter((box) => box.checked).map((box) => box.value) });
    if (missing().length) line.expect();
  });
  onChange(model, ["text", "shown", "price", "vocabularies"], showState);
  showState();
  return () => {
    typing.cancel();
    clearTimeout(busy);
    rounds++; // whatever still goes on is wanted by nobody
    for (const card of made.values()) card.stop();
  };
}

export default { render };
