// Loads a widget's JavaScript as anywidget does, from an address without a folder: an import of another
// file, which would fail in the notebook, fails here too.

import { readFile } from "node:fs/promises";

const IMPORT = /^import \{[^}]*\} from "(\.[^"]*)";\n/gm;
const fileOf = (path) => new URL(`../../widgets/llm101_widgets/${path}`, import.meta.url);
const load = (source) => import(`data:text/javascript;base64,${Buffer.from(source).toString("base64")}`);

export async function loadWidget(name) {
  return load(await readFile(fileOf(`${name}/widget.js`), "utf8"));
}

/** Several files and what they import joined into one, as llm101_widgets.javascript does it. */
export async function loadModules(...paths) {
  const files = new Map();
  async function read(file) {
    if (files.has(file.href)) return;
    const text = await readFile(file, "utf8");
    for (const [, beside] of text.matchAll(IMPORT)) await read(new URL(beside, file));
    files.set(file.href, text.replace(IMPORT, ""));
  }
  for (const path of paths) await read(fileOf(path));
  return load([...files.values()].join("\n"));
}
