"""What each specialised piece of the compiled path brings on SmolLM2: python tests/benchmarks/bench_kernels.py [--json]

Every piece that is more than a plain loop stands here beside what it replaces: the compiler's own instructions for
each format beside the same sums in plain loops; two threads beside one; the tile for prompts beside torch's product,
for which the weights are widened in memory first. They take turns; each figure is the best of the rounds.
"""

# An intrinsic is called without its first argument, which numba puts in.
# pyright: reportCallIssue=false

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit

import llm101
from llm101.inference.compiled import compiled_runner, kernels
from llm101.inference.compiled.formats import FORMATS
from llm101.inference.compiled.intrinsics import from_bits
from llm101.inference.compiled.packed import loops
from tests.benchmarks.history import record

N_OUT, N_IN, N_MATRICES = 1536, 576, 150  # together as many numbers as SmolLM2 has


def plainly(function: Callable) -> Callable:
    """A loop as numba compiles it by itself, sums in any order."""
    return njit(function, fastmath=kernels.REORDER, error_model="numpy", nogil=True)


@plainly
def plain_float16(numbers, x, out):
    """numba has no halves: their bits are moved to where a float has them."""
    for o in range(len(numbers)):
        s = np.float32(0)
        for i in range(len(x)):
            bits = np.int32(np.int16(numbers[o, i]))  # the sign fills the upper half
            s += (
                from_bits(np.int32((bits << np.int32(13)) & np.int32(-1879048193))) * x[i]
            )  # all but the exponent's top
        out[o] = s * np.float32(2.0**112)


@plainly
def plain_q8_0(numbers, scales, x, out):
    for o in range(len(numbers)):
        s = np.float32(0)
        for i in range(len(x)):
            s += np.float32(numbers[o, i]) * scales[o, i >> 5] * x[i]
        out[o] = s


@plainly
def plain_q4_1(numbers, scales, minimums, x, x_sums, out):
    """numbers: two in a byte, the first half of a row in the lower halves."""
    half = len(x) // 2
    for o in range(len(numbers)):
        s = np.float32(0)
        for i in range(half):
            both = numbers[o, i]
            low, high = np.float32(both & np.uint8(15)), np.float32(both >> np.uint8(4))
            s += scales[o, i >> 5] * low * x[i] + scales[o, (half + i) >> 5] * high * x[half + i]
        for k in range(len(x_sums)):
            s += minimums[o, k] * x_sums[k]
        out[o] = s


def best(action: Callable[[], object], n: int) -> float:
    action()
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


def weights_of(kind: str, n_matrices: int = N_MATRICES) -> kernels.Weights:
    """So many matrices in one format, all different places in memory."""
    row_bytes = N_IN // 32 * FORMATS[kind].n_bytes
    random = np.random.default_rng(0)
    numbers = random.integers(0, 60, n_matrices * N_OUT * row_bytes, np.uint8)
    if kind.startswith("Q"):
        blocks = numbers.reshape(-1, FORMATS[kind].n_bytes)
        n_scales = 2 if kind == "Q4_1" else 1
        scales = random.uniform(0.5, 2.0, (len(blocks), n_scales)).astype(np.float16)
        blocks[:, : 2 * n_scales] = scales.view(np.uint8)
    table = [(m * N_OUT * row_bytes, FORMATS[kind].code, N_OUT, row_bytes) for m in range(n_matrices)]
    none = [np.empty((1, 0), np.float32)] * 7
    return kernels.Weights(numbers, np.array(table, np.int64), *none, final_norm=np.empty(0, np.float32))


@njit(nogil=True)
def once_each(weights, x, out):
    for m in range(len(weights.matrices)):
        kernels.project(weights, m, x, out, 0, N_OUT)


