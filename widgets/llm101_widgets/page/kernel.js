// The page's line to Python: whoever asks hears an answer, or that there will be none.
//
// A kernel that was restarted or shut down is not missed by itself: `model.send` may throw, or say nothing at all, and
// what is set in the page stays in the page. So whatever Python has to answer goes through here.
// Reading order: GONE and SILENT (what the reader is told), lineToPython.

export const GONE =
  "This widget’s kernel is gone: it was restarted or shut down. Run the cells above again, then this one.";
export const SILENT =
  "The kernel does not answer. It is busy with a cell: wait for it; or it is gone: run the cells above again, " +
  "then this one.";
const PATIENCE_MS = 1500; // how long to wait for an answer before saying that none comes

/**
 * Watch over what the page asks of Python.
 *
 * tell(words): shows the reader GONE or SILENT. It is called within PATIENCE_MS of a question that nobody answers, and
 * at once where the page can know that the kernel has gone.
 * Returns send(message), for what Python answers; post(message), for what it does not; expect(), after traits were
 * saved that Python answers by changing others; heard(), to be called with every answer; and whether the page
 * isWaiting, and whether the kernel isGone, for certain.
 */
export function lineToPython(model, tell) {
  let [timer, gone] = [0, false];

  function wait() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = 0;
      tell(SILENT);
    }, PATIENCE_MS);
  }

  function heard() {
    clearTimeout(timer);
    [timer, gone] = [0, false];
  }

  function lost() {
    heard();
    gone = true;
    tell(GONE);
  }

  function post(message) {
    try {
      model.send(message);
    } catch {
      lost();
    }
  }

  function send(message) {
    wait(); // first: the answer may come at once
    post(message);
  }

  const expect = () => (gone ? lost() : wait());

  model.on("comm_live_update", lost); // Jupyter's own sign, where it gives one: the kernel restarts
  return { send, post, expect, heard, isWaiting: () => timer !== 0, isGone: () => gone };
}
