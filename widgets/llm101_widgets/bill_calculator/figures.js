// The bill's arithmetic, and its figures as one says them and writes them. Knows nothing of widgets.
//
// Reading order: bill, rounded, duration, inWords and fromWords, lines.

import { grouped } from "../page/words.js";

const [HOURS_PER_DAY, DAYS_PER_YEAR] = [24, 365.25];
const SIZES = { trillion: 1e12, billion: 1e9, million: 1e6, thousand: 1e3, t: 1e12, b: 1e9, m: 1e6, k: 1e3 };

/** The figures of a bill as llm101.estimates has them; dollars are null where nobody has set a price. */
export function bill({ n_parameters, n_tokens, n_machines, utilisation, dollars_per_hour, machine, ...rates }) {
  const { co2_per_kwh, bytes_per_token, bytes_per_parameter } = rates;
  const flop = 6 * n_parameters * n_tokens;
  const machine_hours = flop / (machine.flops * utilisation) / 3600;
  const energy_mwh = (machine_hours * machine.watts) / 1e6;
  const price = dollars_per_hour ?? (machine.dollars_per_hour || null); // a machine's price of 0 is none
  return {
    flop, machine_hours, energy_mwh,
    days: machine_hours / n_machines / HOURS_PER_DAY,
    dollars: price === null ? null : machine_hours * price,
    co2_tonnes: energy_mwh * co2_per_kwh,
    file_gb: (n_parameters * bytes_per_parameter) / 1e9,
    text_tb: (n_tokens * bytes_per_token) / 1e12,
  }; // prettier-ignore
}

/** Three figures that mean something: 1,710,000 or 0.43; beyond a trillion as 8.28 × 10²³. */
export function rounded(value, figures = 3) {
  if (value === 0) return "0";
  const some = Number(value.toPrecision(figures));
  if (some < 1e12 && some >= 1e-4) return some.toLocaleString("en", { maximumSignificantDigits: figures });
  const [digits, power] = some.toExponential(2).split("e");
  return `${digits} × 10${[...String(Number(power))].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("")}`;
}

/** A time in the unit that one would say it in. */
export function duration(days) {
  if (days > 1000) return `${rounded(days / DAYS_PER_YEAR)} years`;
  if (days >= 2) return `${rounded(days)} days`;
  const hours = days * HOURS_PER_DAY;
  return hours >= 2 ? `${rounded(hours)} hours` : hours * 60 >= 2 ? `${rounded(hours * 60)} minutes`
    : `${rounded(hours * 3600)} seconds`; // prettier-ignore
}

/** A large number in words: 69 billion. */
export function inWords(value, figures = 3) {
  for (const word of ["trillion", "billion", "million"]) {
    if (value >= SIZES[word]) return `${rounded(value / SIZES[word], figures)} ${word}`;
  }
  return rounded(value, figures);
}

/** A number as readers write it: "8 billion", "15T", "8e9", "8,000,000,000", "43 %"; NaN if it is none. */
export function fromWords(text) {
  const [, number, word] = /^\s*\$?\s*([\d.,]+(?:e[+-]?\d+)?)\s*([a-z]*|%)\s*$/i.exec(text) ?? [];
  if (!number || /,(?!\d{3}(?!\d))/.test(number)) return NaN; // a comma stands before three digits
  const size = word && word !== "%" ? SIZES[word.toLowerCase()] : 1;
  return Number((Number(number.replaceAll(",", "")) * (size ?? NaN)).toPrecision(15)); // 1.1 million is 1,100,000
}

/** The whole bill in a sentence. */
export function summary({ days, dollars }, n_machines, machineName) {
  const many = n_machines === 1 ? "one" : grouped(n_machines);
  const cost = dollars === null ? "; no price is set" : `, $${rounded(dollars)}`;
  return `On ${many} × ${machineName}: ${duration(days)}${cost}.`;
}

/** The lines of the bill: name, value, how it is computed. */
export function lines(figures, { machineName, n_machines, machine, utilisation, ...rates }) {
  const f = figures, share = `${rounded(100 * utilisation)} %`, many = grouped(n_machines);
  const peak = `${rounded(machine.flops / 1e12)} TFLOP/s`;
  const [cost, how] = f.dollars === null
    ? ["no price is set", "machine-hours × a price, which is yours to set"]
    : [`$${rounded(f.dollars)}`, "machine-hours × price; the final run only"]; // prettier-ignore
  return [
    ["Text", `${rounded(f.text_tb)} TB`, "tokens × bytes per token"],
    ["Operations", `${rounded(f.flop)} FLOP`, "6 × parameters × tokens"],
    ["Machine-hours", rounded(f.machine_hours), `operations ÷ (${peak} × ${share}) ÷ 3,600`],
    ["Time", duration(f.days), n_machines === 1 ? `on one ${machineName}` : `machine-hours ÷ ${many}`],
    ["Cost", cost, how],
    ["Energy", `${rounded(f.energy_mwh)} MWh`, `machine-hours × ${rounded(machine.watts)} W`],
    ["CO₂", `${rounded(f.co2_tonnes)} t`, `energy × ${rounded(rates.co2_per_kwh)} kg per kWh`],
    ["File", `${rounded(f.file_gb)} GB`, `parameters × ${rounded(rates.bytes_per_parameter)} bytes`],
  ];
}
