// CompletionConsole: a beginning to type, and the completion, token by token as the kernel sends it.
//
// Reads:  prompt max_tokens temperature seed (the settings), completed tokens report running error name
// Writes: the four settings, when a run starts or a setting changes between runs
// Sends:  {prompt, max_tokens, temperature, seed} to start a run, {} to stop it

import { makers, onEnter } from "../page/dom.js";
import { lineToPython } from "../page/kernel.js";
import { numberField } from "../page/number_field.js";
import { onChange, save } from "../page/traits.js";
import { counted, percent, quoted } from "../page/words.js";

const { make } = makers("llm101-console");

/** From 0 (the model thought it at least as likely as all others together) to 4 (less than 1 in 100). */
export function surprise(logprob) {
  return [0.5, 0.2, 0.05, 0.01].filter((limit) => Math.exp(logprob) < limit).length;
}

/** Tokens made per second once the first is there; NaN when there is nothing to measure. */
export function tokensPerSecond(count, { first_s, all_s }) {
  return all_s > first_s && count > 1 ? (count - 1) / (all_s - first_s) : NaN;
}

/** What to say below a finished completion. */
export function summary(count, report, name) {
  const why = { end: "the text came to its end", length: "as many as asked for", stopped: "stopped by you",
    context: "the context is full", stop: "a stop text came" }[report.end]; // prettier-ignore
  const [speed, first] = [tokensPerSecond(count, report), report.first_s];
  return [
    counted(count, "token"),
    Number.isFinite(speed) ? `${speed < 10 ? speed.toFixed(1) : Math.round(speed)} tokens per second` : "",
    count ? `the first after ${first < 0.995 ? `${Math.round(1000 * first)} ms` : `${first.toFixed(1)} s`}` : "",
    why ?? "",
    `${name}, on this machine`,
  ].filter(Boolean).join(" · "); // prettier-ignore
}

function field(label, input, extra = []) {
  return make("label", "field", {}, [make("span", "", { textContent: label }), input, ...extra]);
}

function tokenSpan([text, logprob]) {
  return make("span", `token surprise-${surprise(logprob)}`, {
    textContent: text,
    title: `${quoted(text)}: ${percent(Math.exp(logprob))}`,
  });
}

function legend() {
  const words = ["50 % or more", "20–50 %", "5–20 %", "1–5 %", "less than 1 %"];
  const samples = words.map((textContent, level) =>
    make("span", `token surprise-${level}`, { textContent }));
  return make("p", "legend", {}, ["The model gave the token a probability of ", ...samples]);
}

function render({ model, el }) {
  const prompt = make("textarea", "prompt", { rows: 2, spellcheck: false });
  const temperature = make("input", "", { type: "range", min: 0, max: 2, step: 0.1 });
  const temperatureText = make("output", "");
  const maxTokens = numberField({ min: 1, max: 4096 }, () => model.get("max_tokens"));
  const seed = numberField({ min: 0, max: 4294967295 }, () => model.get("seed"));
  const go = make("button", "go llm101-go", { type: "submit" });
  const again = make("button", "", { type: "button", textContent: "↻ Again", title: "With the next seed" });
  const form = make("form", "", {}, [
    make("label", "llm101-field", {}, ["Type a beginning, and press Enter", prompt]),
    make("div", "settings", {}, [
      go, again,
      field("Temperature", temperature, [temperatureText]),
      field("Most tokens", maxTokens.input), field("Seed", seed.input),
    ]),
  ]); // prettier-ignore

  const text = make("p", "text");
  const status = make("p", "status", { role: "status" });
  const error = make("p", "error llm101-error", { role: "alert" });
  const tinted = make("input", "", { type: "checkbox", checked: true });
  const list = make("ol", "list");
  const details = make("details", "", {}, [make("summary", "", { textContent: "Every token in a list" }), list]);
  const below = make("div", "below", {}, [
    make("label", "", {}, [tinted, " Show how likely the model found each token"]), legend(), details,
  ]); // prettier-ignore
  const parts = [form, text, error, status, below];
  const root = make("section", "llm101-console", { ariaLabel: "Completion console" }, parts);
  el.append(root);

  const line = lineToPython(model, (words) => {
    showState();
    showError(words);
  });
  const isRunning = () => model.get("running") && !line.isGone();

  const settings = () => ({
    prompt: prompt.value, max_tokens: maxTokens.value(), temperature: Number(temperature.value), seed: seed.value(),
  }); // prettier-ignore

  function showSettings() {
    prompt.value = model.get("prompt");
    temperature.value = model.get("temperature");
    maxTokens.input.value = model.get("max_tokens");
    seed.input.value = model.get("seed");
    showTemperature();
  }

  function showTemperature() {
    const value = Number(temperature.value);
    temperatureText.textContent = `${value.toFixed(1)}${value === 0 ? ", always the likeliest" : ""}`;
  }

  function saveSettings() {
    showTemperature();
    if (isRunning()) return; // a run in its thread must be the only one to change the state
    save(model, settings());
  }

  function showText() {
    const tokens = model.get("tokens");
    const beginning = make("span", "beginning", { textContent: model.get("completed") });
    text.replaceChildren(beginning, ...tokens.map(tokenSpan));
    if (isRunning()) text.append(make("span", "llm101-caret", { textContent: "▍" }));
    text.hidden = !model.get("completed");
    below.hidden = tokens.length === 0;
    if (details.open) showList();
  }

  function showList() {
    list.replaceChildren(...model.get("tokens").map(([token, logprob]) => make("li", "", {}, [
      make("code", "", { textContent: quoted(token) }), ` ${percent(Math.exp(logprob))}`,
    ]))); // prettier-ignore
  }

  function showState() {
    const [running, tokens, report] = [isRunning(), model.get("tokens"), model.get("report")];
    go.textContent = running ? "■ Stop" : "▶ Continue";
    again.disabled = running || !model.get("completed");
    text.setAttribute("aria-busy", String(running));
    showError(model.get("error"));
    const done = "all_s" in report && !model.get("error") ? summary(tokens.length, report, model.get("name")) : "";
    status.textContent = running ? `${model.get("name")} is writing, on this machine …` : done;
    showText();
  }

  function showError(words) {
    error.textContent = words;
    error.hidden = !words;
  }

  function run() {
    if (isRunning() || line.isWaiting()) return;
    if (!prompt.value.trim()) return showError("Type a beginning first, such as “Once upon a time”.");
    line.send(settings());
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isRunning()) line.send({});
    else run();
  });
  onEnter(prompt, run);
  again.addEventListener("click", () => {
    seed.input.value = (seed.value() + 1) % 4294967296;
    run();
  });
  for (const input of [prompt, temperature, maxTokens.input, seed.input]) {
    input.addEventListener("change", saveSettings);
  }
  temperature.addEventListener("input", showTemperature);
  tinted.addEventListener("change", () => root.classList.toggle("llm101-console-plain", !tinted.checked));
  details.addEventListener("toggle", showList);
  onChange(model, ["prompt", "max_tokens", "temperature", "seed"], showSettings);
  onChange(model, ["running", "error", "report", "completed", "name"], () => (line.heard(), showState()));
  onChange(model, ["tokens"], showText);
  showSettings();
  showState();
  return line.heard;
}

export default { render };
