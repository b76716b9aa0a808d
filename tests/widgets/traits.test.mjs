// What the page saves, and when; and the clock of what plays by itself.
import assert from "node:assert/strict";
import { test } from "node:test";

import { tick } from "./fake_clock.mjs";
import { loadModule } from "./load_widget.mjs";

const { onChange, save, saveWhileTyping } = await loadModule("page/traits.js");
const { clock } = await loadModule("page/clock.js");

/** A model that remembers what was saved, and tells who listens. */
function makeModel(state = {}) {
  const saved = [], heard = {};
  return {
    saved, state,
    get: (name) => state[name],
    set: (name, value) => ((state[name] = value), heard[`change:${name}`]?.()),
    save_changes: () => saved.push({ ...state }),
    on: (event, act) => (heard[event] = act),
  }; // prettier-ignore
}

test("what is set is saved together", () => {
  const model = makeModel({ a: 1 });
  save(model, { a: 2, b: 3 });
  assert.deepEqual(model.saved, [{ a: 2, b: 3 }]);
});

test("a change of each of the traits is heard", () => {
  const model = makeModel();
  let heard = 0;
  onChange(model, ["a", "b"], () => heard++);
  save(model, { a: 1, b: 2, c: 3 });
  assert.equal(heard, 2);
});

test("a text is saved when the reader pauses or leaves the field, and never what it was already", () => {
  const model = makeModel({ text: "" }), field = Object.assign(new EventTarget(), { value: "" });
  const typing = saveWhileTyping(model, "text", field);
  const type = (value) => ((field.value = value), field.dispatchEvent(new Event("input")));
  type("a");
  tick(200);
  type("ab");
  tick(200);
  assert.deepEqual([model.saved.length, typing.isPending()], [0, true]);
  tick(200);
  assert.deepEqual([model.saved, typing.isPending()], [[{ text: "ab" }], false]);
  type("abc");
  field.dispatchEvent(new Event("change"));
  assert.deepEqual([model.state.text, typing.isPending()], ["abc", false]);
  type("abcd");
  typing.cancel();
  tick(1000);
  field.value = "abc";
  field.dispatchEvent(new Event("change"));
  assert.equal(model.saved.length, 2);
});

test("a clock ticks until it is stopped, and one that is started again does not tick twice", () => {
  const player = clock(100);
  let ticks = 0;
  player.start(() => ticks++);
  player.start(() => ticks++);
  assert.ok(player.isGoing());
  tick(350);
  player.stop();
  tick(350);
  assert.deepEqual([ticks, player.isGoing()], [3, false]);
});
