// The block of one quantised number, drawn: its scale and minimum bit by bit, and its small numbers, to choose among.

import { consume, makers } from "../page/dom.js";
import { FLOATS, decode, inFull } from "./bits.js";
import { bitsOf, short, worth, workingOut } from "./blocks.js";

export const { make } = makers("llm101-scope");

/** Where a key leads among the numbers of a group, in so many columns; its ends hold. undefined: no such key. */
export function moveInGroup(position, key, first, size, columns) {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -size, End: size }[key];
  return step && Math.min(first + size - 1, Math.max(first, position + step));
}

/**
 * The panel: `node`, and show(block, position), which draws it; choose(position) is called for one that the reader
 * chooses, and look(position) for one under the pointer, null once it is left.
 */
export function makeBlockPanel(choose, look) {
  const shared = make("div", "shared");
  const cells = make("div", "cells", { role: "group", ariaLabel: "The small numbers" });
  let [first, size, chosen] = [0, 0, 0];
  const positionOf = ({ target }) => first + [...cells.children].indexOf(target.closest("button"));

  cells.addEventListener("click", (event) => event.target.closest("button") && choose(positionOf(event)));
  cells.addEventListener("pointerover", (event) => look(event.target.closest("button") ? positionOf(event) : null));
  cells.addEventListener("pointerleave", () => look(null));
  cells.addEventListener("keydown", (event) => {
    const columns = getComputedStyle(cells).gridTemplateColumns.split(" ").length;
    const position = moveInGroup(chosen, event.key, first, size, columns);
    if (position === undefined) return;
    consume(event);
    choose(position);
    cells.children[chosen - first].focus();
  });

  function show(block, position) {
    [size, chosen] = [block.group, position];
    first = Math.floor(position / size) * size;
    shared.replaceChildren(...sharedParts(block, Math.floor(position / size)));
    while (cells.children.length > size) cells.lastChild.remove();
    while (cells.children.length < size) cells.append(cell());
    [...cells.children].forEach((button, i) => {
      const [small, isChosen] = [block.small[first + i], first + i === position];
      const [number, bits] = [String(small).replace("-", "−"), bitsOf(small, block.kind.width)];
      button.firstChild.textContent = number;
      button.lastChild.textContent = bits;
      Object.assign(button, { tabIndex: isChosen ? 0 : -1, ariaPressed: String(isChosen) });
      button.ariaLabel = `${number} ${bits}, number ${first + i}, worth ${short(worth(block, first + i))}`;
    });
  }

  return { node: make("div", "block", {}, [shared, cells]), show };
}

const cell = () => make("button", "cell", { type: "button" }, [make("span", "number"), make("span", "nibble")]);

/** What the numbers of a group share, each in a line. */
function sharedParts({ kind, scale, minimum, scales, minimums }, group) {
  const lines = [half("scale", scale)];
  if (minimum !== null) lines.push(half("minimum", minimum));
  if (kind.groups === undefined) return lines;
  const low = minimum === null ? "" : `, minimum ${minimums[group]}`;
  const said = `scale ${String(scales[group]).replace("-", "−")}${low}`;
  const label = make("span", "label", { textContent: `group ${group} of ${scales.length}` });
  return [...lines, make("p", "half", {}, [label, said])];
}

/** A float16 of the block: its name, its bits in their three groups, its value. */
function half(name, pattern) {
  const text = pattern.toString(2).padStart(16, "0");
  const [e] = FLOATS.float16;
  const pieces = { sign: text[0], exponent: text.slice(1, 1 + e), mantissa: text.slice(1 + e) };
  const piece = ([kind, textContent]) => make("span", `piece-of-half ${kind}`, { textContent });
  const bits = Object.entries(pieces).map(piece);
  const label = make("span", "label", { textContent: name });
  const value = make("span", "half-value", { textContent: `= ${inFull(decode(pattern, "float16"))}` });
  return make("p", "half", {}, [label, ...bits, value]);
}

/** The sum that gives the value, for the line below. */
export const sumOf = (block, position) => `${workingOut(block, position)} = ${short(worth(block, position))}`;
