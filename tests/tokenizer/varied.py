"""Texts of every kind, drawn from a seed: many scripts, emoji, marks, digits, white space, control characters, code."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

WORDS = """
    the a an old town in low lower lowest newest people Once upon time there was Lily's don't I'LL WE'VE they're
    naïve café Zürich straße ŒUVRE İstanbul ſtate K 东京 東京 日本語 ไทย привет мир ЁЖИК שלום مرحبا नमस्ते 안녕하세요
    Việt e\u0301te\u0301 A\u030aB o\u0308\u0323 ﬁne ＡＢＣ ½ Ⅷ ² 3.14159 1998 1,234,567 ٣٤٥ १२३ x1y22z333 0xFF 1e-9
    hello world ization SELECT * FROM t; def f(x): return x**2 {'k': [1, 2]} <div class="a"> /usr/bin https://a.b
    👍 👩\u200d🔬 🏳️\u200d🌈 🇩🇪 ❤️ ∑ → ≠ … — “ ” « » ¿ ¡ '' ... !!! ??? ### ``` -- __ $5 100% #1 @me &amp; \\n
    """.split()  # noqa: SIM905 (a list of words is read as words)
SPACES = (
    *" \t\n\r\v\f\x1c\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000\u200b\u2060\ufeff",
    "  ", "   ", "\n\n", "\r\n", " \n ", "\t\t", "        ", "\n  \n",
)  # fmt: skip
RANGES = (
    (0, 0x7F), (0x20, 0x7E), (0x80, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF),
    (0x400, 0x52F), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF),
    (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20CF), (0x2100, 0x214F), (0x2150, 0x218F), (0x2460, 0x24FF),
    (0x2581, 0x2590), (0x3040, 0x30FF), (0x3300, 0x33FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF),
    (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x10400, 0x1044F), (0x1D400, 0x1D7FF),
    (0x1F300, 0x1F6FF), (0x1F900, 0x1F9FF), (0x20000, 0x2A6DF), (0xE0001, 0xE007F),
)  # fmt: skip


def varied_texts(n_texts: int, special: Sequence[str] = (), seed: int = 0) -> Iterator[str]:
    """So many texts; the special tokens are written out in some of them, whole or cut off."""
    rng = random.Random(seed)
    for _ in range(n_texts):
        yield "".join(_piece(rng, special) for _ in range(rng.choice((1, 2, 3, 5, 8, 13, 30))))


def _piece(rng: random.Random, special: Sequence[str]) -> str:
    kind = rng.randrange(10)
    if kind <= 3:
        return rng.choice(("", " ", " ", " ")) + rng.choice(WORDS)
    if kind <= 5:
        return rng.choice(SPACES) * rng.choice((1, 1, 1, 2, 5))
    if kind == 6:
        return str(rng.randrange(10 ** rng.randrange(1, 12)))
    if kind == 7 and special:
        mark = rng.choice(special)
        return mark[: rng.randrange(len(mark) + 1)] if rng.random() < 0.3 else mark
    start, stop = rng.choice(RANGES)
    return "".join(chr(rng.randint(start, stop)) for _ in range(rng.choice((1, 1, 2, 4, 8))))
