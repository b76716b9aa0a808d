"""Ways to run a model: ids in, the scores of what comes next out, keys and values kept.

There are two: by torch, layer by layer, for every model and for whoever wants to look in (PlainRunner, here), and by
compiled loops (compiled/compiled_runner.py). An engine asks which of them is ready, and tells no difference but time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from llm101.inference.kv_cache import KVCache
from llm101.inference.source import ModelSource


class Runner(Protocol):
    """One way to run a model; several threads may use one, each with KV caches of its own."""

    def prefill(self, token_ids: Sequence[int], kv_cache: KVCache) -> Tensor:
        """Read all tokens at once; returns the logits [vocab_size] of what comes after the last."""
        ...

    def decode_step(self, token_id: int, kv_cache: KVCache) -> Tensor:
        """One more token; returns the logits [vocab_size] of what comes after it."""
        ...

    def all_logits(self, token_ids: Sequence[int], kv_cache: KVCache) -> Tensor:
        """As prefill, but for what comes after each of the tokens: [n_tokens, vocab_size]."""
        ...


class PlainRunner:
    """The Transformer itself, called once for each step: any shape, any device, and hooks are heard."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source

    def prefill(self, token_ids: Sequence[int], kv_cache: KVCache) -> Tensor:
        return self._forward(token_ids, kv_cache, last_only=True)[-1]

    def decode_step(self, token_id: int, kv_cache: KVCache) -> Tensor:
        return self._forward((token_id,), kv_cache, last_only=True)[-1]

    def all_logits(self, token_ids: Sequence[int], kv_cache: KVCache) -> Tensor:
        return self._forward(token_ids, kv_cache, last_only=False)

    @torch.no_grad()
    def _forward(self, token_ids: Sequence[int], kv_cache: KVCache, *, last_only: bool) -> Tensor:
        ids = torch.tensor([list(token_ids)], device=kv_cache.keys.device)
        return self._source.transformer()(ids, kv_cache, last_only=last_only)[0]
