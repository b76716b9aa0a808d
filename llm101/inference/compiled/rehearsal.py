"""Every compiled loop of the engine, run once with every kind of arguments: that is what compiles it.

`python -m llm101.inference.compiled.rehearsal` does so in a process of its own, as loops.py asks for. With --beside it
leaves the work to another process that is at it already, and does not stay for ever.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import torch

from llm101.inference.compiled import cache
from llm101.inference.compiled.compiled_runner import PROMPT_ROWS, CompiledRunner
from llm101.inference.compiled.loops import place_of_loops
from llm101.inference.compiled.packed import loops
from llm101.inference.kv_cache import KVCache
from llm101.inference.source import Made
from llm101.model import ModelConfig, Transformer
from llm101.outside.beside import keep_out_of_the_way

LONGEST_SECONDS = 600


def rehearse() -> None:
    """Read and continue a few texts with a tiny model, and look at it again once it is another."""
    config = ModelConfig(vocab_size=32, d_model=32, n_layers=2, n_heads=2, n_kv_heads=1, context_length=64)
    model = Transformer(config).initialise(0).eval()
    runner, kv_caches = CompiledRunner(Made(model)), [KVCache(config) for _ in range(5)]
    for _ in range(2):
        runner.refresh()
        runner.prefill([1, 2, 3], kv_caches[0])
        with torch.no_grad():
            model.model.norm.weight[0] += 1
    runner.prefill([1] * PROMPT_ROWS, kv_caches[0])
    runner.decode_step(1, kv_caches[0])
    runner.decode_steps([1] * len(kv_caches), kv_caches)


def main(what: str = "inference", rehearse: Callable[[], None] = rehearse) -> int:
    """Run as a program; returns 0 if all of this is compiled now, else 1."""
    is_beside = "--beside" in sys.argv[1:]
    if is_beside:
        keep_out_of_the_way()
        _end_some_time()
    place = place_of_loops()
    if place is None or loops.load() is None:
        return 1
    return 0 if cache.compile_ahead(what, place, rehearse, wait=not is_beside) else 1


def _end_some_time() -> None:
    """Whatever keeps it: nobody sees it."""
    timer = threading.Timer(LONGEST_SECONDS, os._exit, [1])
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
