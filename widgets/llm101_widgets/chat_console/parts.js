// The conversation on the page: who said what, the answer as it is written, and why an answer ended.
//
// Reading order: withAnswer, noteOf, systemNote, makeLog.

import { keepingEnd, makers } from "../page/dom.js";
import { ENDS } from "../page/run.js";

export const { make } = makers("llm101-chat");

/** The text that written tokens are. */
export const textOfAnswer = (written) => written.map(([, , , text]) => text).join("");

/** The turns, and after a question that is being answered the answer so far. */
export function withAnswer(turns, written, isRunning) {
  const isOpen = turns.at(-1)?.role === "user" && (isRunning || written.length > 0);
  return isOpen ? [...turns, { role: "assistant", content: textOfAnswer(written), isOpen: isRunning }] : turns;
}

/** What to say below an answer of how it ended; nothing if it came to its own end. */
export function noteOf({ role, content, end }) {
  if (role === "user" || end === undefined) return "";
  if (end === "failed") return "cut off by an error";
  if (end === "end") return content.trim() ? "" : "it ended without a word";
  return ENDS[end] ?? "";
}

/** What to say below the system prompt: whose it is, and how to change it. */
export function systemNote(system, own, hasBegun) {
  const whose = system ? "" : own ? `The template’s own: “${own}”.` : "None, and the template adds none of its own.";
  return [whose, hasBegun ? "Begin anew to change it." : ""].filter(Boolean).join(" ");
}

function put(node, words) {
  if (node.textContent !== words) node.textContent = words; // what did not change is not read out again
}

function makeTurn() {
  const who = make("p", "who"), text = make("span"), caret = make("span", "llm101-caret", { textContent: "▍" });
  const said = make("p", "said", {}, [text, caret]), note = make("p", "note");
  const node = make("div", "turn", {}, [who, said, note]);

  function show(turn, name) {
    node.classList.toggle("llm101-chat-user", turn.role === "user");
    put(who, turn.role === "user" ? "You" : name);
    put(text, turn.content);
    put(note, noteOf(turn));
    caret.hidden = !turn.isOpen;
    node.setAttribute("aria-busy", String(turn.isOpen === true));
  }
  return { node, show };
}

/** All turns, the newest in view. */
export function makeLog() {
  const node = make("div", "log", { role: "log", ariaLabel: "Conversation", tabIndex: 0 });
  const shown = [];

  function update(turns, name) {
    while (shown.length > turns.length) shown.pop().node.remove();
    turns.forEach((turn, i) => {
      shown[i] ??= makeTurn();
      shown[i].show(turn, name);
      if (!shown[i].node.isConnected) node.append(shown[i].node);
    });
    node.hidden = turns.length === 0;
  }

  return { node, show: (...all) => keepingEnd(node, () => update(...all)) };
}
