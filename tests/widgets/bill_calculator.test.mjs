// The bill's pure helpers: the article's case, how figures are said, and how they may be written.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { bill, duration, fromSlider, fromWords, inWords, lines, readField, rounded, summary, wholeFromSlider } =
  await loadModule("bill_calculator/widget.js");

const A100 = { flops: 312e12, watts: 400, dollars_per_hour: 1.16 };
const ARTICLE = { n_parameters: 69e9, n_tokens: 2e12, n_machines: 6000, utilisation: 0.43, dollars_per_hour: null };
const REST = { machine: A100, co2_per_kwh: 0.42, bytes_per_token: 5, bytes_per_parameter: 2 };

test("the article's case: 12 days, $2M, 140 GB, 10 TB", () => {
  const f = bill({ ...ARTICLE, ...REST });
  assert.equal(f.flop, 6 * 69e9 * 2e12);
  assert.ok(Math.abs(f.days - 11.9) < 0.05);
  assert.ok(Math.abs(f.dollars - 1.99e6) < 1e4);
  assert.deepEqual([f.file_gb, f.text_tb], [138, 10]);
  assert.ok(Math.abs(f.co2_tonnes - f.energy_mwh * 0.42) < 1e-9);
});

test("a price of the reader's own counts, also none", () => {
  assert.equal(bill({ ...ARTICLE, ...REST, dollars_per_hour: 0 }).dollars, 0);
  const double = bill({ ...ARTICLE, ...REST, dollars_per_hour: 2.32 }).dollars;
  assert.ok(Math.abs(double / bill({ ...ARTICLE, ...REST }).dollars - 2) < 1e-12);
});

test("figures are rounded to what means something", () => {
  assert.deepEqual([8.277e23, 1_713_800, 137.95, 0.43, 0, 1e-7].map((value) => rounded(value)),
    ["8.28 × 10²³", "1,710,000", "138", "0.43", "0", "1.00 × 10⁻⁷"]); // prettier-ignore
  assert.deepEqual([68_976_648_192, 2e12, 1_500_000, 950].map((value) => inWords(value)),
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

test("whoever has set no price is told so, not that it costs nothing", () => {
  const own = { ...ARTICLE, ...REST, machine: { ...A100, dollars_per_hour: 0 }, machineName: "this" };
  assert.equal(bill(own).dollars, null);
  assert.match(summary(bill(own), 6000, "this"), /^On 6,000 × this: 11.9 days; no price is set\.$/);
  assert.ok(!lines(bill(own), own).flat().some((words) => words.includes("$")));
  assert.match(summary(bill({ ...own, dollars_per_hour: 1.16 }), 1, "this"), /^On one × this: .*, \$1,990,000\.$/);
});

test("a number can be written as one says it", () => {
  assert.deepEqual(
    ["8 billion", "15 trillion", "15T", "8e9", "8,000,000,000", "1.1 million", "43 %", " $2.50 ", "6,000", ".5"]
      .map(fromWords),
    [8e9, 15e12, 15e12, 8e9, 8e9, 1.1e6, 43, 2.5, 6000, 0.5]); // prettier-ignore
  for (const none of ["", "many", "8 zillion", "8,5 billion", "1.2.3", "-8", "8 billion or so", "Infinity"])
    assert.ok(Number.isNaN(fromWords(none)), none);
});

test("what a field says can be written into it again", () => {
  for (const value of [69e9, 2e12, 6000, 1, 8.03e9, 123_456]) assert.equal(fromWords(inWords(value, 6)), value);
});

test("a field takes what makes sense, and says what is wrong with the rest", () => {
  const machines = { name: "n_machines", label: "Machines", unit: 1, lowest: 1, highest: 1e9 };
  const share = { name: "utilisation", label: "Share", unit: 0.01, lowest: 0.1, highest: 100 };
  assert.deepEqual(readField("8 thousand", machines), { value: 8000 });
  assert.deepEqual(readField("57 %", share), { value: 0.57 });
  assert.deepEqual(readField("  ", machines), {});
  assert.match(readField("many", machines).error, /^“many” is no number: write 8 billion/);
  assert.equal(readField("0", machines).error, "Machines: from 1 to 1 billion, not 0.");
  assert.equal(readField("430", share).error, "Share: from 0.1 to 100, not 430.");
});
