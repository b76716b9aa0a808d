// A run of a model that writes: what it is asked for, and what is said of it once it is over.
//
// Reading order: runSettings (temperature, most tokens, seed), tokensPerSecond, ENDS, summary.

import { numberField } from "./number_field.js";
import { onChange, save } from "./traits.js";
import { counted } from "./words.js";

/**
 * Fields for the traits max_tokens, temperature and seed, and the row that they stand in.
 *
 * line: to Python, see kernel.js. Returns also whether a run isRunning: then nothing may be saved, for a run in its
 * thread must be the only one to change the state.
 */
export function runSettings(model, make, line) {
  const temperature = make("input", "", { type: "range", min: 0, max: 2, step: 0.1 }), said = make("output");
  const maxTokens = numberField({ min: 1, max: 4096 }, () => model.get("max_tokens"));
  const seed = numberField({ min: 0, max: 4294967295 }, () => model.get("seed"));
  const values = () => ({
    max_tokens: maxTokens.value(), temperature: Number(temperature.value), seed: seed.value(),
  }); // prettier-ignore

  const isRunning = () => model.get("running") && !line.isGone();

  function say() {
    const value = Number(temperature.value);
    said.textContent = `${value.toFixed(1)}${value === 0 ? ", always the likeliest" : ""}`;
  }

  function show() {
    temperature.value = model.get("temperature");
    maxTokens.input.value = model.get("max_tokens");
    seed.input.value = model.get("seed");
    say();
  }

  const fields = [["Temperature", temperature, said], ["Most tokens", maxTokens.input], ["Seed", seed.input]];
  const node = make("div", "llm101-settings", {}, fields.map(([name, ...inputs]) =>
    make("label", "llm101-setting", {}, [make("span", "", { textContent: name }), ...inputs]))); // prettier-ignore
  node.addEventListener("change", () => {
    say();
    if (!isRunning()) save(model, values());
  });
  temperature.addEventListener("input", say);
  onChange(model, ["max_tokens", "temperature", "seed"], show);
  show();
  return { node, values, seed, isRunning };
}

/** Tokens made per second once the first is there; NaN when there is nothing to measure. */
export function tokensPerSecond(count, { first_s, all_s }) {
  return all_s > first_s && count > 1 ? (count - 1) / (all_s - first_s) : NaN;
}

/** Why a run ended. */
export const ENDS = {
  end: "the text came to its end", length: "as many as asked for", stopped: "stopped by you",
  context: "the context is full", stop: "a stop text came",
}; // prettier-ignore

/** What to say below a finished run. */
export function summary(count, report, name) {
  const [speed, first] = [tokensPerSecond(count, report), report.first_s];
  return [
    counted(count, "token"),
    Number.isFinite(speed) ? `${speed < 10 ? speed.toFixed(1) : Math.round(speed)} tokens per second` : "",
    count ? `the first after ${first < 0.995 ? `${Math.round(1000 * first)} ms` : `${first.toFixed(1)} s`}` : "",
    ENDS[report.end] ?? "",
    `${name}, on this machine`,
  ].filter(Boolean).join(" · "); // prettier-ignore
}
