"""The command `features`: what it prints, and one line for each mistake."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from llm101.cli import main
from llm101.interpretability import shipped
from llm101.interpretability.autoencoder.sparse_autoencoder import SparseAutoencoder
from llm101.interpretability.steering.study import Story

Output = pytest.CaptureFixture[str]
read_once = functools.cache(shipped.shipped_features)


@pytest.fixture(autouse=True)
def features_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the record takes longer than all else."""
    monkeypatch.setattr(shipped, "shipped_features", read_once)


def json_of(capsys: Output, *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def refusal_of(capsys: Output, *arguments: str) -> str:
    """The one line on standard error; standard output stays empty."""
    assert main([*arguments, "--json"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_look_says_what_a_text_makes_active(capsys: Output) -> None:
    tokens = json_of(capsys, "features", "look", "a big dog")["tokens"]
    assert [token["text"] for token in tokens] == ["a", " big", " dog"]
    assert "dog" in tokens[2]["latents"][0]["words"]
    assert main(["features", "look", "a big dog", "--top", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_look_finds_latents_by_word_or_number(capsys: Output) -> None:
    (found,) = json_of(capsys, "features", "look", "--search", "rain", "--top", "1")["latents"]
    assert any(word.startswith("rain") for word in found["words"])
    assert json_of(capsys, "features", "look", "--latent", str(found["id"]))["latents"] == [found]
    assert main(["features", "look", "--latent", str(found["id"])]) == 0
    assert capsys.readouterr().out.startswith(f"latent {found['id']}: active on ")


def test_steer_compares_both_texts(
    folder: Path, sae: SparseAutoencoder, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    sae.save(tmp_path / "sae.safetensors")
    options = ["--model", str(folder), "--autoencoder", str(tmp_path / "sae.safetensors"), "--max-tokens", "6"]
    options += ["--latent", "7", "--strength", "40"]
    found = json_of(capsys, "features", "steer", "The cat", *options, "--stories", "3")
    assert (found["latent"], found["strength"], found["point"]) == (7, 40.0, "layers.1.resid_post")
    for kind in ("plain", "steered"):
        assert len(found[kind].pop("texts")) == 3
        assert set(found[kind]) == {"concept_rate", "mentions", "repeated_trigrams", "loss_nats", "n_tokens"}
    assert found["plain"] != found["steered"]
    stories = [Story([1], [2], text) for text in ("the train", "it Rained", "a brain")]
    monkeypatch.setattr("llm101.interpretability.steering.study.write_stories", lambda *_, **__: stories)
    assert main(["features", "steer", "The cat", *options, "--concept", "rain"]) == 0
    assert "33% mention 'rain'" in capsys.readouterr().out


def test_what_steer_saves_steers_complete(folder: Path, sae: SparseAutoencoder, tmp_path: Path, capsys: Output) -> None:
    sae.save(tmp_path / "sae.safetensors")
    saved, model = str(tmp_path / "loud.safetensors"), ["--model", str(folder), "--max-tokens", "8"]
    chosen = ["--autoencoder", str(tmp_path / "sae.safetensors"), "--latent", "7", "--strength", "40"]
    steer = json_of(capsys, "features", "steer", "The cat", *model, *chosen, "--temperature", "0", "--save", saved)
    complete = ["complete", "The cat", *model, "--temperature", "0"]
    assert json_of(capsys, *complete, "--steering", saved)["text"] == steer["steered"]["texts"][0]
    assert json_of(capsys, *complete)["text"] == steer["plain"]["texts"][0] != steer["steered"]["texts"][0]
    assert "for a model of width 16" in refusal_of(capsys, *complete, "--model", "storyteller", "--steering", saved)
    assert "holds no steering" in refusal_of(capsys, *complete, "--steering", str(tmp_path / "sae.safetensors"))
    assert "No such file" in refusal_of(capsys, *complete, "--steering", str(tmp_path / "none.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["look", ""], "the text has no tokens: give it a few words"),
        (["look", "word " * 600], "do not fit the context of 512; shorten the text"),
        (["look", "--latent", "3840"], "this autoencoder has latents 0 to 3839, got 3840"),
        (["look", "--search", "xyzzy"], "no latent has to do with 'xyzzy'"),
        (["look", "--search", ""], "no latent has to do with ''"),
        (["look", "hi", "--top", "0"], "--top must be at least 1, got 0"),
        (["train", "a.txt", "--valid", "b.txt", "--out", "o", "--tokens", "0"], "--tokens must be at least 1, got 0"),
        (["train", "a.txt", "--valid", "b.txt", "--out", "o", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["steer", "One day", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["steer", "", "--stories", "1"], "the prompt is empty"),
        (["steer", "One day", "--latent", "5"], "say how strongly"),
        (["steer", "One day", "--latent", "3840", "--strength", "1"], "latents 0 to 3839, got 3840"),
        (["steer", "One day", "--strength", "nan"], "strength must be a finite number below 3.4e38, got nan"),
        (["steer", "One day", "--stories", "0"], "--stories must be at least 1, got 0"),
        (["steer", "One day", "--concept", " "], "--concept is empty"),
        (["train", __file__, "--valid", __file__, "--out", "x", "--layer", "6"], "the model has layers 0 to 5, got 6"),
    ],
)
def test_mistakes_get_one_line(arguments: list[str], says: str, capsys: Output) -> None:
    assert says in refusal_of(capsys, "features", *arguments)


@pytest.mark.parametrize("action", [["look", "One day"], ["steer", "One day", "--latent", "1", "--strength", "1"]])
def test_an_autoencoder_of_another_model_is_refused(
    sae: SparseAutoencoder, tmp_path: Path, action: list[str], capsys: Output
) -> None:
    path = tmp_path / "sae.safetensors"
    sae.save(path)
    said = refusal_of(capsys, "features", *action, "--autoencoder", str(path))
    assert "reads 16 numbers per token and the model has 256" in said
    path.write_bytes(path.read_bytes()[:-10])
    assert "is the download complete?" in refusal_of(capsys, "features", *action, "--autoencoder", str(path))
