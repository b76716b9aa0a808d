// Works out blocks of quantised numbers with the page's unpacking, as Python sent them on standard input, as JSON:
//     {"dtype", "blocks" (base64)}  ->  for each number what it is worth and its working, as JSON
import { loadModule } from "./load_widget.mjs";

const { BLOCKS, unpack, workingOut, worth } = await loadModule("parameter_microscope/blocks.js");

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { dtype, blocks } = JSON.parse(Buffer.concat(chunks).toString("utf8"));
const bytes = Buffer.from(blocks, "base64");
const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const found = [];
for (let begin = 0; begin < bytes.length; begin += BLOCKS[dtype].bytes) {
  const block = unpack(dtype, view, begin);
  for (let i = 0; i < BLOCKS[dtype].numbers; i++) found.push([worth(block, i), workingOut(block, i)]);
}
process.stdout.write(JSON.stringify(found));
