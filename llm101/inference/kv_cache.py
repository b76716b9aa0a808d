"""The KV cache: keys and values of the tokens so far, so that each new token costs one token's work.

It knows nothing of the model but its shape. It can be cut back and forked, which is how a reader walks
back along a text and tries another continuation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from llm101.model import ModelConfig
from llm101.outside.memory import free_memory_bytes

LARGE = 1 << 28  # bytes: from here on it is asked whether there is room
FIRST_CAPACITY = 64  # positions; doubled whenever they are full, up to the context


class KVCache:
    """Keys and values of every layer, for one text or for several of the same length.

    `keys` and `values` are [n_layers, batch, n_kv_heads, capacity, d_head]; positions from `length` on
    are room to grow. `length` moves only when the last layer has appended, so an interrupted forward
    pass leaves the cache as it was.

    Args:
        config: the shape of the model that fills it.
        batch: rows; they are all equally long.
        dtype, device: those of the model.

    Example:
        >>> config = ModelConfig(vocab_size=300, d_model=16, n_layers=1, n_heads=2)
        >>> cache = KVCache(config)
        >>> k, v = cache.append(0, torch.zeros(1, 2, 5, 8), torch.zeros(1, 2, 5, 8))
        >>> cache.length, tuple(k.shape)
        (5, (1, 2, 5, 8))
        >>> cache.truncate(3)
        >>> cache.length
        3
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int = 1,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self._length = config, 0
        capacity = min(FIRST_CAPACITY, config.context_length)
        shape = (config.n_layers, batch, config.n_kv_heads, capacity, config.d_head)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty_like(self.keys)

    @property
    def length(self) -> int:
        """How many positions it holds."""
        return self._length

    @property
    def capacity(self) -> int:
        """How many positions there is room for without growing."""
        return self.keys.shape[3]

    @property
    def cache_bytes(self) -> int:
        """Bytes of the positions held: 2 · n_layers · batch · n_kv_heads · d_head · length · bytes per number."""
        return 2 * self.keys[:, :, :, : self._length].numel() * self.keys.element_size()

    def places(self, n: int) -> tuple[Tensor, Tensor]:
        """Where the next n tokens of each text come to stand: its row [batch, 1], their positions [batch, n]."""
        batch, device = self.keys.shape[1], self.keys.device
        positions = torch.arange(self._length, self._length + n, device=device)
        return torch.arange(batch, device=device)[:, None], positions.expand(batch, n)

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep one layer's new keys and values.

        Args:
            layer: 0 to n_layers - 1, in that order within a forward pass.
            k, v: [batch, n_kv_heads, seq, d_head].

        Returns:
            All keys and all values of that layer, [batch, n_kv_heads, length + seq, d_head]: views, not copies.
        """
        end = self._length + k.shape[2]
        self.reserve(end)
        self.keys[layer, :, :, self._length : end] = k
        self.values[layer, :, :, self._length : end] = v
        if layer == self.config.n_layers - 1:
            self.advance(k.shape[2])
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, n: int) -> None:
        """Count n more positions as held: all layers have written them."""
        self._length += n

    def reserve(self, length: int) -> None:
        """Make room for that many positions; what is held stays.

        Raises:
            ValueError: more than the model's context, or than this machine has memory for.
        """
        limit = self.config.context_length
        if length > limit:
            raise ValueError(f"{length} tokens do not fit the context of {limit}; shorten the text")
        if length > self.capacity:
            capacity = min(max(length, 2 * self.capacity), limit)
            self._check_memory(capacity)
            self.keys, self.values = (_grown(t, capacity, self._length) for t in (self.keys, self.values))

    def _check_memory(self, capacity: int) -> None:
        n_bytes, free = 2 * self.keys.nbytes // self.capacity * capacity, None
        if n_bytes > LARGE and self.keys.device.type == "cpu":
            free = free_memory_bytes()
        if free is not None and n_bytes > free:
            raise ValueError(
                f"keys and values of {capacity} tokens take {n_bytes / 1e9:.1f} GB, and this machine has "
                f"{free / 1e9:.1f} GB free: shorten the text"
            )

    def truncate(self, length: int) -> None:
        """Forget everything from position `length` on: walk back along the text.

        Raises:
            ValueError: length below 0 or above what is held.
        """
        if not 0 <= length <= self._length:
            raise ValueError(f"the cache can be cut back to 0 to {self._length} positions, got {length}")
        self._length = length

    def fork(self) -> KVCache:
        """A copy that goes on by itself: a branch of the tree of continuations."""
        copy = KVCache(self.config, self.keys.shape[1], dtype=self.keys.dtype, device=self.keys.device)
        copy.keys, copy.values, copy._length = self.keys.clone(), self.values.clone(), self._length
        return copy


def _grown(tensor: Tensor, capacity: int, length: int) -> Tensor:
    n_layers, batch, n_kv_heads, _, d_head = tensor.shape
    grown = tensor.new_empty(n_layers, batch, n_kv_heads, capacity, d_head)
    for new, old in zip(grown, tensor):  # layer by layer: a large piece torch would share out, and wait for a busy core
        new[:, :, :length] = old[:, :, :length]
    return grown
