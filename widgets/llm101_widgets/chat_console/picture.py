"""A conversation for places where no widget can run: to be read, and under it what the model read, to be opened.

It knows a console by its traits, and nothing of how it came by them. Reading order: in_words, as_html.
"""

from __future__ import annotations

from typing import Any

from llm101_widgets.svg import plain

WRAP = "white-space:pre-wrap"
BOX = f"padding:1px 3px;border:1px solid #777;border-radius:3px;{WRAP}"
SPECIAL = f"padding:1px 3px;border:3px double #777;font-weight:bold;{WRAP}"
MOST = 1000  # tokens that are shown


def in_words(console: Any) -> str:
    """Who said what, a line each."""
    return "\n".join(f"{who}: {said}" for who, said in _said(console))


def as_html(console: Any) -> dict[str, str]:
    """The conversation as it stands in an output, by its kind."""
    said = "".join(f'<p style="{WRAP}"><b>{_html(who)}</b>: {_html(words)}</p>' for who, words in _said(console))
    n = sum(len(one["tokens"]) for one in console.read) + len(console.written)
    title = f"What the model really read and wrote: {n:,} tokens, the special ones in double frames"
    return {"text/html": said + (f"<details><summary>{title}</summary>{_tokens(console)}</details>" if n else "")}


def _said(console: Any) -> list[tuple[str, str]]:
    name, own = console.about["name"], console.about["own_system"]
    system: tuple[str, str] = ("System prompt, the template’s own", own)
    if console.system:
        system = ("System prompt", console.system)
    speakers = {"user": "You", "assistant": name}
    said: list[tuple[str, str]] = [(speakers[turn["role"]], turn["content"]) for turn in console.turns]
    return [system] * bool(system[1]) + (said or [(name, "waits for a message, nothing said yet")])


def _tokens(console: Any) -> str:
    """Stretches by who wrote them, until there are enough."""
    stretches, left, parts = [*console.read, {"who": "the model, now", "tokens": console.written}], MOST, []
    for one in stretches:
        boxes = [
            f'<span style="{SPECIAL if special else BOX}">{_html(_spelled(raw))}</span>'
            for _, raw, special, *_ in one["tokens"][:left]
        ]
        left -= len(boxes)
        parts.append(f"<p><b>{one['who']}</b>: {' '.join(boxes)}{'' if left else ' …'}</p>")
        if not left:
            break
    return "".join(parts)


def _spelled(raw: str) -> str:
    return raw.encode("latin-1").decode("utf-8", "backslashreplace").replace("\n", "⏎").replace(" ", "␣")


def _html(text: str) -> str:
    return "\n".join(map(plain, text.split("\n")))
