// A field for a number, without a page around it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { loadModule } from "./load_widget.mjs";

const { clamp, numberField } = await loadModule("page/number_field.js");

test("a number out of range goes to the nearest that is allowed, and nonsense changes nothing", () => {
  const limits = { min: 1, max: 100, old: 80, whole: true };
  assert.deepEqual(["7", "0", "1e9", "2.6", "", " ", "many", "NaN"].map((text) => clamp(text, limits)), [7, 1, 100, 3, 80, 80, 80, 80]);
  assert.equal(clamp("0.7", { min: 0, max: 2, old: 1 }), 0.7);
});

test("a field that is left shows the number that is used, whatever was typed", () => {
  globalThis.document = { createElement: () => new EventTarget() };
  for (const left of ["change", "blur"]) {
    let inUse = 80;
    const { input, value } = numberField({ min: 1, max: 100 }, () => inUse);
    input.addEventListener("change", () => (inUse = value()));
    for (const [typed, shown] of [["7", 7], ["", 7], ["999", 100], ["2.6", 3], ["many", 3]]) {
      input.value = typed;
      if (left === "blur" && typed) input.dispatchEvent(new Event("change"));
      input.dispatchEvent(new Event(left));
      assert.deepEqual([input.value, value(), inUse], [shown, shown, shown], typed);
    }
  }
});
