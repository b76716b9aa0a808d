"""A corpus, a tokenizer and a model so small that a training step takes milliseconds."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from llm101.corpus import Corpus
from llm101.model import ModelConfig, Transformer
from llm101.pretraining import Pretrainer, Recipe, RunFolder
from llm101.tokenizer import Tokenizer

CONFIG = ModelConfig(vocab_size=280, d_model=16, n_layers=1, n_heads=2, n_kv_heads=1, d_mlp=32, context_length=16)
RECIPE = Recipe(steps=8, batch_tokens=64, micro_batch_tokens=32, evaluate_every=4, warmup_steps=2, seed=3)


def stories(n: int = 60, seed: int = 0) -> list[str]:
    """Little texts with little variety: a model learns something about them in a few steps."""
    rng = random.Random(seed)
    animals, places = ["cat", "dog", "hen", "old owl"], ["mat", "hill", "red roof"]
    return [f"The {rng.choice(animals)} sat on the {rng.choice(places)}." for _ in range(n)]


@pytest.fixture(autouse=True)
def quick(one_thread: None) -> None:
    """Every test here runs on one thread."""


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(stories(), CONFIG.vocab_size)


@pytest.fixture(scope="session")
def train(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.from_texts(stories(), tokenizer, tmp_path_factory.mktemp("corpora") / "train")


@pytest.fixture(scope="session")
def valid(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.from_texts(stories(9, seed=1), tokenizer, tmp_path_factory.mktemp("corpora") / "valid")


@pytest.fixture
def pretrainer(train: Corpus, valid: Corpus) -> Callable[..., Pretrainer]:
    """Makes a Pretrainer, with changes to the recipe as keywords."""

    def make(folder: Path | None = None, *, checkpoint_seconds: float = 1e9, **changes: object) -> Pretrainer:
        return Pretrainer(
            Transformer(CONFIG).initialise(seed=3),
            train,
            {"valid": valid},
            replace(RECIPE, **changes),  # pyright: ignore[reportArgumentType]
            RunFolder(folder) if folder else None,
            device="cpu",
            checkpoint_seconds=checkpoint_seconds,
        )

    return make
