// ParameterMicroscope: a file as a strip, a tensor of it as a heat map, one of its numbers as bits that can be flipped.
// Reads:  file (name n_bytes), tensors [name, shape, dtype, offset, n_bytes], view (what the kernel has sent of the
//         chosen tensor: matrix limit overview overview_size, and a window: row column rows columns bytes)
// Writes: tensor, index (counted along the rows), changed [{tensor, index: a place per axis, before, after}]

import { consume, makers } from "../page/dom.js";
import { lineToPython } from "../page/kernel.js";
import { onChange, save } from "../page/traits.js";
import { counted, finePercent, grouped } from "../page/words.js";
import { FLOATS, decode, formula, groups, inFull } from "./bits.js";

const clamp = (i, size) => Math.min(size - 1, Math.max(0, Math.floor(i)));
const NOT_HERE = "… in the kernel: this page does not have these numbers.";
const { make } = makers("llm101-scope");

/** The list of changed numbers once a bit of `number` is flipped; a number that is as it was at first drops out. */
export function flip(changed, number, bit) {
  const others = changed.filter((c) => c.tensor !== number.tensor || `${c.index}` !== `${number.index}`);
  const after = (number.after ^ (2 ** bit)) >>> 0;
  return after === number.before ? others : [...others, { ...number, after }];
}

/** One place per axis, for a number counted along the rows. */
export function place(index, shape) {
  return shape.map((size, axis) => Math.floor(index / shape.slice(axis + 1).reduce((n, m) => n * m, 1)) % size);
}

/** Where a key leads in a matrix of numbers; the edges hold. */
export function move(index, key, [rows, columns]) {
  const [row, column] = [Math.floor(index / columns), index % columns];
  const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    PageUp: [-16, 0], PageDown: [16, 0], Home: [0, -column], End: [0, columns] }[key] ?? [0, 0]; // prettier-ignore
  return clamp(row + down, rows) * columns + clamp(column + right, columns);
}

/** Blue below zero, orange above, nothing at zero, at full strength from the limit on. */
export function colour(value, limit) {
  return `rgb(${value < 0 ? "58 126 240" : "232 119 0"} / ${Math.min(1, Math.abs(value) / limit).toFixed(3)})`;
}

/** Which part of a model a tensor belongs to, going by its name. */
export function part(name) {
  const parts = { embeddings: /embed|wte|wpe|lm_head/, norms: /norm|ln_/, attention: /attn|attention/, MLP: /mlp|ffn/ };
  return Object.keys(parts).find((key) => parts[key].test(name)) ?? "others";
}

