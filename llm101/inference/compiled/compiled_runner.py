"""The compiled way to run a model: loops where torch would spend its time being called, or fetching what is wide.

It knows packs of parameters (packed.py) and the KV cache, and nothing of tokenizers and sampling. It is ready only
where it gives what the plain way gives: on a CPU, once its loops are compiled, for a shape that they compute, and while
nobody has hung a hook into the model. Its logits are within 1e-4 of the plain ones, where
no coarser precision than the files' was asked for; within 1e-2 with weights in four bits, for which it rounds what they
are multiplied with to 16 bits, and with kinds of number that it does not read and rounds to float16.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from llm101 import model as plain
from llm101.inference.compiled.formats import FORMATS, padded
from llm101.inference.compiled.packed import Pack, loops, pack_of_files, pack_of_model
from llm101.inference.compiled.team import team
from llm101.inference.kv_cache import KVCache
from llm101.inference.source import ModelSource, StoredNumbers
from llm101.model import ModelConfig, Transformer
from llm101.outside.processors import usable_processors
from llm101.outside.strict_json import shown
from llm101.rotary import rotary_frequencies, rotary_table

PROMPT_ROWS = 12  # so many tokens of a prompt are read sooner with weights that are widened in memory first
ROWS_AT_ONCE = 256  # of a prompt: what is made of them in between stays small
LARGE = 16_000_000  # bytes times tokens: less is done sooner by one thread than two find together
MOST_THREADS = 4  # more would wait for the same memory
FAR = 1 << 62  # so many pieces of work taken and done: nobody begins another, and nobody waits
PLAIN_MODULES = {
    *(plain.Transformer, plain.Decoder, plain.Layer, plain.Attention, plain.MLP, plain.RMSNorm, plain.CapturePoint),
    *(nn.Linear, nn.Embedding, nn.ModuleList),
}
COMPUTED_FIELDS = frozenset(
    """
    vocab_size d_model n_layers n_heads n_kv_heads d_head d_mlp context_length norm_eps tie_embeddings
    qkv_bias qk_norm sliding_window rope_theta rope_scaling
    """.split()  # noqa: SIM905 - as config_keys.py has its lists
)
"""What the loops know of a ModelConfig; whatever else is in use, such as experts, they would leave out."""


class Seen(NamedTuple):
    """A model as it was when the last prompt came."""

    pack: Pack
    checksums: tuple[object, ...] | None
    """Of its network's numbers; None if it had no network yet."""
    hooks: list[dict]
    """Where hooks would be hung."""


