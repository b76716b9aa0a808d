// What the stepper is put together from: the bars of what can come next, and the picture of the tree.
//
// Reading order: makeBars, makeTree. Both show what they are given, and tell what was chosen.

import { makers, scrolled } from "../page/dom.js";
import { spell } from "../page/pieces.js";
import { grouped, percent } from "../page/words.js";
import { places } from "./tree.js";

export const { make, draw } = makers("llm101-stepper");
const EM = 13, CELL = { width: 8 * EM, height: 2.4 * EM }; // of the tree, in pixels of its usual letters

export function button(textContent, onclick, className = "") {
  return make("button", className, { type: "button", textContent, onclick });
}

/** The bars: one row for each of the likeliest tokens, and one for all others. */
export function makeBars(choose) {
  const rows = Array.from({ length: 20 }, (_, i) => {
    const parts = ["piece", "track", "share", "mark"].map((name) => make("span", name));
    const row = make("button", "bar", { type: "button", tabIndex: i ? -1 : 0, onclick: () => choose(i) }, parts);
    return { row, parts };
  });
  const others = make("p", "others");
  const list = make("div", "bars", { role: "group", ariaLabel: "What can come next" }, rows.map(({ row }) => row));
  list.addEventListener("keydown", (event) => {
    const at = rows.findIndex(({ row }) => row === document.activeElement);
    const to = rows[at + ({ ArrowDown: 1, ArrowUp: -1 }[event.key] ?? NaN)]?.row;
    if (!to || to.hidden) return;
    event.preventDefault();
    to.focus();
  });
  list.addEventListener("focusin", (event) => {
    for (const { row } of rows) row.tabIndex = row === event.target ? 0 : -1;
  });

  function show(top, own, now, seen, nTokens) {
    rows.forEach(({ row, parts: [piece, track, share, mark] }, i) => {
      row.hidden = i >= top.length;
      if (row.hidden) return;
      const [said, cut] = [spell(top[i]), now.shares[i] === 0];
      piece.textContent = said;
      share.textContent = cut ? "cut" : percent(now.shares[i]);
      mark.textContent = seen[i] ? "●" : "";
      row.classList.toggle("llm101-stepper-cut", cut);
      track.style.setProperty("--llm101-now", now.shares[i]);
      track.style.setProperty("--llm101-own", own.shares[i]);
      row.title = `the model's own: ${percent(own.shares[i])}`;
      const chance = cut ? "cut away" : percent(now.shares[i]);
      row.ariaLabel = [said, chance, row.title, ...(seen[i] ? ["in the tree"] : [])].join(", ");
    });
    const rest = now.shares.slice(top.length).reduce((sum, p) => sum + p, now.rest);
    const left = grouped(now.nKept);
    const [n, all] = [nTokens - top.length, nTokens].map(grouped);
    const beyond = nTokens > top.length ? `The other ${n} tokens together: ${percent(rest)}. ` : "";
    others.textContent = `${beyond}${left} of ${all} can be drawn. A line │ marks the model’s own probability.`;
  }
  return { node: make("div", "choice", {}, [list, others]), show };
}

/** The tree: a token in each cell, one line from each to the next. Arrow keys walk along it. */
export function makeTree(select, onKey) {
  const node = make("div", "tree", { role: "tree", ariaLabel: "All continuations that were tried" });
  node.addEventListener("keydown", onKey);
  const lines = draw("svg", { "aria-hidden": "true" });

  function show(nodes, selected, path) {
    const at = places(nodes);
    const most = (side) => at.reduce((highest, place) => Math.max(highest, place[side]), 0);
    lines.replaceChildren();
    const [width, height] = [(most("column") + 1) * CELL.width, (most("row") + 1) * CELL.height];
    lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    lines.style.cssText = `width: ${width / EM}em; height: ${height / EM}em`; // it grows with the letters
    const items = nodes.map((entry, i) => {
      const { column, row } = at[i], on = i === 0 || path.includes(i);
      const label = i ? `${spell(entry.bytes)}, ${percent(Math.exp(entry.logprob))}` : "the prompt";
      const item = make("span", on ? "item on" : "item", {
        role: "treeitem", ariaLabel: label, title: label, textContent: i ? spell(entry.bytes) : "prompt",
        tabIndex: i === selected ? 0 : -1, ariaSelected: String(i === selected), ariaLevel: column + 1,
      }); // prettier-ignore
      item.style.left = `${(column * CELL.width) / EM}em`;
      item.style.top = `${(row * CELL.height) / EM}em`;
      item.addEventListener("click", () => select(i));
      if (i) drawLine(at[entry.parent], at[i], on);
      return item;
    });
    const hadFocus = node.contains(document.activeElement);
    node.replaceChildren(lines, ...items);
    if (hadFocus) items[selected].focus({ preventScroll: true });
    reveal(at[selected]);
  }

  function reveal({ column, row }) {
    const zoom = parseFloat(getComputedStyle(node).fontSize) / EM;
    const [x, y, width, height] = [column, row, 2, 2].map((n, i) => n * zoom * (i % 2 ? CELL.height : CELL.width));
    node.scrollLeft = scrolled(node.scrollLeft, { start: x, size: width }, { room: node.clientWidth });
    node.scrollTop = scrolled(node.scrollTop, { start: y, size: height }, { room: node.clientHeight });
  }

  function drawLine(from, to, on) {
    const [x, y] = [(from.column + 0.92) * CELL.width, (from.row + 0.45) * CELL.height];
    const down = (to.row - from.row) * CELL.height;
    const turn = `M${x - 9} ${y + 11}V${y + down - 6}q0 6 6 6H${to.column * CELL.width + 2}`;
    const d = down ? turn : `M${x - 4} ${y}h${CELL.width * 0.16}`;
    lines.append(draw("path", { d, class: on ? "way" : "" }));
  }
  return { node, show };
}