function render({ model, el }) {
  const names = ["about", "parts", "legend", "value", "origin", "formula", "changes"];
  const live = (name) => ({ ariaLive: name === "value" ? "polite" : "off" });
  const [about, parts, legend, value, origin, working, changes] = names.map((name) => make("p", name, live(name)));
  const [strip, bits] = [make("div", "strip", { ariaHidden: "true" }), make("div", "bits")]; // the list says the same
  const list = make("select", "list", { size: 12, ariaLabel: "Tensors of the file" });
  const map = make("canvas", "map", { tabIndex: 0, role: "application", onpointerdown: pick, onpointermove: pick });
  const small = make("canvas", "small", { ariaHidden: "true", onpointerdown: pick, onpointermove: pick });
  const told = make("p", "told llm101-error", { role: "status" }); // what has become of the kernel
  const undo = make("button", "undo", { type: "button", textContent: "Undo all" });
  const steps = [
    ["The file", about, strip, parts],
    ["A tensor of it", list],
    ["The tensor’s numbers", make("div", "maps", {}, [map, small]), legend],
    ["One number, and its bits", told, value, origin, bits, working, changes],
  ].map(([textContent, ...nodes]) => make("div", "step", {}, [make("p", "heading", { textContent }), ...nodes]));
  el.append(make("section", "frame", { ariaLabel: "Parameter microscope" }, [make("div", "grid", {}, steps)]));

  const entry = () => model.get("tensors").find(([name]) => name === model.get("tensor"));
  const chosen = () => numbersInPage()(model.get("index"));
  const line = lineToPython(model, (words) => (told.textContent = words));

  function write(values) {
    save(model, values);
    if (!chosen()) line.expect();
    else if (!line.isGone()) told.textContent = "";
  }

  /** The numbers that are in the page, as `changed` has them; undefined for one that the kernel has not sent. */
  function numbersInPage([tensor, shape, dtype] = entry()) {
    const [view, changed] = [model.get("view"), model.get("changed").filter((c) => c.tensor === tensor)];
    const known = new Map(changed.map((c) => [`${c.index}`, c]));
    return (flat) => {
      const [row, column] = [Math.floor(flat / view.matrix[1]) - view.row, (flat % view.matrix[1]) - view.column];
      if (view.tensor !== tensor || row !== clamp(row, view.rows) || column !== clamp(column, view.columns)) return;
      const [index, at] = [place(flat, shape), row * view.columns + column];
      const before = dtype === "float32" ? view.bytes.getUint32(4 * at, true) : view.bytes.getUint16(2 * at, true);
      return known.get(`${index}`) ?? { tensor, index, before, after: before };
    };
  }

  function showFile() {
    const [{ name, n_bytes: all }, tensors, sums] = [model.get("file"), model.get("tensors"), {}];
    about.textContent = `${name}: ${grouped(all)} bytes, first a header with the names, then ${tensors.length} tensors`;
    strip.replaceChildren(make("span", "piece", { style: `flex-grow:${tensors[0][3]}` }));
    list.replaceChildren();
    for (const [tensor, shape, dtype, , bytes] of tensors) {
      const [title, disabled] = [`${tensor}: ${shape.join(" × ")} ${dtype}`, !(dtype in FLOATS) || bytes === 0];
      const text = `${tensor.replace(/^model\.|\.weight$/g, "")}  ${shape.join("×")}`;
      list.append(make("option", "option", { text, title, value: tensor, disabled }));
      const onclick = disabled ? null : () => write({ tensor, index: 0 });
      strip.append(make("span", `piece ${part(tensor)}`, { title, style: `flex-grow:${bytes}`, onclick }));
      sums[part(tensor)] = (sums[part(tensor)] ?? 0) + bytes;
    }
    const share = ([kind, sum]) => [make("span", `swatch ${kind}`), `${kind} ${finePercent(sum / all)}`];
    parts.replaceChildren(...Object.entries(sums).map((sum) => make("span", "part", {}, share(sum))));
  }

  function showTensor() {
    list.value = model.get("tensor"); // in the strip, the header comes before the first tensor
    [...strip.children].forEach((piece, i) => (piece.ariaCurrent = String(i === list.selectedIndex + 1)));
  }

  function penFor(canvas, w, h) {
    const ratio = window.devicePixelRatio || 1;
    Object.assign(canvas, { width: w * ratio, height: h * ratio, style: `width:${w}px;height:${h}px` });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.strokeStyle = pen.fillStyle = getComputedStyle(canvas).color;
    return pen;
  }

  function showMap() {
    const [view, numberAt, dtype, index] = [model.get("view"), numbersInPage(), entry()[2], model.get("index")];
    map.hidden = small.hidden = view.tensor !== model.get("tensor"); // no numbers of one under another's name
    if (map.hidden) return legend.replaceChildren(NOT_HERE);
    const cell = clamp((map.parentElement.clientWidth - 104) / Math.max(32, view.columns), 14) || 5;
    const pen = penFor(map, cell * view.columns, cell * view.rows);
    const ink = pen.fillStyle;
    for (let i = 0; i < view.rows * view.columns; i++) {
      const [row, column] = [Math.floor(i / view.columns), i % view.columns];
      const flat = (view.row + row) * view.matrix[1] + view.column + column;
      const [{ before, after }, x, y] = [numberAt(flat), column * cell, row * cell];
      const size = decode(after, dtype);
      pen.fillStyle = Number.isFinite(size) ? colour(size, view.limit) : ink;
      pen.fillRect(x, y, cell - 0.5, cell - 0.5);
      pen.fillStyle = ink;
      if (size < 0) pen.fillRect(x + 0.3 * cell, y + 0.5 * cell - 0.5, 0.35 * cell, 0.75); // not by colour alone
      pen.lineWidth = flat === index ? 3 : 1;
      if (flat === index || after !== before) pen.strokeRect(x - 1, y - 1, cell + 1.5, cell + 1.5);
    }
    const rows = `Rows ${view.row}–${view.row + view.rows - 1} of ${view.matrix[0]}`;
    const columns = `columns ${view.column}–${view.column + view.columns - 1} of ${view.matrix[1]}`;
    const full = `full colour from ±${view.limit.toPrecision(2)} on`;
    legend.textContent = `${rows}, ${columns}. Blue with a dash: below 0; orange: above; ${full}.`;
    map.ariaLabel = `Heat map: ${legend.textContent} The arrow keys go from number to number.`;
    showOverview(view);
  }

  function showOverview({ overview, overview_size: [down, across], matrix, row, column, rows, columns }) {
    const [pen, x, y] = [penFor(small, 90, 160), 90 / matrix[1], 160 / matrix[0]];
    for (let i = 0; i < down * across; i++) {
      pen.globalAlpha = overview.getUint8(i) / 400; // pale, so that the frame of the window stands out
      const [left, top] = [((i % across) * 90) / across, (Math.floor(i / across) * 160) / down];
      pen.fillRect(left, top, 90 / across + 0.5, 160 / down + 0.5);
    }
    Object.assign(pen, { globalAlpha: 1, lineWidth: 3 }).strokeRect(column * x, row * y, columns * x, rows * y);
  }

  function showNumber() {
    const [number, [tensor, , dtype, offset], n] = [chosen(), entry(), model.get("changed").length];
    for (const node of [origin, bits, working]) node.hidden = !number;
    changes.hidden = n === 0;
    changes.replaceChildren(`${counted(n, "number")} changed, here and not in the file. `, undo);
    if (!number) return value.replaceChildren(make("span", "was", { textContent: NOT_HERE }));
    const [{ before, after, index }, size] = [number, dtype === "float32" ? 4 : 2];
    const [first, now] = [offset + size * model.get("index"), inFull(decode(after, dtype))];
    value.replaceChildren(now);
    if (after !== before) value.append(make("span", "was", { textContent: `was ${inFull(decode(before, dtype))}` }));
    const bytes = Array.from({ length: size }, (_, i) => ((after >>> (8 * i)) & 255).toString(16).padStart(2, "0"));
    const where = `bytes ${grouped(first)} to ${grouped(first + size - 1)} of the file, ${bytes.join(" ")}`;
    origin.textContent = `${tensor} [${index.join(", ")}], ${dtype}: ${where} (the lowest comes first)`;
    showBits(after, dtype);
    const [special, terms] = formula(after, dtype);
    const set = (term) => (Array.isArray(term) ? make("sup", "high", { textContent: term[0] }) : term);
    working.replaceChildren(...terms.map(set), ` = ${now}`, make("span", "special", { textContent: special }));
  }

  function showBits(pattern, dtype) {
    const [kinds, sizes, values] = [["sign", "exponent", "mantissa"], [1, ...FLOATS[dtype]], groups(pattern, dtype)];
    if (bits.dataset.dtype !== dtype) {
      let bit = 1 + sizes[1] + sizes[2];
      const button = () => make("button", "bit", { type: "button", value: --bit, ariaLabel: `bit ${bit}` });
      const row = (i) => make("div", "row", {}, Array.from({ length: sizes[i] }, button));
      const group = (kind, i) => make("div", `group ${kind}`, {}, [make("span", "label"), row(i)]);
      bits.replaceChildren(...kinds.map(group));
      bits.dataset.dtype = dtype;
    }
    kinds.forEach((kind, i) => (bits.children[i].firstChild.textContent = `${kind} ${values[kind]}`));
    for (const button of bits.querySelectorAll("button")) {
      button.textContent = (pattern >>> button.value) & 1;
      button.ariaPressed = String(button.textContent === "1");
    }
  }

  function pick({ buttons, target, offsetX, offsetY }) {
    if (buttons !== 1) return;
    const { row, column, rows, columns, matrix } = model.get("view");
    const [top, left, height, width] = target === map ? [row, column, rows, columns] : [0, 0, ...matrix];
    const [down, right] = [(height * offsetY) / target.clientHeight, (width * offsetX) / target.clientWidth];
    write({ index: (top + clamp(down, height)) * matrix[1] + left + clamp(right, width) });
  }

  list.addEventListener("change", () => write({ tensor: list.value, index: 0 }));
  bits.addEventListener("click", ({ target }) => {
    if (target.value) write({ changed: flip(model.get("changed"), chosen(), Number(target.value)) });
  });
  undo.addEventListener("click", () => write({ changed: [] }));
  map.addEventListener("keydown", (event) => {
    const index = move(model.get("index"), event.key, model.get("view").matrix);
    if (index === model.get("index")) return;
    consume(event);
    write({ index });
  });
  function answered() {
    line.heard();
    told.textContent = "";
  }

  onChange(model, ["view"], answered);
  onChange(model, ["tensor"], showTensor);
  onChange(model, ["tensor", "index", "view", "changed"], () => [showMap(), showNumber()]);
  const resized = new ResizeObserver(showMap); // it also draws the first time
  resized.observe(map.parentElement);
  for (const show of [showFile, showTensor, showNumber]) show();
  return () => (line.heard(), resized.disconnect());
}
export default { render };
