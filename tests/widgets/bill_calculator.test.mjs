// The bill's pure helpers: the article's case, and how figures are said.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadWidget } from "./load_widget.mjs";

const { bill, duration, fromSlider, inWords, lines, rounded, wholeFromSlider } = await loadWidget("bill_calculator");

const A100 = { flops: 312e12, watts: 400, price: 1.16 };
const ARTICLE = { n_parameters: 69e9, n_tokens: 2e12, n_machines: 6000, utilisation: 0.43, dollars_per_hour: null };
const REST = { machine: A100, co2_per_kwh: 0.42, bytes_per_token: 5 };

test("the article's case: 12 days, $2M, 140 GB, 10 TB", () => {
  const f = bill({ ...ARTICLE, ...REST });
  assert.equal(f.flop, 6 * 69e9 * 2e12);
  assert.ok(Math.abs(f.days - 11.9) < 0.05);
  assert.ok(Math.abs(f.dollars - 1.99e6) < 1e4);
  assert.deepEqual([f.file_gb, f.text_tb], [138, 10]);
  assert.ok(Math.abs(f.co2_tonnes - f.mwh * 0.42) < 1e-9);
});

test("a price of the reader's own counts, also none", () => {
  assert.equal(bill({ ...ARTICLE, ...REST, dollars_per_hour: 0 }).dollars, 0);
  const double = bill({ ...ARTICLE, ...REST, dollars_per_hour: 2.32 }).dollars;
  assert.ok(Math.abs(double / bill({ ...ARTICLE, ...REST }).dollars - 2) < 1e-12);
});

test("figures are rounded to what means something", () => {
  assert.deepEqual([8.277e23, 1_713_800, 137.95, 0.43, 0, 1e-7].map(rounded),
    ["8.28 × 10²³", "1,710,000", "138", "0.43", "0", "1.00 × 10⁻⁷"]); // prettier-ignore
  assert.deepEqual([68_976_648_192, 2e12, 1_500_000, 950].map(inWords),
    ["69 billion", "2 trillion", "1.5 million", "950"]); // prettier-ignore
});

test("a time is said in its own unit", () => {
  assert.deepEqual([4_018_000, 11.9, 0.5, 0.01, 0.0001].map(duration),
    ["11,000 years", "11.9 days", "12 hours", "14.4 minutes", "8.64 seconds"]); // prettier-ignore
});

test("sliders count in powers of ten, and machines are whole", () => {
  assert.deepEqual([6, 9.5].map(fromSlider), [1e6, 3.16e9]);
  assert.deepEqual([0, 0.1, 3.78].map(wholeFromSlider), [1, 1, 6030]);
});

test("every line says how it comes about", () => {
  const shown = lines(bill({ ...ARTICLE, ...REST }), { ...ARTICLE, ...REST, machineName: "a100" });
  assert.deepEqual(shown.map(([name]) => name),
    ["Text", "Operations", "Machine-hours", "Time", "Cost", "Energy", "CO₂", "File"]); // prettier-ignore
  assert.ok(shown.every(([, value, how]) => value && how));
  assert.equal(shown[2][2], "operations ÷ (312 TFLOP/s × 43 %) ÷ 3,600");
});
