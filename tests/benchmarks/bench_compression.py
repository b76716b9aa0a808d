"""How small the model makes a file, and how fast, beside general compressors, with and without counting the model.

    python tests/benchmarks/bench_compression.py [--corpus ../shared/corpus] [--file stories-valid.txt] [--json]

The file is unpacked again and compared. Seconds are wall-clock on a machine that may be busy; processor seconds are
given too.
"""

from __future__ import annotations

import argparse
import bz2
import json
import lzma
import os
import time
from collections.abc import Callable
from pathlib import Path

from llm101 import load
from llm101.compression import compress, decompress


def general_compressors() -> dict[str, Callable[[bytes], bytes]]:
    """Each at its strongest setting."""
    found: dict[str, Callable[[bytes], bytes]] = {
        "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
        "bzip2 -9": lambda data: bz2.compress(data, 9),
    }
    try:
        import zstandard  # pyright: ignore[reportMissingImports] - from the extra `bench`

        found["zstd -19"] = zstandard.ZstdCompressor(level=19).compress
    except ImportError:
        print("zstd is left out: pip install 'llm101[bench]' brings it")
    try:
        import brotli  # pyright: ignore[reportMissingImports] - from the extra `bench`

        found["brotli -11"] = lambda data: brotli.compress(data, quality=11, lgwin=24)
    except ImportError:
        print("brotli is left out: pip install 'llm101[bench]' brings it")
    return found


def timed(work: Callable[[], bytes]) -> tuple[bytes, float, float]:
    """What came out, wall-clock seconds, processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - processor


def measure(data: bytes, model: str) -> dict[str, float]:
    """All figures for one file."""
    lm = load(model)
    compress(data[:500], lm)  # compiles, the first time on a machine
    packed, seconds, processor = timed(lambda: compress(data, lm))
    back, back_seconds, _ = timed(lambda: decompress(packed, lm))
    if back != data:
        raise SystemExit("what came back is not what went in")
    return {
        "n_bytes": len(data),
        model: len(packed),
        "model_bytes": lm.parameters.n_bytes + (lm.path / "tokenizer.json").stat().st_size,
        "compress_kb_per_second": len(data) / seconds / 1e3,
        "decompress_kb_per_second": len(data) / back_seconds / 1e3,
        "kb_per_processor_second": len(data) / processor / 1e3,
        **{name: len(pack(data)) for name, pack in general_compressors().items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--file", default="stories-valid.txt")
    parser.add_argument("--model", default="storyteller")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    path = options.corpus / options.file
    if not path.is_file():
        print(f"bench_compression: no file {path}; name its folder with --corpus")
        return
    found = measure(path.read_bytes(), options.model)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{path.name}: {found['n_bytes']:,} bytes; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for name in (options.model, *general_compressors()):
        bits, ratio = 8 * found[name] / found["n_bytes"], found[name] / found["xz -9e"]
        print(f"  {name:<12} {found[name]:>9,.0f} bytes  {bits:.3f} bits per byte  {ratio:.3f} of xz")
    model_bytes = found["model_bytes"]
    with_model = found[options.model] + model_bytes
    print(f"  with the model's {model_bytes:,.0f} bytes: {with_model:,.0f}, {with_model / found['xz -9e']:.1f} of xz")
    saved = (found["xz -9e"] - found[options.model]) / found["n_bytes"]
    print(f"  so the model pays for itself from {found['model_bytes'] / saved / 1e6:,.0f} MB of such text on")
    print(
        f"  {found['compress_kb_per_second']:.1f} kB/s in, {found['decompress_kb_per_second']:.1f} kB/s back, ", end=""
    )
    print(f"{found['kb_per_processor_second']:.1f} kB per processor second")


if __name__ == "__main__":
    main()
