// The parts of the console's page, and how its numbers are written.

import { makers } from "../page/dom.js";
import { percent } from "../page/words.js";
import { measure, stretches, textsOf } from "./measure.js";

export const { make } = makers("llm101-steering");

/** The rows below a text: [what is measured, of this text, of all that were written like it]. */
export function readings(one, all) {
  const nats = ({ loss }) => (Number.isFinite(loss) ? `${loss.toFixed(2)} nats` : "–");
  const repeated = (measured) => (Number.isFinite(measured.repeated) ? percent(measured.repeated) : "–");
  const said = all.n ? `in ${all.nSaying} of ${all.n} (${percent(all.nSaying / all.n)})` : "–";
  return [
    ["mentions", `${one.nMentions} ×`, said],
    ["repeated 3-grams", repeated(one), repeated(all)],
    ["loss per token", nats(one), nats(all)],
  ];
}

/** What the texts on the page were written with, in one sentence. */
export function caption({ prompt, seed, temperature, max_tokens }) {
  const settings = `seed ${seed}, temperature ${temperature}, at most ${max_tokens} tokens`;
  return `Both go on from “${prompt}” with ${settings}. Loss: in nats, what the plain model makes of them.`;
}

export function field(label, ...inputs) {
  return make("label", "field", {}, [make("span", "", { textContent: label }), ...inputs]);
}

/** One of the two texts with its numbers; `show` fills it. */
export function makeSide(side) {
  const heading = make("h4"), text = make("p", "text"), rows = make("tbody");
  const titles = ["", "this text", "all so far"].map((textContent) => make("th", "", { textContent, scope: "col" }));
  const table = make("table", "numbers", {}, [make("thead", "", {}, [make("tr", "", {}, titles)]), rows]);
  const row = ([name, ...cells]) => make("tr", "", {}, [
    make("th", "", { textContent: name, scope: "row" }), ...cells.map((textContent) => make("td", "", { textContent })),
  ]); // prettier-ignore

  function show(pair, stories, concept, running) {
    const { tokens } = pair[side];
    const cut = stretches(tokens.join(""), concept);
    const parts = cut.map(([textContent, said]) => make(said ? "mark" : "span", said ? "said" : "", { textContent }));
    const beginning = make("b", "", { textContent: pair.prompt });
    text.replaceChildren(beginning, ...parts, ...(running ? [make("span", "llm101-caret", { textContent: "▍" })] : []));
    text.setAttribute("aria-busy", String(running));
    heading.textContent = side === "plain" ? "As it is" : `Latent ${pair.latent} held at ${pair.strength}`;
    const all = measure(textsOf(stories, side, pair), concept);
    rows.replaceChildren(...readings(measure([pair[side]], concept), all).map(row));
  }

  return { node: make("section", "side", {}, [heading, text, table]), show };
}
