"""Every compiled loop of exact arithmetic, run once with every kind of arguments: that is what compiles it.

`python -m llm101.compression.rehearsal` does so, so that the first file need not wait for it.
"""

from __future__ import annotations

import sys

from llm101.compression.forward import ExactModel
from llm101.inference.compiled import rehearsal
from llm101.model import ModelConfig, Transformer


def rehearse() -> None:
    """Read two tokens of two texts with a tiny model."""
    config = ModelConfig(vocab_size=32, d_model=32, n_layers=1, n_heads=2, n_kv_heads=1, context_length=64)
    model = ExactModel(Transformer(config).initialise(0), config.vocab_size)
    cache = model.new_cache(2)
    for place in range(2):
        model.step(cache, [0, 1], [1, 2], [place, place])


def main() -> int:
    """Run as a program; returns 0 if all loops are there now, else 1."""
    return rehearsal.main("compression", rehearse)


if __name__ == "__main__":
    sys.exit(main())
