"""Compile ahead what the book runs, so that the reader's first text and first file need not do without.

`python -m llm101.reader.compiling` does it here and now, for images and installations; `llm101 read` has it done
beside JupyterLab (--beside).
"""

from __future__ import annotations

import sys

from llm101.compression import rehearsal as of_files
from llm101.inference.compiled import rehearsal as of_texts


def main() -> int:
    """Run as a program; returns 0 if everything is compiled now, else 1: the book works then too, slower."""
    return max(of_texts.main(), of_files.main())


if __name__ == "__main__":
    sys.exit(main())
