// ParameterMicroscope: a file as a strip, a tensor of it as a heat map, one of its numbers as bits that can be flipped,
// or with the block that a quantised one is packed in.
// Reads:  file (name n_bytes), tensors [name, shape, dtype, offset, n_bytes], view (what the kernel has sent of the
//         chosen tensor: matrix limit overview overview_size, and a window: row column rows columns bytes)
// Writes: tensor, index (counted along the rows), changed [{tensor, index: a place per axis, before, after}]

import { consume } from "../page/dom.js";
import { lineToPython } from "../page/kernel.js";
import { onChange, save } from "../page/traits.js";
import { counted, finePercent, grouped } from "../page/words.js";
import { FLOATS, decode, formula, groups, inFull } from "./bits.js";
import { make, makeBlockPanel, sumOf } from "./block_panel.js";
import { BLOCKS, short, unpack, worth } from "./blocks.js";
import { clamp, colour, flip, move, part, place, seen } from "./places.js";

const NOT_HERE = "… in the kernel: this page does not have these numbers.";

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
  const panel = makeBlockPanel((position) => write({ index: inBlock(position) }), (position) => showWorking(position));
  const steps = [
    ["The file", about, strip, parts],
    ["A tensor of it", list],
    ["The tensor’s numbers", make("div", "maps", {}, [map, small]), legend],
    ["One number, and its bits", told, value, origin, bits, panel.node, working, changes],
  ].map(([textContent, ...nodes]) => make("div", "step", {}, [make("p", "heading", { textContent }), ...nodes]));
  el.append(make("section", "frame", { ariaLabel: "Parameter microscope" }, [make("div", "grid", {}, steps)]));

  const entry = () => model.get("tensors").find(([name]) => name === model.get("tensor"));
  const chosen = () => numbersInPage()(model.get("index"));
  const inBlock = (position) => model.get("index") - chosen().position + position;
  const line = lineToPython(model, (words) => (told.textContent = words));

  function write(values) {
    save(model, values);
    if (!chosen()) line.expect();
    else if (!line.isGone()) told.textContent = "";
  }

  /** The numbers that are in the page, as `changed` has them; undefined for one that the kernel has not sent. */
  function numbersInPage([tensor, shape, dtype] = entry()) {
    const [view, changed] = [model.get("view"), model.get("changed").filter((c) => c.tensor === tensor)];
    const blocks = new Map();
    const known = new Map(changed.map((c) => [`${c.index}`, c]));
    return (flat) => {
      const [row, column] = [Math.floor(flat / view.matrix[1]) - view.row, (flat % view.matrix[1]) - view.column];
      if (view.tensor !== tensor || row !== clamp(row, view.rows) || column !== clamp(column, view.columns)) return;
      const [index, at] = [place(flat, shape), row * view.columns + column];
      if (dtype in BLOCKS) {
        const [n, position] = [Math.floor(at / BLOCKS[dtype].numbers), at % BLOCKS[dtype].numbers];
        if (!blocks.has(n)) blocks.set(n, unpack(dtype, view.bytes, n * BLOCKS[dtype].bytes));
        return { index, position, block: blocks.get(n), value: worth(blocks.get(n), position) };
      }
      const before = dtype === "float32" ? view.bytes.getUint32(4 * at, true) : view.bytes.getUint16(2 * at, true);
      const number = known.get(`${index}`) ?? { tensor, index, before, after: before };
      return { ...number, value: decode(number.after, dtype) };
    };
  }

  function showFile() {
    const [{ name, n_bytes: all }, tensors, sums] = [model.get("file"), model.get("tensors"), {}];
    about.textContent = `${name}: ${grouped(all)} bytes, first a header with the names, then ${tensors.length} tensors`;
    strip.replaceChildren(make("span", "piece", { style: `flex-grow:${tensors[0][3]}` }));
    list.replaceChildren();
    for (const [tensor, shape, dtype, , bytes] of tensors) {
      const title = `${tensor}: ${shape.join(" × ")} ${dtype}`;
      const disabled = !(dtype in FLOATS || dtype in BLOCKS) || bytes === 0;
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
    const { row: top, column: left, rows: down, columns: across } = seen(view, dtype, index);
    const cell = clamp((map.parentElement.clientWidth - 104) / Math.max(32, across), 14) || 5;
    const pen = penFor(map, cell * across, cell * down);
    const ink = pen.fillStyle;
    for (let i = 0; i < down * across; i++) {
      const [row, column] = [Math.floor(i / across), i % across];
      const flat = (top + row) * view.matrix[1] + left + column;
      const [{ before, after, value: size }, x, y] = [numberAt(flat), column * cell, row * cell];
      pen.fillStyle = Number.isFinite(size) ? colour(size, view.limit) : ink;
      pen.fillRect(x, y, cell - 0.5, cell - 0.5);
      pen.fillStyle = ink;
      if (size < 0) pen.fillRect(x + 0.3 * cell, y + 0.5 * cell - 0.5, 0.35 * cell, 0.75); // not by colour alone
      pen.lineWidth = flat === index ? 3 : 1;
      if (flat === index || after !== before) pen.strokeRect(x - 1, y - 1, cell + 1.5, cell + 1.5);
    }
    const rows = `Rows ${top}–${top + down - 1} of ${view.matrix[0]}`;
    const columns = `columns ${left}–${left + across - 1} of ${view.matrix[1]}`;
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
    for (const node of [origin, working]) node.hidden = !number;
    [bits.hidden, panel.node.hidden] = [!number || dtype in BLOCKS, !number || !(dtype in BLOCKS)];
    changes.hidden = n === 0;
    changes.replaceChildren(`${counted(n, "number")} changed, here and not in the file. `, undo);
    if (!number) return value.replaceChildren(make("span", "was", { textContent: NOT_HERE }));
    if (dtype in BLOCKS) return showBlock(number);
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

  function showBlock({ index, position, block }) {
    const [tensor, , dtype, offset] = entry();
    const { numbers, bytes } = BLOCKS[dtype];
    const first = offset + bytes * Math.floor(model.get("index") / numbers);
    const where = `bytes ${grouped(first)} to ${grouped(first + bytes - 1)} of the file`;
    const which = `number ${position} of a ${dtype} block of ${numbers}`;
    origin.textContent = `${tensor} [${index.join(", ")}], ${which}: ${where}`;
    value.replaceChildren(short(worth(block, position)));
    panel.show(block, position);
    showWorking(null);
  }

  /** The sum of the chosen number; or of another of its block, while the pointer is over that. */
  function showWorking(looked) {
    const { block, position } = chosen() ?? {};
    if (!block) return; // the pointer leaves what is hidden by now
    const other = looked === null || looked === position ? "" : `Number ${looked}, under the pointer.`;
    const special = make("span", "special", { textContent: other });
    working.replaceChildren(sumOf(block, looked ?? position), special);
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
    const view = model.get("view");
    const { row, column, rows, columns } = seen(view, entry()[2], model.get("index"));
    const [top, left, height, width] = target === map ? [row, column, rows, columns] : [0, 0, ...view.matrix];
    const [down, right] = [(height * offsetY) / target.clientHeight, (width * offsetX) / target.clientWidth];
    write({ index: (top + clamp(down, height)) * view.matrix[1] + left + clamp(right, width) });
  }

  list.addEventListener("change", () => write({ tensor: list.value, index: 0 }));
  bits.addEventListener("click", ({ target }) => {
    const { value: _, ...number } = chosen();
    if (target.value) write({ changed: flip(model.get("changed"), number, Number(target.value)) });
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
