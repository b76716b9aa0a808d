// What the browser shows of one latent: its passages, its histogram, what it does to the output, its relatives.

import { level, peak, percent, visible } from "./search.js";

const SVG = "http://www.w3.org/2000/svg";
const BAR = { width: 16, height: 56 };

export function make(tag, className, properties = {}, children = []) {
  const node = document.createElement(tag);
  if (className) node.className = className.split(" ").map((name) => `llm101-features-${name}`).join(" ");
  Object.assign(node, properties);
  node.append(...children);
  return node;
}

/** A passage: colour and underline say how strong the latent is at each token; the strongest is also named. */
export function passageItem(tokens, passage) {
  const spans = passage[0].map((t, i) => make("span", `token level-${level(passage[1][i])}`, {
    textContent: tokens[t].replaceAll("\n", "⏎"), title: `${visible(tokens[t])}: ${passage[1][i]}`,
  })); // prettier-ignore
  const [token, strength] = peak(passage);
  const note = make("small", "peak", { textContent: ` ${visible(tokens[token])} ${strength}` });
  return make("li", "passage", {}, [...spans, note]);
}

/** How often the latent is how strong, each bar a sixteenth of the way to its strongest. */
export function histogram(counts, strongest) {
  const svg = document.createElementNS(SVG, "svg");
  const most = Math.max(1, ...counts), scale = (count) => (count ? Math.max(1, (BAR.height * count) / most) : 0);
  svg.setAttribute("viewBox", `0 0 ${BAR.width * counts.length} ${BAR.height}`);
  svg.setAttribute("class", "llm101-features-histogram");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `How often it is how strong, from 0 to ${strongest.toFixed(1)}: ${counts.join(", ")}`);
  counts.forEach((count, i) => {
    const bar = document.createElementNS(SVG, "rect");
    const place = { x: i * BAR.width + 1, y: BAR.height - scale(count), width: BAR.width - 2, height: scale(count) };
    for (const [name, value] of Object.entries(place)) bar.setAttribute(name, value);
    svg.append(bar);
  });
  return svg;
}

/** Tokens that the latent makes likelier, or less likely, with what it adds to their scores. */
export function pushed(title, tokens, pairs) {
  const items = pairs.map(([t, score]) => make("li", "", {}, [
    make("code", "", { textContent: visible(tokens[t]) }), ` ${score > 0 ? "+" : "−"}${Math.abs(score).toFixed(1)}`,
  ])); // prettier-ignore
  return make("section", "side", {}, [make("h4", "", { textContent: title }), make("ul", "", {}, items)]);
}

/** The latents whose directions are most alike, each a button that leads there, if it is in the recording. */
export function relatives(pairs, known, go) {
  const items = pairs.map(([id, cosine]) => make("li", "", {}, [make("button", "relative", {
    type: "button", disabled: !known.has(id), onclick: () => go(id),
    textContent: `${id} ${(known.get(id)?.words ?? []).slice(0, 3).join(", ")} (${cosine.toFixed(2)})`,
  })])); // prettier-ignore
  const heading = make("h4", "", { textContent: "Nearest relatives (cosine)" });
  return make("section", "side", {}, [heading, make("ul", "", {}, items)]);
}

/** All about one latent. */
export function details(tokens, latent, known, go) {
  const facts = `Active on ${percent(latent.density)} of tokens, at most ${latent.strongest.toFixed(1)} strong.`;
  const steps = ["a little", "25", "50", "75 or more"].map((textContent, i) =>
    make("span", `token level-${i + 1}`, { textContent }));
  return [
    make("h3", "title", { textContent: `Latent ${latent.id}: ${latent.words.slice(0, 6).join(", ")}` }),
    make("p", "facts", { textContent: facts }),
    make("h4", "", { textContent: "Strongest passages" }),
    make("ol", "passages", {}, latent.passages.map((passage) => passageItem(tokens, passage))),
    make("p", "legend", {}, ["In % of the passage’s strongest token, which stands behind it: ", ...steps]),
    make("div", "sides", {}, [
      make("section", "side", {}, [
        make("h4", "", { textContent: "How often it is how strong" }),
        histogram(latent.histogram, latent.strongest),
        make("p", "axis", {}, ["0", latent.strongest.toFixed(1)].map((textContent) => make("span", "", { textContent }))),
      ]),
      pushed("Makes likelier", tokens, latent.promoted),
      pushed("Makes less likely", tokens, latent.suppressed),
      relatives(latent.relatives, known, go),
    ]),
  ]; // prettier-ignore
}
