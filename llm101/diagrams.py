"""The flowcharts: the whole system, and the part of it that each chapter is about.

It knows nothing of models or files, and never talks to a network: mermaid-py's objects only build
the script, and JupyterLab brings its own Mermaid to draw it. (mermaid-py's `Mermaid` class asks a
server on the internet for the picture; it is not used here.)

Reading order: BOXES and ARROWS (the system as a table), PARTS, flowchart, Diagram, COLOURS.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from mermaid.configuration import Config
from mermaid.flowchart import FlowChart, Link, Node
from mermaid.style import Style

BOXES = {
    "data": "Pre-training data",
    "pretraining": "Pre-training",
    "parameters": "Parameters",
    "model": "Model",
    "engine": "Inference engine",
    "completion": "Completion tokens",
    "text": "Text",
    "tokenizer": "Tokenizer",
    "input": "Input tokens",
    "interpretability": "Interpretability",
}
"""Every box of the system: the name that code uses, and the words that a reader sees."""

ARROWS = {
    ("data", "pretraining"): "fed into",
    ("pretraining", "parameters"): "used to acquire",
    ("parameters", "model"): "form the 'brain' of",
    ("model", "engine"): "used to run",
    ("engine", "completion"): "generates",
    ("text", "tokenizer"): "fed into",
    ("tokenizer", "input"): "produces",
    ("input", "engine"): "passed to",
    ("interpretability", "model"): "used to introspect",
}
"""Every arrow: from which box, to which box, and what happens on the way."""

PARTS = {
    "whole": ("The whole system", tuple(BOXES)),
    "parameters": ("What is a large language model?", ("parameters", "model")),
    "inference": ("How do you run one?", ("input", "model", "engine", "completion")),
    "tokens": ("What are input tokens?", ("text", "tokenizer", "input")),
    "training": ("How do you create one?", ("data", "pretraining", "parameters")),
    "introspection": ("How do you look inside?", ("interpretability", "model")),
}
"""Every flowchart: its title and its boxes. Its arrows are those that join two of its boxes."""

COLOURS = {
    "primaryColor": "#e8f1fb", "primaryBorderColor": "#808080", "primaryTextColor": "#1b1b1b",
    "edgeLabelBackground": "#f2f2f2", "lineColor": "#808080", "textColor": "#787878",
}  # fmt: skip
"""What is drawn in which colour, by Mermaid's names. Boxes and labels bring their own ground; what stands on the page
itself (lines, and the title, which is textColor) can be told from a light one as well as from a dark one."""

_HERE = Style("here", stroke="#d9480f", stroke_width="4px", font_weight="bold")  # legible on light and dark


class _OnLightAndDark(Config):
    """One look for both themes: JupyterLab draws a flowchart once, and not again when its reader changes the theme."""

    def __str__(self) -> str:
        title = ".flowchartTitleText { font-size: 20px; font-weight: bold; }"
        return f"%%{{init: {json.dumps({'theme': 'base', 'themeVariables': COLOURS, 'themeCSS': title})}}}%%"


@dataclass(frozen=True)
class Diagram:
    """A flowchart that draws itself as the last value of a cell, in JupyterLab, with no network."""

    title: str
    script: str
    """Mermaid's own text for it."""
    text: str
    """The same in words, one arrow a line: for a terminal, a screen reader, or a page without Mermaid."""

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        # No text/html here: JupyterLab would prefer it, and the drawing would be gone.
        return {"text/vnd.mermaid": self.script, "text/plain": self.text}


def flowchart(part: str = "whole", *, here: str | None = None, values: dict[str, str] | None = None) -> Diagram:
    """Draw the whole system, or one chapter's part of it.

    Args:
        part: which flowchart, one of PARTS.
        here: the box to mark as "you are here", one of the flowchart's own.
        values: what stands in a box at the moment, as a second line under its name, e.g.
            {"data": "10 TB of text"}.

    Raises:
        ValueError: for an unknown part or box, naming the ones there are.

    Example:
        >>> flowchart("training", values={"data": "10 TB", "parameters": "140 GB"})
        How do you create one?
        Pre-training data (10 TB) --[fed into]--> Pre-training
        Pre-training --[used to acquire]--> Parameters (140 GB)
    """
    if part not in PARTS:
        raise ValueError(f"there is no flowchart {part!r}; choose one of: {', '.join(PARTS)}")
    title, names = PARTS[part]
    values = dict(values or {})
    for name in [*values, *([] if here is None else [here])]:
        if name not in names:
            raise ValueError(f"the flowchart {part!r} has no box {name!r}; it has: {', '.join(names)}")
    arrows = {ends: label for ends, label in ARROWS.items() if set(ends) <= set(names)}
    return Diagram(title, _script(title, names, arrows, values, here), _in_words(title, names, arrows, values, here))


def _script(
    title: str, names: tuple[str, ...], arrows: dict[tuple[str, str], str], values: dict[str, str], here: str | None
) -> str:
    """Mermaid's text, written by mermaid-py from nodes and links."""
    nodes = {}
    for name in names:
        lines = [BOXES[name], *([values[name]] if name in values else [])]
        label = "<br>".join(_as_label(line) for line in lines)
        nodes[name] = Node(name, label, shape="round-edge", styles=[_HERE] if name == here else [])
    links = [Link(nodes[start], nodes[end], message=_as_label(label)) for (start, end), label in arrows.items()]
    orientation = "TB" if len(names) > 4 else "LR"  # side by side, the whole system would be too small to read
    return FlowChart(title, list(nodes.values()), links, orientation, _OnLightAndDark()).script


def _as_label(text: str) -> str:
    """Any text as the inside of a quoted Mermaid label.

    A quote would end the label, and a tag would be taken for markup: both go in as Mermaid's
    entities, which are HTML's with # for &.

    Example:
        >>> _as_label('<b> & "co"')
        '#lt;b#gt; #amp; #quot;co#quot;'
    """
    for character, entity in (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return " ".join(text.split())


def _in_words(
    title: str, names: tuple[str, ...], arrows: dict[tuple[str, str], str], values: dict[str, str], here: str | None
) -> str:
    """The flowchart as lines of text, one arrow a line."""
    words = {name: BOXES[name] + (f" ({values[name]})" if name in values else "") for name in names}
    lines = [f"{words[start]} --[{label}]--> {words[end]}" for (start, end), label in arrows.items()]
    return "\n".join([title, *lines, *([f"You are here: {BOXES[here]}"] if here else [])])
