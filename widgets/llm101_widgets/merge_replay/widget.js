// MergeReplay: a text falls into single bytes, and the merges that a tokenizer learned join them again, one by one.
//
// Reads:  text step (the reader's), merges ([left, right], a character for each byte), counts, pattern
// Writes: text step (how many merges are made)
// The page replays everything itself, so it needs no kernel once it is there.

import { asBytes, asKey, pageRegExp } from "../page/bpe.js";
import { clock } from "../page/clock.js";
import { makers } from "../page/dom.js";
import { numberField } from "../page/number_field.js";
import { bytesOf, hex, pieces, spell, visible } from "../page/pieces.js";
import { onChange, save, saveWhileTyping } from "../page/traits.js";
import { counted, grouped } from "../page/words.js";

const { make, draw } = makers("llm101-replay");
const PLAY_EVERY_MS = 700, AROUND = 3; // neighbours shown on each side of a merge
const [WIDTH, HEIGHT] = [640, 120]; // of the curve, in its own units

/** Which merge joins two pieces: Map "how long is the left one, both" -> its number, from 0. */
export function numberMerges(merges) {
  const numbers = new Map();
  merges.forEach(([left, right], k) => {
    const pair = `${left.length} ${asKey.decode(bytesOf(left + right))}`;
    if (!numbers.has(pair)) numbers.set(pair, k);
  });
  return numbers;
}

/** All that happens to the words: single bytes first (made: 0 merges), then a step {made, ends, fresh} per change. */
export function replay(words, numbers) {
  const keys = words.map((word) => asKey.decode(asBytes.encode(word)));
  const numberAt = (key, start, middle, end) =>
    numbers.get(`${middle - start} ${key.slice(start, end)}`) ?? Infinity;
  let ends = keys.map((key) => [...key].map((_, i) => i + 1));
  const steps = [{ made: 0, ends, fresh: ends.map(() => []) }];
  const inWord = (word, w) => word.slice(1).map((end, i) => numberAt(keys[w], word[i - 1] ?? 0, word[i], end));
  let inWords = ends.map(inWord);
  for (;;) {
    const next = inWords.reduce((least, word) => word.reduce((a, b) => Math.min(a, b), least), Infinity);
    if (next === Infinity) return steps;
    const fresh = ends.map(() => []), joins = inWords.map((word) => word.includes(next));
    ends = ends.map((word, w) => (joins[w] ? joinAll(word, inWords[w], next, fresh[w]) : word));
    inWords = inWords.map((word, w) => (joins[w] ? inWord(ends[w], w) : word)); // the other words are as they were
    steps.push({ made: next + 1, ends, fresh });
  }
}

function joinAll(word, numbers, which, fresh) {
  const joined = [];
  for (let i = 0; i < word.length; i++) {
    if (numbers[i] === which) fresh.push(joined.push(word[++i]) - 1); // aa in aaa: from the left, each piece once
    else joined.push(word[i]);
  }
  return joined;
}

/** The last of the steps that has happened once so many merges are made. */
export function stepAt(steps, made) {
  let index = steps.length - 1;
  while (steps[index].made > made) index--;
  return index;
}

const nPieces = (step) => step.ends.reduce((sum, word) => sum + word.length, 0);

/** A piece in words: its text, or the bytes of it that are no whole character. */
function spellParts(parts) {
  return parts.map((part) => (part.char ? hex(part.bytes) : visible(part.text).map(([, s]) => s).join(""))).join("");
}

/** Where the curve is after so many merges: across by their logarithm, down by the pieces that are gone. */
function place(made, count, nMerges, most) {
  return [(WIDTH * Math.log(1 + made)) / Math.log(1 + nMerges), HEIGHT * (1 - count / most)];
}

