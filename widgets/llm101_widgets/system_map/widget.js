// SystemMap: the whole system as a map; each box, when chosen, shows the real object and leads to its chapter.
//
// Reads:  boxes (name -> title kind x y width height now sentence facts chapter),
//         arrows (start end label line), view_box, selected
// Writes: selected

import { consume, makers } from "../page/dom.js";
import { onChange, save } from "../page/traits.js";

const { make, draw } = makers("llm101-map");

/** The box to go to with an arrow key: the nearest one that lies mostly in that direction; itself if there is none. */
export function neighbour(boxes, from, key) {
  const [dx, dy] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key] ?? [0, 0];
  let [best, bestDistance] = [from, Infinity];
  for (const [name, box] of Object.entries(boxes)) {
    const [x, y] = [box.x - boxes[from].x, 2 * (box.y - boxes[from].y)]; // rows lie half as far apart as columns
    const [ahead, aside] = [x * dx + y * dy, Math.abs(x * dy) + Math.abs(y * dx)];
    if (ahead > aside && ahead + aside < bestDistance) [best, bestDistance] = [name, ahead + aside];
  }
  return best;
}

/** The start of a text that is too long for a box, with a sign that there is more. */
export function shorten(text, length) {
  const letters = Array.from(text.replaceAll(/\s+/g, " "));
  return letters.length > length ? `${letters.slice(0, length - 1).join("")}…` : letters.join("");
}

/** A chapter's path for JupyterLab, from the page's own address; "" anywhere else, where a plain link does. */
export function labPath(pathname, chapter) {
  const match = pathname.match(/\/lab(?:\/workspaces\/[^/]+)?\/tree\/(.*)$/);
  if (!match) return "";
  return decodeURIComponent(match[1]).split("/").slice(0, -1).concat(chapter).join("/");
}

/** "01 parameters" for "01_parameters.ipynb". */
export function chapterTitle(chapter) {
  return chapter.split("/").pop().replace(/\.\w+$/, "").replaceAll("_", " ");
}

/** Whether an address stays beside this page: a chapter may, a script or another site may not. */
export function isRelative(address) {
  return /^[\w.\-/ ]+$/.test(address) && !address.startsWith("/");
}

/** A text that keeps to its room, whatever the letters: wide ones are squeezed. */
function drawText(attributes, words, room) {
  return draw("text", { ...attributes, lengthAdjust: "spacingAndGlyphs", "data-room": room }, [words]);
}

function fit(text) {
  text.removeAttribute("textLength");
  const { room } = text.dataset;
  if (text.getComputedTextLength() > room) text.setAttribute("textLength", room);
}

function drawArrow({ label, line: [x1, y1, x2, y2] }) {
  const level = y1 === y2;
  const head = level ? "l-9,-5v10z" : "l-5,-9h10z";
  const group = draw("g", { class: "arrow", "aria-hidden": "true" });
  group.append(
    draw("line", level ? { x1, y1, x2: x2 - 8, y2 } : { x1, y1, x2, y2: y2 - 8 }),
    draw("path", { d: `M${x2},${y2}${head}` }),
  );
  label.split("\n").forEach((words, row, { length }) => {
    const place = level
      ? { x: (x1 + x2) / 2 - 4, y: y1 - 7 + 22 * row, "text-anchor": "middle" }
      : { x: x1 + 11, y: (y1 + y2) / 2 + 15 * (row - (length - 1) / 2) };
    group.append(drawText(place, words, level ? x2 - x1 - 10 : 72)); // beside a vertical one there is half a box
  });
  return group;
}

function drawBox(box, said) {
  const { x, y, width, height } = box;
  const rx = box.kind === "thing" ? 14 : 2;
  const ring = { x: x - 5, y: y - 5, width: width + 10, height: height + 10, rx: rx + 5 };
  const kind = `box ${box.kind}`;
  const group = draw("g", { class: kind, role: "button", tabindex: 0, "aria-label": said });
  group.append(
    draw("rect", { class: "ring", ...ring }),
    draw("rect", { class: "body", x, y, width, height, rx }),
    drawText({ class: "title", x: x + width / 2, y: y + (box.now ? 25 : 34) }, box.title, width - 12),
    drawText({ class: "now", x: x + width / 2, y: y + 44 }, shorten(box.now, 22), width - 12),
  );
  return group;
}

