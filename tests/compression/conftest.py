"""Tiny models for the compressor's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm101.library import LanguageModel, load
from llm101.model import ModelConfig, Transformer
from llm101.parameters.model_folder import save_model
from llm101.tokenizer import Tokenizer

STORIES = ["Once upon a time there was a cat.\nThe cat sat on a mat.", "One day, the dog said: hello, cat!"]


def tiny_model(folder: Path, seed: int = 0, **changes: object) -> LanguageModel:
    """A model of a few thousand random numbers, in a folder of its own."""
    shape = {"vocab_size": 300, "d_model": 16, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_mlp": 22} | changes
    tokenizer = Tokenizer.train(STORIES * 3, vocab_size=290)
    model = Transformer(ModelConfig(**{"context_length": 24, **shape})).initialise(seed)
    save_model(folder / f"tiny-{seed}", model, tokenizer)
    return load(folder / f"tiny-{seed}")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """One for all tests, as none changes it."""
    return tiny_model(tmp_path_factory.mktemp("models"))
