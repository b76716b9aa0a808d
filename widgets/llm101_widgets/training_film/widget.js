// TrainingFilm: a slider through a training run that is over. The page has it all and needs no kernel.
//
// Reads:  film (prompts, groups, steps, moments), moment
// Writes: moment (which one is shown)

import { clock } from "../page/clock.js";
import { place, polyline, ticks, topOf } from "../page/curve.js";
import { makers } from "../page/dom.js";
import { save } from "../page/traits.js";
import { grouped } from "../page/words.js";

const [WIDTH, HEIGHT, PLANE, PLAY_EVERY_MS] = [520, 120, 420, 450];
const MARGIN = { left: 20, right: 40 }; // of the plane
const MARKS = ["●", "■", "▲", "◆", "✚", "★"]; // a shape for each group, so that colour is not alone

/** The curve of one text, [step, bits per byte] at each moment. */
export function curveOf(film, text) {
  return film.moments.map((moment) => [moment.step, moment.valid_bits_per_byte[text]]);
}

/** The square root of the step, so that the early moments, which lie close together, can be told apart. */
export function spread(curve) {
  return curve.map(([step, value]) => [Math.sqrt(step), value]);
}

/** How far from the middle any word comes at any moment: one scale for all of them. */
export function reachOf(film) {
  return Math.max(1e-9, ...film.moments.flatMap((moment) => moment.positions.flat().map(Math.abs)));
}

/** Every word with the number of its group, in the order of `positions`. */
export function wordsOf(film) {
  return Object.values(film.groups).flatMap((words, number) => words.map((word) => ({ word, number })));
}

/** Where a moment's words lie on a square of that size, y upwards. */
export function placesOf(moment, reach, size) {
  return moment.positions.map(([x, y]) => [(size / 2) * (1 + x / reach), (size / 2) * (1 - y / reach)]);
}

/** On which side of its mark each word has room between marks and words written before: "right", "left", or null. */
export function written(places, widths, size, [from, to] = [-Infinity, Infinity]) {
  const box = ([x, y], from, width) => ({ left: x + from, right: x + from + width, top: y - 0.75 * size, bottom: y });
  const marks = places.map((place) => box(place, -size / 2, size)), gap = 0.7 * size;
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const shown = [];
  return places.map((place, i) => {
    const sides = { right: box(place, gap, widths[i]), left: box(place, -gap - widths[i], widths[i]) };
    const others = [...marks.filter((_, k) => k !== i), ...shown];
    const isFree = (word) => word.left >= from && word.right <= to && !others.some((other) => meet(word, other));
    const side = ["right", "left"].find((name) => isFree(sides[name])) ?? null;
    if (side) shown.push(sides[side]);
    return side;
  });
}

/** A moment in a sentence. */
export function caption(film, index) {
  const moment = film.moments[index];
  const bits = Object.entries(moment.valid_bits_per_byte).map(([name, value]) => `${name} ${value.toFixed(2)}`);
  const tokens = moment.tokens_seen ? `, ${grouped(moment.tokens_seen)} tokens read` : "";
  const step = `Step ${grouped(moment.step)} of ${grouped(film.steps)}`;
  return `${step}${tokens}. Bits per byte: ${bits.join(", ")}.`;
}

const { make, draw } = makers("llm101-film");

