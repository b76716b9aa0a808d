"""Numbers that a GGUF file packs in blocks, as plain floats: what `gguf` makes of them.

It knows nothing of files. How one block is laid out, down to its bits, is in quantised_block.py.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from llm101.parameters.tensor_entry import TensorEntry

QUANTISED = ("Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1", "Q6_K", "Q5_K", "Q4_K")
"""The kinds that are computed with; any other is listed, and refused by its name."""


def dequantised(raw: bytes, entry: TensorEntry) -> Tensor:
    """All numbers of a tensor, as float32.

    Args:
        raw: its bytes, as they are in the file.
        entry: its shape, and which kind of block it is made of.

    Raises:
        ValueError: a kind of number that llm101 does not compute with.

    Example:
        >>> half, minus_one = bytes.fromhex("0038"), bytes.fromhex("00bc")          # 0.5 and -1, as float16
        >>> block = half + minus_one + bytes([0x52] * 16)                 # lower halves first: 16 twos, 16 fives
        >>> dequantised(block, TensorEntry("w", (1, 32), "Q4_1", 0, (32, 20)))[0, 14:18]
        tensor([0.0000, 0.0000, 1.5000, 1.5000])
    """
    if entry.dtype not in QUANTISED:
        raise ValueError(
            f"{entry.dtype} is not supported; llm101 runs float32, float16, bfloat16, {', '.join(QUANTISED)}"
        )
    if entry.n_parameters == 0:
        return torch.empty(entry.shape)
    from gguf import GGMLQuantizationType, dequantize

    n_numbers, n_bytes = entry.block or (1, 1)
    # `gguf` works on 16 rows at a time. Blocks know nothing of rows: of 256 each, these 16 fit the processor's cache.
    per_row = math.gcd(entry.n_parameters // n_numbers, 256)
    rows = np.frombuffer(raw, np.uint8).reshape(-1, per_row * n_bytes)
    with np.errstate(all="ignore"):  # a scale may be NaN or infinity; whoever uses the numbers looks at them
        numbers = dequantize(rows, GGMLQuantizationType[entry.dtype])
    return torch.from_numpy(numbers).view(entry.shape)
