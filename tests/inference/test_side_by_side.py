"""The KV cache of several texts: each is read as if it were alone, whatever lies beside and behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from llm101.inference import KVCache
from llm101.inference.side_by_side import SideBySide
from llm101.model import ModelConfig, Transformer

SHAPE: dict[str, Any] = {
    "vocab_size": 300,
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 2,
    "context_length": 200,
}
IDS = torch.randint(0, 300, (3, 150), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def read(model: Transformer, cache: SideBySide, texts: Sequence[int], starts: Sequence[int], n: int) -> torch.Tensor:
    """The logits of n tokens of each text, from a place in it on."""
    ids = torch.stack([IDS[text, start : start + n] for text, start in zip(texts, starts)])
    cache.go_on_with(texts)
    return model(ids, cache, positions=cache.places(n)[1], attention_mask=cache.mask(n))


@pytest.mark.parametrize(
    "shape",
    [
        *({}, {"sliding_window": 7}, {"sliding_window": 7, "windowed_layers": (1,), "layers_without_rope": (0,)}),
        {"n_experts": 4, "n_active_experts": 2, "d_expert": 24},
    ],
)
def test_each_text_is_read_as_if_it_were_alone(shape: dict[str, Any]) -> None:
    config = ModelConfig(**SHAPE, **shape)
    model, cache = Transformer(config).initialise(0).eval(), SideBySide(config, 3)
    alone = [model(IDS[[text]]).detach()[0] for text in range(3)]
    held = [0, 0, 0]
    for texts, n in (([1], 60), ([0, 2], 3), ([2, 1, 0], 1), ([0, 1, 2], 5), ([2], 70), ([1, 0], 2)):
        logits = read(model, cache, texts, [held[text] for text in texts], n)
        for row, text in enumerate(texts):
            expected = alone[text][held[text] : held[text] + n]
            torch.testing.assert_close(logits[row], expected, atol=1e-5, rtol=1e-4)
            held[text] += n
    cache.go_on_with([0, 1])
    assert cache.places(2)[1].tolist() == [[11, 12], [68, 69]]
    assert cache.length == 68


def test_what_fresh_memory_holds_reaches_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A NaN behind the end of a text would spoil it even with a weight of 0."""

    def full_of_nan(shape: Sequence[int], **settings: object) -> torch.Tensor:
        return torch.full(shape, torch.nan, dtype=torch.float32)

    monkeypatch.setattr(torch, "empty", full_of_nan)
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda _, *shape: full_of_nan(shape))
    monkeypatch.setattr(torch, "empty_like", lambda tensor: full_of_nan(tensor.shape))
    config = ModelConfig(**SHAPE)
    assert KVCache(config).keys.isnan().all()
    model, cache = Transformer(config), SideBySide(config, 2)
    monkeypatch.undo()
    model.initialise(0)
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda _, *shape: full_of_nan(shape))
    read(model, cache, [0], [0], 62)
    read(model, cache, [1], [0], 3)
    for step in range(4):  # past the first 64 places, where it grows
        assert read(model, cache, [0, 1], [62 + step, 3 + step], 1).isfinite().all()


def test_an_interrupted_pass_leaves_the_texts_as_they_were() -> None:
    config = ModelConfig(**SHAPE)
    model, cache = Transformer(config).initialise(0).eval(), SideBySide(config, 2)
    read(model, cache, [0, 1], [0, 0], 10)
    cache.go_on_with([1])
    cache.append(0, torch.zeros(1, 2, 3, 8), torch.zeros(1, 2, 3, 8))  # the first of two layers, and then nothing
    again = read(model, cache, [0, 1], [10, 10], 2)
    torch.testing.assert_close(again, model(IDS[:2, :12])[:, 10:], atol=1e-5, rtol=1e-4)


def test_a_text_may_fill_the_context_beside_a_short_one_and_go_no_further() -> None:
    config = ModelConfig(**{**SHAPE, "context_length": 20})
    model, cache = Transformer(config).initialise(0).eval(), SideBySide(config, 2)
    read(model, cache, [0], [0], 19)
    read(model, cache, [1], [0], 2)
    read(model, cache, [0, 1], [19, 2], 1)
    with pytest.raises(ValueError, match="21 tokens do not fit the context of 20"):
        read(model, cache, [0, 1], [20, 3], 1)
    read(model, cache, [1], [3], 4)
