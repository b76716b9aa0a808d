// What can be said next, as the page computes it: from the scores of all tokens, and four settings, to probabilities.
//
// Reading order: scoresOf (a node's scores, likeliest first), settle (llm101.inference.sampling, in the page), pick.
// A node holds {ids, logits, rest}: float32 scores; ids is empty if they are those of all tokens, in order. Of a large
// vocabulary only the likeliest are there, with their ids; the others are known together, as [how many, log-sum-exp].

/** A node's scores, likeliest first; equal ones in the order of their ids. The others' are shared out evenly. */
export function scoresOf({ ids, logits, rest: [nRest, restSum] }) {
  const raw = numbersIn(logits, Float32Array), named = numbersIn(ids, Int32Array);
  const order = Uint32Array.from(raw.keys()).sort((a, b) => raw[b] - raw[a] || a - b);
  return {
    ids: Array.from(order, (i) => (named.length ? named[i] : i)),
    scores: Array.from(order, (i) => raw[i]),
    nRest, each: nRest ? restSum - Math.log(nRest) : -Infinity,
  }; // prettier-ignore
}

/** Bytes from Python, which may lie anywhere in a message. */
function numbersIn(view, Kind) {
  return new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** Probabilities [of each, likeliest first], of all others together, and how many tokens are left to be drawn from. */
export function settle({ scores, nRest, each }, { temperature, top_k, top_p, min_p }) {
  if (temperature === 0) return { shares: scores.map((_, i) => (i ? 0 : 1)), rest: 0, nKept: 1 };
  const weigh = (score) => Math.exp((score - scores[0]) / Math.max(temperature, 1e-30));
  let shares = scores.map(weigh), one = nRest ? weigh(each) : 0; // one: each single one of the others
  function keep(lowest) {
    shares = shares.map((p) => (p >= lowest ? p : 0));
    if (one < lowest) one = 0;
    const total = shares.reduce((sum, p) => sum + p, one * nRest);
    shares = shares.map((p) => p / total);
    one /= total;
  }
  keep(0);
  if (top_k > 0 && top_k < scores.length + nRest) keep(shares[Math.min(top_k, scores.length) - 1]);
  if (top_p < 1) keep(lowestInNucleus(shares, top_p));
  if (min_p > 0) keep(min_p * shares[0]);
  const nKept = shares.filter((p) => p > 0).length + (one > 0 ? nRest : 0);
  return { shares, rest: one * nRest, nKept };
}

/** The probability of the last token needed to reach the mass; 0 if all that are known do not reach it. */
function lowestInNucleus(shares, mass) {
  let sum = 0;
  for (const share of shares) if ((sum += share) >= mass) return share;
  return 0;
}

/** The place of the token that is drawn, in the list of shares, given a number from 0 up to 1. */
export function pick(shares, draw) {
  let left = draw * shares.reduce((sum, p) => sum + p, 0);
  for (const [i, p] of shares.entries()) if (p > 0 && (left -= p) < 0) return i;
  return 0; // only where rounding has used up the last share
}
