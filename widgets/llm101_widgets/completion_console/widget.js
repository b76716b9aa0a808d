// CompletionConsole: a beginning to type, and the completion, token by token as the kernel sends it.
//
// Reads:  prompt max_tokens temperature seed (the settings), completed tokens report running error name
// Writes: the four settings, when a run starts or a setting changes between runs
// Sends:  {prompt, max_tokens, temperature, seed} to start a run, {} to stop it

import { makers, onEnter } from "../page/dom.js";
import { lineToPython } from "../page/kernel.js";
import { runSettings, summary } from "../page/run.js";
import { onChange, save } from "../page/traits.js";
import { percent, quoted } from "../page/words.js";

const { make } = makers("llm101-console");

/** From 0 (the model thought it at least as likely as all others together) to 4 (less than 1 in 100). */
export function surprise(logprob) {
  return [0.5, 0.2, 0.05, 0.01].filter((limit) => Math.exp(logprob) < limit).length;
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
  const line = lineToPython(model, (words) => {
    showState();
    showError(words);
  });
  const chosen = runSettings(model, make, line), { isRunning } = chosen;
  const go = make("button", "go llm101-go", { type: "submit" });
  const again = make("button", "", { type: "button", textContent: "↻ Again", title: "With the next seed" });
  const form = make("form", "", {}, [
    make("label", "llm101-field", {}, ["Type a beginning, and press Enter", prompt]),
    chosen.node,
  ]);
  chosen.node.prepend(go, again);

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

  const settings = () => ({ prompt: prompt.value, ...chosen.values() });

  function showPrompt() {
    prompt.value = model.get("prompt");
  }

  function savePrompt() {
    if (!isRunning()) save(model, { prompt: prompt.value }); // a run in its thread must be the only one to do so
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
    chosen.seed.input.value = (chosen.seed.value() + 1) % 4294967296;
    run();
  });
  prompt.addEventListener("change", savePrompt);
  tinted.addEventListener("change", () => root.classList.toggle("llm101-console-plain", !tinted.checked));
  details.addEventListener("toggle", showList);
  onChange(model, ["prompt"], showPrompt);
  onChange(model, ["running", "error", "report", "completed", "name"], () => (line.heard(), showState()));
  onChange(model, ["tokens"], showText);
  showPrompt();
  showState();
  return line.heard;
}

export default { render };
