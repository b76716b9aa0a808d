// ChatConsole: a conversation with a chat model, and beneath it what the model really reads.
//
// Reads:  system draft show_tokens max_tokens temperature seed (the reader's),
//         turns read written report running error about
// Writes: the reader's six, when no answer is being written
// Sends:  {do: "say", text, ...settings}, {do: "stop"}, {do: "begin"}, which begins anew
// Gets:   {}, when Python has heard

import { onEnter } from "../page/dom.js";
import { lineToPython } from "../page/kernel.js";
import { runSettings, summary } from "../page/run.js";
import { onChange, save } from "../page/traits.js";
import { make, makeLog, systemNote, withAnswer } from "./parts.js";
import { makeTokens } from "./tokens.js";

function button(textContent, classes, onclick) {
  return make("button", classes, { type: "button", textContent, onclick });
}

function render({ model, el }) {
  let [sent, known] = [null, model.get("draft")]; // what was sent and is not taken yet; what Python knows of the field
  const line = lineToPython(model, (words) => {
    showAll();
    showError(words);
  });
  const chosen = runSettings(model, make, line), { isRunning } = chosen;
  const system = make("textarea", "system", { rows: 2, placeholder: "None of your own" });
  const note = make("p", "note"), log = makeLog(), error = make("p", "llm101-error", { role: "alert" });
  const field = make("textarea", "message", { rows: 2, value: known });
  const send = button("▶ Send", "llm101-go go", say), stop = button("■ Stop", "", () => ask({ do: "stop" }));
  const anew = button("Begin anew", "", () => line.send({ do: "begin" }));
  chosen.node.prepend(send, stop, anew);
  const status = make("p", "status", { role: "status" }), tokens = makeTokens();
  const reads = make("input", "", { type: "checkbox", role: "switch" });
  el.append(make("section", "root", { ariaLabel: "Chat console" }, [
    make("label", "llm101-field", {}, ["System prompt", system]), note, log.node,
    make("label", "llm101-field say", {}, ["Your message, sent by Enter", field]), error, chosen.node, status,
    make("label", "switch", {}, [reads, " What the model really reads"]), tokens.node,
  ])); // prettier-ignore

  function ask(message) {
    if (isRunning()) line.send(message);
  }

  function say() {
    if (isRunning() || line.isWaiting() || sent !== null) return;
    if (!field.value.trim()) return showError("Write a message first.");
    sent = field.value;
    line.send({ do: "say", text: sent, ...chosen.values() });
  }

  /** The words leave the field once they stand in the conversation. */
  function showTurns() {
    if (sent !== null && model.get("turns").at(-1)?.role === "user") {
      if (field.value === sent) field.value = "";
      sent = null;
    }
    showAll();
  }

  /** Python gives words back that it has no answer to; what was written meanwhile stays. */
  function showDraft() {
    const draft = model.get("draft");
    if (!field.value || field.value === known) field.value = draft;
    else if (draft && draft !== field.value) field.value = `${draft}\n${field.value}`;
    known = draft;
  }

  function saveText(name, from) {
    if (!isRunning() && from.value !== model.get(name)) save(model, { [name]: from.value });
  }

  function showAnswer() {
    const [turns, written, { name, context_length }] = ["turns", "written", "about"].map((trait) => model.get(trait));
    log.show(withAnswer(turns, written, isRunning()), name);
    if (model.get("show_tokens")) tokens.show(model.get("read"), written, context_length);
  }

  function showAll() {
    const [running, hasBegun, report] = [isRunning(), model.get("turns").length > 0, model.get("report")];
    const { name, own_system } = model.get("about");
    system.readOnly = hasBegun;
    if (system.value !== model.get("system")) system.value = model.get("system");
    note.textContent = systemNote(model.get("system"), own_system, hasBegun);
    send.ariaDisabled = String(running); // and not disabled: who has just pressed it keeps the focus
    stop.ariaDisabled = String(!running);
    anew.ariaDisabled = String(!hasBegun);
    const done = "all_s" in report ? summary(model.get("written").length, report, name) : "";
    status.textContent = running ? `${name} is answering, on this machine …` : done;
    reads.checked = model.get("show_tokens");
    tokens.node.hidden = !reads.checked;
    showAnswer();
  }

  function showError(words) {
    if (words) sent = null;
    error.textContent = words;
    error.hidden = !words;
  }

  onEnter(field, say);
  field.addEventListener("change", () => saveText("draft", field));
  system.addEventListener("change", () => saveText("system", system));
  reads.addEventListener("change", () => save(model, { show_tokens: reads.checked }));
  model.on("msg:custom", line.heard);
  onChange(model, ["written"], showAnswer);
  onChange(model, ["turns"], showTurns);
  onChange(model, ["draft"], showDraft);
  onChange(model, ["error"], () => (line.heard(), showError(model.get("error"))));
  onChange(model, ["running", "report", "system", "show_tokens"], showAll);
  showAll();
  showError(model.get("error"));
  return line.heard;
}

export default { render };