def formats(n_rounds: int) -> dict[str, dict[str, float]]:
    """ms for all of SmolLM2's numbers with one token, on one thread."""
    n_rows, random = N_MATRICES * N_OUT, np.random.default_rng(0)
    x, found = random.standard_normal(N_IN).astype(np.float32), {}
    out, long = np.empty((1, N_OUT), np.float32), np.empty(n_rows, np.float32)
    scales = random.standard_normal((n_rows, N_IN // 32)).astype(np.float32)
    plain: dict[str, Callable[[], object]] = {
        "float16": lambda: plain_float16(halves, x, long),
        "Q8_0": lambda: plain_q8_0(bytes_, scales, x, long),
        "Q4_1": lambda: plain_q4_1(both, scales, scales, x, x[: N_IN // 32], long),
    }
    halves = random.integers(0, 20000, (n_rows, N_IN), np.uint16)
    bytes_ = random.integers(-128, 128, (n_rows, N_IN), np.int8)
    both = random.integers(0, 256, (n_rows, N_IN // 2), np.uint8)
    for kind, loop in plain.items():
        weights = weights_of(kind)
        found[kind] = {
            "plain_loops_ms": best(loop, n_rounds),
            "specialised_ms": best(lambda: once_each(weights, x[None], out), n_rounds),  # noqa: B023 - called at once
        }
    few = weights_of("float16", 6)
    found["float16, from the cache"] = {
        "plain_loops_ms": best(lambda: [plain_float16(halves[: 6 * N_OUT], x, long) for _ in range(25)], n_rounds),
        "specialised_ms": best(lambda: [once_each(few, x[None], out) for _ in range(25)], n_rounds),
    }
    return found


def threads(n_rounds: int) -> dict[str, dict[str, float]]:
    """ms for a token of SmolLM2, by one thread and by two."""
    found = {}
    for precision in ("float16", "Q8_0", "Q4_1"):
        found[precision] = {}
        for n in (1, 2):
            torch.set_num_threads(n)
            engine = llm101.load("smollm2", precision=precision).engine
            kv_cache = engine.new_cache()
            engine.prefill([*range(100, 116)], kv_cache)

            def step() -> None:
                kv_cache.truncate(16)  # noqa: B023
                engine.decode_step(5, kv_cache)  # noqa: B023

            found[precision][f"{n}_threads_ms" if n > 1 else "1_thread_ms"] = best(step, 3 * n_rounds)
    return found


def prompt(n_rounds: int) -> dict[str, float]:
    """ms for the products of 256 tokens with all matrices of SmolLM2's layers, on two threads."""
    torch.set_num_threads(2)
    engine = llm101.load("smollm2").engine
    engine.prefill([1, 2])
    assert engine._fast is not None
    weights = engine._fast.pack.weights
    x = {n: np.random.default_rng(0).standard_normal((256, n)).astype(np.float32) for n in (576, 1536)}
    out, wide = np.empty((256, 1536), np.float32), np.empty(1536 * 576, np.float32)
    matrices = [(m, int(weights.matrices[m, 2]), 1536 if m % 7 == kernels.DOWN else 576) for m in range(7 * 30)]

    def half_by_tile(half: int) -> None:
        for m, n_out, n_in in matrices:
            first, end = half * n_out // 2, (half + 1) * n_out // 2
            kernels.project_prompt(weights, np.int64(m), x[n_in], out, np.int64(first), np.int64(end))

    def by_torch() -> None:
        for m, n_out, n_in in matrices:
            rows = wide[: n_out * n_in].reshape(n_out, n_in)
            kernels.widened_rows(weights, m, 0, n_out, rows)
            torch.mm(torch.from_numpy(x[n_in]), torch.from_numpy(rows).t())

    with ThreadPoolExecutor(2) as pool:
        tile_ms = best(lambda: list(pool.map(half_by_tile, (0, 1))), n_rounds)
    return {"torch_ms": best(by_torch, n_rounds), "tile_ms": tile_ms}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What each specialised piece of the compiled path brings.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)
    if loops.wait() is None:
        print("there is no compiler here (numba)")
        return 0
    report = {"formats": formats(args.rounds), "threads": threads(args.rounds), "prompt": prompt(args.rounds)}
    record("kernels", report, rounds=args.rounds, most_threads=compiled_runner.MOST_THREADS)
    if args.json:
        print(json.dumps(report, indent=2))
        return 0
    for kind, ms in report["formats"].items():
        plain, own = ms["plain_loops_ms"], ms["specialised_ms"]
        print(f"{kind:24} all weights, 1 thread: {plain:6.1f} ms in plain loops, {own:6.1f} ms  ({plain / own:.2f} x)")
    for kind, ms in report["threads"].items():
        one, two = ms["1_thread_ms"], ms["2_threads_ms"]
        print(
            f"{kind:24} a token of SmolLM2:    {one:6.1f} ms by one thread, {two:6.1f} ms by two  ({one / two:.2f} x)"
        )
    by_torch, by_tile = report["prompt"]["torch_ms"], report["prompt"]["tile_ms"]
    ratio = f"({by_torch / by_tile:.2f} x)"
    print(f"{'256 tokens, 2 threads:':48}{by_torch:6.1f} ms by torch, {by_tile:6.1f} ms by tiles  {ratio}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
