"""CompletionConsole: type a beginning, and watch a language model on this machine go on.

It takes any object whose `stream(prompt, max_tokens=..., temperature=..., seed=...)` yields tokens with a
`text`, a `logprob` (natural logarithm) and perhaps a `stop_reason`."""

from threading import Event, Lock, Thread
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.limits import RUN, within
from llm101_widgets.page import page_of
from llm101_widgets.writing import alone, follow, in_one_line


class CompletionConsole(anywidget.AnyWidget):
    """The page completes in a thread, so that its Stop works; `run()` completes in the cell that calls it."""

    _esm, _css = page_of("completion_console", root="llm101-console")
    # the reader sets, here or in the page
    prompt, max_tokens = t.Unicode().tag(sync=True), t.TraitType(1).tag(sync=True)
    temperature, seed = t.TraitType(0.0).tag(sync=True), t.TraitType(0).tag(sync=True)
    # the reader reads: the prompt that was completed, [text, logprob] of each token, and how it went
    completed, tokens, report = t.Unicode().tag(sync=True), t.List().tag(sync=True), t.Dict().tag(sync=True)
    running, error, name = t.Bool().tag(sync=True), t.Unicode().tag(sync=True), t.Unicode().tag(sync=True)

    def __init__(self, lm: Any, *, prompt="Once upon a time", max_tokens=80, temperature=0.8, seed=0, name="") -> None:
        if not callable(getattr(lm, "stream", None)):
            raise ValueError(f"a console needs a language model with a stream() method, got {type(lm).__name__}")
        self._lm, self._busy, self._stop = lm, Lock(), Event()
        name = name or str(getattr(lm, "name", type(lm).__name__))
        super().__init__(name=name, prompt=prompt, max_tokens=max_tokens, temperature=temperature, seed=seed)
        self.on_msg(lambda _, message, __: Thread(target=self._heard, args=[message], daemon=True).start())

    @t.validate(*RUN)
    def _within_limits(self, proposal: Any) -> Any:
        return within(proposal["trait"].name, proposal["value"], RUN[proposal["trait"].name])

    def _heard(self, settings: dict[str, Any]) -> None:
        """The page sends the four settings to run with, or nothing to stop."""
        try:
            for name, value in settings.items():
                setattr(self, name, value)
            self.run() if settings else self._stop.set()
        except Exception as failure:  # a thread has no cell to raise in: the page shows it
            self.error = in_one_line(failure)

    def run(self, prompt: str | None = None) -> str:
        """Complete, and return the completion. Jupyter's own stop button ends it early, and cleanly."""
        with alone(self._busy, "completing"):
            self._stop.clear()
            self.prompt = self.prompt if prompt is None else prompt  # then in order: no new prompt with old tokens
            self.report, self.tokens, self.error, self.completed, self.running = {}, [], "", self.prompt, True
            try:
                stream = self._lm.stream(self.prompt, **{name: getattr(self, name) for name in RUN})
                self.report = follow(stream, self._show, self._is_over)
            finally:
                self.running = False
        return "".join(text for text, _ in self.tokens)

    def _show(self, tokens: list[Any]) -> None:
        self.tokens = [[token.text, max(-99.0, token.logprob)] for token in tokens]  # JSON has no infinity

    def _is_over(self) -> bool:
        return self._stop.is_set() or self.comm is None  # by the reader, or because the widget was closed

    def __repr__(self) -> str:
        text = self.completed + "".join(text for text, _ in self.tokens)
        return f"{self.name} continues: {text}" if text else f"{self.name} waits for a beginning"
