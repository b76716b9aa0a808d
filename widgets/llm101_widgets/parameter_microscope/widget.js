// ParameterMicroscope: a file as a strip, one of its tensors as a heat map, one number of it as bits that can be flipped.
//
// Reads:  file (name n_bytes), tensors [name, shape, dtype, offset, n_bytes], view (what the kernel has sent of the
//         chosen tensor: matrix, limit, overview, overview_size, and a window: row column rows columns bytes)
// Writes: tensor, index (counted along the rows), changed [{tensor, index: a place per axis, before, after}]

export const FLOATS = { float16: [5, 10], bfloat16: [8, 7], float32: [8, 23] }; // bits of exponent and mantissa

/** The three groups of a number's bits, each as a whole number, and the exponent's bias. */
export function groups(pattern, dtype) {
  const [e, m] = FLOATS[dtype];
  return { sign: (pattern >>> (e + m)) & 1, exponent: (pattern >>> m) & (2 ** e - 1), mantissa: pattern & (2 ** m - 1),
    bias: 2 ** (e - 1) - 1, ones: 2 ** e - 1, steps: 2 ** m }; // prettier-ignore
}

/** What the bits are worth. */
export function decode(pattern, dtype) {
  const { sign, exponent, mantissa, bias, ones, steps } = groups(pattern, dtype);
  if (exponent === ones) return mantissa ? NaN : sign ? -Infinity : Infinity;
  const size = exponent ? 2 ** (exponent - bias) * (1 + mantissa / steps) : 2 ** (1 - bias) * (mantissa / steps);
  return sign ? -size : size;
}

/** How the value comes about: [kind, parts], a part in an array of its own being an exponent, set high. */
export function formula(pattern, dtype) {
  const { sign, exponent, mantissa, bias, ones, steps } = groups(pattern, dtype);
  const start = ["(−1)", [`${sign}`]];
  if (exponent === ones && mantissa) return ["not a number: all exponent bits are 1, and the mantissa is not 0", ["NaN"]];
  if (exponent === ones) return ["infinite: all exponent bits are 1, and the mantissa is 0", [...start, " × ∞"]];
  if (exponent) return ["", [...start, " × 2", [`${exponent} − ${bias}`], ` × (1 + ${mantissa}/${steps})`]];
  const kind = mantissa ? "subnormal: all exponent bits are 0, so there is no hidden 1" : "zero: exponent and mantissa are 0";
  return [kind, [...start, " × 2", [`1 − ${bias}`], ` × (0 + ${mantissa}/${steps})`]];
}

/** A value in full, with a real minus sign, and minus zero told from zero. */
export function inFull(value) {
  const text = Object.is(value, -0) ? "-0" : Number.isFinite(value) || Number.isNaN(value) ? `${value}` : value < 0 ? "-∞" : "∞";
  return text.replaceAll("-", "−").replace("NaN", "not a number");
}

/** The bits of the i-th number in little-endian bytes. */
export function patternAt(bytes, i, dtype) {
  return dtype === "float32" ? bytes.getUint32(4 * i, true) : bytes.getUint16(2 * i, true);
}

/** The list of changed numbers after one more bit of `number` is flipped; a number as it was at first drops out. */
export function flip(changed, number, bit) {
  const others = changed.filter((c) => c.tensor !== number.tensor || `${c.index}` !== `${number.index}`);
  const after = (number.after ^ (2 ** bit)) >>> 0;
  return after === number.before ? others : [...others, { ...number, after }];
}

/** One place per axis, for a number counted along the rows. */
export function place(index, shape) {
  const places = [];
  for (const size of [...shape].reverse()) {
    places.unshift(index % size);
    index = Math.floor(index / size);
  }
  return places;
}

/** Where a key leads in a matrix of numbers; the edges hold. */
export function move(index, key, [rows, columns]) {
  const [row, column] = [Math.floor(index / columns), index % columns];
  const [r, c] = { ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1],
    ArrowRight: [row, column + 1], PageUp: [row - 16, column], PageDown: [row + 16, column],
    Home: [row, 0], End: [row, columns - 1] }[key] ?? [row, column]; // prettier-ignore
  return Math.min(rows - 1, Math.max(0, r)) * columns + Math.min(columns - 1, Math.max(0, c));
}

