"""Memory and speed of a model on a machine, by arithmetic: what no program can do better than.

Everything follows from the model's shape, not from its name or its number of parameters alone: grouped heads shrink
the cache eightfold, a sliding window caps it, tied embeddings are read only once. It knows nothing of programs and
their overheads, which dominate for tiny models.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm101.estimates.machines import Machine
from llm101.model import ModelConfig

BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5}
"""Per parameter; what int8 and int4 keep beside them, scales and such, adds a few percent."""


@dataclass(frozen=True)
class Estimate:
    """A model on a machine."""

    weights_bytes: int
    kv_cache_bytes: int
    total_bytes: int
    prefill_seconds: float
    """To read a prompt that fills the context."""
    decode_tokens_per_second: float
    """Of all texts together, with that much text behind them."""
    limited_by: str
    """"memory": it does not fit, and the speeds are what they would be if it did; else "bandwidth" or "compute"."""


def estimate(
    config: ModelConfig,
    machine: Machine,
    *,
    context: int | None = None,
    batch: int = 1,
    dtype: str = "float16",
) -> Estimate:
    """How much memory a model takes on a machine, and how fast it can be at best.

    Args:
        config: the model's shape.
        machine: what it runs on.
        context: tokens of text that it has behind it; all that the model can look at, if left out.
        batch: texts at once.
        dtype: kind of number of the weights; the cache is in 16 bits, or 32 if the weights are.

    Raises:
        ValueError: a context longer than the model's, a batch below 1, an unknown dtype.

    Example:
        >>> from llm101.estimates.machines import machine
        >>> from llm101.estimates.published import PUBLISHED
        >>> found = estimate(PUBLISHED["llama-2-7b"], machine("a100"), context=1)
        >>> found.weights_bytes, found.kv_cache_bytes // 1024, round(found.decode_tokens_per_second), found.limited_by
        (13476831232, 512, 154, 'bandwidth')
    """
    context = config.context_length if context is None else context
    if not 1 <= context <= config.context_length:
        raise ValueError(f"context must be from 1 to the model's {config.context_length:,} tokens, got {context:,}")
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    if dtype not in BYTES:
        raise ValueError(f"dtype must be one of {', '.join(BYTES)}, got {dtype!r}")
    weights = config.n_parameters * BYTES[dtype]
    cache = batch * min(context, config.sliding_window or context) * kv_bytes_per_token(config, dtype)
    read_seconds = (read_parameters(config) * BYTES[dtype] + cache) / machine.bandwidth
    compute_seconds = batch * flop_per_token(config, context) / machine.flops
    total = int(weights + cache)
    limit = "bandwidth" if read_seconds > compute_seconds else "compute"
    return Estimate(
        weights_bytes=int(weights),
        kv_cache_bytes=int(cache),
        total_bytes=total,
        prefill_seconds=batch * context * flop_per_token(config, context // 2) / machine.flops,
        decode_tokens_per_second=batch / max(read_seconds, compute_seconds),
        limited_by="memory" if total > machine.memory_bytes else limit,
    )


def kv_bytes_per_token(config: ModelConfig, dtype: str = "float16") -> float:
    """2 · n_layers · n_kv_heads · d_head · bytes per number."""
    return 2 * config.n_layers * config.n_kv_heads * config.d_head * max(BYTES[dtype], 2.0)


def read_parameters(config: ModelConfig) -> int:
    """How many parameters one decode step reads: all but an embedding table that is not the output layer too."""
    return config.n_parameters - (0 if config.tie_embeddings else config.vocab_size * config.d_model)


def flop_per_token(config: ModelConfig, context: int) -> float:
    """2 per parameter that is multiplied with, and 4 · n_layers · n_heads · d_head for each token looked at."""
    seen = min(context, config.sliding_window or context)
    return 2 * read_parameters(config) + 4 * config.n_layers * config.n_heads * config.d_head * seen
