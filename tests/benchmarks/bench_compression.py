"""How small each kind of file becomes, which way it is stored, and how long that takes beside `xz -9e`.

    python tests/benchmarks/bench_compression.py [FILE ...] [--model storyteller] [--json]

Without files it takes kinds that come with the repository. Each file is unpacked again and compared. Seconds are
wall-clock on a machine that may be busy; the last column is what counts where the model is no help: seconds per MB more
than xz. Other general compressors are compared on the first kind, the stories.
"""

from __future__ import annotations

import argparse
import bz2
import json
import lzma
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llm101
from llm101 import LanguageModel, load
from llm101.compression import compress
from llm101.compression.compressor import pack, unpack
from llm101.compression.container import METHODS, Container
from llm101.corpus.stories import stories
from tests.benchmarks.history import record

SOURCE = Path(llm101.__file__).parent
BOOK = SOURCE.parent / "book"


def kinds() -> dict[str, bytes]:
    """Files of many kinds, of 660 bytes to 1 MB."""
    source = random.Random(0)
    people = [{"id": i, "name": source.choice(["Ann", "Bo"]), "price": source.random()} for i in range(2000)]
    table, noise = json.dumps(people).encode(), source.randbytes(300_000)
    tales = "<|endoftext|>".join(stories("valid")[:100]).encode()
    found = {
        "stories": tales,
        "one story": stories("valid")[0].encode(),
        "English": b"\n".join(path.read_bytes() for path in sorted(SOURCE.parent.glob("*.md"))),
        "source code": b"\n".join(path.read_bytes() for path in sorted(SOURCE.glob("*.py"))),
        "one module": (SOURCE / "model.py").read_bytes(),
        "JSON": table,
        "noise": noise,
        "zeros": bytes(1_000_000),
        "parameters": (SOURCE / "models" / "storyteller" / "model.safetensors").read_bytes()[:500_000],
        "mixed": tales[:20_000] + b"\n" + table[:30_000] + b"\n" + noise[:20_000] + tales[30_000:50_000],
    }
    found |= {f"{path.stem}.ipynb": path.read_bytes() for path in sorted(BOOK.glob("04*.ipynb"))}
    return found | {path.name: path.read_bytes() for path in sorted((SOURCE.parent).glob("**/*.png"))[:1]}


def other_compressors() -> dict[str, Callable[[bytes], bytes]]:
    """Each at its strongest setting; those of the extra `bench` where they are installed."""
    found: dict[str, Callable[[bytes], bytes]] = {"bzip2 -9": lambda data: bz2.compress(data, 9)}
    try:
        import brotli  # pyright: ignore[reportMissingImports] - from the extra `bench`
        import zstandard  # pyright: ignore[reportMissingImports] - from the extra `bench`

        found["zstd -19"] = zstandard.ZstdCompressor(level=19).compress
        found["brotli -11"] = lambda data: brotli.compress(data, quality=11, lgwin=24)
    except ImportError:
        print("zstd and brotli are left out: pip install 'llm101[bench]' brings them")
    return found


def xz(data: bytes) -> bytes:
    """What everybody has."""
    return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)


def measure(data: bytes, lm: LanguageModel) -> dict[str, Any]:
    """All figures for one file."""
    start = time.perf_counter()
    n_xz = len(xz(data))
    xz_seconds = time.perf_counter() - start
    start = time.perf_counter()
    container = pack(data, lm)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    if unpack(Container.from_bytes(container.to_bytes()), lm) != data:
        raise SystemExit("what came back is not what went in")
    return {
        "n_bytes": len(data),
        "packed": container.n_packed,
        "xz": n_xz,
        "bits_per_byte": 8 * container.n_packed / len(data),
        "seconds": seconds,
        "xz_seconds": xz_seconds,
        "back_seconds": time.perf_counter() - start,
        "more_seconds_per_mb": (seconds - xz_seconds) / len(data) * 1e6,
        "method": {name: container.n_bytes(m) for name, m in METHODS.items() if container.n_bytes(m)},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--model", default="storyteller")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lm = load(options.model)
    compress(stories("valid")[0].encode(), lm)  # compiles, the first time on a machine
    files = {path.name: path.read_bytes() for path in options.files} or kinds()
    found: dict[str, dict[str, Any]] = {}
    for name, data in files.items():
        found[name] = row = measure(data, lm)
        if not options.json:
            ways = ", ".join(f"{way} {n_bytes:,}" for way, n_bytes in row["method"].items())
            print(
                f"{name:<18} {row['n_bytes']:>9,} -> {row['packed']:>8,} (xz {row['xz']:>8,}) "
                f"{row['bits_per_byte']:.3f} bits per byte  {row['seconds']:7.2f} s (xz {row['xz_seconds']:5.2f}, "
                f"back {row['back_seconds']:6.2f}; {row['more_seconds_per_mb']:8.2f} s per MB more)  {ways}",
                flush=True,
            )
    record("compression", found, model=lm.name)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; others on {next(iter(files))}:")
    for name, packer in other_compressors().items():
        print(f"  {name:<12} {len(packer(next(iter(files.values())))):>9,} bytes")
    model_bytes = lm.parameters.n_bytes + (lm.path / "tokenizer.json").stat().st_size
    print(f"  and the model itself has {model_bytes:,} bytes")


if __name__ == "__main__":
    main()
