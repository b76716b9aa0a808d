// Numbers and tokens as one says them.
//
// Reading order: grouped and counted, percent and finePercent, quoted.

/** 12345 -> "12,345". */
export const grouped = (number) => number.toLocaleString("en");

/** "1 token", "12,345 tokens". */
export const counted = (number, one) => `${grouped(number)} ${one}${number === 1 ? "" : "s"}`;

/** "43 %", "4.3 %", "< 0.1 %", "0 %": a probability, or a share that is compared with others. */
export function percent(share) {
  const p = 100 * share;
  if (p > 0 && p < 0.1) return "< 0.1 %";
  return `${p === 0 || p >= 9.95 ? Math.round(p) : p.toFixed(1)} %`;
}

/** "12 %", "0.31 %", "0.004 %": a share by itself, in two figures however small it is. */
export const finePercent = (share) => `${Number((100 * share).toPrecision(2))} %`;

/** A token as it can be seen in a list: quoted, with its invisible characters spelled out. */
export function quoted(text) {
  return text === "" ? "(no text of its own)" : `“${text.replaceAll("\n", "⏎").replaceAll("\t", "⇥")}”`;
}
