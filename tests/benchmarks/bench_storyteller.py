"""How well the Storyteller predicts text it never saw, in bits per byte, beside general compressors and the limit.

    python tests/benchmarks/bench_storyteller.py [--corpus ../shared/corpus] [--model storyteller] [--json]

The limit is the entropy of the source itself: the stories were sampled from a known distribution, so it could
be measured (0.317 bits per byte over whole stories, standard error about 0.006). No model can do better on average.
"""

from __future__ import annotations

import argparse
import json
import lzma
import tempfile
import time
from pathlib import Path

from llm101 import load
from llm101.corpus import Corpus
from llm101.corpus.documents import documents
from llm101.pretraining import evaluate
from tests.benchmarks.history import record

LIMIT_BITS_PER_BYTE = 0.317
FILES = ("stories-valid.txt", "landmarks-valid.txt")


def compressors(data: bytes) -> dict[str, float]:
    """Bits per byte of general compressors at their strongest settings."""
    found = {"xz -9e": len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))}
    try:
        import zstandard  # pyright: ignore[reportMissingImports] - from the extra `bench`

        found["zstd -19"] = len(zstandard.ZstdCompressor(level=19).compress(data))
    except ImportError:
        print("zstd is left out: pip install 'llm101[bench]' brings it")
    return {name: 8 * size / len(data) for name, size in found.items()}


def measure(file: Path, model: str) -> dict[str, float]:
    """All figures for one file; the model's exclude the 11 MB of the model itself."""
    lm = load(model)
    texts = list(documents(file))
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus.from_texts(texts, lm.tokenizer, Path(folder) / "corpus")
        start = time.perf_counter()
        evaluation = evaluate(lm.model, corpus)
        seconds = time.perf_counter() - start
    return {
        "bits_per_byte": evaluation.bits_per_byte,
        "loss_nats": evaluation.loss_nats,
        "n_bytes": evaluation.n_bytes,
        "seconds": seconds,
        **compressors("\n".join(texts).encode()),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--model", default="storyteller")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.corpus.is_dir():
        print(f"bench_storyteller: no folder {options.corpus}; name the folder of the validation texts with --corpus")
        return
    results = {name: measure(options.corpus / name, options.model) for name in FILES}
    record("storyteller", results, model=Path(options.model).name)
    if options.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(f"{name}: {figures['n_bytes']:,.0f} bytes, {figures['loss_nats']:.4f} nats per token")
        for what in ("xz -9e", "zstd -19", "bits_per_byte"):
            if what in figures:
                label = options.model if what == "bits_per_byte" else what
                print(f"  {label:<14} {figures[what]:.4f} bits per byte")
        if name.startswith("stories"):
            ratio = figures["bits_per_byte"] / LIMIT_BITS_PER_BYTE
            print(f"  {'the limit':<14} {LIMIT_BITS_PER_BYTE:.4f} bits per byte; the model is at {ratio:.2f} times it")


if __name__ == "__main__":
    main()
