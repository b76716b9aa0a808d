"""Detectors and the files that come with the Storyteller."""

from __future__ import annotations

import pytest
import torch

from llm101.interpretability.autoencoder.detectors import (
    UNPLANTED,
    Found,
    Judgement,
    best_column,
    detectors_of_words,
    found_on_one_half,
    halves,
    judge,
    linear_probe,
    strongest_per_text,
)
from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderConfig, SparseAutoencoder
from llm101.interpretability.capture import CaptureError, capture
from llm101.interpretability.residuals import text_ids
from llm101.interpretability.shipped import (
    LANDMARKS,
    labelled_texts,
    landmark_in,
    prompts,
    shipped_autoencoder,
    shipped_features,
    shipped_steering,
)
from llm101.library import LanguageModel, load
from llm101.model import ModelConfig, Transformer


def test_neurons_of_experts_are_not_counted_as_if_they_were_an_mlps() -> None:
    config = ModelConfig(vocab_size=9, d_model=8, n_layers=1, n_heads=1, n_experts=2, n_active_experts=1)
    sae = SparseAutoencoder(AutoencoderConfig(d_model=8, d_sae=16, layer=0, k=2, fingerprint="0" * 64))
    with pytest.raises(CaptureError, match="a model with experts has no such numbers"):
        strongest_per_text(Transformer(config).initialise(0), sae, [[1, 2]])


def test_the_strongest_of_each_text_leaves_out_what_is_hidden(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    ids = text_ids(lm, ["The cat sat.", "A hen."])
    hidden = [[i == 2 for i in range(len(one))] for one in ids]
    found = strongest_per_text(lm.model, sae, ids, hidden)
    for row, one in enumerate(ids):
        kept = [i for i in range(1, len(one)) if i != 2]
        x = capture(lm.model, one, sae.config.point)[sae.config.point][0, kept]
        torch.testing.assert_close(found.latents[row], sae.encode(x).amax(dim=0))
        torch.testing.assert_close(found.mean_residual[row], x.mean(dim=0))


def test_the_best_column_cannot_tell_equal_numbers_apart() -> None:
    wanted = torch.tensor([True, False, True, False])
    table = torch.tensor([[0.0, 2.0], [0.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    column, threshold = best_column(table, wanted)
    assert (column, threshold) == (1, 1.5)
    assert judge(table[:, column] > threshold, wanted).f1 == 1.0


def test_a_probe_finds_the_direction_that_matters() -> None:
    table = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    weights = linear_probe(table, table[:, 3] > 0)
    assert int(weights.abs().argmax()) == 3
    assert weights[3] > 0


def test_halves_share_nothing() -> None:
    a, b = halves(9)
    assert sorted([*a.tolist(), *b.tolist()]) == list(range(9))


def test_a_detector_is_judged_on_rows_that_it_was_not_chosen_on() -> None:
    _, judged_on = halves(40, seed=3)
    wanted = torch.arange(40) % 3 == 0
    table = torch.stack((wanted.float(), torch.zeros(40)), dim=1)
    assert found_on_one_half(table, wanted, seed=3) == Found(0, 0.5, Judgement(1.0, 1.0))
    table[judged_on, 0] = 1 - table[judged_on, 0]
    found = found_on_one_half(table, wanted, seed=3)
    assert (found.column, found.judgement) == (0, Judgement(0.0, 0.0))


def test_a_latent_knows_which_sentences_are_speech() -> None:
    lm, texts = load("storyteller"), [text.text for text in labelled_texts()]
    found = detectors_of_words(lm, shipped_autoencoder(), texts, {"speech": UNPLANTED["speech"]}, n_sentences=300)
    assert set(found) == {"speech"}
    assert found["speech"].judgement.precision >= 0.9
    assert found["speech"].judgement.recall >= 0.5


def test_what_comes_with_the_storyteller_belongs_to_it() -> None:
    lm, sae = load("storyteller"), shipped_autoencoder()
    sae.check_fits(lm.model, lm.fingerprint)
    assert shipped_features().fingerprint == shipped_steering().fingerprint == sae.config.fingerprint
    assert shipped_features().layer == shipped_steering().layer == sae.config.layer
    card = sae.scorecard
    assert card["l0"] <= 16
    assert card["explained_variance"] >= 0.92
    assert card["delta_loss_nats"] <= 0.10
    assert min(card["recovered_zero"], card["recovered_mean"]) >= 0.98
    assert card["dead_share"] <= 0.01
    assert card["dense_share"] <= 0.005


def test_the_labels_are_the_names_in_the_stories() -> None:
    texts = labelled_texts()
    assert all(landmark_in(text.text) == text.landmark for text in texts)
    assert {text.landmark for text in texts} == {*LANDMARKS, None}
    assert len(set(prompts())) == 200
    assert not any("bridge" in prompt.lower() for prompt in prompts())
