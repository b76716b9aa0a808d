// What texts are like, by arithmetic alone: how often they say something, and how often they repeat themselves.
//
// A text is {tokens: their texts, loss_nats: per token, once it is whole}; a concept is words with commas between them;
// a pair is what it was written with (SETTINGS) and two texts, plain and steered.

export const SETTINGS = ["prompt", "max_tokens", "temperature", "seed", "latent", "strength"];

/** Where a text says one of the words: [start, end] of each; "bridge" also finds "Bridges" (as picture.py counts). */
export function mentions(text, concept) {
  const words = concept.split(",").map((word) => word.trim()).filter(Boolean);
  if (!words.length) return [];
  const literal = words.map((word) => word.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${literal.join("|")})[\\p{L}\\p{N}_]*`, "giu");
  return Array.from(text.matchAll(pattern), (match) => [match.index, match.index + match[0].length]);
}

/** A text cut into stretches: [words, whether they are a mention]. */
export function stretches(text, concept) {
  const cut = [];
  let at = 0;
  for (const [start, end] of mentions(text, concept)) {
    if (start > at) cut.push([text.slice(at, start), false]);
    cut.push([text.slice(start, end), true]);
    at = end;
  }
  if (at < text.length) cut.push([text.slice(at), false]);
  return cut;
}

/** The share of three-token sequences that stood in the text before. */
export function repeatedTrigrams(tokens) {
  const trigrams = tokens.slice(2).map((_, i) => JSON.stringify(tokens.slice(i, i + 3)));
  return trigrams.length ? 1 - new Set(trigrams).size / trigrams.length : 0;
}

/** Texts, measured together: how many there are, how many say it and how often; repetition and loss, on average. */
export function measure(texts, concept) {
  const counts = texts.map(({ tokens }) => mentions(tokens.join(""), concept).length);
  const whole = texts.filter(({ loss_nats }) => Number.isFinite(loss_nats));
  const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);
  return {
    n: texts.length,
    nSaying: counts.filter(Boolean).length,
    nMentions: sum(counts),
    repeated: texts.length ? sum(texts.map(({ tokens }) => repeatedTrigrams(tokens))) / texts.length : NaN,
    loss: sum(whole.map((text) => text.loss_nats * text.tokens.length)) / sum(whole.map((text) => text.tokens.length)),
  };
}

/** All texts so far that were written on one side, each once; steered ones only with this latent and strength. */
export function textsOf(stories, side, { latent, strength }) {
  const asked = stories.filter((one) => side === "plain" || (one.latent === latent && one.strength === strength));
  const key = ({ prompt, max_tokens, temperature, seed }) => JSON.stringify([prompt, max_tokens, temperature, seed]);
  return [...new Map(asked.map((one) => [key(one), one[side]])).values()];
}

/** The last pair that was written with these settings, if there is one. */
export function pairOf(stories, settings) {
  return stories.filter((one) => SETTINGS.every((name) => one[name] === settings[name])).at(-1);
}
