// Loads a widget's JavaScript as anywidget does, from an address without a folder: an import of another
// file, which would fail in the notebook, fails here too.

import { readFile } from "node:fs/promises";

export async function loadWidget(name) {
  const file = new URL(`../../widgets/llm101_widgets/${name}/widget.js`, import.meta.url);
  return import(`data:text/javascript;base64,${(await readFile(file)).toString("base64")}`);
}

/** Several files joined into one, as llm101_widgets.javascript does it for a widget that stands in several. */
export async function loadModules(...paths) {
  const read = (path) => readFile(new URL(`../../widgets/llm101_widgets/${path}`, import.meta.url), "utf8");
  const joined = (await Promise.all(paths.map(read))).join("\n").replace(/^import \{[^}]*\} from "\.[^"]*";\n/gm, "");
  return import(`data:text/javascript;base64,${Buffer.from(joined).toString("base64")}`);
}
