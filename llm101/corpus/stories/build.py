"""Cuts the files of this folder out of the large corpus. Only a maintainer needs it; what it wrote is in the package.

    python -m llm101.corpus.stories.build ../shared/corpus

Whole stories only, evenly spread over the large files, so that the small ones are as varied as those.
"""

from __future__ import annotations

import lzma
import sys
from pathlib import Path

from llm101.corpus.documents import documents
from llm101.corpus.stories import FOLDER
from llm101.tokenizer import END_OF_TEXT

EVERY = {"train": 11, "valid": 6}
"""Of the large file's stories, every so-manieth is taken."""


def pack(texts: list[str]) -> bytes:
    """Stories as one compressed text, which any `xz` can unpack; the same stories give the same bytes."""
    text = f"\n{END_OF_TEXT}\n".join(texts)
    return lzma.compress(text.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME)


def main(corpus: Path) -> None:
    for part, every in EVERY.items():
        texts = list(documents(corpus / f"stories-{part}.txt"))[::every]
        packed = pack(texts)
        (FOLDER / f"{part}.xz").write_bytes(packed)
        n_bytes = sum(len(text.encode("utf-8")) for text in texts)
        print(f"{part}.xz: {len(texts):,} stories, {n_bytes:,} bytes of text in {len(packed):,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
