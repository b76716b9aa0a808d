// What the model really reads, token by token: who wrote which, which are special, and where its own begin.
//
// Reading order: usage, describeToken, makeTokens. A token is [id, bytes (a character for each), is it special?].

import { consume, keepingEnd, tokenStep } from "../page/dom.js";
import { bytesOf, hex, spell } from "../page/pieces.js";
import { counted, finePercent, grouped } from "../page/words.js";
import { make } from "./parts.js";

const OWN = "own", HINT = "Point at a token, or walk along them with the arrow keys.";
const NAMES = {
  template: "Template", system: "System prompt", user: "User", assistant: "Its answer, as it is read again",
  [OWN]: "The model’s own tokens begin here",
}; // prettier-ignore
const SAID_BY = {
  template: "the template’s", system: "of the system prompt", user: "the user’s", assistant: "of an earlier answer",
  [OWN]: "written by the model",
}; // prettier-ignore

/** How many tokens were read and written, and how much of the context that is. */
export function usage(nRead, nWritten, contextLength) {
  const all = nRead + nWritten;
  if (!all) return "Nothing was read yet: send a message.";
  const of = contextLength ? `, ${finePercent(all / contextLength)} of the context of ${grouped(contextLength)}` : "";
  return `${counted(nRead, "token")} read, ${grouped(nWritten)} written: ${grouped(all)} in all${of}.`;
}

/** All about one token, in words. */
export function describeToken([id, raw, special], who) {
  const bytes = bytesOf(raw), size = counted(bytes.length, "byte");
  return `id ${id} · ${SAID_BY[who] ?? who} · ${special ? "special · " : ""}${size} ${hex(bytes)} · “${spell(raw)}”`;
}

export function makeTokens() {
  const about = make("p", "usage"), detail = make("p", "detail");
  const list = make("div", "tokens", { role: "listbox", ariaLabel: "Tokens, one by one" });
  let [boxes, lastRead, own, chosen, mouse] = [[], null, null, -1, ""]; // boxes: {node, token, who}, in order
  const node = make("section", "reading", { ariaLabel: "What the model really reads" }, [about, list, detail]);

  function addStretch(who, tokens) {
    const name = make("span", "writer", { textContent: NAMES[who] ?? who, ariaHidden: "true" });
    const flow = make("div", "flow", { role: "presentation" });
    const stretch = { node: make("div", `stretch ${who === OWN ? "own" : "given"}`, {}, [name, flow]), add };
    Object.assign(stretch.node, { role: "group", ariaLabel: NAMES[who] ?? who });

    function add(more) {
      const made = more.map((token) => ({ node: makeBox(token), token, who }));
      boxes.push(...made);
      flow.append(...made.map((box) => box.node));
      stretch.node.hidden = flow.childElementCount === 0;
    }
    list.append(stretch.node);
    add(tokens);
    return stretch;
  }

  function makeBox([id, raw, special]) {
    const textContent = spell(raw), ariaLabel = `${textContent}, id ${id}${special ? ", special" : ""}`;
    return make("span", special ? "token special" : "token", {
      role: "option", tabIndex: -1, ariaSelected: "false", ariaLabel, textContent,
    }); // prettier-ignore
  }

  function show(read, written, contextLength) {
    const nRead = read.reduce((sum, { tokens }) => sum + tokens.length, 0);
    about.textContent = usage(nRead, written.length, contextLength);
    if (read !== lastRead || boxes.length - nRead > written.length) begin(read);
    keepingEnd(list, () => own.add(written.slice(boxes.length - nRead)));
    if (chosen < 0 && boxes.length) boxes[0].node.tabIndex = 0; // where the tab key comes in
    list.hidden = detail.hidden = boxes.length === 0;
  }

  function begin(read) {
    [boxes, lastRead, chosen] = [[], read, -1];
    list.replaceChildren();
    for (const { who, tokens } of read) addStretch(who, tokens);
    own = addStretch(OWN, []);
    detail.textContent = HINT;
  }

  function choose(i) {
    Object.assign(boxes[Math.max(0, chosen)].node, { tabIndex: -1, ariaSelected: "false" });
    const { node: box, token, who } = boxes[(chosen = i)];
    Object.assign(box, { tabIndex: 0, ariaSelected: "true" });
    detail.textContent = `Token ${grouped(i + 1)}: ${describeToken(token, who)}`;
  }

  function pointAt({ target, type, screenX, screenY }) {
    const [place, last] = [`${screenX} ${screenY}`, mouse];
    if (type === "pointermove" && (mouse = place) === last) return; // what scrolls past a mouse at rest is not meant
    const i = boxes[chosen]?.node === target ? -1 : boxes.findIndex((box) => box.node === target);
    if (i >= 0) choose(i);
  }

  for (const event of ["pointermove", "click", "focusin"]) list.addEventListener(event, pointAt);
  list.addEventListener("keydown", (event) => {
    const by = tokenStep(event.key);
    if (by === undefined) return;
    consume(event);
    boxes[Math.max(0, Math.min(Math.max(0, chosen) + by, boxes.length - 1))].node.focus();
  });
  return { node, show };
}
