// Long work in slices, so that the page can draw and answer between them. Knows nothing of what the work is.
//
// Work is a generator: it yields wherever it can be interrupted, and returns its result.

const SLICE_MS = 20; // of work, before the page has its turn: half of what a reader begins to feel

/** To the end at once. */
export function finish(work) {
  for (;;) {
    const { value, done } = work.next();
    if (done) return value;
  }
}

/** A slice at a time, the first one at once; undefined as soon as nobody wants the result any more. */
export async function inSlices(work, isWanted = () => true) {
  for (let until = performance.now() + SLICE_MS; ; ) {
    const { value, done } = work.next();
    if (done) return value;
    if (performance.now() < until) continue;
    await new Promise((goOn) => setTimeout(goOn));
    if (!isWanted()) return undefined;
    until = performance.now() + SLICE_MS;
  }
}
