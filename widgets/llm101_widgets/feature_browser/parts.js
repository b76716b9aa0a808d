// What the browser shows of one latent: its passages, its histogram, what it does to the output, its relatives.

import { makers } from "../page/dom.js";
import { finePercent, quoted } from "../page/words.js";
import { level, peak } from "./search.js";

export const { make, draw } = makers("llm101-features");
const BAR = { width: 16, height: 56 };

/** A passage: colour and underline say how strong the latent is at each token; the strongest is also named. */
export function passageItem(tokens, passage) {
  const spans = passage[0].map((t, i) => make("span", `token level-${level(passage[1][i])}`, {
    textContent: tokens[t].replaceAll("\n", "⏎"), title: `${quoted(tokens[t])}: ${passage[1][i]}`,
  })); // prettier-ignore
  const [token, strength] = peak(passage);
  const note = make("small", "peak", { textContent: ` ${quoted(tokens[token])} ${strength}` });
  return make("li", "passage", {}, [...spans, note]);
}

/** How often the latent is how strong, each bar a sixteenth of the way to its strongest. */
export function histogram(counts, strongest) {
  const most = Math.max(1, ...counts), scale = (count) => (count ? Math.max(1, (BAR.height * count) / most) : 0);
  const bars = counts.map((count, i) => {
    const [x, y] = [i * BAR.width + 1, BAR.height - scale(count)];
    return draw("rect", { x, y, width: BAR.width - 2, height: scale(count) });
  });
  const viewBox = `0 0 ${BAR.width * counts.length} ${BAR.height}`;
  const said = `How often it is how strong, from 0 to ${strongest.toFixed(1)}: ${counts.join(", ")}`;
  return draw("svg", { class: "histogram", viewBox, role: "img", "aria-label": said }, bars);
}

/** Tokens that the latent makes likelier, or less likely, with what it adds to their scores. */
export function pushed(title, tokens, pairs) {
  const items = pairs.map(([t, score]) => make("li", "", {}, [
    make("code", "", { textContent: quoted(tokens[t]) }), ` ${score > 0 ? "+" : "−"}${Math.abs(score).toFixed(1)}`,
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
  const facts = `Active on ${finePercent(latent.density)} of tokens, at most ${latent.strongest.toFixed(1)} strong.`;
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
        make("p", "axis", {}, ["0", latent.strongest.toFixed(1)].map((end) => make("span", "", {}, [end]))),
      ]),
      pushed("Makes likelier", tokens, latent.promoted),
      pushed("Makes less likely", tokens, latent.suppressed),
      relatives(latent.relatives, known, go),
    ]),
  ]; // prettier-ignore
}
