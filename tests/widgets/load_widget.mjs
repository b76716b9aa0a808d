// Loads a widget's JavaScript as anywidget does, from an address without a folder: an import of another
// file, which would fail in the notebook, fails here too.

import { readFile } from "node:fs/promises";

const IMPORT = /^import \{[^}]*\} from "(\.[^"]*)";\n/gm;

/** A file and all that it imports joined into one, as llm101_widgets.page does it. */
export async function joined(path) {
  const files = new Map();
  async function read(file) {
    if (files.has(file.href)) return;
    const text = await readFile(file, "utf8");
    for (const [, beside] of text.matchAll(IMPORT)) await read(new URL(beside, file));
    files.set(file.href, text.replace(IMPORT, ""));
  }
  await read(new URL(`../../widgets/llm101_widgets/${path}`, import.meta.url));
  return [...files.values()].join("\n");
}

export async function loadModule(path) {
  return import(`data:text/javascript;base64,${Buffer.from(await joined(path)).toString("base64")}`);
}
