"""TrainingFilm: a training run that is over, moment by moment: how well it guessed, what it wrote, what it finds alike.

It takes the film as plain values: `prompts`, `groups` (words by group), `steps`, and `moments`, each with `step`,
`valid_bits_per_byte` by text, `samples` (one per prompt), `neighbours` by word, and `positions` [x, y] of all words."""

from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.page import page_of
from llm101_widgets.svg import in_html
from llm101_widgets.training_film.picture import as_svg

PARTS = ("prompts", "groups", "steps", "moments")
MOMENT_PARTS = ("step", "valid_bits_per_byte", "samples", "neighbours", "positions")


class TrainingFilm(anywidget.AnyWidget):
    """The page has all of it, so the slider works far from any kernel."""

    _esm, _css = page_of("training_film", root="llm101-film")
    # the reader sets, here or in the page: which moment is shown, from 0
    moment = t.Int().tag(sync=True)
    # the page reads
    film = t.Dict().tag(sync=True)

    def __init__(self, film: Mapping[str, Any], *, moment: int = 0) -> None:
        missing = [name for name in PARTS if not film.get(name)]
        missing += [name for name in MOMENT_PARTS if any(name not in one for one in film.get("moments", ()))]
        if missing:
            raise ValueError(f"this is no film of a training run: it has no {', '.join(missing)}")
        super().__init__(film=dict(film), moment=moment)

    @t.validate("moment")
    def _is_there(self, proposal: Any) -> int:
        value, n_moments = proposal["value"], len(self.film["moments"])
        if not 0 <= value < n_moments:
            raise ValueError(f"moment must be from 0 to {n_moments - 1}, got {value}")
        return value

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return data | in_html(as_svg(self.film, self.moment), repr(self)), metadata

    def __repr__(self) -> str:
        shown = self.film["moments"][self.moment]
        bits = ", ".join(f"{name} {value:.2f}" for name, value in shown["valid_bits_per_byte"].items())
        lines = [f"step {shown['step']:,} of {self.film['steps']:,}; bits per byte: {bits}"]
        lines += [f"{p}{text}" for p, text in zip(self.film["prompts"], shown["samples"], strict=True)]
        likes = {word.strip(): [other.strip() for other in others] for word, others in shown["neighbours"].items()}
        lines += [f"like “{word}”: {', '.join(others)}" for word, others in likes.items()]
        return "\n".join(lines)
