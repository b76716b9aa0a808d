// The page's line to Python, against kernels that answer, are silent, throw, or say that they go.
import assert from "node:assert/strict";
import { test } from "node:test";

import { tick } from "./fake_clock.mjs";
import { loadModule } from "./load_widget.mjs";

const { GONE, SILENT, lineToPython } = await loadModule("page/kernel.js");

/** A line, what it told the reader, and the model at its end, which sends as `send` does. */
function line(send = () => {}) {
  const told = [], signs = {};
  const model = { send, on: (event, listener) => (signs[event] = listener) };
  return { ...lineToPython(model, (words) => told.push(words)), told, signs };
}

test("a kernel whose line throws is gone, and the reader is told at once", () => {
  const { send, told, isGone, isWaiting } = line(() => { throw new Error("Cannot send"); }); // prettier-ignore
  send({});
  assert.deepEqual([told, isGone(), isWaiting()], [[GONE], true, false]);
  tick(10_000);
  assert.deepEqual(told, [GONE], "nothing more comes");
});

test("a question that nobody answers is given up within two seconds, whether it was sent or saved", () => {
  for (const ask of ["send", "expect"]) {
    const one = line();
    one[ask]({});
    tick(1000);
    assert.deepEqual([one.told, one.isWaiting()], [[], true]);
    tick(1000);
    assert.deepEqual([one.told, one.isWaiting(), one.isGone()], [[SILENT], false, false]);
  }
});

test("an answer ends the waiting, also one that comes before `send` returns", () => {
  const later = line();
  later.send({});
  later.heard();
  const atOnce = line(() => atOnce.heard());
  atOnce.send({});
  tick(10_000);
  assert.deepEqual([later.told, atOnce.told], [[], []]);
});

test("what needs no answer is not waited for, but a line that throws is noticed", () => {
  const { post, told, isWaiting } = line();
  post({});
  assert.deepEqual([told, isWaiting()], [[], false]);
  const broken = line(() => { throw new Error("Cannot send"); }); // prettier-ignore
  broken.post({});
  assert.deepEqual(broken.told, [GONE]);
});

test("the last question counts, so that a quick reader is not told too early", () => {
  const { expect, told } = line();
  expect();
  tick(1000);
  expect();
  tick(1000);
  assert.deepEqual(told, []);
});

test("Jupyter's sign that the kernel restarts is passed on, and what is asked afterwards is refused at once", () => {
  const { signs, told, isGone, expect } = line();
  signs.comm_live_update();
  assert.deepEqual([told, isGone()], [[GONE], true]);
  expect();
  assert.deepEqual(told, [GONE, GONE]);
});

test("a line that carries an answer is not gone, whatever was thought of it", () => {
  const { signs, send, heard, isWaiting, isGone } = line();
  signs.comm_live_update();
  send({});
  assert.ok(isWaiting(), "it is tried again");
  heard();
  assert.ok(!isGone());
});
