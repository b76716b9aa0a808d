"""A model's tensors under our own names, in our own order, read from its files a few rows at a time.

It makes no network of them. It knows how they stand in the files (stored_names.py) and how numbers are unpacked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from llm101.model import ModelConfig
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.filling import in_our_order
from llm101.parameters.parameter_file import ParameterFile
from llm101.parameters.quantised import dequantised
from llm101.parameters.stored_names import StoredAs, stored_names
from llm101.parameters.tensor_entry import TensorEntry


class StoredTensors:
    """The tensors of one model, as `check_tensors` has found them to fit it.

    Args:
        config: the model's shape; names are those of `config.tensor_shapes()`.
        parameters: where the numbers lie.
    """

    def __init__(self, config: ModelConfig, parameters: ParameterFile) -> None:
        self._parameters, self._shapes = parameters, config.tensor_shapes()
        self._stored = stored_names(config, parameters)

    def dtype(self, name: str) -> str:
        """The kind of number that the file has for it."""
        return self._parameters.tensors[self._stored[name].name].dtype

    def rows(self, name: str, n_at_once: int) -> Iterator[np.ndarray]:
        """The rows of a matrix as they are stored, about n_at_once numbers at a time: bytes [rows, bytes of a row].

        A vector is one row.
        """
        at, shape = self._stored[name], self._shapes[name]
        n_out, n_in = shape if len(shape) == 2 else (1, shape[0])
        n_experts = max(1, self._parameters.tensors[at.name].n_parameters // max(1, n_out * n_in))
        row_bytes = self._parameters.tensors[at.name].n_bytes // (n_out * n_experts)
        before = (at.expert or 0) * n_out * row_bytes
        n_rows = max(1, n_at_once // n_in) if at.interleaved_heads == 0 else n_out
        for first in range(0, n_out, n_rows):
            end = min(first + n_rows, n_out)
            raw = self._parameters.raw(at.name, before + first * row_bytes, before + end * row_bytes)
            rows = np.frombuffer(raw, np.uint8).reshape(end - first, -1)
            yield _ordered(rows, at, n_in if len(shape) == 1 else 0)

    def float_rows(self, name: str, n_at_once: int) -> Iterator[Tensor]:
        """The same as float32, [rows, n_in]."""
        entry = self._parameters.tensors[self._stored[name].name]
        n_in = self._shapes[name][-1]
        for rows in self.rows(name, n_at_once):
            if entry.block is None:
                yield torch.from_numpy(rows.copy()).view(entry.torch_dtype).view(-1, n_in).float()
            else:
                piece = TensorEntry(name, (len(rows), n_in), entry.dtype, 0, entry.block)
                yield dequantised(rows.tobytes(), piece)

    def check_finite(self) -> None:
        """Read every number once; see ParameterFile.is_finite.

        Raises:
            ModelFolderError: NaN or infinity among them.
        """
        for name in {at.name: None for at in self._stored.values()}:  # a stack of experts has many of ours
            if not self._parameters.is_finite(name):
                file = self._parameters.file_of(name)
                raise ModelFolderError(f"{file}: {name!r} holds NaN or infinity, so no model can use it")


def _ordered(rows: np.ndarray, at: StoredAs, n_numbers: int) -> np.ndarray:
    """The rows of q or k in our order; n_numbers: of a bias, which is one row of so many numbers to put in order."""
    if at.interleaved_heads == 0:
        return rows
    items = rows.reshape(n_numbers, -1) if n_numbers else rows
    return in_our_order(torch.from_numpy(items.copy()), at).numpy().reshape(rows.shape)
