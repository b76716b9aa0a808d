// The host of pages without a kernel: a widget's traits, and a model that tells who listens.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const source = await readFile(new URL("../../widgets/llm101_site/host.js", import.meta.url));
const { makeModel, traitsOf } = await import(`data:text/javascript;base64,${source.toString("base64")}`);

test("bytes come back to where they were, also deep inside of a trait", () => {
  const data = Buffer.from([7, 8, 9]).toString("base64");
  const saved = {
    state: { name: "a", view: { rows: 3 }, nodes: [{ over: false }, { over: true }] },
    buffers: [{ path: ["raw"], data }, { path: ["view", "bytes"], data }, { path: ["nodes", 1, "ids"], data }],
  };
  const traits = traitsOf(saved);
  for (const bytes of [traits.raw, traits.view.bytes, traits.nodes[1].ids]) {
    assert.ok(bytes instanceof DataView);
    assert.deepEqual([bytes.byteLength, bytes.getUint8(1)], [3, 8]);
  }
  assert.deepEqual([traits.name, traits.view.rows, traits.nodes[1].over], ["a", 3, true]);
  assert.deepEqual(Object.keys(saved.state.view), ["rows"], "what was saved stays as it is");
});

test("whoever listens hears of a change, once, in order, and of nothing that is no change", () => {
  const model = makeModel({ a: 1, b: 2 }), heard = [];
  model.on("change:a", () => heard.push(`first ${model.get("a")}`));
  model.on("change:a", () => heard.push(`second ${model.get("a")}`));
  model.set("a", 5);
  model.set("a", 5);
  model.set("b", 3);
  assert.deepEqual([heard, model.get("b")], [["first 5", "second 5"], 3]);
});

test("whoever listens no more hears nothing", () => {
  const model = makeModel({ a: 1 }), heard = [];
  const [one, other] = [() => heard.push("one"), () => heard.push("other")];
  model.on("change:a", one);
  model.on("change:a", other);
  model.off("change:a", one);
  model.off("change:never", one);
  model.set("a", 2);
  assert.deepEqual(heard, ["other"]);
});

test("what is asked of Python goes to whoever was named, and what is saved to nobody", () => {
  const asked = [];
  const model = makeModel({}, (message) => asked.push(message));
  model.send({ want: "all" });
  model.save_changes();
  assert.deepEqual(asked, [{ want: "all" }]);
});
