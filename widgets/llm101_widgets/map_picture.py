"""The whole system as a table, and the table as a picture and as text, for places where no widget can run.

It knows nothing of widgets. Reading order: BOXES and ARROWS, box and arrow (places and sizes, in the picture's own
units), as_svg, as_text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

BOXES = {
    "data": ("Pre-training data", 0, 0, "thing", "04_training", "The text that a model learns from."),
    "pretraining": (
        "Pre-training", 1, 0, "doer", "04_training",
        "Changes the parameters, step by step, until they predict the data well.",
    ),
    "parameters": (
        "Parameters", 2, 0, "thing", "01_parameters",
        "One file of numbers: everything that the model has learned.",
    ),
    "text": ("Text", 0, 1, "thing", "03_tokens", "What you write to the model."),
    "interpretability": (
        "Interpretability", 1, 1, "doer", "05_introspection",
        "Finds out which numbers in a model stand for which idea.",
    ),
    "model": (
        "Model", 2, 1, "thing", "01_parameters",
        "The parameters put to work: one long calculation, from tokens to the next token.",
    ),
    "tokenizer": (
        "Tokenizer", 0, 2, "doer", "03_tokens",
        "Cuts text into pieces that it knows, and gives each its number.",
    ),
    "input": (
        "Input tokens", 1, 2, "thing", "03_tokens",
        "Your text as a list of numbers, the only thing that a model can read.",
    ),
    "engine": (
        "Inference engine", 2, 2, "doer", "02_inference",
        "Runs the model again and again, each time for one more token.",
    ),
    "completion": (
        "Completion tokens", 2, 3, "thing", "02_inference",
        "What the model answers, one token at a time.",
    ),
}  # fmt: skip
"""Every box: title, column, row, kind, chapter, and what it is. A "thing" can be looked at; a "doer" is software."""

ARROWS = [
    ("data", "pretraining", "fed into"),
    ("pretraining", "parameters", "used to\nacquire"),
    ("parameters", "model", "form the\n'brain' of"),
    ("model", "engine", "used\nto run"),
    ("engine", "completion", "generates"),
    ("text", "tokenizer", "fed into"),
    ("tokenizer", "input", "produces"),
    ("input", "engine", "passed to"),
    ("interpretability", "model", "used to\nintrospect"),
]
"""Every arrow: from which box, to which box, and its words, in the lines in which they are set."""

WIDTH, HEIGHT, COLUMN, ROW = 156, 58, 236, 108
VIEW = f"-8 -8 {2 * COLUMN + WIDTH + 16} {3 * ROW + HEIGHT + 16}"
FILL = {"thing": "#e8f1fb", "doer": "#fdf1e3"}


def box(name: str, now: object = "", sentence: str = "", facts: Any = (), chapter: str | None = None) -> dict[str, Any]:
    """All that is drawn and said of one box.

    Args:
        name: one of BOXES.
        now: what is in it at the moment, a few words that stand under its title.
        sentence: what it is, if there is something better to say than what BOXES says.
        facts: pairs of a label and a value.
        chapter: the notebook it leads to; "" for none.
    """
    title, column, row, kind, its_chapter, its_sentence = BOXES[name]
    return {
        "title": title, "kind": kind, "x": COLUMN * column, "y": ROW * row, "width": WIDTH, "height": HEIGHT,
        "now": str(now), "sentence": sentence or its_sentence,
        "facts": [[str(label), str(value)] for label, value in facts],
        "chapter": f"{its_chapter}.ipynb" if chapter is None else chapter,
    }  # fmt: skip


def arrow(start: str, end: str, label: str) -> dict[str, Any]:
    """One arrow, from the edge of its first box to the edge of its second: to the right, or down.

    Example:
        >>> arrow("data", "pretraining", "fed into")["line"], arrow("model", "engine", "used to run")["line"]
        ([156, 29, 236, 29], [550, 166, 550, 216])
    """
    a, b = box(start), box(end)
    middle, side = HEIGHT // 2, WIDTH // 2
    if a["y"] == b["y"]:
        line = [a["x"] + WIDTH, a["y"] + middle, b["x"], b["y"] + middle]
    else:
        line = [a["x"] + side, a["y"] + HEIGHT, b["x"] + side, b["y"]]
    return {"start": start, "end": end, "label": label, "line": line}


def as_svg(boxes: Mapping[str, Mapping[str, Any]], arrows: Iterable[Mapping[str, Any]]) -> str:
    """The map as a picture that can stand alone, on white."""
    parts = ['<rect x="-8" y="-8" width="100%" height="100%" fill="#fff"/>']
    for arrow in arrows:
        x1, y1, x2, y2 = arrow["line"]
        level = y1 == y2
        head = "l-8,-4v8l8,-4" if level else "l-4,-8h8l-4,8"
        parts.append(f'<path d="M{x1},{y1}L{x2},{y2}{head}" stroke="#555" fill="#555"/>')
        for row, words in enumerate(arrow["label"].split("\n")):
            x, y = ((x1 + x2) / 2 - 4, y1 - 7 + 22 * row) if level else (x1 + 11, (y1 + y2) / 2 - 4 + 15 * row)
            parts.append(_text(x, y, words, anchor="middle" if level else "start"))
    for drawn in boxes.values():
        x, y, middle = drawn["x"], drawn["y"], drawn["x"] + drawn["width"] / 2
        size = f'width="{drawn["width"]}" height="{drawn["height"]}" rx="{14 if drawn["kind"] == "thing" else 2}"'
        parts.append(f'<rect x="{x}" y="{y}" {size} fill="{FILL[drawn["kind"]]}" stroke="#555"/>')
        parts.append(_text(middle, y + (25 if drawn["now"] else 34), drawn["title"], weight="bold"))
        now = drawn["now"]
        parts.append(_text(middle, y + 44, now if len(now) <= 22 else now[:21] + "…"))
    size = f'viewBox="{VIEW}" width="{VIEW.split()[2]}" height="{VIEW.split()[3]}"'
    fonts = 'font-family="sans-serif" font-size="12"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {fonts} role="img">'
    return f"{svg}<title>The whole system</title>{''.join(parts)}</svg>"


def as_text(boxes: Mapping[str, Mapping[str, Any]], arrows: Iterable[Mapping[str, Any]]) -> str:
    """The map in words: each box with what is in it, then each arrow."""
    lines = ["The whole system", ""]
    for drawn in boxes.values():
        now, chapter = drawn["now"] and f" ({drawn['now']})", drawn["chapter"] and f" -> {drawn['chapter']}"
        lines.append(f"{drawn['title']}{now}: {drawn['sentence']}{chapter}")
        lines += [f"    {label}: {value}" for label, value in drawn["facts"]]
    lines.append("")
    for arrow in arrows:
        start, end = boxes[arrow["start"]]["title"], boxes[arrow["end"]]["title"]
        lines.append(f"{start} --[{' '.join(arrow['label'].split())}]--> {end}")
    return "\n".join(lines)


def _text(x: float, y: float, words: str, *, anchor: str = "middle", weight: str = "normal") -> str:
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text {place} fill="#1b1b1b">{escape(words)}</text>'
