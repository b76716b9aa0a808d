// LayerGrid: a table of numbers as colour and text; the chosen cell says what stands behind it.
//
// Reads:  title value_name rows columns values cells details, selected (row and column of the chosen cell)
// Writes: selected
// The page has all that it shows, so it needs no kernel.

import { consume, makers, scrolled } from "../page/dom.js";
import { onChange, save } from "../page/traits.js";
import { percent } from "../page/words.js";

/** The next cell that an arrow key goes to, inside the grid. */
export function move([row, column], key, [nRows, nColumns]) {
  const steps = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };
  const ends = { Home: [row, 0], End: [row, nColumns - 1] };
  if (ends[key]) return ends[key];
  const [down, right] = steps[key] ?? [0, 0];
  const inside = (i, n) => Math.min(n - 1, Math.max(0, i));
  return [inside(row + down, nRows), inside(column + right, nColumns)];
}

/** A token whose white space can be seen. */
export function visible(text) {
  return text.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥");
}

/** A background for a number: orange above zero, blue below; full from 1 on, and never too dark to read on. */
export function colour(value) {
  const share = Math.min(1, Math.abs(value));
  return value < 0 ? `rgb(58 126 240 / ${(0.4 * share).toFixed(3)})` : `rgb(230 120 0 / ${(0.56 * share).toFixed(3)})`;
}

const { make } = makers("llm101-grid");

function render({ model, el }) {
  const title = make("p", "title"), said = make("p", "said", { role: "status" }), list = make("ol", "details");
  const table = make("table", "table", { role: "grid" }), scroll = make("div", "scroll", {}, [table]);
  let cells = []; // [row][column] of the page's cells

  const chosen = () => {
    const place = model.get("selected");
    return place.length ? place : [0, 0];
  };

  function showTable() {
    const [rows, columns, values, texts] = ["rows", "columns", "values", "cells"].map((name) => model.get(name));
    const names = columns.map((name) => make("th", "", { scope: "col", textContent: visible(name) }));
    const head = [make("td", ""), ...names];
    cells = values.map((line, i) => line.map((value, j) => {
      const textContent = texts.length ? visible(texts[i][j]) : value.toFixed(2);
      const cell = make("td", "cell", { role: "gridcell", textContent });
      cell.style.background = colour(value);
      cell.addEventListener("click", () => select([i, j]));
      return cell;
    })); // prettier-ignore
    const named = (name) => make("th", "", { scope: "row", textContent: name });
    const lines = rows.map((name, i) => make("tr", "", {}, [named(name), ...cells[i]]));
    table.replaceChildren(make("tr", "", {}, head), ...lines);
    title.textContent = table.ariaLabel = model.get("title");
    showChosen();
  }

  function showChosen() {
    const [row, column] = chosen();
    const focused = table.contains(document.activeElement);
    cells.forEach((line, i) => line.forEach((cell, j) => {
      const on = i === row && j === column;
      cell.tabIndex = on ? 0 : -1;
      cell.ariaSelected = String(on);
      cell.classList.toggle("llm101-grid-chosen", on);
    })); // prettier-ignore
    if (focused) cells[row][column].focus({ preventScroll: true });
    reveal();
    const [value, texts] = [model.get("values")[row][column], model.get("cells")];
    const what = texts.length ? `“${visible(texts[row][column])}”, ` : "";
    const place = `${model.get("rows")[row]}, at “${visible(model.get("columns")[column])}”`;
    said.textContent = `${place}: ${what}${model.get("value_name")} ${value.toFixed(3)}`;
    const more = model.get("details")[row]?.[column] ?? [];
    list.hidden = more.length === 0;
    list.replaceChildren(...more.map(([text, share]) => {
      const bar = make("span", "bar");
      bar.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
      const track = make("span", "track", {}, [bar]);
      const name = make("code", "", { textContent: visible(text) });
      return make("li", "", {}, [name, track, make("span", "", { textContent: percent(share) })]);
    })); // prettier-ignore
  }

  /** Scroll, inside of the grid and not the page, until the chosen cell is seen. */
  function reveal() {
    const [row, column] = chosen(), cell = cells[row][column], corner = table.rows[0].cells[0];
    const see = (side, size) => {
      const place = { start: table[`offset${side}`] + cell[`offset${side}`], size: cell[`offset${size}`] };
      const box = { names: corner[`offset${size}`], room: scroll[`client${size}`] };
      scroll[`scroll${side}`] = scrolled(scroll[`scroll${side}`], place, box);
    };
    see("Left", "Width");
    see("Top", "Height");
  }

  function select(place) {
    cells[place[0]][place[1]].focus({ preventScroll: true });
    save(model, { selected: place });
  }

  table.addEventListener("keydown", (event) => {
    const to = move(chosen(), event.key, [cells.length, cells[0].length]);
    if (String(to) === String(chosen())) return;
    consume(event);
    select(to);
  });
  el.append(make("section", "root", { ariaLabel: "Grid" }, [title, scroll, said, list]));
  onChange(model, ["title", "rows", "columns", "values", "cells"], showTable);
  onChange(model, ["selected", "details", "value_name"], showChosen);
  showTable();
  const resized = new ResizeObserver(reveal); // at first, and when a sidebar opens
  resized.observe(scroll);
  return () => resized.disconnect();
}

export default { render };
