// FeatureBrowser: search the latents of a recorded autoencoder, look at one, go to its relatives and back.
//
// Reads:  recording (gzip-compressed JSON), more (whether the kernel has more latents), query latent (the reader's)
// Writes: query latent
// Sends:  {want: "all"} for the whole recording, which comes as {all} with one buffer

import { consume, scrolled } from "../page/dom.js";
import { lineToPython } from "../page/kernel.js";
import { onChange, save } from "../page/traits.js";
import { finePercent, grouped } from "../page/words.js";
import { details, make } from "./parts.js";
import { back, forward, search, unpack, visit } from "./search.js";

const LISTED = 200; // latents in the list; who wants others, searches

/** What the search found, in a sentence. */
export function foundWords(nFound, nLatents, query) {
  if (!nFound) return `No latent for “${query.trim()}” among ${grouped(nLatents)}. Try one plain word, such as “rain”.`;
  const which = query.trim() ? `${grouped(nFound)} of ${grouped(nLatents)} latents` : `${grouped(nLatents)} latents`;
  return nFound > LISTED ? `${which}; the first ${LISTED} are listed.` : `${which}.`;
}

function render({ model, el }) {
  let recording = { tokens: [], latents: [] }, known = new Map(), listed = [], over = false, wholeCame = false;
  let way = { past: [], now: model.get("latent"), future: [] };
  const line = lineToPython(model, () => showList()); // which says what this page has

  const query = make("input", "query", { type: "search", spellcheck: false, placeholder: "a word, or a number" });
  const backButton = make("button", "", { type: "button", textContent: "◀ Back", onclick: () => walk(back) });
  const forwardButton = make("button", "", { type: "button", textContent: "Forward ▶", onclick: () => walk(forward) });
  const status = make("p", "status", { role: "status" }), error = make("p", "llm101-error", { role: "alert" });
  const list = make("div", "list", { role: "listbox", ariaLabel: "Latents" });
  const shown = make("div", "shown", { role: "region", ariaLabel: "One latent" });
  const field = make("label", "field", {}, [make("span", "", { textContent: "Search latents" }), query]);
  el.append(make("section", "root", { ariaLabel: "Feature browser" }, [
    make("div", "llm101-row", {}, [field, backButton, forwardButton]), status, error,
    make("div", "columns", {}, [list, shown]),
  ])); // prettier-ignore

  async function open(bytes, whole) {
    let unpacked;
    try {
      unpacked = await unpack(bytes);
    } catch {
      error.textContent = "This page cannot unpack the recording: open it in a newer browser.";
      return;
    }
    if (over || (wholeCame && !whole)) return; // closed meanwhile, or the larger one was faster
    recording = unpacked;
    wholeCame = whole;
    known = new Map(recording.latents.map((latent) => [latent.id, latent]));
    showList();
    showLatent();
  }

  function option(latent) {
    return make("div", "option", { role: "option", onclick: () => go(latent.id) }, [
      make("b", "number", { textContent: latent.id }),
      make("span", "words", { textContent: latent.words.slice(0, 4).join(", ") || "(no words)" }),
      make("small", "", { textContent: finePercent(latent.density) }),
    ]); // prettier-ignore
  }

  function showList() {
    if (!known.size) return;
    const found = search(recording, model.get("query"));
    listed = found.slice(0, LISTED);
    const hadFocus = list.contains(document.activeElement);
    list.replaceChildren(...listed.map(option));
    const words = foundWords(found.length, recording.latents.length, model.get("query"));
    const kept = "This notebook keeps these only: run the cell for all.";
    const others = line.isWaiting() ? "Asking the kernel for the others …" : kept;
    status.textContent = wholeCame ? words : `${words} ${others}`;
    markChosen(hadFocus);
  }

  function markChosen(focus) {
    const at = listed.findIndex(({ id }) => id === model.get("latent"));
    [...list.children].forEach((node, i) => {
      node.classList.toggle("llm101-features-chosen", i === at);
      node.ariaSelected = String(i === at);
      node.tabIndex = i === Math.max(at, 0) ? 0 : -1;
    });
    const node = list.children[at];
    if (!node) return;
    if (focus) node.focus({ preventScroll: true });
    const place = { start: node.offsetTop, size: node.offsetHeight };
    list.scrollTop = scrolled(list.scrollTop, place, { room: list.clientHeight });
  }

  function showLatent() {
    way = visit(way, model.get("latent"));
    backButton.disabled = way.past.length === 0;
    forwardButton.disabled = way.future.length === 0;
    const latent = known.get(way.now);
    const missing = `Latent ${way.now} is not kept in this notebook: run the cell to see it.`;
    if (latent) shown.replaceChildren(...details(recording.tokens, latent, known, go));
    else if (known.size) shown.replaceChildren(make("p", "facts", { textContent: missing }));
    markChosen(list.contains(document.activeElement));
  }

  function go(id) {
    if (!known.has(id) || id === model.get("latent")) return;
    const fromRelative = shown.contains(document.activeElement);
    save(model, { latent: id });
    if (fromRelative) (backButton.disabled ? query : backButton).focus({ preventScroll: true });
  }

  function walk(step) {
    way = step(way);
    save(model, { latent: way.now });
  }

  model.on("msg:custom", ({ all }, [bytes] = []) => {
    line.heard();
    if (all && !wholeCame) open(bytes, true);
  });
  query.addEventListener("input", () => save(model, { query: query.value }));
  query.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    if (!listed.length) return;
    if (!listed.some(({ id }) => id === model.get("latent"))) go(listed[0].id);
    markChosen(true);
  });
  list.addEventListener("keydown", (event) => {
    const at = [...list.children].indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: listed.length - 1 }[event.key];
    const latent = listed[event.key === "Enter" || event.key === " " ? at : to];
    if (!latent) return;
    consume(event);
    go(latent.id);
  });
  onChange(model, ["query"], () => {
    if (document.activeElement !== query) query.value = model.get("query");
    showList();
  });
  onChange(model, ["latent"], showLatent);
  query.value = model.get("query");
  status.textContent = "Unpacking the recording …";
  open(model.get("recording"), !model.get("more"));
  if (model.get("more")) line.send({ want: "all" });
  return () => {
    over = true;
    line.heard();
  };
}

export default { render };
