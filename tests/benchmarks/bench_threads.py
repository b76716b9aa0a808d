"""Where a second thread begins to pay in training: the figures behind SMALL_WORK (llm101.pretraining.device).

    python tests/benchmarks/bench_threads.py [--json]

One step of the pre-training loop's arithmetic (loss, gradients), for models of several widths and several numbers of
tokens at once, with one thread and with all; the two take turns, first alone on the machine, then beside a program that
keeps one core busy. Above 1: one thread is faster.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time

import torch
import torch.nn.functional as F

from llm101.model import ModelConfig, Transformer
from llm101.pretraining.device import SMALL_WORK
from tests.benchmarks.history import record

SHAPES = [(32, 128), (64, 256), (64, 1024), (128, 1024), (256, 512), (192, 2048), (320, 2048)]
"""Width of the model, tokens at once."""
LAYERS, VOCAB, ROW = 4, 512, 128
SECONDS = 3.0
CONDITIONS = ("alone", "beside_a_busy_core")


def seconds_of_a_step(model: Transformer, ids: torch.Tensor, threads: int) -> float:
    torch.set_num_threads(threads)
    start = time.perf_counter()
    logits = model(ids)
    F.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()
    model.zero_grad()
    return time.perf_counter() - start


def gain_of_one_thread(width: int, tokens: int, threads: int) -> tuple[float, float]:
    """Multiplications in a layer, and how many times as long a step takes with all threads as with one."""
    config = ModelConfig(vocab_size=VOCAB, d_model=width, n_layers=LAYERS, n_heads=4, context_length=ROW)
    model = Transformer(config).initialise(0)
    ids = torch.randint(VOCAB, (tokens // ROW, ROW), generator=torch.Generator().manual_seed(0))
    for n in (1, threads):
        seconds_of_a_step(model, ids, n)
    one, all_of_them, end = [], [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        one.append(seconds_of_a_step(model, ids, 1))
        all_of_them.append(seconds_of_a_step(model, ids, threads))
    return config.n_parameters / LAYERS * tokens, statistics.median(all_of_them) / statistics.median(one)


def keep_a_core_busy() -> None:
    while True:
        sum(range(100_000))


def main() -> None:
    command = argparse.ArgumentParser(description="Measure where a second thread begins to pay in training.")
    command.add_argument("--json", action="store_true")
    options = command.parse_args()
    threads = torch.get_num_threads()
    alone = [gain_of_one_thread(*shape, threads) for shape in SHAPES]
    busy = multiprocessing.get_context("spawn").Process(target=keep_a_core_busy, daemon=True)
    busy.start()
    beside = [gain_of_one_thread(*shape, threads) for shape in SHAPES]
    busy.kill()
    rows = [
        {"width": width, "tokens": tokens, "work": work, "alone": gain, "beside_a_busy_core": crowded}
        for (width, tokens), (work, gain), (_, crowded) in zip(SHAPES, alone, beside, strict=True)
    ]
    gains = {f"{row['width']}_wide.{row['tokens']}_tokens": {name: row[name] for name in CONDITIONS} for row in rows}
    record("threads", gains, threads=threads)
    if options.json:
        print(json.dumps({"threads": threads, "small_work": SMALL_WORK, "rows": rows}))
        return
    print(f"{threads} threads against one; below {SMALL_WORK / 1e6:.0f} million one is taken")
    print("width  tokens  multiplications in a layer  alone  beside a busy core")
    for row in rows:
        print(
            f"{row['width']:5}  {row['tokens']:6}  {row['work'] / 1e6:20.0f} million"
            f"  {row['alone']:5.2f}  {row['beside_a_busy_core']:18.2f}"
        )


if __name__ == "__main__":
    main()
