"""Every kind of model that load() opens is looked into with the same calls: captured, learned, recorded, steered."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from llm101.interpretability import (
    AutoencoderConfig,
    AutoencoderRecipe,
    AutoencoderTrainer,
    SteerableTwin,
    attention_patterns,
    capture,
    logit_lens,
    residual_rows,
    score,
    text_ids,
)
from llm101.interpretability.autoencoder.features import record_features
from llm101.interpretability.steering import Steering
from llm101.library import load
from llm101.model import ModelConfig, Transformer
from llm101.parameters.model_folder import read_config, save_model
from llm101.tokenizer import Tokenizer
from tests.interpretability.conftest import TEXTS

LLAMA = ModelConfig(vocab_size=280, d_model=16, n_layers=3, n_heads=4, n_kv_heads=2, context_length=48)
FAMILIES = {
    "llama": LLAMA,
    "mistral": dataclasses.replace(LLAMA, sliding_window=4),
    "qwen2": dataclasses.replace(LLAMA, qkv_bias=True),
    "qwen3": dataclasses.replace(LLAMA, qk_norm=True, tie_embeddings=False, d_head=8),
    "smollm3": dataclasses.replace(LLAMA, layers_without_rope=(1,), sliding_window=4, windowed_layers=(2,)),
    "mixtral": dataclasses.replace(LLAMA, n_experts=3, n_active_experts=2, d_expert=24),
    "qwen3_moe": dataclasses.replace(
        LLAMA, n_experts=3, n_active_experts=2, d_expert=24, dense_layers=(0,), qk_norm=True
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_is_looked_into_and_steered_from_end_to_end(family: str, tmp_path: Path) -> None:
    model = Transformer(FAMILIES[family]).initialise(seed=1)
    save_model(tmp_path / family, model, Tokenizer.train(TEXTS, 280), dtype=torch.float32)
    assert read_config(tmp_path / family)["model_type"] == family
    lm = load(tmp_path / family)
    ids = text_ids(lm, TEXTS)
    assert attention_patterns(lm.model, ids[0]).shape == (3, 4, len(ids[0]), len(ids[0]))
    seen = capture(lm.model, ids[0], "logits", "layers.1.resid_post")
    torch.testing.assert_close(logit_lens(lm.model, ids[0])[-1], seen["logits"][0])

    rows = residual_rows(lm.model, ids, "layers.1.resid_post")
    torch.testing.assert_close(rows.x[rows.text == 0].float(), seen["layers.1.resid_post"][0, 1:])
    config = AutoencoderConfig(d_model=16, d_sae=32, layer=1, k=4, fingerprint=lm.fingerprint)
    trainer = AutoencoderTrainer(rows.x, config, AutoencoderRecipe(steps=60, batch_rows=64, learning_rate=1e-2))
    *_, last = trainer.moments()
    sae = trainer.autoencoder()
    assert last.unexplained < 0.5
    assert score(lm.model, sae, ids).explained_variance > 0.5
    features = record_features(lm, sae, TEXTS)
    strongest = max(features.latents, key=lambda latent: latent.strongest)

    Steering.of(sae, strongest.id, 10 * strongest.strongest).save(tmp_path / "loud.safetensors")
    loud = load(lm.path)
    settings: dict[str, Any] = {"max_tokens": 9, "temperature": 0}
    Steering.from_file(tmp_path / "loud.safetensors").keep_on(loud)
    steered = [token.id for token in SteerableTwin(lm, sae).stream(
        "The cat", latent=strongest.id, strength=10 * strongest.strongest, **settings)]  # fmt: skip
    assert loud.complete("The cat", **settings).token_ids == steered != lm.complete("The cat", **settings).token_ids
