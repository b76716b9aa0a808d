"""The KV cache: the same logits with and without it, growing, cutting back, forking, being interrupted."""

from __future__ import annotations

import pytest
import torch

from llm101.inference import KVCache
from llm101.model import ModelConfig, Transformer

CONFIG = ModelConfig(vocab_size=300, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, context_length=200)
MODEL = Transformer(CONFIG).initialise(0).eval()
IDS = torch.randint(0, 300, (1, 150), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def logits(ids: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
    return MODEL(ids, cache)[0]


def test_reading_piece_by_piece_gives_what_reading_at_once_gives():
    cache = KVCache(CONFIG)
    pieces = [logits(piece, cache) for piece in IDS.split([1, 5, 1, 70, 1, 72], dim=1)]
    assert cache.length == 150
    torch.testing.assert_close(torch.cat(pieces), logits(IDS), atol=1e-5, rtol=1e-4)


def test_it_grows_up_to_the_context_and_no_further():
    cache = KVCache(CONFIG)
    assert cache.capacity == 64
    logits(IDS, cache)
    assert cache.capacity == 150
    logits(IDS[:, :50], cache)
    assert (cache.length, cache.capacity) == (200, 200)
    with pytest.raises(ValueError, match="201 tokens do not fit the context of 200"):
        cache.reserve(201)


def test_after_cutting_back_another_continuation_is_as_if_the_first_had_never_been():
    cache = KVCache(CONFIG)
    logits(IDS[:, :100], cache)
    cache.truncate(40)
    again = logits(IDS[:, 100:120], cache)
    fresh = logits(torch.cat((IDS[:, :40], IDS[:, 100:120]), dim=1))[40:]
    torch.testing.assert_close(again, fresh, atol=1e-5, rtol=1e-4)


def test_a_fork_and_its_origin_do_not_disturb_each_other():
    cache = KVCache(CONFIG)
    logits(IDS[:, :20], cache)
    fork = cache.fork()
    logits(IDS[:, 50:60], cache)
    there = logits(IDS[:, 20:30], fork)
    assert (cache.length, fork.length) == (30, 30)
    torch.testing.assert_close(there, logits(IDS[:, :30])[20:], atol=1e-5, rtol=1e-4)


def test_an_interrupted_pass_leaves_the_length_as_it_was():
    cache = KVCache(CONFIG)
    logits(IDS[:, :10], cache)
    k = torch.zeros(1, 2, 3, 8)
    cache.append(0, k, k)  # the first of two layers, and then nothing
    assert cache.length == 10
    torch.testing.assert_close(logits(IDS[:, 10:12], cache), logits(IDS[:, :12])[10:], atol=1e-5, rtol=1e-4)


def test_its_size_is_the_textbook_formula():
    cache = KVCache(CONFIG)
    logits(IDS[:, :10], cache)
    assert cache.cache_bytes == 2 * 2 * 2 * 8 * 10 * 4  # k and v, layers, kv heads, d_head, tokens, bytes


@pytest.mark.parametrize("length", [-1, 11])
def test_cutting_back_to_where_it_never_was_is_refused(length):
    cache = KVCache(CONFIG)
    logits(IDS[:, :10], cache)
    with pytest.raises(ValueError, match=f"cut back to 0 to 10 positions, got {length}"):
        cache.truncate(length)
