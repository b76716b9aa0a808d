// What a token holds, made visible: whole characters, single bytes of one, white space, what has no width.
//
// Reading order: pieces, visible, describe; then textOf and spell, for tokens that come with no word around them.
// A word is what bpe.js makes of it: {word, bytes, ids, ends}.

/** What each token of a word holds: whole text, or some bytes of a character: {text} or {char, bytes, from, of}. */
export function pieces({ word, bytes, ends }) {
  if (ends.length === 1) return [[{ text: word }]];
  const starts = [...bytes.keys()].filter((i) => (bytes[i] & 0xc0) !== 0x80); // where characters start
  const characters = [...word];
  let [token, c] = [[], 0];
  const tokens = [];
  for (let at = 0, t = 0; t < ends.length; t++, tokens.push(token), token = []) {
    while (at < ends[t]) {
      const stop = starts[c + 1] ?? bytes.length;
      const until = Math.min(stop, ends[t]);
      const whole = at === starts[c] && until === stop;
      const bit = { char: characters[c], bytes: bytes.slice(at, until), from: at - starts[c], of: stop - starts[c] };
      if (!whole) token.push(bit);
      else if (token.at(-1)?.text) token.at(-1).text += characters[c];
      else token.push({ text: characters[c] });
      if (until === stop) c++;
      at = until;
    }
  }
  return tokens;
}

const SIGNS = { " ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽" };
const UNSEEN = /[\p{Z}\p{C}\u034f\u115f\u1160\u17b4\u17b5\u3164\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/u;

/** Text with all that cannot be seen spelled out: [["plain", "a"], ["sign", "␣"], ["sign", "U+200B"]]. */
export function visible(text) {
  const runs = [];
  for (const c of /^\p{M}/u.test(text) ? `◌${text}` : text) {
    const sign = SIGNS[c] ?? (UNSEEN.test(c) ? `U+${hexNumber(c.codePointAt(0), 4)}` : "");
    if (sign) runs.push(["sign", sign]);
    else if (runs.at(-1)?.[0] === "plain") runs.at(-1)[1] += c;
    else runs.push(["plain", c]);
  }
  return runs;
}

const hexNumber = (number, digits) => number.toString(16).toUpperCase().padStart(digits, "0");

export const hex = (bytes) => [...bytes].map((b) => hexNumber(b, 2)).join(" ");

/** All about one token, in words. */
export function describe(entry, t) {
  const bytes = entry.bytes.slice(entry.ends[t - 1] ?? 0, entry.ends[t]);
  const parts = pieces(entry)[t].map(({ text, char, bytes: some, from, of }) => {
    if (text) return `“${visible(text).map(([, s]) => s).join("")}”`;
    const which = some.length === 1 ? `byte ${from + 1}` : `bytes ${from + 1} to ${from + some.length}`;
    return `${which} of the ${of} of “${char}”`;
  }); // prettier-ignore
  const size = bytes.length === 1 ? "byte" : `${bytes.length} bytes`;
  return `id ${entry.ids[t]} · ${size} ${hex(bytes)} · ${parts.join(" and ")}`;
}

/** The bytes of a token that came as a string with a character for each. */
export const bytesOf = (latin1) => Uint8Array.from(latin1, (c) => c.charCodeAt(0));

/** The text of such tokens; each may hold only a part of a character. */
export function textOf(tokens) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(tokens.join("")));
}

const wholeText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One such token as it can be seen: white space, and what is no whole character, spelled out. */
export function spell(latin1) {
  try {
    return visible(wholeText.decode(bytesOf(latin1))).map(([, s]) => s).join("") || "(nothing)";
  } catch {
    return hex(bytesOf(latin1));
  }
}
