"""The tree of continuations: a prompt, and behind each node the tokens that were tried there.

It knows an engine by four things: `prompt_ids(text) -> ids`, `token_bytes(id) -> bytes`, `end_ids` (ids after which a
text is over), `next_logits(ids) -> float32 scores of all tokens`. It knows nothing of widgets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from llm101_widgets.inference_stepper.picture import as_svg
from llm101_widgets.inference_stepper.scores import NO_SCORES, log_probability, packed_scores

MOST = 400  # nodes; each holds the scores of all tokens (see scores.py)
PROTOCOL = ("prompt_ids", "token_bytes", "end_ids", "next_logits")


class Tree:
    """Nodes in the order in which they were made; the first is the end of the prompt.

    A node is what the page gets: `parent` (its number, -1 for the first), `token_id`, `bytes` (as text, a character for
    each byte), `logprob`, `over` (whether the text ends with it), and the scores of what can follow, with `top`, the
    bytes of the likeliest.

    Raises:
        ValueError: the engine lacks something, or refuses the prompt.
    """

    def __init__(self, engine: Any, prompt: str) -> None:
        if missing := [name for name in PROTOCOL if not hasattr(engine, name)]:
            raise ValueError(f"{type(engine).__name__} lacks {', '.join(missing)}: give llm101's Walker(engine)")
        self.engine, self.prompt = engine, prompt
        self.prompt_ids: list[int] = engine.prompt_ids(prompt)
        self._last: tuple[list[int], Any] = ([], None)
        self.nodes = [self._node(self.prompt_ids, -1, 0.0, over=False)]

    def child(self, parent: int, token_id: int) -> int:
        """The number of the node behind `parent` with this token; it is made if it is not there.

        Raises:
            ValueError: the text is over at `parent`, the tree or the context is full, or there is no such token.
        """
        for number, node in enumerate(self.nodes):
            if (node["parent"], node["token_id"]) == (parent, token_id):
                return number
        if self.nodes[parent]["over"]:
            raise ValueError("the text is over here: go back, and try another way")
        if len(self.nodes) >= MOST:
            raise ValueError(f"the tree is full, it holds {MOST} tokens: begin anew")
        ids = self.prompt_ids + self.ids_to(parent)
        logprob = log_probability(self._scores(ids), token_id)
        self.nodes.append(self._node([*ids, token_id], parent, logprob, over=token_id in self.engine.end_ids))
        return len(self.nodes) - 1

    def follow(self, number: int, token_ids: Iterable[int]) -> int:
        """The number of the last node of a way that starts behind a node; what is missing of it is made."""
        for token_id in token_ids:
            number = self.child(number, token_id)
        return number

    def ids_to(self, number: int) -> list[int]:
        """The tokens from the first after the prompt to this node."""
        ids = []
        while number > 0:
            ids.append(self.nodes[number]["token_id"])
            number = self.nodes[number]["parent"]
        return ids[::-1]

    def text_to(self, number: int) -> str:
        """What those tokens say. Bytes that are no character, as in the middle of one, show as �."""
        ids = [i for i in self.ids_to(number) if i not in self.engine.end_ids]
        return b"".join(map(self.engine.token_bytes, ids)).decode("utf-8", "replace")

    def leaves(self) -> Iterator[int]:
        """The ends of all ways that were tried, in the order in which they were made."""
        inner = {node["parent"] for node in self.nodes}
        return (number for number in range(1, len(self.nodes)) if number not in inner)

    def likeliest(self, number: int) -> list[tuple[str, float]]:
        """The bytes of the likeliest tokens after a node, as text, with the model's own probabilities."""
        if self.nodes[number]["over"]:
            return []
        scores = self._scores(self.prompt_ids + self.ids_to(number))
        top = [(self.bytes_of(i), math.exp(log_probability(scores, i))) for i in packed_scores(scores)["top"]]
        return [(token.encode("latin-1").decode("utf-8", "backslashreplace"), share) for token, share in top]

    def picture(self, number: int) -> str:
        """The text up to a node, and bars of what could be next, as SVG."""
        return as_svg(self.prompt + self.text_to(number), self.likeliest(number)[:10])

    def description(self, number: int) -> str:
        """All ways that were tried, and what could be next after a node, in words."""
        ways = [f"  …{self.text_to(leaf)}" for leaf in self.leaves()]
        after = ", ".join(f"{token!r} {share:.1%}" for token, share in self.likeliest(number)[:5])
        last = f"after “{(self.prompt + self.text_to(number))[-40:]}” could come: {after or 'nothing'}"
        return "\n".join([f"{self.prompt} (ways on from here: {len(ways)})", *ways, last])

    def bytes_of(self, token_id: int) -> str:
        """The bytes of a token, a character for each."""
        return self.engine.token_bytes(token_id).decode("latin-1")

    def _scores(self, ids: list[int]) -> Any:
        if self._last[0] != ids:
            self._last = ids, self.engine.next_logits(ids)
        return self._last[1]

    def _node(self, ids: list[int], parent: int, logprob: float, *, over: bool) -> dict[str, Any]:
        packed = NO_SCORES if over else packed_scores(self._scores(ids))
        own = {"parent": parent, "token_id": ids[-1], "bytes": self.bytes_of(ids[-1]), "logprob": logprob, "over": over}
        return {**packed, **own, "top": [self.bytes_of(i) for i in packed["top"]]}
