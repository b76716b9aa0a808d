"""One model has one identity, whatever it was opened from; another model never has it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import llm101
from llm101 import library
from llm101.cli import main
from llm101.interpretability import SteerableTwin, shipped_autoencoder
from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderError
from llm101.interpretability.shipped import shipped_steering
from llm101.library import KnownModel, LanguageModel, known_models, load, parameter_file
from tests.shards import INDEX, split_into_shards

N_PARAMETERS = 5_475_584
PROMPT, SETTINGS = "Once upon a time, a little robot", {"max_tokens": 12, "temperature": 0.8, "seed": 1}
REFUSED = "the autoencoder was trained on the model 922001fd6c30..., and this one is "


@pytest.fixture(scope="module")
def storyteller() -> LanguageModel:
    return load("storyteller")


@pytest.fixture(scope="module")
def folder(storyteller: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Storyteller in one file, and beside it a copy with one number changed."""
    folder = tmp_path_factory.mktemp("models") / "storyteller-2"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(storyteller.path / name, folder)
    parameters = parameter_file(folder)
    parameters.save_copy(folder / "changed.safetensors", [parameters.number("model.norm.weight", 0).flip_bit(0)])
    return folder


@pytest.fixture(scope="module")
def sharded(folder: Path) -> Path:
    copy = folder.with_name("sharded")
    shutil.copytree(folder, copy)
    return split_into_shards(copy, n_files=3)


WAYS: dict[str, Callable[[Path, Path], Path]] = {
    "folder": lambda folder, sharded: folder,
    "file": lambda folder, sharded: folder / "model.safetensors",
    "shards": lambda folder, sharded: sharded,
    "index": lambda folder, sharded: sharded / INDEX,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_whatever_it_is_opened_from_it_is_the_same_model(
    storyteller: LanguageModel, folder: Path, sharded: Path, way: Callable[[Path, Path], Path]
) -> None:
    lm = load(way(folder, sharded))
    assert lm.fingerprint == storyteller.fingerprint
    assert lm.parameters.n_parameters == parameter_file(way(folder, sharded)).n_parameters == N_PARAMETERS
    assert lm.complete(PROMPT, **SETTINGS).token_ids == storyteller.complete(PROMPT, **SETTINGS).token_ids
    SteerableTwin(lm, shipped_autoencoder())


def test_the_shipped_files_know_the_storyteller_by_the_identity_on_its_card(storyteller: LanguageModel) -> None:
    card = (storyteller.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert re.findall(r"fingerprint \| `(\w+)`", card) == [storyteller.fingerprint]
    assert shipped_autoencoder().config.fingerprint == shipped_steering().fingerprint == storyteller.fingerprint


def test_a_copy_with_one_number_changed_is_another_model(storyteller: LanguageModel, folder: Path) -> None:
    changed = load(folder / "changed.safetensors")
    assert changed.fingerprint not in {storyteller.fingerprint, load(folder).fingerprint}
    with pytest.raises(AutoencoderError, match=re.escape(REFUSED + changed.fingerprint[:12])):
        SteerableTwin(changed, shipped_autoencoder())
    with pytest.raises(ValueError, match="this steering was made for the model 922001fd6c30"):
        shipped_steering().keep_on(changed)


@pytest.mark.parametrize("action", ["look", "steer"])
def test_features_refuses_a_changed_copy(folder: Path, action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["features", action, "a big dog", "--model", str(folder / "changed.safetensors")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"llm101: {REFUSED}")
    assert printed.err.count("\n") == 1


def test_inspect_lists_all_shards(
    storyteller: LanguageModel, sharded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(sharded), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["path"], found["n_parameters"]) == (str(sharded / INDEX), N_PARAMETERS)
    assert [tensor["name"] for tensor in found["tensors"]] == list(storyteller.parameters.tensors)
    assert {tensor["file"] for tensor in found["tensors"]} == {f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}
    assert main(["inspect", str(sharded)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{sharded / INDEX}: 5,475,584 parameters in {found['n_bytes']:,} bytes"
    assert [line for line in lines if line.startswith("model-")] == sorted({t["file"] for t in found["tensors"]})
    assert len(lines) == 1 + 3 + len(found["tensors"])


def test_models_counts_all_shards(
    sharded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = known_models()[0].facts()
    monkeypatch.setattr(library, "known_models", lambda: [KnownModel("sharded", sharded, "here")])
    assert main(["models", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["models"]
    sizes = [(sharded / f"model-0000{i}-of-00003.safetensors").stat().st_size for i in (1, 2, 3)]
    assert row == whole | {"name": "sharded", "path": str(sharded), "origin": "here", "n_bytes": sum(sizes)}


def test_a_model_changed_in_memory_keeps_the_identity_of_its_files(folder: Path) -> None:
    lm = llm101.load(folder)
    before = lm.fingerprint
    lm.model.model.norm.weight.data[0] += 1
    assert lm.fingerprint == before
