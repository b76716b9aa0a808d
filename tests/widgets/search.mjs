// Searches as the page does: a recording's file is named in the arguments, and queries come on standard input, as JSON
//     ->  the numbers of the latents that each query finds, the best first, as JSON
import { readFile } from "node:fs/promises";

import { loadModule } from "./load_widget.mjs";

const { search, unpack } = await loadModule("feature_browser/search.js");

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const recording = await unpack(await readFile(process.argv[2]));
const queries = JSON.parse(Buffer.concat(chunks).toString("utf8"));
process.stdout.write(JSON.stringify(queries.map((query) => search(recording, query).map(({ id }) => id))));
