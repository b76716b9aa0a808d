// The recorded features in the page: unpacking, searching, and the way back. Knows nothing of widgets.
//
// A recording is what recording.py reads: {tokens, latents: [{id, words, promoted, passages, ...}, ...], ...}.

/** The recording that stands in gzip-compressed bytes. */
export async function unpack(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** The latents that a query finds, the best first: Features.search in llm101 has the same rule, and states it. */
export function search({ tokens, latents }, query) {
  const terms = query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  if (!terms.length) return query.trim() ? [] : latents;
  const found = latents.map((latent) => [latent, terms.map((term) => score(tokens, latent, term))]);
  const total = (scores) => scores.reduce((sum, one) => sum + one, 0);
  return found.filter(([, scores]) => scores.every((one) => one > 0))
    .sort(([a, x], [b, y]) => total(y) - total(x) || b.strongest - a.strongest || a.id - b.id)
    .map(([latent]) => latent); // prettier-ignore
}

/** How well one word of a query fits a latent; 0 if not at all. */
export function score(tokens, { id, words, promoted }, term) {
  if (term === String(id)) return 1000;
  const whole = words.indexOf(term);
  if (whole >= 0) return 300 - Math.min(whole, 99);
  const start = words.findIndex((word) => word.startsWith(term));
  if (start >= 0) return 200 - Math.min(start, 99);
  const pushed = promoted.findIndex(([t]) => tokens[t].trim().toLowerCase() === term);
  return pushed >= 0 ? 100 - Math.min(pushed, 99) : 0;
}

/** The way that was gone: {past, now, future}, with a latent's number for each place. */
export function visit(way, id) {
  return way.now === id ? way : { past: [...way.past, way.now], now: id, future: [] };
}

export function back({ past, now, future }) {
  return past.length ? { past: past.slice(0, -1), now: past.at(-1), future: [now, ...future] } : { past, now, future };
}

export function forward({ past, now, future }) {
  return future.length ? { past: [...past, now], now: future[0], future: future.slice(1) } : { past, now, future };
}

/** From 0 (not active, or hardly) to 4: how strong a latent is at a token, in % of the passage's strongest. */
export function level(strength) {
  return strength <= 0 ? 0 : 1 + [25, 50, 75].filter((limit) => strength >= limit).length;
}

/** The strongest token of a passage, and how strong it is there. */
export function peak([tokens, strengths]) {
  const at = strengths.indexOf(Math.max(...strengths));
  return [tokens[at], strengths[at]];
}
