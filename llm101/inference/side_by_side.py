"""The KV cache of several texts of different lengths, which a forward pass reads on side by side.

It knows the KV cache of one text, of which it is made, and nothing of the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from llm101.inference.kv_cache import KVCache
from llm101.model import ModelConfig


class SideBySide:
    """Keys and values of several texts, each as long as it is.

    Every key stands in its text's row, at its own position. What lies behind a text's end is never looked at, and its
    next token writes over it. A forward pass takes the next tokens of the texts that `go_on_with` named, as many of
    each, together with their places and the mask.

    Args:
        config: the shape of the model that fills it.
        n_texts: how many there are; all begin empty.
        dtype, device: those of the model.

    Example:
        >>> config = ModelConfig(vocab_size=300, d_model=16, n_layers=1, n_heads=2)
        >>> cache = SideBySide(config, n_texts=2)
        >>> for text, n in ((0, 3), (1, 1)):
        ...     cache.go_on_with([text])
        ...     k, v = cache.append(0, torch.zeros(1, 2, n, 8), torch.zeros(1, 2, n, 8))
        >>> cache.go_on_with([0, 1])
        >>> positions, mask = cache.places(1)[1], cache.mask(1)
        >>> positions.tolist(), mask[None].squeeze().tolist()
        ([[3], [1]], [[True, True, True, True], [True, True, False, False]])
    """

    def __init__(
        self,
        config: ModelConfig,
        n_texts: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self._lengths = config, [0] * n_texts
        self._block = KVCache(config, n_texts, dtype=dtype, device=device)  # as long as the longest text
        self._clear_unused()
        self.go_on_with(range(n_texts))

    def go_on_with(self, texts: Sequence[int]) -> None:
        """Name the texts that the next forward pass has tokens of, from 0 to n_texts - 1, in the order of its rows."""
        self._texts, self._past = [*texts], [self._lengths[text] for text in texts]
        self._rows = torch.tensor(self._texts, device=self._block.keys.device)[:, None]
        self._starts = torch.tensor(self._past, device=self._block.keys.device)[:, None]
        self._all = self._texts == [*range(len(self._lengths))]

    @property
    def length(self) -> int:
        """How many positions the longest of these texts holds."""
        return max(self._past)

    def places(self, n: int) -> tuple[Tensor, Tensor]:
        """Where the next n tokens of each text come to stand: its row [batch, 1], their positions [batch, n]."""
        return self._rows, self._starts + torch.arange(n, device=self._starts.device)

    def mask(self, n: int) -> dict[int | None, Tensor] | None:
        """True where one of the next n tokens may look, [batch, 1, n, length + n], for each window of the model's.

        None if the texts are equally long: the model's own rule is right then.
        """
        if len({*self._past}) == 1:
            return None
        query = self.places(n)[1][:, None, :, None]
        key = torch.arange(self.length + n, device=query.device)
        windows = {self.config.window(layer) for layer in range(self.config.n_layers)}
        before = key <= query
        return {window: before if window is None else before & (key > query - window) for window in windows}

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep one layer's new keys and values; return all of these texts: see KVCache.append."""
        n, block = k.shape[2], self._block
        self._make_room(self.length + n)
        rows, positions = self.places(n)
        block.keys[layer][rows, :, positions] = k.transpose(1, 2)  # [batch, seq, n_kv_heads, d_head]
        block.values[layer][rows, :, positions] = v.transpose(1, 2)
        if layer == self.config.n_layers - 1:
            block.advance(max(0, self.length + n - block.length))
            for text in self._texts:
                self._lengths[text] += n
        return self._seen(block.keys[layer], n), self._seen(block.values[layer], n)

    def _make_room(self, length: int) -> None:
        if length > self._block.capacity:
            self._block.reserve(length)
            self._clear_unused()

    def _clear_unused(self) -> None:
        """A weight of 0 takes any number away but NaN and infinity, which fresh memory may hold."""
        for held in (self._block.keys, self._block.values):
            held[:, :, :, self._block.length :] = 0

    def _seen(self, held: Tensor, n: int) -> Tensor:
        """The rows of this forward pass, up to the end of the longest."""
        rows = held if self._all else held[self._rows[:, 0]]
        return rows[:, :, : self.length + n]