class CompiledRunner:
    """Reads a model's parameters from a pack of its own, in the precision of its files or in a coarser one.

    A parameter that was changed is noticed after the next `refresh`, which the engine calls for every prompt:
    the cached keys and values of the texts before are out of date by then anyway. Several threads may use one, each
    with KV caches of its own: a pack is complete before others see it, and is replaced, never changed.

    Args:
        source: where the model comes from; its network is made only if somebody asks for it.
        precision: a key of formats.FORMATS, or None for that of the files.

    Raises:
        ValueError: an unknown precision, or one for a model that the loops do not compute.
    """

    def __init__(self, source: ModelSource, precision: str | None = None) -> None:
        if precision is not None and precision not in FORMATS:
            raise ValueError(f"precision must be one of {', '.join(FORMATS)}, or left out; got {shown(precision)}")
        if precision is not None and not is_computed(source.config):
            raise ValueError(f"a model of this kind is run by torch, in float32: leave precision={precision!r} out")
        self._source, self._precision, self._eps = source, precision, np.float32(source.config.norm_eps)
        self._d_head = source.config.d_head
        self._window = source.config.sliding_window or source.config.context_length
        self._seen: Seen | None = None
        self._turns = np.empty((0, 0), np.float32), np.empty((0, 0), np.float32)

    def __reduce__(self) -> tuple[type[CompiledRunner], tuple[ModelSource, str | None]]:
        return CompiledRunner, (self._source, self._precision)  # a copy looks at its own model at its first prompt

    @property
    def is_ready(self) -> bool:
        """Whether this model can be run here, and nobody has hung a hook into it, to read or to steer it."""
        seen = self._seen
        if seen is None or (seen.checksums is None and self._source.made is not None):
            return False  # not looked at since its network was made, in which hooks may hang
        return not any(seen.hooks)

    @property
    def pack(self) -> Pack:
        """The parameters as they are read."""
        assert self._seen is not None, "the engine asks is_ready first"
        return self._seen.pack

    def compile(self) -> None:
        """Wait for the compiled loops; see loops.py."""
        loops.wait()

    def refresh(self) -> None:
        """Look at the model and its parameters as they are now."""
        if not is_computed(self._source.config) or loops.look() is None:
            self._seen = None
            if self._precision is None or loops.wait() is None:
                self._check_not_asked()
                return
        with LOOKING:  # a second thread would make the same pack again, and take twice the memory for nothing
            made, stored = self._source.made, self._source.stored
            if made is None and stored is not None:
                self._seen = self._look_at_files(stored)
            else:
                self._seen = self._look_at(self._source.transformer())

    def _check_not_asked(self) -> None:
        """Torch runs a model in float32, whatever was asked for."""
        if self._precision is not None:
            raise ValueError(
                f"precision={self._precision!r} needs compiled loops, and there is no compiler for them here (numba; "
                "`llm101 doctor` says more): leave it out"
            )

    def _look_at_files(self, stored: StoredNumbers) -> Seen:
        return self._seen or Seen(pack_of_files(self._source.config, stored, self._precision), None, [])

    def _look_at(self, model: Transformer) -> Seen | None:
        modules, last = list(model.modules()), self._seen
        if not all(map(_is_plain, modules)):
            return None
        checksums = tuple(loops.module.checksum(p.detach().numpy().reshape(-1)) for p in model.parameters())
        hooks = [hooks for m in modules for hooks in (m._forward_hooks, m._forward_pre_hooks)]
        if last is None or checksums != last.checksums:
            pack = pack_of_model(model, self._precision, None if last is None else last.pack)
        else:
            pack = last.pack
        return Seen(pack, checksums, hooks)

    def prefill(self, token_ids: Sequence[int], kv_cache: KVCache) -> Tensor:
        """Read all tokens at once; returns the logits [vocab_size] of what comes after the last."""
        kv_cache.reserve(kv_cache.length + len(token_ids))
        *before, last = _split(token_ids)
        with _all_or_nothing(kv_cache):
            for piece in before:
                self._step(piece, [kv_cache] * len(piece), 0)
            return self._step(last, [kv_cache] * len(last), 1)[0]

    def decode_step(self, token_id: int, kv_cache: KVCache) -> Tensor:
        """One more token; returns the logits [vocab_size] of what comes after it."""
        return self._step([token_id], [kv_cache], 1)[0]

    def decode_steps(self, token_ids: Sequence[int], kv_caches: Sequence[KVCache]) -> list[Tensor]:
        """One more token for each of several texts, which share each pass over the weights."""
        return list(self._step(token_ids, kv_caches, len(token_ids)).unbind())

    def all_logits(self, token_ids: Sequence[int], kv_cache: KVCache) -> Tensor:
        """As prefill, but for what comes after each of the tokens: [n_tokens, vocab_size]."""
        with _all_or_nothing(kv_cache):
            return torch.cat([self._step(piece, [kv_cache] * len(piece), len(piece)) for piece in _split(token_ids)])

    def _step(self, token_ids: Sequence[int], kv_caches: Sequence[KVCache], n_logits: int) -> Tensor:
        """Tokens through the loops: one of each text, or several of one; the logits of the last few or of all."""
        seen, n = self._seen, len(token_ids)
        assert seen is not None, "the engine asks is_ready first"
        weights, config = seen.pack.weights, self._source.config
        n_threads = _n_threads() if n * seen.pack.n_bytes >= LARGE else 1
        is_one_text = all(kv_cache is kv_caches[0] for kv_cache in kv_caches)
        for kv_cache in kv_caches[:1] if is_one_text else kv_caches:
            kv_cache.reserve(kv_cache.length + (n if is_one_text else 1))
        positions = [kv_cache.length + i * is_one_text for i, kv_cache in enumerate(kv_caches)]
        places = self._places(positions, kv_caches, is_one_text and n >= PROMPT_ROWS)
        widths = (config.d_model, config.n_heads * self._d_head, config.d_mlp)
        d, q, m = map(padded, widths)
        shared = loops.module.Shared(
            np.zeros((n, d), np.float32),
            np.empty((n, widths[1]), np.float32),
            np.zeros((n, q), np.float32),
            np.zeros((n, m), np.float32),
            np.empty((n, max(d, q, m)), np.float32),
            np.empty((n_logits, config.vocab_size), np.float32),
        )
        self._embed(weights, token_ids, shared.x[:, : widths[0]])
        turns = np.zeros((5 * config.n_layers + 1, 2), np.int64)
        work = partial(loops.module.step, weights, places, shared, self._eps, n_threads, turns)
        team.do(n_threads, work, partial(turns.fill, FAR))
        for kv_cache in kv_caches:
            kv_cache.advance(1)
        return torch.from_numpy(shared.logits)

    def _embed(self, weights: Any, token_ids: Sequence[int], x: np.ndarray) -> None:
        """x [rows, d_model] becomes the embeddings of the tokens."""
        row = np.empty((1, x.shape[1]), np.float32)
        for r, token_id in enumerate(token_ids):
            loops.module.widened_rows(weights, loops.module.EMBEDDING, token_id, token_id + 1, row)
            x[r] = row

    def _places(self, positions: Sequence[int], kv_caches: Sequence[KVCache], is_prompt: bool) -> Any:
        """kernels.Places of tokens at these positions of these caches."""
        cos, sin = (turns[positions] for turns in self._turned(max(positions) + 1))
        keys, values = ([getattr(c, name).data_ptr() for c in kv_caches] for name in ("keys", "values"))
        capacities = [kv_cache.capacity for kv_cache in kv_caches]
        arrays = (np.array(numbers, np.int64) for numbers in (keys, values, capacities))
        n_kv_heads = self._source.config.n_kv_heads
        return loops.module.Places(
            np.array(positions, np.int64), cos, sin, *arrays, n_kv_heads, self._window, is_prompt
        )

    def _turned(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Cosines and sines of the angles at the first n positions, and at some more: a table that doubles."""
        config, (cos, sin) = self._source.config, self._turns
        if len(cos) < n:
            scaling = config.rope_scaling
            frequencies = rotary_frequencies(config.rope_theta, self._d_head, scaling)
            positions, magnitude = torch.arange(max(n, 2 * len(cos), 512)), scaling.magnitude if scaling else 1.0
            cos, sin = (turns.numpy() for turns in rotary_table(positions, frequencies, magnitude))
            self._turns = cos, sin  # complete before another thread sees it
        return cos, sin


def _n_threads() -> int:
    return min(torch.get_num_threads(), usable_processors(), MOST_THREADS)


@contextmanager
def _all_or_nothing(kv_cache: KVCache) -> Iterator[None]:
    """Of a prompt that is interrupted between two pieces, nothing stays."""
    length = kv_cache.length
    try:
        yield
    except BaseException:
        kv_cache.truncate(length)
        raise


def _split(token_ids: Sequence[int]) -> list[Sequence[int]]:
    return [token_ids[first : first + ROWS_AT_ONCE] for first in range(0, len(token_ids), ROWS_AT_ONCE)]


def is_computed(config: ModelConfig) -> bool:
    """Whether the loops compute all that such a model does."""
    return all(
        field.name in COMPUTED_FIELDS or getattr(config, field.name) == field.default for field in fields(config)
    )


def _is_plain(module: nn.Module) -> bool:
    return type(module) in PLAIN_MODULES and all(
        p is None or (p.dtype == torch.float32 and p.device.type == "cpu" and p.is_contiguous())
        for p in module._parameters.values()
    )


LOOKING = threading.RLock()
"""Held while some model's pack is made."""


def _begin_as_a_fork() -> None:
    """In a child process that fork made, of all threads only the one that called fork is there."""
    LOOKING.release()
    torch.set_num_threads(1)  # a product that is shared out would wait for OpenMP's other threads for ever


if hasattr(os, "register_at_fork"):  # nobody would let go of LOOKING in a child that was born while it was held
    os.register_at_fork(before=LOOKING.acquire, after_in_parent=LOOKING.release, after_in_child=_begin_as_a_fork)
