"""SteeringConsole: the same beginning and the same seed, with and without steering, side by side.

It takes any object with `stream(prompt, latent=, strength=, max_tokens=, temperature=, seed=)`, a generator of tokens
with `id` and `text` (latent None: the plain model), and `loss_nats(prompt, ids)`, their loss under the plain model.
"""

from collections.abc import Mapping
from contextlib import closing, suppress
from threading import Event, Lock, Thread
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.page import page_of
from llm101_widgets.steering_console.pairs import MOST_STORIES, SETTINGS, check, checked_model, write_pair
from llm101_widgets.steering_console.picture import in_words, pictures
from llm101_widgets.writing import alone, in_one_line


class SteeringConsole(anywidget.AnyWidget):
    """The page writes in a thread, so that its Stop works; `run()` writes in the cell that calls it."""

    _esm, _css = page_of("steering_console", root="llm101-steering-root")
    # the reader sets, here or in the page: concept is words with commas between them; a latent is held at strength
    prompt, concept, strength = t.Unicode().tag(sync=True), t.Unicode().tag(sync=True), t.Any(0.0).tag(sync=True)
    max_tokens, temperature, seed, latent = (t.Any(x).tag(sync=True) for x in (1, 0.0, 0, 0))
    # the page reads: all pairs so far, the one in progress and its side, latents with their names, the slider's end
    stories, writing, running = t.List().tag(sync=True), t.Dict().tag(sync=True), t.Unicode().tag(sync=True)
    error, latents, strongest = t.Unicode().tag(sync=True), t.List().tag(sync=True), t.Float().tag(sync=True)

    def __init__(
        self, model: Any, latents: Mapping[int, str], *, strength: float, concept: str, strongest: float | None = None,
        prompt="Once upon a time", max_tokens=60, temperature=0.8, seed=0,
    ) -> None:  # fmt: skip
        self._model, self._busy, self._stop = checked_model(model, latents), Lock(), Event()
        chosen = {"prompt": prompt, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        end = strongest or 2 * abs(check("strength", strength)) or 100.0
        super().__init__(strongest=end, latents=[[*one] for one in latents.items()], **chosen)
        self.latent, self.strength, self.concept = next(iter(latents)), strength, concept
        self.on_msg(lambda _, message, __: Thread(target=self._heard, args=[message], daemon=True).start())

    @t.validate(*SETTINGS[1:])
    def _is_possible(self, proposal: Any) -> Any:
        return check(proposal["trait"].name, proposal["value"], self.strongest)

    def _heard(self, message: dict[str, Any]) -> None:
        """The page sends the settings and n, how many pairs to write, or nothing to stop."""
        try:
            self.run(**message) if message else self._stop.set()
        except Exception as failure:  # a thread has no cell to raise in: the page shows it
            self.error = in_one_line(failure)

    def run(self, n: int = 1, **settings: Any) -> None:
        """Write n pairs, with one seed after the other; Jupyter's own stop button ends it early, and cleanly."""
        with alone(self._busy, "writing"), suppress(KeyboardInterrupt):
            try:
                self._stop.clear()
                for name, value in {"error": "", **settings}.items():
                    setattr(self, name, value)
                for more in range(n):
                    self.seed += min(1, more)  # one seed after the other
                    self._write({name: getattr(self, name) for name in SETTINGS})
            finally:
                self.running = ""

    def _write(self, settings: dict[str, Any]) -> None:
        with closing(write_pair(self._model, settings, self.stories)) as pair:
            for self.running, self.writing in pair:
                if self._stop.is_set() or self.comm is None:  # by the reader, or because the widget was closed
                    raise KeyboardInterrupt  # what there is of the pair stays on the page
        self.stories, self.writing = [*self.stories, self.writing][-MOST_STORIES:], {}

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return data | pictures(self.stories, self.concept), metadata

    def __repr__(self) -> str:
        return in_words(self.stories, self.concept)
