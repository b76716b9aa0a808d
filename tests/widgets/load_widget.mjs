// Loads a widget's JavaScript as anywidget does, from an address without a folder: an import of another
// file, which would fail in the notebook, fails here too.

import { readFile } from "node:fs/promises";

export async function loadWidget(name) {
  const file = new URL(`../../widgets/llm101_widgets/${name}/widget.js`, import.meta.url);
  return import(`data:text/javascript;base64,${(await readFile(file)).toString("base64")}`);
}
