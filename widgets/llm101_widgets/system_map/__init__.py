"""SystemMap: the whole system of a large language model as a map, each box showing the real object.

It knows nothing of models or files: a chapter passes what is to be seen, as plain text and numbers.
"""

from collections.abc import Collection
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.map_picture import ARROWS, BOXES, VIEW, arrow, as_svg, as_text, box
from llm101_widgets.page import page_of
from llm101_widgets.svg import in_html

FIELDS = ("now", "sentence", "facts", "chapter")


class SystemMap(anywidget.AnyWidget):
    """The map; a box opens with a click, with the keyboard, or by setting `selected`.

    Args:
        boxes: what to show in which box; all boxes, and all fields of a box, may be left out:
            {"parameters": {"now": "5,477,632 numbers", "sentence": "One file of numbers.",
                            "facts": [("file", "model.safetensors")], "chapter": "01_parameters.ipynb"}}
        selected: the box that is open at first.
        chapters: the notebooks that are there; a box leads to no other. Left out: all are.
    """

    _esm, _css = page_of("system_map", root="llm101-map")
    # the reader sets, here or in the page: the box that is open
    selected = t.Unicode().tag(sync=True)
    # the page reads: what is in each box, which arrows there are, and the picture's size
    boxes, arrows, view_box = t.Dict().tag(sync=True), t.List().tag(sync=True), t.Unicode(VIEW).tag(sync=True)

    def __init__(
        self,
        boxes: dict[str, dict[str, Any]] | None = None,
        *,
        selected: str = "model",
        chapters: Collection[str] | None = None,
    ) -> None:
        boxes = boxes or {}
        for name, fields in boxes.items():
            if name not in BOXES:
                raise ValueError(f"the map has no box {name!r}; its boxes are: {', '.join(BOXES)}")
            if unknown := [field for field in fields if field not in FIELDS]:
                raise ValueError(f"box {name!r} has no field {unknown[0]!r}; its fields are: {', '.join(FIELDS)}")
        drawn = {name: box(name, **boxes.get(name, {})) for name in BOXES}
        for of_box in drawn.values():
            if chapters is not None and of_box["chapter"] not in chapters:
                of_box["chapter"] = ""
        super().__init__(selected=selected, boxes=drawn, arrows=[arrow(*ends) for ends in ARROWS])

    @t.validate("selected")
    def _is_a_box(self, proposal: Any) -> Any:
        if proposal["value"] not in BOXES:
            raise ValueError(f"the map has no box {proposal['value']!r}; its boxes are: {', '.join(BOXES)}")
        return proposal["value"]

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return data | in_html(as_svg(self.boxes, self.arrows), repr(self)), metadata

    def __repr__(self) -> str:
        return as_text(self.boxes, self.arrows)
