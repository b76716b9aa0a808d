"""SystemMap: the whole system of a large language model as a map, each box showing the real object.

It knows nothing of models or files: a chapter passes what is to be seen, as plain text and numbers.
"""

from pathlib import Path
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.map_picture import map_as_svg, map_as_text

# box: (title, column, row, kind, sentence, chapter); a "thing" can be looked at, a "doer" is software at work
TABLE = {
    "data": ("Pre-training data", 0, 0, "thing", "The text that a model learns from.", "04_training"),
    "pretraining": ("Pre-training", 1, 0, "doer", "Changes the parameters, step by step, until they predict the data well.", "04_training"),
    "parameters": ("Parameters", 2, 0, "thing", "One file of numbers: everything that the model has learned.", "01_parameters"),
    "text": ("Text", 0, 1, "thing", "What you write to the model.", "03_tokens"),
    "interpretability": ("Interpretability", 1, 1, "doer", "Finds out which numbers in a model stand for which idea.", "05_introspection"),
    "model": ("Model", 2, 1, "thing", "The parameters put to work: one long calculation, from tokens to the next token.", "01_parameters"),
    "tokenizer": ("Tokenizer", 0, 2, "doer", "Cuts text into pieces that it knows, and gives each its number.", "03_tokens"),
    "input": ("Input tokens", 1, 2, "thing", "Your text as a list of numbers, the only thing that a model can read.", "03_tokens"),
    "engine": ("Inference engine", 2, 2, "doer", "Runs the model again and again, each time for one more token.", "02_inference"),
    "completion": ("Completion tokens", 2, 3, "thing", "What the model answers, one token at a time.", "02_inference"),
}  # fmt: skip
ARROWS = [
    ("data", "pretraining", "fed into"), ("pretraining", "parameters", "used to\nacquire"),
    ("parameters", "model", "form the\n'brain' of"), ("model", "engine", "used to run"),
    ("engine", "completion", "generates"), ("text", "tokenizer", "fed into"), ("tokenizer", "input", "produces"),
    ("input", "engine", "passed to"), ("interpretability", "model", "used to\nintrospect"),
]  # fmt: skip
FIELDS = ("now", "sentence", "facts", "chapter")


def box(name: str, now: Any = "", sentence: str = "", facts: Any = (), chapter: str | None = None) -> dict[str, Any]:
    """All that is drawn and said of one box; places and sizes in the picture's own units."""
    title, column, row, kind, its_sentence, its_chapter = TABLE[name]
    return {
        "title": title, "kind": kind, "x": 224 * column, "y": 108 * row, "width": 140, "height": 58,
        "now": str(now), "sentence": sentence or its_sentence, "facts": [[str(a), str(b)] for a, b in facts],
        "chapter": f"{its_chapter}.ipynb" if chapter is None else chapter,
    }  # fmt: skip


def arrow(start: str, end: str, label: str) -> dict[str, Any]:
    """One arrow, from the edge of its first box to the edge of its second: to the right, or down."""
    a, b = box(start), box(end)
    level = a["y"] == b["y"]
    line = [a["x"] + 140, a["y"] + 29, b["x"], b["y"] + 29] if level else [a["x"] + 70, a["y"] + 58, b["x"] + 70, b["y"]]
    return {"start": start, "end": end, "label": label, "line": line}


class SystemMap(anywidget.AnyWidget):
    """The map, e.g. SystemMap({"parameters": {"now": "5,477,632 numbers", "facts": [("file", "model.safetensors")]}})."""

    _esm, _css = Path(__file__).with_name("widget.js"), Path(__file__).with_name("widget.css")
    # the reader sets, here or in the page: the box that is open
    selected = t.Unicode().tag(sync=True)
    # the page reads
    boxes, arrows = t.Dict().tag(sync=True), t.List().tag(sync=True)

    def __init__(self, boxes: dict[str, dict[str, Any]] | None = None, *, selected: str = "model") -> None:
        for name, fields in (boxes or {}).items():
            if name not in TABLE:
                raise ValueError(f"the map has no box {name!r}; its boxes are: {', '.join(TABLE)}")
            if unknown := [field for field in fields if field not in FIELDS]:
                raise ValueError(f"box {name!r} has no field {unknown[0]!r}; its fields are: {', '.join(FIELDS)}")
        drawn = {name: box(name, **(boxes or {}).get(name, {})) for name in TABLE}
        super().__init__(selected=selected, boxes=drawn, arrows=[arrow(*ends) for ends in ARROWS])

    @t.validate("selected")
    def _is_a_box(self, proposal: Any) -> Any:
        if proposal["value"] not in TABLE:
            raise ValueError(f"the map has no box {proposal['value']!r}; its boxes are: {', '.join(TABLE)}")
        return proposal["value"]

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return {**data, "image/svg+xml": map_as_svg(self.boxes, self.arrows)}, metadata

    def __repr__(self) -> str:
        return map_as_text(self.boxes, self.arrows)
