"""Where an engine's model comes from: a network that is there, or files from which one can be made.

It knows no file formats: llm101/library has the source that reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from torch import Tensor

from llm101.model import ModelConfig, Transformer


class ModelSource(Protocol):
    """A model, made or not."""

    @property
    def config(self) -> ModelConfig:
        """Its shape."""
        ...

    @property
    def made(self) -> Transformer | None:
        """The network, once somebody has asked for it: from then on its numbers may be other than the files'."""
        ...

    def transformer(self) -> Transformer:
        """The network; the same one every time."""
        ...

    def stored_as(self, name: str) -> str:
        """The kind of number that the files have for a tensor, as ParameterFile names it; "float32" without files."""
        ...

    def stored_rows(self, name: str, n_at_once: int) -> Iterator[np.ndarray]:
        """The rows of a matrix as they are stored, about so many numbers at a time: bytes [rows, bytes of a row]."""
        ...

    def float_rows(self, name: str, n_at_once: int) -> Iterator[Tensor]:
        """The same as float32, [rows, n_in]; a vector is one row."""
        ...


class Made:
    """A network that is there, with no files behind it."""

    def __init__(self, model: Transformer) -> None:
        self._model = model

    @property
    def config(self) -> ModelConfig:
        return self._model.config

    @property
    def made(self) -> Transformer | None:
        return self._model

    def transformer(self) -> Transformer:
        return self._model

    def stored_as(self, name: str) -> str:
        return "float32"

    def stored_rows(self, name: str, n_at_once: int) -> Iterator[np.ndarray]:
        return (rows.numpy().view(np.uint8) for rows in self.float_rows(name, n_at_once))

    def float_rows(self, name: str, n_at_once: int) -> Iterator[Tensor]:
        return in_rows(self._model.get_parameter(name).detach().float(), n_at_once)


def in_rows(tensor: Tensor, n_at_once: int) -> Iterator[Tensor]:
    """A tensor's rows, about so many numbers at a time; at least one row."""
    matrix = tensor if tensor.ndim == 2 else tensor.reshape(1, -1)
    yield from matrix.split(max(1, n_at_once // max(1, matrix.shape[1])))
