// A clock that goes when it is told to; whoever imports it has no other.

let now = 0;
const due = new Map(); // timer -> [when it rings, ring, after how long again]

function add(ring, ms, again = Infinity) {
  const timer = {};
  due.set(timer, [now + ms, ring, again]);
  return timer;
}

globalThis.setTimeout = (ring, ms) => add(ring, ms);
globalThis.setInterval = (ring, ms) => add(ring, ms, ms);
globalThis.clearTimeout = globalThis.clearInterval = (timer) => due.delete(timer);

/** Let the time pass, millisecond by millisecond. */
export function tick(ms) {
  for (const end = now + ms; now < end; ) {
    now++;
    for (const [timer, [when, ring, again]] of due) {
      if (when > now) continue;
      if (again < Infinity) due.set(timer, [now + again, ring, again]);
      else due.delete(timer);
      ring();
    }
  }
}
