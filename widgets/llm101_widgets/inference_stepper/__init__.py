"""InferenceStepper: a text grows token by token; at each the reader sees what else it could have been, and goes there.

It takes any engine that has `prompt_ids`, `token_bytes`, `end_ids` and `next_logits` (see tree.py)."""

from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.inference_stepper.tree import Tree
from llm101_widgets.limits import within
from llm101_widgets.page import page_of
from llm101_widgets.svg import in_html
from llm101_widgets.writing import in_one_line

LIMITS = {"temperature": (0.0, 2.0), "top_k": (0, 100), "top_p": (0.01, 1.0), "min_p": (0.0, 1.0)}


class InferenceStepper(anywidget.AnyWidget):
    """The tree of continuations. The kernel gives the scores at each node; the page computes all probabilities."""

    _esm, _css = page_of("inference_stepper", root="llm101-stepper-root")
    # the reader sets, here or in the page: how to choose, and the node that is looked at
    temperature, top_k, top_p, min_p = (t.TraitType(x).tag(sync=True) for x in (1.0, 0, 1.0, 0.0))
    selected = t.Int().tag(sync=True)
    # the page reads: the prompt, [id, bytes] of each of its tokens, and the nodes of the tree
    prompt, prompt_tokens, nodes = t.Unicode().tag(sync=True), t.List().tag(sync=True), t.List().tag(sync=True)

    def __init__(self, engine: Any, *, prompt="Once upon a time", temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
        self._engine = engine
        super().__init__(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
        self.begin(prompt)
        self.on_msg(self._heard)

    @t.validate("selected", *LIMITS)
    def _is_possible(self, proposal: Any) -> Any:
        name = proposal["trait"].name
        limits = LIMITS[name] if name in LIMITS else (0, len(self._tree.nodes) - 1)
        return within(name, proposal["value"], limits)

    def begin(self, prompt: str) -> None:
        """A new tree, which has only the prompt."""
        self._tree = tree = Tree(self._engine, prompt)
        with self.hold_sync():
            self.prompt, self.prompt_tokens = tree.prompt, [[i, tree.bytes_of(i)] for i in tree.prompt_ids]
            self.nodes, self.selected = tree.nodes[:], 0
        self.send({"anew": True})  # the page may hold nodes that `nodes` did not hold yet

    def follow(self, token_ids: list[int]) -> None:
        """Go on from the selected node with these tokens, and select the last."""
        at = self._tree.follow(self.selected, token_ids)
        self.nodes, self.selected = self._tree.nodes[:], at

    @property
    def token_ids(self) -> list[int]:
        """The tokens from the prompt's end to the selected node."""
        return self._tree.ids_to(self.selected)

    def _heard(self, _: Any, message: dict[str, Any], __: Any) -> None:
        try:
            if "prompt" in message:
                self.begin(message["prompt"])
            elif "keep" in message:
                self.nodes = self._tree.nodes[:]
            else:
                number = self._tree.child(message["parent"], message["token_id"])
                node = dict(self._tree.nodes[number])
                self.send({"number": number, "node": node}, [node.pop("ids"), node.pop("logits")])
        except Exception as failure:  # a message has no cell to raise in: the page shows it
            self.send({"error": in_one_line(failure)})

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return data | in_html(self._tree.picture(self.selected), repr(self)), metadata

    def __repr__(self) -> str:
        return self._tree.description(self.selected)
