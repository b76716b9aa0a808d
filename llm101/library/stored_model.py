"""A model that still lies in its files: read as it is stored, and made into a network only for whoever asks for one.

It knows a model's files and nothing of how numbers are computed with. Several threads may use one.
"""

from __future__ import annotations

import os
import threading

from llm101.model import ModelConfig, Transformer
from llm101.parameters.model_folder import ModelFiles
from llm101.parameters.stored_tensors import StoredTensors


class StoredModel:
    """An inference.ModelSource that reads a model's files.

    Args:
        files: all that they say.
        made: its network, if there is one already.
    """

    def __init__(self, files: ModelFiles, made: Transformer | None = None) -> None:
        self.files, self._made = files, made
        self.stored = StoredTensors(files.config, files.parameters)

    def __reduce__(self) -> tuple[type[StoredModel], tuple[ModelFiles, Transformer | None]]:
        return StoredModel, (self.files, self._made)

    @property
    def config(self) -> ModelConfig:
        return self.files.config

    @property
    def made(self) -> Transformer | None:
        return self._made

    def transformer(self) -> Transformer:
        """The network, as float32 on the CPU; made at the first call, by one thread while others wait."""
        if self._made is None:
            with MAKING:
                if self._made is None:
                    self._made = self.files.transformer()
        return self._made


MAKING = threading.RLock()
"""Held while some network is made."""

if hasattr(os, "register_at_fork"):  # nobody would let go of it in a child that was born while it was held
    os.register_at_fork(before=MAKING.acquire, after_in_parent=MAKING.release, after_in_child=MAKING.release)
