"""Where an engine's model comes from: a network that is there, or files from which one can be made.

It knows no file formats: llm101/library has the source that reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from torch import Tensor

from llm101.model import ModelConfig, Transformer


class StoredNumbers(Protocol):
    """A model's parameters in its files, by the names that the network has for them."""

    def dtype(self, name: str) -> str:
        """The kind of number that a tensor is stored as, as ParameterFile names it."""
        ...

    def rows(self, name: str, n_at_once: int) -> Iterator[np.ndarray]:
        """The rows of a matrix as they are stored, about so many numbers at a time: bytes [rows, bytes of a row]."""
        ...

    def float_rows(self, name: str, n_at_once: int) -> Iterator[Tensor]:
        """The same as float32, [rows, n_in]; a vector is one row."""
        ...


class ModelSource(Protocol):
    """A model, made or not."""

    @property
    def config(self) -> ModelConfig:
        """Its shape."""
        ...

    @property
    def stored(self) -> StoredNumbers | None:
        """Its parameters in its files; None if it has none."""
        ...

    @property
    def made(self) -> Transformer | None:
        """The network, once somebody has asked for it: from then on its numbers may be other than the files'."""
        ...

    def transformer(self) -> Transformer:
        """The network; the same one every time."""
        ...


class Made:
    """A network that is there, with no files behind it."""

    stored = None

    def __init__(self, model: Transformer) -> None:
        self.made = model

    @property
    def config(self) -> ModelConfig:
        return self.made.config

    def transformer(self) -> Transformer:
        return self.made
