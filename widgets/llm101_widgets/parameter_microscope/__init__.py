"""ParameterMicroscope: from a parameter file to one tensor, to a heat map of it, to one number, to its bits or block.

It takes any object with `path`, `n_bytes`, `tensors` (a mapping from names to entries with shape, dtype, offset and
n_bytes) and `raw(name) -> bytes`, as an opened parameter file has them; for quantised tensors also `block` of an entry,
`tensor(name)` and `block(name, *place)`. It never changes the file.
"""

from base64 import b64encode
from math import prod
from pathlib import Path
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.heat_map import as_png, flat_index
from llm101_widgets.page import page_of
from llm101_widgets.parameter_microscope.view import KINDS, flipped, in_words, number_of, seen, view_of


class ParameterMicroscope(anywidget.AnyWidget):
    """Choose a tensor and a number in it, and flip a float's bits; `changed` says what became of which number."""

    _esm, _css = page_of("parameter_microscope", root="llm101-scope-grid")
    # the reader sets, here or in the page: a tensor, and a number in it (counted along the rows)
    tensor, index = t.Unicode().tag(sync=True), t.Int().tag(sync=True)
    # the reader flips: {"tensor", "index" (a place per axis), "before", "after" (all bits as a whole number)} for each
    changed = t.List().tag(sync=True)
    # the page reads: the file, its tensors [name, shape, dtype, offset, n_bytes], and what is seen of the chosen one
    file, tensors, view = t.Dict().tag(sync=True), t.List().tag(sync=True), t.Dict().tag(sync=True)

    def __init__(self, parameters: Any, *, tensor: str = "", index: tuple[int, ...] = ()) -> None:
        self._entries = {name: e for name, e in parameters.tensors.items() if e.dtype in KINDS and e.n_bytes}
        if not self._entries:
            raise ValueError(f"there is nothing to look at: no tensor holds numbers of type {', '.join(KINDS)}")
        self._parameters = parameters
        super().__init__()
        self.file = {"name": Path(parameters.path).name, "n_bytes": parameters.n_bytes}
        self.tensors = [[n, list(e.shape), e.dtype, e.offset, e.n_bytes] for n, e in parameters.tensors.items()]
        self.look_at(tensor or next(iter(self._entries)), *index)

    def look_at(self, tensor: str, *place: int) -> None:
        """Go to one number, e.g. look_at("model.norm.weight", 7); without a place, to the tensor's first."""
        self.tensor = tensor
        self.index = flat_index(place, self._entries[tensor].shape)

    @t.validate("tensor", "index")
    def _is_there(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if name == "tensor" and value not in self._entries:
            raise ValueError(f"no tensor {value!r} to look at; there are {', '.join(self._entries):.500}")
        last = prod(self._entries[value if name == "tensor" else self.tensor].shape) - 1
        if name == "index" and not 0 <= value <= last:
            raise ValueError(f"index must be a whole number from 0 to {last}, got {value}")
        return value

    @t.observe("tensor", "index")
    def _look(self, change: Any) -> None:
        if change.name == "tensor":
            self._chosen = self._parameters.raw(self.tensor), self.tensor, self._entries[self.tensor]
            self.index = min(self.index, prod(self._entries[self.tensor].shape) - 1)
        self.view = view_of(self._parameters, *self._chosen, self.index, self.view)

    @property
    def number(self) -> dict[str, Any]:
        """The chosen number as it is now: what `changed` would say of it, with its "bits" and its "value"."""
        return number_of(self._parameters, *self._chosen, self.index, self.changed)

    def flip(self, bit: int) -> None:
        """Flip one bit of the chosen number, 0 being its last one; flipped again, it is as it was."""
        self.changed = flipped(self.changed, self.number, bit)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        picture = as_png(seen(self._parameters, self.view, self._chosen[2], self.index), self.view["limit"])
        return {**data, "image/png": b64encode(picture).decode()}, metadata

    def __repr__(self) -> str:
        file = f"{self.file['name']}: {len(self.tensors)} tensors in {self.file['n_bytes']:,} bytes"
        return f"{file}\n{in_words(*self._chosen[1:], self.number)}"
