"""Memory: how much of it training takes, and how to keep what was freed.

It knows shapes and the machine, nothing of data.

Reading order: training_bytes, refuse_too_large, keep_freed_memory.
"""

from __future__ import annotations

import ctypes
import platform

import torch

from llm101.model import ModelConfig
from llm101.outside.memory import memory_bytes
from llm101.pretraining.device import DeviceError

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # from glibc's malloc.h


def training_bytes(config: ModelConfig, tokens_at_once: int) -> int:
    """How much memory training takes on a CPU, in float32, beside Python and torch: a little less than was measured.

    Each parameter is kept with its gradient and at least one number of the optimizer's memory. Of a micro-batch,
    every layer keeps what its gradient is computed from; the attention pattern and the scores of the vocabulary are
    the large parts, and exist several times over while their gradients are computed.

    Args:
        config: the model's shape.
        tokens_at_once: what is put through the model at once; at least a row of context_length.

    Example:
        >>> config = ModelConfig(vocab_size=4096, d_model=256, n_layers=6, n_heads=4, n_kv_heads=2)
        >>> f"{training_bytes(config, 4096) / 1e9:.1f} GB"  # 1.4 GB were measured
        '1.3 GB'
    """
    n_tokens = max(1, tokens_at_once // config.context_length) * config.context_length
    q, kv = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
    stream = config.n_layers * (4 * config.d_model + 4 * q + 2 * kv + 4 * config.d_mlp)
    patterns = (2 * config.n_layers + 3) * config.n_heads * config.context_length
    return 4 * (3 * config.n_parameters + n_tokens * (stream + patterns + 4 * config.vocab_size))


def refuse_too_large(config: ModelConfig, tokens_at_once: int, device: torch.device) -> None:
    """See that training fits into the machine, before the system ends the process without a word.

    Raises:
        DeviceError: it does not, with both numbers.
    """
    if device.type == "cuda":  # where what is too much is refused by torch itself, and attention keeps no pattern
        return
    needed, there = training_bytes(config, tokens_at_once), memory_bytes()
    if there is not None and needed > there:
        raise DeviceError(
            f"training this takes about {_gigabytes(needed)} of memory, and this machine has {_gigabytes(there)}; "
            "choose a smaller model or a shorter context"
        )


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"


def keep_freed_memory() -> None:
    """Ask the C library, where it is glibc, to keep freed blocks instead of handing them back to the system.

    Training allocates and frees the same large tensors over and over. By default glibc returns each block to the
    kernel and gets it back as fresh pages, which have to be zeroed: a quarter of a small model's training time.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 64 * 2**20)
