// InferenceStepper: the prompt as tokens, what can come next as bars, and the tree of all that was tried.
//
// Reads:  prompt prompt_tokens nodes, temperature top_k top_p min_p (how to choose), selected (the node looked at)
// Writes: the four settings and selected
// Sends:  {parent, token_id} for a new node, {prompt} for a new tree, {keep} to have the tree saved
// Gets:   {number, node} with the node's ids and logits as buffers, {anew} with a new tree, or {error}

import { onEnter } from "../page/dom.js";
import { lineToPython } from "../page/kernel.js";
import { spell, textOf } from "../page/pieces.js";
import { onChange, save } from "../page/traits.js";
import { counted, percent } from "../page/words.js";
import { pick, scoresOf, settle } from "./choices.js";
import { button, make, makeBars, makeTree } from "./parts.js";
import { childrenOf, pathTo, walk } from "./tree.js";

const PACE_MS = 120, KEEP_AFTER_MS = 800; // between tokens; before saving
const OWN = { temperature: 1, top_k: 0, top_p: 1, min_p: 0 }; // the model's own probabilities
const off = (value, none, words) => (value === none ? "off" : words);
const KNOBS = [
  ["temperature", "Temperature", { min: 0, max: 2, step: 0.05 }, (v) => (v ? v.toFixed(2) : "0, the likeliest")],
  ["top_k", "Top-k", { min: 0, max: 100, step: 1 }, (v) => off(v, 0, `the ${v} likeliest`)],
  ["top_p", "Top-p", { min: 0.01, max: 1, step: 0.01 }, (v) => off(v, 1, `until ${percent(v)}`)],
  ["min_p", "Min-p", { min: 0, max: 1, step: 0.01 }, (v) => off(v, 0, `${percent(v)} of the top`)],
];

function makeKnobs(onInput, onChange) {
  const all = KNOBS.map(([name, label, limits, say]) => {
    const input = make("input", "", { type: "range", ...limits, ariaLabel: label }), said = make("span", "said");
    const field = make("label", "knob", {}, [make("span", "", { textContent: label }), said, input]);
    const tell = () => (said.textContent = input.ariaValueText = say(Number(input.value)));
    input.addEventListener("input", () => (tell(), onInput()));
    input.addEventListener("change", onChange);
    return { name, input, field, tell };
  });
  const values = () => Object.fromEntries(all.map(({ name, input }) => [name, Number(input.value)]));
  const set = (settings) => all.forEach(({ name, input, tell }) => ((input.value = settings[name]), tell()));
  const own = button("The model’s own probabilities", () => (set(OWN), onInput(), onChange()));
  return { node: make("div", "knobs", {}, [...all.map(({ field }) => field), own]), values, set };
}

