"""ChatConsole: a conversation with a chat model on this machine, and a look at what the model really reads of it.

It takes any object with `chat_prompt`, `stream_chat` and `tokenizer`, as reading.py describes them."""

from threading import Event, Lock, Thread
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.chat_console.picture import as_html, in_words
from llm101_widgets.chat_console.reading import as_messages, as_written, checked_model, facts_of, read_by, reply
from llm101_widgets.limits import RUN, within
from llm101_widgets.page import page_of
from llm101_widgets.writing import alone, follow, in_one_line, stopped


class ChatConsole(anywidget.AnyWidget):
    """The page talks in a thread, so that its Stop works; `say()` talks in the cell that calls it."""

    _esm, _css = page_of("chat_console", root="llm101-chat-root")
    # the reader sets, here or in the page ("" is no system prompt; draft: what is written, and not said yet)
    system, draft, show_tokens = t.Unicode().tag(sync=True), t.Unicode().tag(sync=True), t.Bool().tag(sync=True)
    max_tokens, temperature, seed = (t.TraitType(x).tag(sync=True) for x in (1, 0.0, 0))
    # the page reads: the turns so far (role, content, end); what the model read last, and the tokens that it wrote then
    turns, read, written = t.List().tag(sync=True), t.List().tag(sync=True), t.List().tag(sync=True)
    report, about, running = t.Dict().tag(sync=True), t.Dict().tag(sync=True), t.Bool().tag(sync=True)
    error = t.Unicode().tag(sync=True)

    def __init__(self, model: Any, *, system="", max_tokens=200, temperature=0.8, seed=0, show_tokens=False) -> None:
        self._model, self._busy, self._stop = checked_model(model), Lock(), Event()
        super().__init__(max_tokens=max_tokens, temperature=temperature, seed=seed, about=facts_of(model))
        self.system, self.show_tokens = system, show_tokens
        self.on_msg(lambda _, message, __: Thread(target=self._heard, args=[message], daemon=True).start())

    @t.validate(*RUN)
    def _within_limits(self, proposal: Any) -> Any:
        return within(proposal["trait"].name, proposal["value"], RUN[proposal["trait"].name])

    def _heard(self, message: dict[str, Any]) -> None:
        """The page sends what to do, with a text and the settings where it is to `say` something."""
        self.send({})  # it is heard, however long the rest may take
        self.error = ""  # so that the same error is told again
        try:
            {"say": self.say, "begin": self.begin, "stop": self._stop.set}[message.pop("do")](**message)
        except Exception as failure:  # a thread has no cell to raise in: the page shows it
            self.error = in_one_line(failure)

    def begin(self) -> None:
        """A new conversation; an answer in progress is stopped first."""
        with stopped(self._busy, self._stop):
            self.turns, self.read, self.written, self.report, self.error = [], [], [], {}, ""

    def say(self, text: str, **settings: Any) -> str:
        """Say something, and return the answer. Jupyter's own stop button ends it early, and cleanly."""
        with alone(self._busy, "answering"):
            self._stop.clear()
            for name, value in {"error": "", **settings}.items():
                setattr(self, name, value)
            messages, before, report = as_messages(self.system, self.turns, text), self.turns, {"end": "failed"}
            self.written, self.report, self.read = [], {}, read_by(self._model, messages)  # or nothing has changed
            self.turns, self.draft, self.running = [*before, messages[-1]], "", True
            try:
                stream = self._model.stream_chat(messages, cancel=self._stop, **{x: getattr(self, x) for x in RUN})
                report = follow(stream, self._show, lambda: self._stop.is_set() or self.comm is None)
            finally:
                self.turns = [*self.turns, reply(self.written, report)] if self.written else before
                self.draft = "" if self.written else text  # no answer: then nothing was said
                self.report, self.running = report, False
        return self.turns[-1]["content"] if self.written else ""

    def _show(self, tokens: list[Any]) -> None:
        self.written = [*self.written, *as_written(tokens[len(self.written) :], self._model.tokenizer)]

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return data | as_html(self), metadata

    def __repr__(self) -> str:
        return in_words(self)
