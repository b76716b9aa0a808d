// SteeringConsole: two texts from the same beginning and seed; in one of them a latent is held at a strength.
//
// Reads:  prompt concept latent strength max_tokens temperature seed (the reader's), stories (all pairs),
//         writing (the pair in progress, or what a stop left of it), running ("plain", "steered" or ""),
//         error latents strongest
// Writes: the reader's, when one is changed between runs
// Sends:  the settings and n, to write n pairs; {} to stop

import { onEnter } from "../page/dom.js";
import { lineToPython } from "../page/kernel.js";
import { numberField } from "../page/number_field.js";
import { onChange, save } from "../page/traits.js";
import { SETTINGS, pairOf } from "./measure.js";
import { caption, field, make, makeSide } from "./parts.js";

const LIMITS = {
  latent: { min: 0, max: 2147483647 }, max_tokens: { min: 1, max: 1024 },
  temperature: { min: 0, max: 2, step: 0.1 }, seed: { min: 0, max: 4294967295 },
}; // prettier-ignore

function render({ model, el }) {
  const end = model.get("strongest"), known = model.get("latents");
  const option = ([value, textContent]) => make("option", "", { value, textContent });
  const names = make("select", "names", {}, [...known, ["", "another one"]].map(option));
  const numbers = Object.entries(LIMITS).map(([name, limits]) => [name, numberField(limits, () => model.get(name))]);
  const inputs = {
    prompt: make("textarea", "prompt", { rows: 2, spellcheck: false }),
    concept: make("input", "concept", { type: "text", spellcheck: false }),
    strength: make("input", "", { type: "range", min: -end, max: end, step: end / 40 }),
    ...Object.fromEntries(numbers.map(([name, { input }]) => [name, input])),
  };
  const said = make("output"), go = make("button", "go llm101-go", { type: "submit" });
  const next = make("button", "", { type: "button", textContent: "↻ Next seed" });
  const ten = make("button", "", { type: "button", textContent: "Write 10" });
  const form = make("form", "", {}, [
    make("label", "llm101-field", {}, ["Type a beginning, and press Enter", inputs.prompt]),
    make("div", "settings", {}, [
      field("Latent", names), field("Number", inputs.latent), field("Held at", inputs.strength, said),
    ]),
    make("div", "settings", {}, [
      go, next, ten, field("Most tokens", inputs.max_tokens), field("Temperature", inputs.temperature),
      field("Seed", inputs.seed), field("Count mentions of", inputs.concept),
    ]),
  ]); // prettier-ignore
  const sides = { plain: makeSide("plain"), steered: makeSide("steered") };
  const columns = make("div", "columns", {}, [sides.plain.node, sides.steered.node]);
  const about = make("p", "about"), status = make("p", "status", { role: "status" });
  const error = make("p", "llm101-error", { role: "alert" });
  el.append(make("section", "root", { ariaLabel: "Steering console" }, [form, error, columns, about, status]));

  let strength = model.get("strength"); // what the slider stands for; its own steps need not meet it
  const line = lineToPython(model, (words) => {
    showState();
    error.textContent = words;
  });
  const running = () => (line.isGone() ? "" : model.get("running"));

  /** All settings as they stand on the page, each within the limits of its field. */
  function typed() {
    const typedNumbers = Object.fromEntries(numbers.map(([name, { value }]) => [name, value()]));
    return { ...typedNumbers, prompt: inputs.prompt.value, concept: inputs.concept.value, strength };
  }

  function showSetting(name) {
    inputs[name].value = model.get(name);
    if (name === "strength") strength = model.get(name);
    showChoice();
  }

  /** What follows from the settings: names, the slider's number, and which pair the texts are. */
  function showChoice() {
    const now = typed();
    forget();
    names.value = known.some(([id]) => id === now.latent) ? now.latent : "";
    said.textContent = strength === 0 ? "0: removed" : String(Math.round(10 * strength) / 10);
    showTexts();
  }

  function showTexts() {
    const now = typed(), stories = model.get("stories"), writing = model.get("writing");
    const pair = "plain" in writing ? writing : (pairOf(stories, now) ?? stories.at(-1));
    columns.hidden = about.hidden = !pair;
    if (!pair) return;
    for (const [side, { show }] of Object.entries(sides)) show(pair, stories, now.concept, running() === side);
    const same = running() || SETTINGS.every((name) => pair[name] === now[name]);
    about.textContent = caption(pair) + (same ? "" : " Your settings are others by now: press Write.");
  }

  function showState() {
    go.textContent = running() ? "■ Stop" : "▶ Write";
    next.disabled = ten.disabled = Boolean(running());
    error.textContent = model.get("error");
    status.textContent = running() ? "Writing, on this machine …" : "";
    showTexts();
  }

  /** What was said of other settings is not true of these. */
  function forget() {
    if (!running()) status.textContent = "";
  }

  function saveTyped() {
    showChoice();
    if (running()) return; // a run in its thread must be the only one to change the state
    save(model, typed());
  }

  /** Write n pairs; a single one that was written before is only shown. */
  function run(n) {
    if (running() || line.isWaiting()) return;
    const now = typed();
    forget();
    if (!now.prompt.trim()) {
      error.textContent = "Type a beginning first, such as “Once upon a time”.";
      return;
    }
    error.textContent = "";
    if (n === 1 && pairOf(model.get("stories"), now)) {
      if ("plain" in model.get("writing")) model.set("writing", {}); // what a stop left
      saveTyped();
      status.textContent = "Written before with these settings; the same seed would write the same again.";
      return;
    }
    line.send({ ...now, n });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (running()) line.send({});
    else run(1);
  });
  onEnter(inputs.prompt, () => run(1));
  const nextSeed = () => (inputs.seed.value = (typed().seed + 1) % 4294967296);
  next.addEventListener("click", () => (nextSeed(), run(1)));
  ten.addEventListener("click", () => {
    if (pairOf(model.get("stories"), typed())) nextSeed();
    run(10);
  });
  names.addEventListener("change", () => {
    if (names.value) inputs.latent.value = names.value;
    else inputs.latent.focus();
    saveTyped();
  });
  inputs.strength.addEventListener("input", () => {
    strength = Number(inputs.strength.value);
    showChoice();
  });
  inputs.strength.addEventListener("change", () => {
    saveTyped();
    if (model.get("stories").length) run(1); // the plain text is there already
  });
  form.addEventListener("input", forget);
  inputs.concept.addEventListener("input", showTexts);
  for (const [name, input] of Object.entries(inputs)) {
    if (name !== "strength") input.addEventListener("change", saveTyped);
    onChange(model, [name], () => showSetting(name));
  }
  onChange(model, ["running", "error"], () => (line.heard(), showState()));
  onChange(model, ["stories", "writing"], showTexts);
  for (const name of Object.keys(inputs)) inputs[name].value = model.get(name);
  showChoice();
  showState();
  return line.heard;
}

export default { render };
