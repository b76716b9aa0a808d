"""A language model so small that everything about it can be checked in milliseconds, and an autoencoder for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderConfig, SparseAutoencoder
from llm101.library import LanguageModel, load
from llm101.model import ModelConfig, Transformer
from llm101.parameters.model_folder import open_parameters, save_model
from llm101.tokenizer import Tokenizer

TEXTS = [f"The {animal} sat on the {place}." for animal in ("cat", "dog", "hen") for place in ("mat", "hill", "roof")]


@pytest.fixture(autouse=True)
def quick(one_thread: None) -> None:
    """Every test here runs on one thread."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = Tokenizer.train(TEXTS, 280)
    config = ModelConfig(vocab_size=280, d_model=16, n_layers=3, n_heads=2, n_kv_heads=1, context_length=64)
    model = Transformer(config).initialise(seed=1)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(20)
    folder = tmp_path_factory.mktemp("tiny")
    save_model(folder, model, tokenizer)
    return folder


@pytest.fixture
def lm(folder: Path) -> LanguageModel:
    return load(folder)


@pytest.fixture
def sae(folder: Path) -> SparseAutoencoder:
    """Random, but with directions of length 1 and a threshold that lets some latents through."""
    fingerprint = open_parameters(folder).fingerprint()
    sae = SparseAutoencoder(AutoencoderConfig(d_model=16, d_sae=40, layer=1, k=4, fingerprint=fingerprint))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        sae.W_dec.div_(sae.W_dec.norm(dim=1, keepdim=True))
        sae.threshold.fill_(3.0)
    return sae
