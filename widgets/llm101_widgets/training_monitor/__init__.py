"""TrainingMonitor: a training run as it goes on: its curves, its speed, and one beginning, continued better and better.

It takes any run that has `prompt`, `points`, `samples`, `state` and `error`, obeys `start()`, `pause()`, `resume()` and
`stop()`, and calls what `watch()` was given after every change, in whichever thread it trains. A point has the names
of NUMBERS, `train_bits_per_byte` and `valid_bits_per_byte` (or None); a sample has `step` and `text`."""

from time import monotonic
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.page import page_of
from llm101_widgets.svg import in_html
from llm101_widgets.training_monitor.picture import as_svg, thinned

COMMANDS = ("start", "pause", "resume", "stop")
NUMBERS = ("step", "steps", "tokens_seen", "tokens_per_second", "seconds", "seconds_left", "learning_rate_factor")
EVERY_S = 0.25  # as often as a reader needs it, so that a fast run does not drown the page
MOST_POINTS = 300  # of a curve: more than a screen can tell apart


class TrainingMonitor(anywidget.AnyWidget):
    """All that the page shows is kept in the kernel, so that a page that is loaded anew shows it again."""

    _esm, _css = page_of("training_monitor", root="llm101-monitor")
    # the page reads: [step, bits per byte] of both curves, [step, text] of each sample, the numbers of the last step
    train, valid, samples = t.List().tag(sync=True), t.List().tag(sync=True), t.List().tag(sync=True)
    now, prompt = t.Dict().tag(sync=True), t.Unicode().tag(sync=True)
    state, error = t.Unicode().tag(sync=True), t.Unicode().tag(sync=True)

    def __init__(self, run: Any) -> None:
        missing = [name for name in ("watch", *COMMANDS) if not callable(getattr(run, name, None))]
        if missing:
            raise ValueError(f"a monitor needs a run with {', '.join(missing)}(), got {type(run).__name__}")
        self._run, self._shown_at = run, 0.0
        super().__init__(prompt=run.prompt)
        self._show()
        self.on_msg(self._heard)
        run.watch(self._changed)

    def _heard(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """The page sends what the run shall do."""
        if message.get("command") in COMMANDS:
            getattr(self._run, message["command"])()

    def _changed(self) -> None:
        if self._run.state != self.state or monotonic() - self._shown_at > EVERY_S:
            self._show()

    def _show(self) -> None:
        points = list(self._run.points)  # the run's thread may add to its own list meanwhile
        with self.hold_sync():
            self.train = thinned([[p.step, round(p.train_bits_per_byte, 4)] for p in points], MOST_POINTS)
            judged = [p for p in points if p.valid_bits_per_byte is not None]
            self.valid = [[p.step, round(p.valid_bits_per_byte, 4)] for p in judged]
            self.samples = [[sample.step, sample.text] for sample in list(self._run.samples)]
            self.now = {name: getattr(points[-1], name) for name in NUMBERS} if points else {}
            self.state = self._run.state
            self.error = (str(self._run.error or "").strip() or " ").splitlines()[0].strip()
        self._shown_at = monotonic()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        svg = as_svg(self.train, self.valid, self.now.get("steps", 1))
        return data | in_html(svg, repr(self)), metadata

    def __repr__(self) -> str:
        if not self.now:
            return f"a training run, {self.state}: no step done yet"
        lines = [f"a training run, {self.state}: step {self.now['step']:,} of {self.now['steps']:,}"]
        lines += [f"bits per byte of text not trained on: {self.valid[-1][1]:.2f}"] if self.valid else []
        return "\n".join([*lines, *(f"step {step:,}: {self.prompt}{text}" for step, text in self.samples)])