function render({ model, el }) {
  const merges = model.get("merges"), counts = model.get("counts"), numbers = numberMerges(merges);
  const text = make("textarea", "text", { rows: 2, spellcheck: false, maxLength: 2000 });
  const buttons = ["|◀ Bytes", "◀ Change", "Change ▶", "▶| All merges", "▶ Play"].map((textContent) =>
    make("button", "", { type: "button", textContent }));
  const slider = make("input", "slider", { type: "range", min: 0, step: 1, ariaLabel: "Changes of this text" });
  const exact = numberField({ min: 0, max: merges.length }, () => model.get("step"));
  const flow = make("p", "flow"), caption = make("p", "caption", { role: "status" });
  const near = make("ol", "near");
  const svg = draw("svg", { viewBox: `-6 -40 ${WIDTH + 12} ${HEIGHT + 100}`, role: "img", class: "curve" });
  const label = make("label", "exact", {}, ["after ", exact.input, ` of ${grouped(merges.length)} merges`]);
  el.append(make("section", "root", { ariaLabel: "Merge replay" }, [
    make("label", "llm101-field", {}, ["A text to watch", text]), flow, caption,
    make("div", "controls llm101-row", {}, [...buttons, slider, label]), make("div", "below", {}, [svg, near]),
  ])); // prettier-ignore
  const player = clock(PLAY_EVERY_MS);
  let words = [], steps = [], prepared = null;

  function prepare() {
    if (text.value === prepared) return;
    prepared = text.value;
    words = text.value.match(pageRegExp(model.get("pattern"))) ?? [];
    steps = replay(words, numbers);
    slider.max = steps.length - 1;
  }

  function show() {
    prepare();
    const made = model.get("step"), index = stepAt(steps, made), step = steps[index];
    const justNow = step.made === made && made > 0;
    flow.replaceChildren(...words.map((word, w) => {
      const bytes = asBytes.encode(word);
      const kind = (i) => (justNow && step.fresh[w].includes(i) ? "piece fresh" : "piece");
      const shown = pieces({ word, bytes, ends: step.ends[w] });
      const piece = (parts, i) => make("span", kind(i), { textContent: spellParts(parts) });
      return make("span", "word", {}, shown.map(piece));
    })); // prettier-ignore
    slider.value = index;
    if (document.activeElement !== exact.input) exact.input.value = made;
    buttons[0].disabled = made === 0;
    buttons[1].disabled = index === 0 && made === 0;
    buttons[2].disabled = buttons[4].disabled = index === steps.length - 1 && !player.isGoing();
    buttons[3].disabled = made === merges.length;
    buttons[4].textContent = player.isGoing() ? "■ Stop" : "▶ Play";
    const n = nPieces(step), all = nPieces(steps[0]);
    const so = `${counted(n, "piece")} for ${grouped(all)} bytes`;
    slider.ariaValueText = `${made} merges made, ${so}`;
    const start = "No merge yet: every byte by itself, in words that no merge will cross.";
    const where = made && !justNow ? "Not in this text. Here:" : "Here:";
    caption.textContent = `${made ? sentence(made - 1) : start} ${where} ${so}.`;
    showNear(made);
    showCurve(made, n, all);
  }

  function sentence(k) {
    const [left, right] = merges[k].map(spell);
    const seen = counts[k] ? `, ${grouped(counts[k])} times in the training text` : "";
    return `Merge ${grouped(k + 1)}: “${left}” + “${right}” → “${spell(merges[k].join(""))}”${seen}.`;
  }

  function showNear(made) {
    const from = Math.max(0, Math.min(made - 1 - AROUND, merges.length - 2 * AROUND - 1));
    near.start = from + 1;
    near.replaceChildren(...merges.slice(from, from + 2 * AROUND + 1).map(([left, right], i) => {
      const item = make("li", from + i === made - 1 ? "now" : from + i < made ? "" : "later");
      const [a, b] = [left, right].map((piece) => make("code", "", { textContent: spell(piece) }));
      item.append(a, " + ", b);
      if (from + i === made - 1) item.ariaCurrent = "step";
      return item;
    })); // prettier-ignore
  }

  function showCurve(made, n, all) {
    const at = (step) => place(step.made, nPieces(step), merges.length, all || 1).map((v) => v.toFixed(1));
    const line = steps.map((step, i) => (i ? `H${at(step)[0]} V${at(step)[1]}` : `M${at(step).join(" ")}`)).join(" ");
    const [x, y] = place(made, n, merges.length, all || 1), below = HEIGHT + 24;
    const write = (words, x, y, anchor) =>
      draw("text", { x, y, "text-anchor": anchor }, [words.toLocaleString("en")]);
    const ticks = [0, 1, 10, 100, 1000, 10_000, 100_000].filter((k) => k <= merges.length / 2);
    svg.ariaLabel = `Pieces of the text against merges made: from ${all} down to ${nPieces(steps.at(-1))}`;
    svg.replaceChildren(
      draw("path", { d: `${line} H${WIDTH}`, class: "line" }),
      draw("path", { d: `M0 ${HEIGHT} H${WIDTH}`, class: "axis" }),
      draw("circle", { cx: x, cy: y, r: 5, class: "dot" }),
      write(`${n} pieces`, Math.min(x + 8, WIDTH - 160), y - 9, "start"),
      ...ticks.map((k) => write(k, place(k, 0, merges.length, 1)[0], below, k ? "middle" : "start")),
      write("merges made", WIDTH, below + 26, "end"),
    ); // prettier-ignore
  }

  function go(made) {
    save(model, { step: made });
  }

  function change(by) {
    const made = model.get("step"), index = stepAt(steps, made);
    if (by > 0) go(steps[Math.min(index + 1, steps.length - 1)].made);
    else go(steps[index].made < made ? steps[index].made : steps[Math.max(0, index - 1)].made);
  }

  function play() {
    if (player.isGoing()) return void (player.stop(), show());
    player.start(() => {
      if (stepAt(steps, model.get("step")) < steps.length - 1) return change(1);
      player.stop();
      show();
    });
    change(1);
  }

  const actions = [() => go(0), () => change(-1), () => change(1), () => go(merges.length)];
  actions.forEach((act, i) => buttons[i].addEventListener("click", () => (player.stop(), act())));
  buttons[4].addEventListener("click", play);
  slider.addEventListener("input", () => (player.stop(), go(steps[slider.valueAsNumber].made)));
  exact.input.addEventListener("input", () => (player.stop(), go(exact.value())));
  text.addEventListener("input", () => (player.stop(), show()));
  const typing = saveWhileTyping(model, "text", text);
  onChange(model, ["step"], show);
  onChange(model, ["text"], () => ((text.value = model.get("text")), show()));
  text.value = model.get("text");
  show();
  return () => (player.stop(), typing.cancel());
}

export default { render };
