// Tokenizes with the page's tokenizer what Python sent on standard input, as one JSON object:
//     {"pattern", "runs", "packed" (base64), "texts"}  ->  the ids of each text, as JSON
import { loadModule } from "./load_widget.mjs";

const { finish, pageTokenizer, unpackRanks } = await loadModule("token_playground/card.js");

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { pattern, runs, packed, texts } = JSON.parse(Buffer.concat(chunks).toString("utf8"));
const tokenize = pageTokenizer(pattern, await unpackRanks(Buffer.from(packed, "base64"), runs));
process.stdout.write(JSON.stringify(texts.map((text) => finish(tokenize(text)).flatMap(({ ids }) => ids))));
