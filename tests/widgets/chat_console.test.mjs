// The chat console's pure helpers: what stands in the conversation, below it, and beside a token.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { describeToken, noteOf, systemNote, textOfAnswer, usage, withAnswer } =
  await loadModule("chat_console/widget.js");

const QUESTION = { role: "user", content: "Hi" }, ANSWER = { role: "assistant", content: "Hello", end: "end" };
const WRITTEN = [[5, "He", false, "He"], [6, "\u00c3", false, ""], [7, "\u00a9", false, "é"], [1, "<end>", true, ""]];

test("the text of an answer is what its tokens add to it, not their bytes", () => {
  assert.equal(textOfAnswer(WRITTEN), "Heé");
});

test("a question that is being answered has its answer so far, with a caret", () => {
  const open = { role: "assistant", content: "Heé", isOpen: true };
  assert.deepEqual(withAnswer([QUESTION], WRITTEN, true), [QUESTION, open]);
  assert.deepEqual(withAnswer([QUESTION], [], true), [QUESTION, { ...open, content: "" }]);
});

test("an answer that was cut off with its kernel stays, without a caret, and one that never began is none", () => {
  assert.deepEqual(withAnswer([QUESTION], WRITTEN, false).at(-1).isOpen, false);
  assert.deepEqual(withAnswer([QUESTION], [], false), [QUESTION]);
});

test("an answer that is over stands in the conversation once", () => {
  assert.deepEqual(withAnswer([QUESTION, ANSWER], WRITTEN, true), [QUESTION, ANSWER]);
  assert.deepEqual(withAnswer([], WRITTEN, false), []);
});

test("below an answer stands why it ended, unless it came to its own end", () => {
  assert.equal(noteOf(ANSWER), "");
  assert.equal(noteOf(QUESTION), "");
  assert.equal(noteOf({ ...ANSWER, end: undefined }), "", "it is being written");
  assert.equal(noteOf({ ...ANSWER, end: "stopped" }), "stopped by you");
  assert.equal(noteOf({ ...ANSWER, end: "context" }), "the context is full");
  assert.equal(noteOf({ ...ANSWER, end: "failed" }), "cut off by an error");
  assert.equal(noteOf({ ...ANSWER, content: " \n" }), "it ended without a word");
  assert.equal(noteOf({ ...ANSWER, end: null }), "", "nobody knows why");
});

test("whose the system prompt is, and how it is changed", () => {
  assert.equal(systemNote("Be brief.", "You are small.", false), "");
  assert.equal(systemNote("", "You are small.", false), "The template’s own: “You are small.”.");
  assert.equal(systemNote("", "", true), "None, and the template adds none of its own. Begin anew to change it.");
});

test("tokens are counted, and measured by the context where it is known", () => {
  assert.equal(usage(1200, 48, 8192), "1,200 tokens read, 48 written: 1,248 in all, 15 % of the context of 8,192.");
  assert.equal(usage(1, 0, 0), "1 token read, 0 written: 1 in all.");
  assert.equal(usage(0, 0, 8192), "Nothing was read yet: send a message.");
});

test("all about a token: its number, its writer, its bytes, what can be seen of it", () => {
  assert.equal(describeToken([260, " the", false], "user"), "id 260 · the user’s · 4 bytes 20 74 68 65 · “␣the”");
  assert.equal(describeToken([1, "<e>", true], "template"), "id 1 · the template’s · special · 3 bytes 3C 65 3E · “<e>”");
  assert.equal(describeToken([7, "\u00c3", false], "own"), "id 7 · written by the model · 1 byte C3 · “C3”");
});
