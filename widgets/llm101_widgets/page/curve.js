// Curves over the steps of a training run: places on a drawing, in plain numbers.

/** Round values from 0 to the top, about so many: the lines behind a curve. */
export function ticks(top, about = 4) {
  const raw = top / about, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= raw * 0.999);
  return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, i) => +(i * step).toPrecision(6));
}

/** Where [step, value] lies on a drawing so wide and so high; 0 at the bottom, the top value at the top. */
export function place([step, value], { steps, top, width, height }) {
  return [(width * step) / Math.max(steps, 1), height * (1 - value / top)];
}

/** The points attribute of a polyline. */
export function polyline(curve, frame) {
  return curve.map((point) => place(point, frame).map((v) => v.toFixed(1)).join(",")).join(" ");
}

/** The highest value of some curves, rounded up a little, so that no line touches the edge. */
export function topOf(...curves) {
  return Math.ceil(Math.max(1, ...curves.flat().map(([, value]) => value)) * 2) / 2;
}
