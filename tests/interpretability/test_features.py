"""Features: what the record says of a latent is what the model and the autoencoder do."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from llm101.interpretability import losses
from llm101.interpretability.autoencoder import features as module
from llm101.interpretability.autoencoder.features import (
    Features,
    FeaturesError,
    LatentRecord,
    nearest_relatives,
    output_effects,
    record_features,
)
from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderError, SparseAutoencoder
from llm101.interpretability.capture import CaptureError, capture
from llm101.library import LanguageModel, load

TEXTS = [f"The {animal} sat on the {place}." for animal in ("cat", "dog", "hen") for place in ("mat", "hill", "roof")]


@pytest.fixture
def features(lm: LanguageModel, sae: SparseAutoencoder) -> Features:
    return record_features(lm, sae, TEXTS)


def latents_of(lm: LanguageModel, sae: SparseAutoencoder) -> list[torch.Tensor]:
    """The latents of each text, computed one text at a time."""
    point = sae.config.point
    return [sae.encode(capture(lm.model, lm.engine.prompt_ids(text), point)[point])[0, 1:] for text in TEXTS]


def test_the_record_agrees_with_the_latents(lm: LanguageModel, sae: SparseAutoencoder, features: Features) -> None:
    latents = latents_of(lm, sae)
    every = torch.cat(latents)
    assert features.n_texts == len(TEXTS)
    assert features.n_tokens == len(every)
    assert [latent.id for latent in features.latents] == (every > 0).any(dim=0).nonzero().squeeze(1).tolist()
    for latent in features.latents:
        column = every[:, latent.id]
        assert latent.strongest == pytest.approx(float(column.max()), abs=0.06)  # rows are kept in 16 bits
        assert latent.density == pytest.approx(float((column > 0).float().mean()), abs=0.02)
        assert sum(latent.histogram) == round(latent.density * len(every))
        assert latent.histogram[-1] >= 1
        assert len(latent.passages) == min(module.N_PASSAGES, sum(bool(one[:, latent.id].any()) for one in latents))


def test_passages_are_pieces_of_texts_with_their_strengths(
    lm: LanguageModel, sae: SparseAutoencoder, features: Features
) -> None:
    latents = latents_of(lm, sae)
    for latent in features.latents[:8]:
        for passage in latent.passages:
            text = features.text(passage)
            at = next(i for i, whole in enumerate(TEXTS) if text in whole)
            assert 99 in passage[1]
            if text == TEXTS[at]:
                column = latents[at][:, latent.id]
                expected = (99 * column / column.max()).round().tolist()
                assert passage[1] == pytest.approx(expected, abs=1)
        best = [max(one[:, latent.id].max() for one in latents)]
        assert latent.strongest == pytest.approx(float(best[0]), abs=0.06)


def test_what_a_latent_promotes_is_what_its_direction_adds_to_the_logits(
    lm: LanguageModel, sae: SparseAutoencoder, features: Features
) -> None:
    effects = torch.cat([*output_effects(lm, sae)])
    torch.testing.assert_close(effects.mean(dim=1), torch.zeros(40), atol=1e-4, rtol=0)
    direction = sae.W_dec[3] * lm.model.model.norm.weight
    raw = lm.model.lm_head.weight @ direction
    assert torch.corrcoef(torch.stack((raw[: lm.tokenizer.vocab_size], effects[3])))[0, 1] > 0.9999
    latent = features.latents[0]
    best = lm.tokenizer.decode([int(effects[latent.id].argmax())])
    assert features.tokens[latent.promoted[0][0]] == best
    assert latent.promoted[0][1] > 0 > latent.suppressed[0][1]


def test_a_large_vocabulary_takes_no_more_memory(
    lm: LanguageModel, sae: SparseAutoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = output_effects(lm, sae)
    monkeypatch.setattr(losses, "LOGITS_AT_ONCE", 7 * lm.model.config.vocab_size)
    parts = list(output_effects(lm, sae))
    assert [len(part) for part in parts] == [7] * 5 + [5]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_relatives_write_in_similar_directions(sae: SparseAutoencoder) -> None:
    with torch.no_grad():
        sae.W_dec[5] = sae.W_dec[9]
    relatives = nearest_relatives(sae)
    assert relatives[5][0] == [9, 1.0]
    assert relatives[9][0] == [5, 1.0]
    assert all(a[1] >= b[1] for a, b in zip(relatives[0], relatives[0][1:]))


def test_a_word_is_found_by_its_beginning(features: Features) -> None:
    latent = next(latent for latent in features.latents if latent.words)
    word = latent.words[0]
    assert latent in features.search(word.upper()[:3])
    assert features.search("zebra") == features.search("?!") == []
    assert features.search("  ") == features.latents


def made_up(*latents: tuple[int, float, list[str], list[str]]) -> Features:
    """Features of latents of which only number, strength, words and promoted tokens are known."""
    tokens = [token for *_, promoted in latents for token in promoted]
    records = [
        LatentRecord(number, 0.1, strongest, [1], [[tokens.index(one), 1.0] for one in promoted], [], [], words, [])
        for number, strongest, words, promoted in latents
    ]
    return Features("", 0, 99, 1, 3, tokens, records)


def test_the_best_fit_comes_first_and_of_equal_fits_the_strongest() -> None:
    features = made_up(
        (1, 90.0, ["golden", "rain"], []),
        (2, 10.0, ["rain", "cloud"], []),
        (3, 99.0, ["rainbow"], []),
        (4, 99.0, ["wet"], [" sea", " Rain"]),
        (5, 20.0, ["rain"], []),
        (6, 99.0, ["sun"], []),
    )
    ids = {
        query: [one.id for one in features.search(query)] for query in ("rain", "RAIN ", "rain gold", "rain sun", "#6")
    }
    assert ids == {"rain": [5, 2, 1, 3, 4], "RAIN ": [5, 2, 1, 3, 4], "rain gold": [1], "rain sun": [], "#6": [6]}


def test_features_are_kept_in_a_file(features: Features, tmp_path: Path) -> None:
    features.save(tmp_path / "features.json.gz")
    assert Features.from_file(tmp_path / "features.json.gz") == features
    assert features.to_bytes() == features.to_bytes()


@pytest.mark.parametrize(
    "data",
    [b"", b"not gzip", gzip.compress(b"{}"), gzip.compress(b"[1]"), gzip.compress(b'{"format": "llm101 features 1"}')],
)
def test_other_files_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "features.json.gz"
    path.write_bytes(data)
    with pytest.raises(FeaturesError, match="features.json.gz holds no features"):
        Features.from_file(path)


def test_a_file_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_JSON_BYTES", 1000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(100_000)))
    with pytest.raises(FeaturesError, match="more than 1,000 bytes when unpacked"):
        Features.from_file(tmp_path / "bomb.gz")


def test_nothing_to_read_is_said_in_one_line(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    with pytest.raises(CaptureError, match="there are no texts"):
        record_features(lm, sae, [])
    with pytest.raises(CaptureError, match="text 1 has no tokens"):
        record_features(lm, sae, ["The cat", ""])
    with pytest.raises(AutoencoderError, match="reads 16 numbers per token and the model has 256"):
        record_features(load("storyteller"), sae, TEXTS)
