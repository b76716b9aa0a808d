"""The small corpus: a few thousand short stories that come with the book, so that a reader can train at once.

It knows two compressed files and nothing of tokens. MANIFEST.md says where the text is from and what may be done
with it; build.py makes the files again. Unpacked (`xz -dk train.xz`) each is a text file as `documents` reads it.
"""

from __future__ import annotations

import lzma
from functools import cache
from pathlib import Path

from llm101.tokenizer import END_OF_TEXT

FOLDER = Path(__file__).parent
PARTS = ("train", "valid")


@cache
def stories(part: str = "train") -> tuple[str, ...]:
    """The stories of one part, in their order.

    Args:
        part: "train" to learn from (6,683 stories, 4.7 MB), or "valid" to judge by (200 stories, 142 kB). No
            model of this book learned from a story of "valid".

    Raises:
        ValueError: there is no such part.

    Example:
        >>> len(stories("train")), len(stories("valid"))
        (6683, 200)
        >>> stories("valid")[0][:36]
        'One day, a boy named Tim was playing'
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    text = lzma.decompress((FOLDER / f"{part}.xz").read_bytes()).decode("utf-8")
    return tuple(story.strip("\n") for story in text.split(END_OF_TEXT))
