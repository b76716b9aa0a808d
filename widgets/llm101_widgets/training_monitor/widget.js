// TrainingMonitor: the curves, the speed and the samples of a run that goes on in the kernel.
//
// Reads:  train valid samples now prompt state error (all of them the kernel's)
// Writes: nothing
// Sends:  {command: "start" | "pause" | "resume" | "stop"}

import { place, polyline, ticks, topOf } from "../page/curve.js";
import { makers } from "../page/dom.js";
import { SILENT, lineToPython } from "../page/kernel.js";
import { onChange } from "../page/traits.js";
import { grouped } from "../page/words.js";

const [WIDTH, HEIGHT] = [600, 190];
const INTERRUPT = "Jupyter’s own ■ ends a cell that waits, and the run with it.";

/** "1:05" or "40 s": a time that a reader waits for. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min`;
  return `${(whole / 3600).toFixed(1)} h`;
}

/** 12,345 -> "12,345"; 1,234,567 -> "1.23 M". */
export function count(number) {
  if (number >= 1e6) return `${(number / 1e6).toFixed(2)} M`;
  return grouped(Math.round(number));
}

/** What the two buttons say and do in each state; null where there is nothing to do. */
export function commands(state) {
  return {
    ready: [["start", "▶ Start"], null],
    running: [["pause", "❚❚ Pause"], ["stop", "■ Stop"]],
    paused: [["resume", "▶ Go on"], ["stop", "■ Stop"]],
    stopped: [["start", "▶ Go on"], null],
    failed: [["start", "▶ Try again"], null],
  }[state] ?? [null, null]; // prettier-ignore
}

/** The state in a sentence. */
export function sentence(state, error) {
  return {
    ready: "Not started yet.",
    running: "Training, in the kernel of this notebook.",
    paused: "Paused: the model waits after the step in progress.",
    stopped: "Stopped. What it has learned stays in the model.",
    done: "Done.",
    failed: `Failed: ${error}`,
  }[state] ?? ""; // prettier-ignore
}

/** Label and value of each number that is shown. */
export function readings(now, train, valid) {
  const bits = (curve) => (curve.length ? curve.at(-1)[1].toFixed(2) : "–");
  const known = now.step !== undefined;
  return [
    ["step", known ? `${count(now.step)} of ${count(now.steps)}` : "–"],
    ["training text, bits per byte", bits(train)],
    ["unknown text, bits per byte", bits(valid)],
    ["learning rate", known ? `${Math.round(100 * now.learning_rate_factor)} % of the highest` : "–"],
    ["tokens read", known ? count(now.tokens_seen) : "–"],
    ["tokens per second", known ? count(now.tokens_per_second) : "–"],
    ["time", known ? duration(now.seconds) : "–"],
    ["time left", known ? duration(now.seconds_left) : "–"],
  ];
}

/** The newest first, and no more than the page can hold. */
export function newestFirst(samples, most = 60) {
  return samples.slice(-most).reverse();
}

const { make, draw } = makers("llm101-monitor");

