"""The compiled loops as other processors would have them: the same texts, and not slower than the plain path.

    python tests/benchmarks/bench_processors.py [--model NAME] [--precision PRECISION] [--json]

NUMBA_CPU_NAME makes numba compile for another processor than this one: `generic` is any of this kind, with no more than
what all have had from the beginning, `haswell` one of 2013. Each compiles loops of its own first, which takes half a
minute or more and is no part of what is timed. The plain path is the model in torch.

The engines take turns, each in a process of its own; ratios are taken within a round, and medians are given.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys

import llm101
from tests.benchmarks.bench_inference import N_PROMPT, PROSE, medians, undisturbed_turn
from tests.benchmarks.engines import EngineProcess
from tests.benchmarks.history import record

PROCESSORS = ("generic", "haswell")
PLAIN, OWN = "plain path", "this processor"
N_SAME = 64
"""Tokens that are compared."""


def engines_of(model: str, precision: str | None, n_threads: int) -> dict[str, EngineProcess]:
    """The plain path, and the compiled one for each processor."""
    found = {PLAIN: EngineProcess("LLM101", model=model, n_threads=n_threads, fast=False)}
    for name in (OWN, *PROCESSORS):
        environment = {} if name == OWN else {"NUMBA_CPU_NAME": name}
        found[name] = EngineProcess("LLM101", environment, model=model, n_threads=n_threads, precision=precision)
    return found


def compare(model: str, precision: str | None, n_threads: int, n_tokens: int, n_rounds: int) -> dict[str, dict]:
    """For each engine its figures: also how many tokens of its text are this processor's, and its speed by rounds."""
    ids = llm101.library.load_tokenizer(model).encode(PROSE.read_text(encoding="utf-8"))[:256]
    engines = engines_of(model, precision, n_threads)
    texts = {name: engine.ask("decode", ids[:N_PROMPT], N_SAME) for name, engine in engines.items()}
    rounds = [
        {name: undisturbed_turn(engine, ids, n_tokens) for name, engine in engines.items()} for _ in range(n_rounds)
    ]
    found: dict[str, dict] = {}
    for name, engine in engines.items():
        same = [ours == own for ours, own in zip(texts[name], texts[OWN])]
        speedups = [r[name]["decode_tokens_per_second"] / r[PLAIN]["decode_tokens_per_second"] for r in rounds]
        prefills = [r[PLAIN]["prefill_256_ms"] / r[name]["prefill_256_ms"] for r in rounds]
        found[name] = medians([r[name] for r in rounds]) | {
            "tokens_as_this_processor": [*same, False].index(False),
            "decode_against_plain": statistics.median(speedups),
            "prefill_against_plain": statistics.median(prefills),
            "start_seconds": engine.start_seconds,
        }
        engine.close()
    return found


def show(found: dict[str, dict]) -> None:
    """A line for each engine."""
    print(f"{'':16}{'decode':>14}{'of plain':>10}{'prefill of 256':>17}{'of plain':>10}{'same text':>14}{'start':>9}")
    for name, r in found.items():
        print(
            f"{name:16}{r['decode_tokens_per_second']:>8,.0f} tok/s{r['decode_against_plain']:>8.2f} x"
            f"{r['prefill_256_ms']:>14.1f} ms{r['prefill_against_plain']:>8.2f} x"
            f"{r['tokens_as_this_processor']:>8} of {N_SAME}{r['start_seconds']:>7.0f} s"
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The compiled loops as other processors would have them.")
    parser.add_argument("--model", default="smollm2", help="a known model or a folder (default: smollm2)")
    parser.add_argument("--precision", help="as for `load` (default: as the file stores it)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=64, help="tokens per decode measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)
    if args.model in {known.name for known in llm101.known_models() if not known.installed}:
        print(f"bench_processors: {args.model} is not installed, so nothing is measured")
        return 0
    found = compare(args.model, args.precision, args.threads, args.tokens, args.rounds)
    settings = {"model": args.model, "precision": args.precision, "threads": args.threads}
    record("processors", found, **settings, tokens=args.tokens, rounds=args.rounds)
    if args.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