/** Blue below zero, orange above, nothing at zero, at full strength from the limit on. */
export function colour(value, limit) {
  const strength = Math.min(1, Math.abs(value) / limit).toFixed(3);
  return value < 0 ? `rgb(58 126 240 / ${strength})` : `rgb(232 119 0 / ${strength})`;
}

/** Which part of a model a tensor belongs to, going by its name. */
export function part(name) {
  return /embed|wte|wpe|lm_head/.test(name) ? "embeddings" : /attn|attention/.test(name) ? "attention"
    : /norm|ln_/.test(name) ? "norms" : /mlp|ffn/.test(name) ? "MLP" : "others"; // prettier-ignore
}

/** Bytes as a reader says them: 512 bytes, 10.9 MB. */
export function size(bytes) {
  const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  return power ? `${(bytes / 1000 ** power).toPrecision(3)} ${["", "kB", "MB", "GB", "TB"][power]}` : `${bytes} bytes`;
}

function make(tag, className, textContent = "", children = []) {
  const node = document.createElement(tag);
  if (className) node.className = `llm101-scope-${className}`;
  node.textContent = textContent;
  node.append(...children);
  return node;
}

function step(title, children) {
  return make("div", "step", "", [make("p", "heading", title), ...children]);
}

function render({ model, el }) {
  const about = make("p", "about");
  const strip = make("div", "strip");
  const parts = make("p", "about");
  const list = make("select", "list");
  list.size = 12;
  list.ariaLabel = "Tensors of the file";
  const map = make("canvas", "map");
  map.tabIndex = 0;
  map.setAttribute("role", "application");
  const small = make("canvas", "small");
  small.setAttribute("aria-hidden", "true");
  const legend = make("p", "about");
  const numberText = make("p", "value");
  numberText.setAttribute("aria-live", "polite");
  const origin = make("p", "about");
  const bits = make("div", "bits");
  const working = make("p", "formula");
  const kind = make("p", "about");
  const changes = make("div", "changes");
  const root = make("section", "frame", "", [make("div", "grid", "", [
    step("The file", [about, strip, parts]),
    step("One tensor of it", [list]),
    step("The tensor’s numbers", [make("div", "maps", "", [map, small]), legend]),
    step("One number, and its bits", [numberText, origin, bits, working, kind, changes]),
  ])]); // prettier-ignore
  root.setAttribute("aria-label", "Parameter microscope");
  el.append(root);

  const entry = () => model.get("tensors").find(([name]) => name === model.get("tensor"));
  let bitButtons = [];

  /** A number that is in the page, as `changed` has it; null for one that the kernel has not sent. */
  function numberAt(flat) {
    const [view, [tensor, shape, dtype]] = [model.get("view"), entry()];
    const [row, column] = [Math.floor(flat / view.matrix[1]) - view.row, (flat % view.matrix[1]) - view.column];
    if (view.tensor !== tensor || !(row >= 0 && row < view.rows && column >= 0 && column < view.columns)) return null;
    const index = place(flat, shape);
    const before = patternAt(view.bytes, row * view.columns + column, dtype);
    const known = model.get("changed").find((c) => c.tensor === tensor && `${c.index}` === `${index}`);
    return known ?? { tensor, index, before, after: before };
  }

  function write(values) {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
  }

  function showFile() {
    const [{ name, n_bytes: all }, tensors, sums] = [model.get("file"), model.get("tensors"), {}];
    const piece = (title, bytes, kind) =>
      Object.assign(make("span", `piece llm101-scope-${kind}`), { title, style: `flex-grow:${bytes}` });
    const header = Math.min(...tensors.map(([, , , offset]) => offset));
    about.replaceChildren(make("strong", "", name), ` ${all.toLocaleString("en")} bytes, ${tensors.length} tensors, one after the other`);
    strip.replaceChildren(piece(`the header, with all names and shapes: ${size(header)}`, header, "header"));
    list.replaceChildren();
    for (const [tensor, shape, dtype, , bytes] of tensors) {
      const words = `${tensor}  ${shape.join(" × ") || "one number"}`;
      sums[part(tensor)] = (sums[part(tensor)] ?? 0) + bytes;
      strip.append(piece(`${words}, ${dtype}, ${size(bytes)}`, bytes, part(tensor).toLowerCase()));
      list.append(Object.assign(make("option", "", words), { value: tensor, disabled: !(dtype in FLOATS) || !bytes }));
    }
    parts.replaceChildren(...Object.entries(sums).flatMap(([kind, sum]) => [
      make("span", `swatch llm101-scope-${kind.toLowerCase()}`), ` ${kind} ${((100 * sum) / all).toPrecision(2)} %   `])); // prettier-ignore
  }

  function paper(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    Object.assign(canvas, { width: width * ratio, height: height * ratio, style: `width:${width}px;height:${height}px` });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    return pen;
  }

  function showMap() {
    const [view, ink, chosen] = [model.get("view"), getComputedStyle(map).color, model.get("index")];
    if (view.tensor !== model.get("tensor")) return;
    const [cell, dtype] = [Math.max(5, Math.min(14, Math.floor((map.parentElement.clientWidth - 104) / 48))), entry()[2]];
    const pen = paper(map, cell * view.columns, cell * view.rows);
    for (let i = 0; i < view.rows * view.columns; i++) {
      const [row, column] = [Math.floor(i / view.columns), i % view.columns];
      const flat = (view.row + row) * view.matrix[1] + view.column + column;
      const number = numberAt(flat);
      const value = decode(number.after, dtype);
      pen.fillStyle = Number.isFinite(value) ? colour(value, view.limit) : ink;
      pen.fillRect(column * cell, row * cell, cell - 0.5, cell - 0.5);
      pen.fillStyle = ink; // not by colour alone: a dash for minus
      if (value < 0) pen.fillRect((column + 0.3) * cell, (row + 0.5) * cell - 0.5, cell * 0.35, 0.75);
      pen.strokeStyle = ink;
      pen.lineWidth = flat === chosen ? 3 : 1;
      if (flat === chosen || number.after !== number.before) pen.strokeRect(column * cell - 1, row * cell - 1, cell + 1.5, cell + 1.5);
    }
    const [rows, columns] = view.overview_size;
    const brush = paper(small, 90, 160);
    brush.fillStyle = brush.strokeStyle = ink;
    for (let i = 0; i < rows * columns; i++) {
      brush.globalAlpha = view.overview.getUint8(i) / 255;
      brush.fillRect(((i % columns) * 90) / columns, (Math.floor(i / columns) * 160) / rows, 90 / columns + 0.5, 160 / rows + 0.5);
    }
    brush.globalAlpha = 1;
    brush.lineWidth = 2;
    const [down, right] = [160 / view.matrix[0], 90 / view.matrix[1]];
    brush.strokeRect(view.column * right + 1, view.row * down + 1, Math.max(4, view.columns * right) - 2, Math.max(4, view.rows * down) - 2);
    legend.textContent = `Rows ${view.row}–${view.row + view.rows - 1} of ${view.matrix[0]}, columns ${view.column}–${view.column + view.columns - 1} of ${view.matrix[1]}. Blue with a dash: below 0. Orange: above. Full colour from ±${view.limit.toPrecision(2)} on.`;
    map.ariaLabel = `${legend.textContent} Arrow keys go from number to number.`;
  }

  function showNumber() {
    const [number, [tensor, shape, dtype, offset, all]] = [numberAt(model.get("index")), entry()];
    for (const node of [bits, working, kind]) node.hidden = !number;
    if (!number) return numberText.replaceChildren("… waiting for the kernel, which has this part of the tensor");
    const { after, before, index } = number;
    const bytes = all / shape.reduce((n, size) => n * size, 1);
    const first = offset + bytes * model.get("index");
    const hex = Array.from({ length: bytes }, (_, i) => ((after >>> (8 * i)) & 255).toString(16).padStart(2, "0"));
    numberText.replaceChildren(inFull(decode(after, dtype)));
    if (after !== before) numberText.append(make("span", "was", `was ${inFull(decode(before, dtype))}`));
    origin.textContent = `${tensor} [${index.join(", ")}], ${dtype}, in bytes ${first.toLocaleString("en")} to ${(first + bytes - 1).toLocaleString("en")} of the file: ${hex.join(" ")} (the lowest comes first)`;
    showBits(after, dtype);
    const [words, terms] = formula(after, dtype);
    const spoken = terms.map((term) => (Array.isArray(term) ? `^(${term})` : term)).join("");
    working.replaceChildren(...terms.map((term) => (Array.isArray(term) ? make("sup", "", term[0]) : term)), ` = ${inFull(decode(after, dtype))}`);
    working.ariaLabel = spoken;
    kind.textContent = words;
  }

  function showBits(pattern, dtype) {
    const { sign, exponent, mantissa, bias, ones, steps } = groups(pattern, dtype);
    const sizes = [1, ...FLOATS[dtype]];
    const total = sizes.reduce((a, b) => a + b);
    if (bitButtons.length !== total || bits.dataset.dtype !== dtype) {
      bits.dataset.dtype = dtype;
      bitButtons = Array.from({ length: total }, (_, i) => bitButton(total - 1 - i));
      let start = 0;
      bits.replaceChildren(...["sign", "exponent", "mantissa"].map((name, i) => {
        const row = make("div", "row", "", bitButtons.slice(start, (start += sizes[i])));
        return make("div", `group llm101-scope-${name}`, "", [make("span", "label", name), row, make("span", "meaning")]);
      })); // prettier-ignore
    }
    bitButtons.forEach((button, i) => {
      button.textContent = (pattern >>> (total - 1 - i)) & 1;
      button.ariaPressed = String(button.textContent === "1");
    });
    const meanings = [
      sign ? "minus" : "plus",
      exponent === ones ? `${exponent}: kept for ∞ and NaN` : `${exponent}: × 2^(${exponent || 1} − ${bias})`,
      `${mantissa}: ${exponent ? 1 : 0} + ${mantissa}/${steps}`,
    ];
    bits.querySelectorAll(".llm101-scope-meaning").forEach((node, i) => (node.textContent = meanings[i]));
  }

  function bitButton(bit) {
    const button = make("button", "bit");
    button.type = "button";
    button.ariaLabel = `bit ${bit}`;
    button.addEventListener("click", () => write({ changed: flip(model.get("changed"), numberAt(model.get("index")), bit) }));
    button.addEventListener("keydown", (event) => {
      const next = bitButtons[bitButtons.indexOf(button) + { ArrowRight: 1, ArrowLeft: -1 }[event.key]];
      if (!next) return;
      next.focus();
      event.stopPropagation();
    });
    return button;
  }

  function showChanges() {
    const changed = model.get("changed");
    const undo = make("button", "undo", "Undo all");
    undo.type = "button";
    undo.addEventListener("click", () => write({ changed: [] }));
    changes.hidden = !changed.length;
    changes.replaceChildren(`${changed.length} changed ${changed.length === 1 ? "number" : "numbers"}, in this widget only so far: the file is as it was. `, undo);
  }

  function showTensor() {
    list.value = model.get("tensor");
    for (const node of strip.children) node.classList.toggle("llm101-scope-chosen", node.dataset.tensor === list.value);
  }

  const showNumbers = () => (showMap(), showNumber(), showChanges());
  const at = (event, node, rows, columns) => [
    Math.min(rows - 1, Math.max(0, Math.floor((event.offsetY / node.clientHeight) * rows))),
    Math.min(columns - 1, Math.max(0, Math.floor((event.offsetX / node.clientWidth) * columns))),
  ]; // prettier-ignore
  const pick = (event) => {
    if (event.buttons !== 1) return;
    const view = model.get("view");
    const [row, column] = event.target === map ? at(event, map, view.rows, view.columns) : at(event, small, ...view.matrix);
    const [top, left] = event.target === map ? [view.row, view.column] : [0, 0];
    write({ index: (row + top) * view.matrix[1] + column + left });
  };
  for (const node of [map, small]) for (const name of ["pointerdown", "pointermove"]) node.addEventListener(name, pick);
  map.addEventListener("keydown", (event) => {
    const index = move(model.get("index"), event.key, model.get("view").matrix);
    if (index === model.get("index")) return;
    write({ index });
    event.preventDefault();
    event.stopPropagation(); // or the notebook would take the key for itself
  });
  list.addEventListener("change", () => write({ tensor: list.value, index: 0 }));
  strip.addEventListener("click", ({ target }) => {
    if (target.dataset.tensor) write({ tensor: target.dataset.tensor, index: 0 });
  });
  const resized = new ResizeObserver(showMap);
  resized.observe(root);
  for (const name of ["file", "tensors"]) model.on(`change:${name}`, showFile);
  model.on("change:tensor", showTensor);
  for (const name of ["index", "view", "changed"]) model.on(`change:${name}`, showNumbers);
  showFile();
  showTensor();
  showNumbers();
  return () => resized.disconnect();
}

export default { render };