function render({ model, el }) {
  let nodes = model.get("nodes"), scored = new WeakMap(), back = {}; // back: which child of each was visited last
  let [pacing, keeping, running] = [0, 0, false];
  const line = lineToPython(model, (words) => complain(`${words} Until then, what has a ● can be walked.`));

  const prompt = make("textarea", "prompt", { rows: 2, spellcheck: false });
  const anew = make("button", "", { type: "submit", textContent: "Begin anew" });
  const beginning = make("label", "", {}, [make("span", "", { textContent: "Beginning" }), prompt]);
  const form = make("form", "form llm101-row", {}, [beginning, anew]);
  const flow = make("p", "flow"), about = make("p", "about", { role: "status" });
  const error = make("p", "error llm101-error", { role: "alert" }), note = make("p", "note");
  const backButton = button("◀ Back", () => select(nodes[at()].parent));
  const step = button("Step ▶", drawToken, "llm101-go"), run = button("", () => setRunning(!running), "run");
  const copying = ["text", "ids", "logprobs"].map((what) => button(`Copy ${what}`, () => copy(what)));
  const copied = make("textarea", "copied", { readOnly: true, hidden: true, rows: 3, ariaLabel: "To be copied" });
  const controls = make("div", "controls llm101-row", {}, [backButton, step, run, make("span", "gap"), ...copying]);
  const knobs = makeKnobs(paintBars, saveKnobs), bars = makeBars((i) => go(scores().ids[i]));
  const tree = makeTree(select, onKey);
  const middle = make("div", "middle", {}, [bars.node, knobs.node]);
  const parts = [form, controls, copied, flow, about, error, middle, note, tree.node]; // what grows comes last
  el.append(make("section", "root", { ariaLabel: "Inference stepper" }, parts));

  const at = () => Math.min(model.get("selected"), nodes.length - 1);
  const path = () => pathTo(nodes, at());

  function scores(node = nodes[at()]) {
    if (!scored.has(node)) scored.set(node, scoresOf(node));
    return scored.get(node);
  }

  function paint() {
    const here = nodes[at()], way = path();
    const prompted = model.get("prompt_tokens").map(([id, bytes]) => tokenBox(id, bytes, "given"));
    flow.replaceChildren(...prompted, ...way.map((i) => {
      const box = tokenBox(nodes[i].token_id, nodes[i].bytes, i === at() ? "made here" : "made");
      box.addEventListener("click", () => select(i));
      return box;
    })); // prettier-ignore
    flow.scrollTop = flow.scrollHeight;
    const made = `${counted(way.length, "token")} after a prompt of ${prompted.length}`;
    const last = way.length ? `; the last had ${percent(Math.exp(here.logprob))} in the model’s eyes` : "";
    about.textContent = here.over ? `${made}. The text is over here: go back, and try another way.` : `${made}${last}.`;
    backButton.disabled = at() === 0;
    step.disabled = run.disabled = here.over;
    run.textContent = running ? "■ Stop" : "Run ▶▶";
    tree.show(nodes, at(), way);
    paintBars();
  }

  function tokenBox(id, bytes, kind) {
    const parts = [make("span", "text", { textContent: spell(bytes) }), make("small", "", { textContent: id })];
    return make("span", `token ${kind}`, {}, parts);
  }

  function paintBars() {
    const here = nodes[at()];
    bars.node.hidden = here.over;
    if (here.over) return;
    const all = scores(), children = childrenOf(nodes, at()).map((i) => nodes[i].token_id);
    const seen = all.ids.slice(0, here.top.length).map((id) => children.includes(id));
    bars.show(here.top, settle(all, OWN), settle(all, knobs.values()), seen, all.ids.length + all.nRest);
    note.textContent = all.nRest
      ? `Of this large vocabulary the ${all.ids.length} likeliest tokens are exact; the others are taken as equally `
        + "likely, and are never drawn." : ""; // prettier-ignore
  }

  function saveKnobs() {
    save(model, knobs.values());
  }

  function select(i) {
    if (i < 0) return;
    for (const j of pathTo(nodes, i)) back[nodes[j].parent] = j;
    if (model.get("selected") === i) return paint();
    save(model, { selected: i });
  }

  /** To the next token: in the tree, or by asking the kernel. */
  function go(token_id) {
    const known = childrenOf(nodes, at()).find((i) => nodes[i].token_id === token_id);
    if (line.isWaiting() || nodes[at()].over) return;
    if (known) return arrived(known);
    ask({ parent: at(), token_id });
  }

  function ask(message) {
    error.textContent = "";
    line.send(message);
  }

  function drawToken() {
    if (nodes[at()].over) return setRunning(false);
    go(scores().ids[pick(settle(scores(), knobs.values()).shares, Math.random())]);
  }

  function arrived(i) {
    if (nodes[i].over) running = false;
    select(i);
    clearTimeout(pacing);
    if (running) pacing = setTimeout(drawToken, PACE_MS);
  }

  function setRunning(on) {
    running = on;
    clearTimeout(pacing);
    if (on) drawToken();
    run.textContent = running ? "■ Stop" : "Run ▶▶";
  }

  function complain(words) {
    error.textContent = words;
    if (running) setRunning(false);
  }

  function onMessage(message, [ids, logits] = []) {
    line.heard();
    if (message.anew) return showTree();
    if (message.error) return complain(message.error);
    const { number, node } = message;
    if (number > nodes.length) return line.post({ keep: true }); // another view was faster
    if (number === nodes.length) nodes = [...nodes, { ...node, ids, logits }];
    arrived(number);
    clearTimeout(keeping);
    keeping = setTimeout(() => line.post({ keep: true }), KEEP_AFTER_MS);
  }

  function onKey(event) {
    const to = walk(nodes, at(), event.key, back);
    if (to === undefined) return;
    event.preventDefault();
    select(to);
  }

  async function copy(what) {
    const way = path().map((i) => nodes[i]), given = model.get("prompt_tokens");
    const written = way.filter(({ over }) => !over).map(({ bytes }) => bytes);
    const text = {
      text: () => model.get("prompt") + textOf(written),
      ids: () => JSON.stringify([...given.map(([id]) => id), ...way.map(({ token_id }) => token_id)]),
      logprobs: () => JSON.stringify(way.map(({ token_id, bytes, logprob }) => [token_id, textOf([bytes]), logprob])),
    }[what]();
    try {
      await navigator.clipboard.writeText(text);
      copied.hidden = true;
      about.textContent = `Copied the ${what}.`;
    } catch { // no clipboard here, or the page may not use it
      Object.assign(copied, { hidden: false, value: text });
      copied.focus();
      copied.select();
      about.textContent = "Press Ctrl + C (on a Mac ⌘ C) to copy what is selected.";
    } // prettier-ignore
  }

  function showState() {
    if (document.activeElement !== prompt) prompt.value = model.get("prompt");
    knobs.set(Object.fromEntries(Object.keys(OWN).map((name) => [name, model.get(name)])));
    paint();
  }

  function showTree() {
    nodes = model.get("nodes"); // with all that was sent one by one, or another tree
    showState();
  }

  function begin() {
    if (running) setRunning(false);
    if (!line.isWaiting()) ask({ prompt: prompt.value });
  }

  form.addEventListener("submit", (event) => (event.preventDefault(), begin()));
  onEnter(prompt, begin);
  model.on("msg:custom", onMessage);
  onChange(model, ["nodes"], showTree);
  onChange(model, ["selected", ...Object.keys(OWN)], showState);
  showState();
  return () => (line.heard(), [pacing, keeping].forEach(clearTimeout));
}

export default { render };
