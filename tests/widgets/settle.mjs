// Computes in the page's way what Python sent on standard input, as JSON: {"logits" (base64), "settings"} for each case
//     ->  [ids, shares] of each, likeliest first, as JSON
import { loadModule } from "./load_widget.mjs";

const { scoresOf, settle } = await loadModule("inference_stepper/choices.js");

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const none = new DataView(new ArrayBuffer(0));
const results = JSON.parse(Buffer.concat(chunks).toString("utf8")).map(({ logits, settings }) => {
  const all = scoresOf({ ids: none, logits: Buffer.from(logits, "base64"), rest: [0, -99] });
  return [all.ids, settle(all, settings).shares];
});
process.stdout.write(JSON.stringify(results));
