"""Training from texts to a measured autoencoder: a call that a notebook makes, and the command makes no other."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from llm101.cli import main
from llm101.command.features import OfTraining
from llm101.interpretability import SparseAutoencoder, train_autoencoder
from llm101.interpretability.autoencoder import AutoencoderError, AutoencoderRecipe
from llm101.interpretability.capture import CaptureError
from llm101.library import LanguageModel

CATS = [f"The cat sat on the {place}." for place in ("mat", "hill", "roof", "bed")] * 3
DOGS = [f"A dog ran to the {place}." for place in ("sea", "hill", "house")] * 3
VALID = ["The hen sat on the mat.", "A cat ran to the roof."]
SMALL: dict[str, Any] = {"layer": 1, "n_latents": 24, "n_active": 3, "n_tokens": 60, "steps": 20}


def test_texts_become_a_measured_autoencoder(lm: LanguageModel) -> None:
    trained = train_autoencoder(lm, [CATS, DOGS], VALID, **SMALL)
    sae, card, n_rows = trained
    assert (sae.config.layer, sae.config.d_sae, sae.config.k) == (1, 24, 3)
    assert sae.config.fingerprint == lm.fingerprint
    assert 60 <= n_rows + len(CATS + DOGS) <= 120
    assert card.n_tokens == sum(len(lm.tokenizer.encode(text)) for text in VALID) < card.n_counted_tokens
    assert sae.scorecard == {name: round(value, 5) for name, value in card.facts().items()}
    assert card.explained_variance > 0.3
    again, other = (train_autoencoder(lm, [CATS, DOGS], VALID, **SMALL, seed=seed) for seed in (0, 1))
    assert torch.equal(again.autoencoder.W_enc, sae.W_enc)
    assert not torch.equal(other.autoencoder.W_enc, sae.W_enc)


def test_it_says_how_far_it_has_come_and_can_be_kept_before_it_is_measured(lm: LanguageModel, tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "sae.safetensors"

    def keep(sae: SparseAutoencoder) -> None:
        said.append("kept")
        sae.save(path)

    def watch(what: str, done: int, total: int) -> None:
        said.append(what.split(",", maxsplit=1)[0])
        assert 0 < done <= total
        if what == "measuring":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_autoencoder(lm, [CATS], VALID, **SMALL, on_trained=keep, watch=watch)
    assert list(dict.fromkeys(said)) == ["reading texts", "training", "kept", "measuring"]
    assert said.count("training") == 20
    kept, whole = SparseAutoencoder.from_file(path), train_autoencoder(lm, [CATS], VALID, **SMALL).autoencoder
    assert kept.scorecard == {}
    torch.testing.assert_close(kept.W_dec, whole.W_dec, atol=1e-3, rtol=0)  # in 16 bits


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"n_tokens": 0}, ValueError, "n_tokens must be a whole number from 1 upwards, got 0"),
        ({"seed": -1}, ValueError, "seed must be a whole number from 0 upwards, got -1"),
        ({"seed": "x"}, ValueError, "seed must be a whole number from 0 upwards, got 'x'"),
        ({"layer": 3}, CaptureError, "the model has layers 0 to 2, got 3"),
        ({"n_active": 25}, AutoencoderError, "k must be a whole number from 1 to 24, got 25"),
        ({"steps": 0}, ValueError, "steps must be a whole number from 1 upwards, got 0"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(
    lm: LanguageModel, settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        train_autoencoder(lm, [CATS], VALID, **{**SMALL, **settings})
    with pytest.raises(CaptureError, match="there are no texts"):
        train_autoencoder(lm, [CATS], [], **SMALL)


def test_the_command_makes_the_same_call(
    lm: LanguageModel, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, texts in (("cats", CATS), ("dogs", DOGS), ("valid", VALID)):
        (tmp_path / f"{name}.txt").write_text("\n<|endoftext|>\n".join(texts))
    corpus, valid, out = [str(tmp_path / "cats.txt"), str(tmp_path / "dogs.txt")], str(tmp_path / "valid.txt"), "sae"
    options = ["--layer", "1", "--latents", "24", "--active", "3", "--tokens", "60", "--steps", "20"]
    arguments = ["features", "train", *corpus, "--valid", valid, "--model", str(folder), *options]
    assert main([*arguments, "--out", str(tmp_path / out), "--json"]) == 0
    printed = capsys.readouterr()
    expected = train_autoencoder(lm, [CATS, DOGS], VALID, **SMALL)
    result = json.loads(printed.out)
    assert result.pop("seconds") > 0
    assert result == {"out": str(tmp_path / out), "n_rows": expected.n_rows} | expected.autoencoder.scorecard
    assert "training, " in printed.err
    assert "Ctrl-C leaves it saved" in printed.err
    kept = SparseAutoencoder.from_file(tmp_path / out)
    assert kept.scorecard == expected.autoencoder.scorecard
    torch.testing.assert_close(kept.W_enc, expected.autoencoder.W_enc, atol=1e-2, rtol=1e-2)


def test_there_is_one_set_of_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    defaults = {name: one.default for name, one in inspect.signature(train_autoencoder).parameters.items()}
    recipe = AutoencoderRecipe()
    assert (defaults["steps"], defaults["learning_rate"], defaults["seed"]) == (
        recipe.steps,
        recipe.learning_rate,
        recipe.seed,
    )
    options = {"layer": "layer", "latents": "n_latents", "active": "n_active", "tokens": "n_tokens", "steps": "steps"}
    for option, setting in (*options.items(), ("learning-rate", "learning_rate"), ("seed", "seed")):
        assert OfTraining(option).value == defaults[setting]
    with pytest.raises(SystemExit):
        main(["features", "train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for words in (f"after this layer ({defaults['layer']})", f"of Adam ({recipe.learning_rate})"):
        assert words in said
