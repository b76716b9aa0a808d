"""One line of a parameter file's list of tensors: name, shape, kind of number, and where its bytes lie.

It knows no file format; those are in safetensors_format.py and gguf_format.py.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import torch

from llm101.outside.strict_json import shown
from llm101.parameters.errors import ParameterFileError


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies in the file, and how to read it.

    Example:
        >>> TensorEntry("model.norm.weight", (256,), "float16", offset=1024).n_bytes
        512
        >>> TensorEntry("blk.0.attn_q.weight", (576, 576), "Q4_1", offset=1024, block=(32, 20)).n_bytes
        207360
    """

    name: str
    shape: tuple[int, ...]
    """How many numbers there are along each axis."""
    dtype: str
    """The kind of number as torch calls it; as the file does, where torch has no such kind ("Q4_1", "F6_E2M3")."""
    offset: int
    """Where its first byte lies in the file."""
    block: tuple[int, int] | None = None
    """If numbers are packed together: how many, and into how many bytes. None: each has bytes of its own."""

    @property
    def n_parameters(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """How many bytes they take."""
        n_numbers, n_bytes = self.block or (1, self.torch_dtype.itemsize)
        return self.n_parameters // n_numbers * n_bytes

    @property
    def is_float(self) -> bool:
        """Whether torch computes with its numbers as they stand in the file."""
        return self.block is None and self.torch_dtype.is_floating_point

    @property
    def torch_dtype(self) -> torch.dtype:
        """The same kind of number as a torch object; packed numbers have none."""
        return getattr(torch, self.dtype)

    def find(self, index: tuple[object, ...]) -> tuple[tuple[int, ...], int]:
        """One number's place, checked, and how many numbers of the tensor come before it.

        Raises:
            ParameterFileError: there is no such place.

        Example:
            >>> TensorEntry("w", (2, 3), "float16", offset=0).find((1, 2))
            ((1, 2), 5)
        """
        place = tuple(map(_whole_number, index))
        if len(place) != len(self.shape) or any(i not in range(size) for i, size in zip(place, self.shape)):
            raise ParameterFileError(
                f"{self.name!r} has shape {self.shape}: no number at {place}; indices count from 0"
            )
        before = 0
        for i, size in zip(place, self.shape):
            before = before * size + i
        return place, before


def is_possible_shape(shape: tuple[int, ...]) -> bool:
    """Whether a machine can count the numbers of such a tensor, those of one without its empty axes too.

    Example:
        >>> is_possible_shape((2**40, 2**20)), is_possible_shape((2**40, 2**24)), is_possible_shape((0, 2**63))
        (True, False, False)
    """
    return math.prod(size or 1 for size in shape) < 2**63


def _whole_number(index: object) -> int:
    try:
        return operator.index(index)  # type: ignore[arg-type]
    except TypeError:
        raise ParameterFileError(f"an index must be a whole number, got {shown(index)}") from None
