"""Shapes of well-known models, as their publishers' config files state them; no parameters are needed to estimate.

A test compares each with the number of parameters that is published.
"""

from __future__ import annotations

from llm101.model import ModelConfig


def _llama(vocab_size: int, d_model: int, n_layers: int, n_heads: int, n_kv_heads: int, d_mlp: int, context: int):
    return ModelConfig(
        vocab_size=vocab_size,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_mlp=d_mlp,
        context_length=context,
        tie_embeddings=False,
    )


PUBLISHED = {
    "llama-2-7b": _llama(32_000, 4_096, 32, 32, 32, 11_008, 4_096),
    "llama-2-13b": _llama(32_000, 5_120, 40, 40, 40, 13_824, 4_096),
    "llama-2-70b": _llama(32_000, 8_192, 80, 64, 8, 28_672, 4_096),
    "llama-3.1-8b": _llama(128_256, 4_096, 32, 32, 8, 14_336, 131_072),
    "llama-3.1-70b": _llama(128_256, 8_192, 80, 64, 8, 28_672, 131_072),
    "llama-3.1-405b": _llama(128_256, 16_384, 126, 128, 8, 53_248, 131_072),
}
"""https://github.com/meta-llama/llama-models and the Hugging Face configs of the same names."""