function render({ model, el }) {
  const film = model.get("film"), last = film.moments.length - 1, words = wordsOf(film), reach = reachOf(film);
  const play = make("button", "play llm101-go", { type: "button" });
  const slider = make("input", "slider", { type: "range", min: 0, max: last, step: 1 });
  slider.ariaLabel = "Moment of the training";
  const status = make("p", "status", { role: "status" });
  const samples = make("div", "samples"), alike = make("dl", "alike");
  const marker = draw("line", { y1: 0, y2: HEIGHT, class: "marker" });
  const viewBox = `-52 -22 ${WIDTH + 62} ${HEIGHT + 44}`;
  const chart = draw("svg", { viewBox, role: "img", class: "chart" });
  chart.setAttribute("aria-label", "Bits per byte over the training, early steps spread out");
  const group = (number) => `group-${number % MARKS.length}`;
  const labels = words.map(({ word }) => draw("text", {}, [word]));
  const dots = words.map(({ word, number }, i) => draw("g", { class: `word ${group(number)}` }, [
    draw("title", {}, [word]),
    draw("text", { "text-anchor": "middle", class: "mark" }, [MARKS[number % MARKS.length]]), labels[i],
  ])); // prettier-ignore
  const square = `-${MARGIN.left} -20 ${PLANE + MARGIN.left + MARGIN.right} ${PLANE + 40}`;
  const plane = draw("svg", { viewBox: square, role: "img", class: "plane" }, dots);
  const key = make("p", "key", {}, Object.keys(film.groups).map((name, i) =>
    make("span", group(i), { textContent: `${MARKS[i % MARKS.length]} ${name}` })));
  const root = make("section", "llm101-film", { ariaLabel: "Film of a training run" }, [
    make("div", "top", {}, [play, slider]), status, chart,
    make("div", "columns", {}, [
      make("div", "", {}, [make("h4", "", { textContent: "What it wrote" }), samples,
        make("h4", "", { textContent: "What it held for alike" }), alike]),
      make("div", "", {}, [make("h4", "", { textContent: "Where words lie in its embedding" }), plane, key]),
    ]),
  ]); // prettier-ignore
  el.append(root);
  const player = clock(PLAY_EVERY_MS);

  function drawChart() {
    const texts = Object.keys(film.moments[0].valid_bits_per_byte);
    const curves = texts.map((text) => spread(curveOf(film, text)));
    const frame = { steps: Math.sqrt(film.steps), top: topOf(...curves), width: WIDTH, height: HEIGHT };
    const lines = ticks(frame.top, 3).map((value) => {
      const y = place([0, value], frame)[1];
      return draw("g", {}, [draw("line", { x2: WIDTH, y1: y, y2: y, class: "line" }),
        draw("text", { x: -6, y: y + 4, "text-anchor": "end" }, [String(value)])]);
    }); // prettier-ignore
    const drawn = curves.map((curve, i) =>
      draw("polyline", { points: polyline(curve, frame), class: `curve-${i % 2}` }));
    const names = texts.map((text, i) => {
      const [x, y] = place(curves[i][Math.floor(last / 3)], frame);
      return draw("text", { x: x + 8, y: y + (i ? 20 : -6) }, [text]);
    });
    chart.replaceChildren(...lines, ...drawn, ...names, marker, draw("text", { x: 6, y: 2 }, ["bits per byte"]));
  }

  function show() {
    const index = model.get("moment"), moment = film.moments[index];
    slider.value = index;
    slider.ariaValueText = `step ${moment.step}`;
    play.textContent = player.isGoing() ? "■ Stop" : index === last ? "↺ From the start" : "▶ Play";
    status.textContent = caption(film, index);
    samples.replaceChildren(...film.prompts.map((prompt, i) =>
      make("p", "", {}, [make("b", "", { textContent: prompt }), moment.samples[i]])));
    alike.replaceChildren(...Object.entries(moment.neighbours).flatMap(([word, others]) => [
      make("dt", "", { textContent: word.trim() }),
      make("dd", "", { textContent: others.map((other) => other.trim()).join(", ") }),
    ])); // prettier-ignore
    const x = WIDTH * Math.sqrt(moment.step / film.steps);
    marker.setAttribute("x1", x);
    marker.setAttribute("x2", x);
    placesOf(moment, reach, PLANE).forEach(([px, py], i) => {
      dots[i].style.transform = `translate(${px.toFixed(1)}px, ${py.toFixed(1)}px)`;
    });
    writeWords();
    plane.setAttribute("aria-label", `Words on a plane after step ${moment.step}; like lies by like at the end`);
  }

  /** As many words as there is room for; the others have their marks, which say their names when pointed at. */
  function writeWords() {
    const places = placesOf(film.moments[model.get("moment")], reach, PLANE);
    const size = parseFloat(getComputedStyle(labels[0]).fontSize);
    const widths = labels.map((label) => label.getComputedTextLength());
    const sides = written(places, widths, size, [-MARGIN.left, PLANE + MARGIN.right]);
    labels.forEach((label, i) => {
      label.setAttribute("visibility", sides[i] ? "visible" : "hidden");
      label.setAttribute("dx", sides[i] === "left" ? "-0.7em" : "0.7em");
      label.setAttribute("text-anchor", sides[i] === "left" ? "end" : "start");
    });
  }

  function go(index) {
    save(model, { moment: Math.max(0, Math.min(last, index)) });
  }

  play.addEventListener("click", () => {
    if (player.isGoing()) return void (player.stop(), show());
    if (model.get("moment") === last) go(0);
    player.start(() => {
      if (model.get("moment") === last) return void (player.stop(), show());
      go(model.get("moment") + 1);
    });
    show();
  });
  slider.addEventListener("input", () => (player.stop(), go(slider.valueAsNumber), show()));
  model.on("change:moment", show);
  drawChart();
  show();
  const resized = new ResizeObserver(writeWords); // words are wider, beside a drawing that is smaller
  resized.observe(plane);
  return () => (player.stop(), resized.disconnect());
}

export default { render };
