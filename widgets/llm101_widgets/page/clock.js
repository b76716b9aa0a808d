// A clock for what plays by itself.

/** start(tick) calls tick every so many milliseconds, until stop(); whether it isGoing. */
export function clock(everyMs) {
  let timer = 0;

  function stop() {
    clearInterval(timer);
    timer = 0;
  }

  function start(tick) {
    stop();
    timer = setInterval(tick, everyMs);
  }

  return { start, stop, isGoing: () => timer !== 0 };
}
