// A number's bits, and what they are worth.
//
// A pattern is all bits as one whole number. Reading order: FLOATS, groups, decode, formula, inFull.

export const FLOATS = { float16: [5, 10], bfloat16: [8, 7], float32: [8, 23] }; // bits of exponent and mantissa

/** Sign, exponent and mantissa as whole numbers; `full`: all exponent bits are 1; `steps`: what the mantissa counts. */
export function groups(pattern, dtype) {
  const [e, m] = FLOATS[dtype];
  const exponent = (pattern >>> m) & (2 ** e - 1);
  return { sign: (pattern >>> (e + m)) & 1, exponent, mantissa: pattern & (2 ** m - 1), bias: 2 ** (e - 1) - 1,
    full: exponent === 2 ** e - 1, steps: 2 ** m }; // prettier-ignore
}

/** What the bits are worth. */
export function decode(pattern, dtype) {
  const { sign, exponent, mantissa, bias, full, steps } = groups(pattern, dtype);
  const fraction = (exponent ? 1 : 0) + mantissa / steps;
  const size = full ? (mantissa ? NaN : Infinity) : 2 ** ((exponent || 1) - bias) * fraction;
  return sign ? -size : size;
}

/** How the value comes about: what is special about it, and the formula's terms; one in an array is an exponent. */
export function formula(pattern, dtype) {
  const { sign, exponent, mantissa, bias, full, steps } = groups(pattern, dtype);
  const start = ["(−1)", [sign]];
  if (full && mantissa) return ["Not a number: all exponent bits are 1, and some mantissa bits are.", ["NaN"]];
  if (full) return ["Infinite: all exponent bits are 1, and all mantissa bits are 0.", [...start, " × ∞"]];
  const terms = [...start, " × 2", [`${exponent || 1} − ${bias}`], ` × (${exponent && 1} + ${mantissa}/${steps})`];
  if (exponent) return ["", terms];
  return [mantissa ? "Subnormal: all exponent bits are 0, so no 1 is added." : "Zero: only a sign is left.", terms];
}

/** A value in full, with a real minus sign; minus zero is told from zero. */
export function inFull(value) {
  return (Object.is(value, -0) ? "-0" : String(value)).replaceAll("-", "−").replace("Infinity", "∞");
}