function render({ model, el }) {
  const buttons = [make("button", "go llm101-go", { type: "button" }), make("button", "", { type: "button" })];
  const status = make("p", "status", { role: "status" });
  const bar = make("progress", "bar", { max: 1, value: 0, ariaLabel: "Share of the steps done" });
  const numbers = make("dl", "numbers");
  const curves = draw("g");
  const viewBox = `-64 -36 ${WIDTH + 84} ${HEIGHT + 72}`;
  const chart = draw("svg", { viewBox, role: "img", class: "chart" }, [curves]);
  const key = make("p", "key", {}, [
    make("span", "key-train"), "the batches it learns from",
    make("span", "key-valid"), "text that it never learns from",
  ]); // prettier-ignore
  const samples = make("ol", "samples", { reversed: true });
  const heading = make("h4", "", { textContent: "What it makes of the same beginning" });
  const table = make("table", "table");
  const details = make("details", "", {}, [make("summary", "", { textContent: "The curves in numbers" }), table]);
  const top = make("div", "top", {}, [...buttons, bar, status]);
  const root = make("section", "llm101-monitor", { ariaLabel: "Training monitor" }, [
    top, numbers, chart, key, heading, samples, details,
  ]); // prettier-ignore
  el.append(root);
  const line = lineToPython(model, (words) => {
    status.textContent = words === SILENT ? `${words} ${INTERRUPT}` : words;
    status.classList.add("llm101-error");
    root.setAttribute("aria-busy", "false");
  });

  function showState() {
    line.heard();
    const state = model.get("state");
    commands(state).forEach((command, i) => {
      buttons[i].hidden = !command;
      buttons[i].textContent = command?.[1] ?? "";
    });
    status.textContent = sentence(state, model.get("error"));
    status.classList.toggle("llm101-error", state === "failed");
    root.setAttribute("aria-busy", String(state === "running"));
  }

  function send(i) {
    const command = commands(model.get("state"))[i]?.[0];
    if (command) line.send({ command });
  }

  function showNumbers() {
    const now = model.get("now");
    bar.value = now.steps ? now.step / now.steps : 0;
    const items = readings(now, model.get("train"), model.get("valid"));
    numbers.replaceChildren(...items.map(([label, value]) => make("div", "", {}, [
      make("dt", "", { textContent: label }), make("dd", "", { textContent: value }),
    ]))); // prettier-ignore
  }

  function showCurves() {
    const [train, valid, steps] = [model.get("train"), model.get("valid"), model.get("now").steps ?? 1];
    const frame = { steps, top: topOf(train, valid), width: WIDTH, height: HEIGHT };
    const lines = ticks(frame.top).map((value) => {
      const y = place([0, value], frame)[1];
      return draw("g", {}, [
        draw("line", { x2: WIDTH, y1: y, y2: y, class: "line" }),
        draw("text", { x: -6, y: y + 4, "text-anchor": "end" }, [String(value)]),
      ]);
    });
    const dots = valid.map((point) => {
      const [cx, cy] = place(point, frame);
      return draw("circle", { cx, cy, r: 4, class: "dot" });
    });
    curves.replaceChildren(
      ...lines,
      draw("text", { x: WIDTH, y: HEIGHT + 26, "text-anchor": "end" }, [`${count(steps)} steps`]),
      draw("text", { x: 6, y: -8 }, ["bits per byte"]),
      draw("polyline", { points: polyline(train, frame), class: "train" }),
      draw("polyline", { points: polyline(valid, frame), class: "valid" }), ...dots,
    ); // prettier-ignore
    const last = valid.length ? `, ${valid.at(-1)[1].toFixed(2)} on unknown text` : "";
    chart.setAttribute("aria-label", `Bits per byte over ${count(steps)} steps${last}`);
    if (details.open) showTable();
  }

  function showTable() {
    const row = (cells, tag) => make("tr", "", {}, cells.map((textContent) => make(tag, "", { textContent })));
    const train = model.get("train");
    const nearest = (step) => train.reduce((a, b) => (Math.abs(b[0] - step) < Math.abs(a[0] - step) ? b : a))[1];
    table.replaceChildren(
      row(["step", "training text", "unknown text"], "th"),
      ...model.get("valid").map(([step, bits]) => row([count(step), nearest(step).toFixed(2), bits.toFixed(2)], "td")),
    );
  }

  function showSamples() {
    samples.replaceChildren(...newestFirst(model.get("samples")).map(([step, text]) => make("li", "", { value: step }, [
      make("b", "", { textContent: model.get("prompt") }), make("span", "", { textContent: text }),
    ]))); // prettier-ignore
    heading.hidden = model.get("samples").length === 0;
  }

  buttons.forEach((button, i) => button.addEventListener("click", () => send(i)));
  details.addEventListener("toggle", showTable);
  onChange(model, ["state", "error"], showState);
  onChange(model, ["now"], () => (showNumbers(), showCurves()));
  onChange(model, ["train", "valid"], showCurves);
  onChange(model, ["samples"], showSamples);
  showState();
  showNumbers();
  showCurves();
  showSamples();
  return line.heard;
}

export default { render };
