// BillCalculator: what a training run takes, while the reader moves its size, the hardware and the price.
//
// Reads:  n_parameters n_tokens n_machines machine utilisation dollars_per_hour (the reader's), machines
//         (name -> flops, watts, price), start (what the button goes back to), co2_per_kwh, bytes_per_token
// Writes: n_parameters n_tokens n_machines machine utilisation dollars_per_hour
// The page does all the arithmetic, so it needs no kernel once it is there.

const SET = ["n_parameters", "n_tokens", "n_machines", "machine", "utilisation", "dollars_per_hour"];
const [HOURS_PER_DAY, DAYS_PER_YEAR] = [24, 365.25];

/** The figures of a bill, from what the reader set. */
export function bill({ n_parameters, n_tokens, n_machines, utilisation, dollars_per_hour, ...rest }) {
  const { machine, co2_per_kwh, bytes_per_token } = rest; // machine: {flops, watts, price}
  const flop = 6 * n_parameters * n_tokens;
  const hours = flop / (machine.flops * utilisation) / 3600;
  const mwh = (hours * machine.watts) / 1e6;
  return {
    flop, hours, mwh,
    days: hours / n_machines / HOURS_PER_DAY,
    dollars: hours * (dollars_per_hour ?? machine.price),
    co2_tonnes: mwh * co2_per_kwh,
    file_gb: (n_parameters * 2) / 1e9,
    text_tb: (n_tokens * bytes_per_token) / 1e12,
  }; // prettier-ignore
}

/** Three figures that mean something: 1,710,000 or 0.43; beyond a trillion as 8.28 × 10²³. */
export function rounded(value) {
  if (value === 0) return "0";
  const three = Number(value.toPrecision(3));
  if (three < 1e12 && three >= 1e-4) return three.toLocaleString("en", { maximumSignificantDigits: 3 });
  const [digits, power] = three.toExponential(2).split("e");
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
export function inWords(value) {
  for (const [size, word] of [[1e12, "trillion"], [1e9, "billion"], [1e6, "million"]]) {
    if (value >= size) return `${rounded(value / size)} ${word}`;
  }
  return rounded(value);
}

/** What a slider that counts in powers of ten stands for: three figures, and whole machines. */
export const fromSlider = (power) => Number((10 ** power).toPrecision(3));
export const wholeFromSlider = (power) => Math.max(1, Math.round(fromSlider(power)));

const SLIDERS = [
  ["n_parameters", "Parameters", 6, 13, fromSlider],
  ["n_tokens", "Tokens of text", 6, 14, fromSlider],
  ["n_machines", "Machines", 0, 6, wholeFromSlider],
];

function make(tag, className, properties = {}, children = []) {
  const node = document.createElement(tag);
  if (className) node.className = `llm101-bill-${className}`;
  Object.assign(node, properties);
  node.append(...children);
  return node;
}

/** The lines of the bill: name, value, how it is computed. */
export function lines(figures, { machineName, n_machines, machine, co2_per_kwh, utilisation }) {
  const f = figures, share = `${rounded(100 * utilisation)} %`, many = n_machines.toLocaleString("en");
  return [
    ["Text", `${rounded(f.text_tb)} TB`, "tokens × bytes per token"],
    ["Operations", `${rounded(f.flop)} FLOP`, "6 × parameters × tokens"],
    ["Machine-hours", rounded(f.hours), `operations ÷ (${rounded(machine.flops / 1e12)} TFLOP/s × ${share}) ÷ 3,600`],
    ["Time", duration(f.days), n_machines === 1 ? `on one ${machineName}` : `machine-hours ÷ ${many}`],
    ["Cost", `$${rounded(f.dollars)}`, "machine-hours × price; the final run only"],
    ["Energy", `${rounded(f.mwh)} MWh`, `machine-hours × ${rounded(machine.watts)} W`],
    ["CO₂", `${rounded(f.co2_tonnes)} t`, `energy × ${rounded(co2_per_kwh)} kg per kWh`],
    ["File", `${rounded(f.file_gb)} GB`, "parameters × 2 bytes"],
  ];
}

function render({ model, el }) {
  const machines = model.get("machines");
  const choice = make("select", "", {}, Object.keys(machines).map((name) =>
    make("option", "", { value: name, textContent: name })));
  const share = make("input", "", { type: "range", min: 1, max: 100, step: 1 });
  const shareShown = make("span", "value"), price = make("input", "", { type: "number", min: 0, step: 0.01 });
  const sliders = SLIDERS.map(([name, label, min, max, read]) => {
    const input = make("input", "", { type: "range", min, max, step: 0.01 }), shown = make("span", "value");
    input.addEventListener("input", () => change({ [name]: read(input.valueAsNumber) }));
    return { name, input, shown, field: field(label, input, shown) };
  });
  for (const one of [choice, share, ...sliders.map(({ input }) => input)]) {
    one.dataset.lmSuppressShortcuts = "true"; // JupyterLab takes arrow keys otherwise
  }
  const again = make("button", "", { type: "button", textContent: "Back to the start" });
  const body = make("tbody"), summary = make("p", "summary", { role: "status" });
  const [parameters, tokens, count] = sliders.map((slider) => slider.field);
  el.append(make("section", "root", { ariaLabel: "The bill of a training run" }, [
    make("div", "fields", {}, [parameters, tokens, field("Machine", choice), count,
      field("Share of its peak reached", share, shareShown), field("Dollars for an hour of one", price), again]),
    make("table", "lines", {}, [make("caption", "", {}, [summary]), body]),
  ])); // prettier-ignore

  function field(label, input, shown = "") {
    return make("label", "field", {}, [make("span", "", { textContent: label }), shown, input]);
  }

  function change(values) {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
  }

  function show() {
    const set = Object.fromEntries([...SET, "co2_per_kwh", "bytes_per_token"].map((name) => [name, model.get(name)]));
    const machineName = set.machine, machine = machines[machineName];
    for (const { name, input, shown } of sliders) {
      if (document.activeElement !== input) input.value = Math.log10(set[name]);
      shown.textContent = input.ariaValueText = inWords(set[name]);
    }
    choice.value = machineName;
    if (document.activeElement !== share) share.value = 100 * set.utilisation;
    shareShown.textContent = share.ariaValueText = `${rounded(100 * set.utilisation)} %`;
    if (document.activeElement !== price) price.value = Number((set.dollars_per_hour ?? machine.price).toFixed(4));
    const figures = bill({ ...set, machine });
    body.replaceChildren(...lines(figures, { ...set, machine, machineName }).map(([name, value, how]) =>
      make("tr", "", {}, [
        make("th", "", { scope: "row", textContent: name }),
        make("td", "number", { textContent: value }), make("td", "how", { textContent: how }),
      ]))); // prettier-ignore
    const many = set.n_machines === 1 ? "one" : set.n_machines.toLocaleString("en");
    summary.textContent = `On ${many} × ${machineName}: ${duration(figures.days)}, $${rounded(figures.dollars)}.`;
    again.disabled = SET.every((name) => model.get(name) === model.get("start")[name]);
  }

  share.addEventListener("input", () => change({ utilisation: share.valueAsNumber / 100 }));
  choice.addEventListener("change", () => change({ machine: choice.value, dollars_per_hour: null }));
  price.addEventListener("input", () => {
    if (price.valueAsNumber >= 0) change({ dollars_per_hour: price.valueAsNumber });
  });
  again.addEventListener("click", () => change(model.get("start")));
  for (const name of SET) model.on(`change:${name}`, show);
  show();
}

export default { render };
