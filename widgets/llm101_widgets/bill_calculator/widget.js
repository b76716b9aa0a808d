// BillCalculator: what a training run takes, while the reader moves its size, the hardware and the price.
//
// Reads:  n_parameters n_tokens n_machines machine utilisation dollars_per_hour (the reader's), machines
//         (name -> flops, watts, dollars_per_hour), start (what the button goes back to),
//         co2_per_kwh bytes_per_token bytes_per_parameter
// Writes: n_parameters n_tokens n_machines machine utilisation dollars_per_hour
// The page does all the arithmetic, so it needs no kernel once it is there.

import { makers } from "../page/dom.js";
import { onChange, save } from "../page/traits.js";
import { bill, fromWords, inWords, lines, rounded, summary } from "./figures.js";

const { make } = makers("llm101-bill");
const SET = ["n_parameters", "n_tokens", "n_machines", "machine", "utilisation", "dollars_per_hour"];
const RATES = ["co2_per_kwh", "bytes_per_token", "bytes_per_parameter"];

/** What a slider that counts in powers of ten stands for: three figures, and whole machines. */
export const fromSlider = (power) => Number((10 ** power).toPrecision(3));
export const wholeFromSlider = (power) => Math.max(1, Math.round(fromSlider(power)));

const POWERS = { step: 0.01, unit: 1, toSlider: Math.log10, write: (value) => inWords(value, 6) };
const COUNTED = { ...POWERS, lowest: 1, highest: 1e18, fromSlider };
const SLIDERS = [
  { name: "n_parameters", label: "Parameters", min: 6, max: 13, ...COUNTED },
  { name: "n_tokens", label: "Tokens of text", min: 6, max: 14, ...COUNTED },
  { name: "n_machines", label: "Machines", min: 0, max: 6, ...COUNTED, highest: 1e9, fromSlider: wholeFromSlider },
  { name: "utilisation", label: "Share of its peak reached", min: 1, max: 100, step: 1, unit: 0.01, lowest: 0.1,
    highest: 100, toSlider: (share) => 100 * share, fromSlider: (percent) => percent / 100,
    write: (share) => `${rounded(100 * share, 6)} %` },
]; // prettier-ignore
const PRICE = { name: "dollars_per_hour", label: "Dollars for an hour of one", unit: 1, lowest: 0, highest: 1e6 };

/** What was written into a field: the value that it sets, or what is wrong with it; nothing if nothing is written. */
export function readField(text, { name, label, lowest, highest, unit }) {
  if (!text.trim()) return {};
  const number = fromWords(text);
  if (Number.isNaN(number)) return { error: `“${text.trim()}” is no number: write 8 billion, 8e9 or 8,000,000,000.` };
  const value = name === "n_machines" ? Math.round(number) : number;
  if (value >= lowest && value <= highest) return { value: Number((value * unit).toPrecision(15)) };
  return { error: `${label}: from ${inWords(lowest)} to ${inWords(highest)}, not ${inWords(number)}.` };
}

function render({ model, el }) {
  const machines = model.get("machines");
  const choice = make("select", "", {}, Object.keys(machines).map((name) =>
    make("option", "", { value: name, textContent: name })));
  const error = make("p", "error llm101-error", { role: "alert" }), said = make("p", "summary", { role: "status" });
  const fields = SLIDERS.map((kind) => {
    const { min, max, step, label } = kind;
    const slider = make("input", "", { type: "range", min, max, step, ariaLabel: label });
    slider.addEventListener("input", () => change({ [kind.name]: kind.fromSlider(slider.valueAsNumber) }));
    const text = written(kind);
    return { kind, slider, text, node: make("div", "field", {}, [labelled(label, text), slider]) };
  });
  const price = written(PRICE);
  const again = make("button", "", { type: "button", textContent: "Back to the start" });
  const table = make("table", "lines", { role: "table", ariaLabel: "The bill" });
  const [parameters, tokens, count, share] = fields.map(({ node }) => node);
  el.append(make("section", "root", { ariaLabel: "The bill of a training run" }, [
    make("div", "fields", {}, [parameters, tokens, labelled("Machine", choice), count, share,
      labelled(PRICE.label, price), error, again]),
    make("div", "bill", {}, [said, table]),
  ])); // prettier-ignore

  function labelled(label, input) {
    return make("label", "label", {}, [make("span", "", { textContent: label }), input]);
  }

  /** A field for a number in words. What stands in it, once the reader has left it, is the number that is used. */
  function written(kind) {
    const input = make("input", "", { type: "text", spellcheck: false, autocomplete: "off" });
    input.addEventListener("change", () => {
      const { value, error: wrong } = readField(input.value, kind);
      if (value !== undefined) change({ [kind.name]: value });
      input.value = valueOf(kind);
      error.textContent = wrong ?? "";
    });
    input.addEventListener("blur", () => (input.value = valueOf(kind)));
    return input;
  }

  function valueOf({ name, write }) {
    if (write) return write(model.get(name));
    const dollars = model.get(name) ?? (machines[model.get("machine")].dollars_per_hour || null);
    return dollars === null ? "" : String(Number(dollars.toFixed(4)));
  }

  function change(values) {
    error.textContent = "";
    save(model, values);
  }

  function cell(role, [tag, className], textContent) {
    return make(tag, className, { role, textContent }); // the roles stay where the styles make no table of it
  }

  function show() {
    const set = Object.fromEntries([...SET, ...RATES].map((name) => [name, model.get(name)]));
    const machineName = set.machine, machine = machines[machineName];
    for (const { kind, slider, text } of fields) {
      if (document.activeElement !== slider) slider.value = kind.toSlider(set[kind.name]);
      slider.ariaValueText = kind.write(set[kind.name]);
      if (document.activeElement !== text) text.value = valueOf(kind);
    }
    choice.value = machineName;
    if (document.activeElement !== price) price.value = valueOf(PRICE);
    price.placeholder = "none set";
    const figures = bill({ ...set, machine });
    table.replaceChildren(...lines(figures, { ...set, machine, machineName }).map(([name, value, how]) =>
      make("tr", "", { role: "row" }, [
        cell("rowheader", ["th", "name"], name), cell("cell", ["td", "number"], value),
        cell("cell", ["td", "how"], how),
      ]))); // prettier-ignore
    said.textContent = summary(figures, set.n_machines, machineName);
    again.disabled = SET.every((name) => model.get(name) === model.get("start")[name]);
  }

  choice.addEventListener("change", () => change({ machine: choice.value, dollars_per_hour: null }));
  again.addEventListener("click", () => change(model.get("start")));
  onChange(model, SET, show);
  show();
}

export default { render };