function render({ model, el }) {
  const picture = draw("svg", { class: "picture", viewBox: model.get("view_box"), role: "group" });
  picture.setAttribute("aria-label", "The whole system: choose a box with Tab or the arrow keys, and Enter");
  const panel = make("div", "panel", { ariaLive: "polite" });
  const legend = make("p", "legend", {}, [
    make("span", "sample thing", {}, ["round"]), " something you can look at  ",
    make("span", "sample doer", {}, ["square"]), " software that does something",
  ]); // prettier-ignore
  const left = make("div", "left", {}, [picture, legend]);
  const root = make("section", "llm101-map", { ariaLabel: "Map of the whole system" }, [left, panel]);
  el.append(make("div", "frame", {}, [root]));

  let nodes = {}; // box name -> its drawing
  let lines = []; // the arrows' drawings, in the order of `arrows`

  function choose(name, { focus = false } = {}) {
    save(model, { selected: name });
    if (focus) nodes[name].focus();
  }

  function said(name) {
    const { title, now } = model.get("boxes")[name];
    return now ? `${title}: ${now}` : title;
  }

  function drawAll() {
    const boxes = model.get("boxes");
    lines = model.get("arrows").map(drawArrow);
    nodes = Object.fromEntries(Object.entries(boxes).map(([name, box]) => [name, drawBox(box, said(name))]));
    for (const [name, node] of Object.entries(nodes)) {
      node.addEventListener("click", () => choose(name));
      node.addEventListener("keydown", (event) => {
        if (event.altKey || event.ctrlKey || event.metaKey) return;
        if (event.key === "Enter" || event.key === " ") choose(name);
        else if (event.key.startsWith("Arrow")) choose(neighbour(boxes, name, event.key), { focus: true });
        else return;
        consume(event);
      });
    }
    picture.replaceChildren(...lines, ...Object.values(nodes));
    fitAll();
    showSelected();
  }

  function fitAll() {
    picture.querySelectorAll("text").forEach(fit);
  }

  function showSelected() {
    const [boxes, arrows, name] = [model.get("boxes"), model.get("arrows"), model.get("selected")];
    for (const [other, node] of Object.entries(nodes)) node.setAttribute("aria-pressed", String(other === name));
    lines.forEach((line, i) => {
      line.classList.toggle("llm101-map-lit", arrows[i].start === name || arrows[i].end === name);
    });
    const box = boxes[name];
    const facts = make("dl", "facts");
    for (const [label, value] of box.facts) facts.append(make("dt", "", {}, [label]), make("dd", "", {}, [value]));
    const ways = make("ul", "ways");
    for (const arrow of arrows) if (arrow.start === name || arrow.end === name) ways.append(way(arrow, name));
    panel.replaceChildren(
      make("p", "heading", {}, [box.title]),
      make("p", "", {}, [box.sentence]),
      ...(box.now ? [make("p", "here", {}, [box.now])] : []),
      facts, ways,
      ...(isRelative(box.chapter) ? [link(box.chapter)] : []),
    ); // prettier-ignore
  }

  /** An arrow of the open box in words; the box at its other end is a button that goes there. */
  function way({ start, end, label }, name) {
    const [from, to] = [start, end].map((other) => {
      const { title } = model.get("boxes")[other];
      if (other === name) return make("strong", "", {}, [title]);
      return make("button", "", { type: "button", onclick: () => choose(other, { focus: true }) }, [title]);
    });
    return make("li", "", {}, [from, ` ${label.replaceAll("\n", " ")} → `, to]);
  }

  function link(chapter) {
    const anchor = make("a", "chapter", { href: chapter }, [`Open chapter ${chapterTitle(chapter)} →`]);
    const path = labPath(window.location.pathname, chapter);
    if (path) { // JupyterLab opens what carries these two attributes itself, in a tab of its own
      anchor.dataset.commandlinkerCommand = "docmanager:open";
      anchor.dataset.commandlinkerArgs = JSON.stringify({ path });
    } else anchor.target = "_blank";
    return anchor;
  }

  onChange(model, ["boxes", "arrows"], drawAll);
  onChange(model, ["selected"], showSelected);
  drawAll();
  const resized = new ResizeObserver(fitAll); // also when it comes onto the page, where letters have a width
  resized.observe(picture);
  return () => resized.disconnect();
}

export default { render };
