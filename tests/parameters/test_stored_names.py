"""Tensors under other names than ours: Mixtral's. What is missing or does not fit is said in the file's own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from llm101.model import ModelConfig, Transformer
from llm101.parameters import ParameterFile, write_parameters
from llm101.parameters.model_folder import ModelFolderError, load_transformer, save_model
from llm101.parameters.stored_names import StoredAs, stored_names

MIXTRAL = ModelConfig(
    vocab_size=30, d_model=8, n_layers=2, n_heads=2, d_mlp=12, d_expert=12, n_experts=3, n_active_experts=2
)
W2 = "model.layers.1.block_sparse_moe.experts.2.w2.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path, Transformer(MIXTRAL).initialise(seed=0), dtype=torch.float32)
    return tmp_path


def rewrite(folder: Path, changes: dict[str, torch.Tensor | None]) -> None:
    file = ParameterFile(folder / "model.safetensors")
    tensors = {name: file.tensor(name).clone() for name in file.tensors} | changes
    write_parameters(file.path, {name: tensor for name, tensor in tensors.items() if tensor is not None})


def test_mixtrals_names_are_written_and_found(folder: Path) -> None:
    file = ParameterFile(folder / "model.safetensors")
    assert {name.split("layers.1.")[1] for name in file.tensors if ".experts.2." in name and "layers.1" in name} == {
        "block_sparse_moe.experts.2.w1.weight",
        "block_sparse_moe.experts.2.w2.weight",
        "block_sparse_moe.experts.2.w3.weight",
    }
    stored = stored_names(MIXTRAL, file)
    assert stored["model.layers.1.mlp.experts.2.down_proj.weight"] == StoredAs(W2)
    assert stored["model.layers.0.mlp.gate.weight"].name == "model.layers.0.block_sparse_moe.gate.weight"
    assert {at.name for at in stored.values()} == set(file.tensors)
    loaded, original = load_transformer(folder), Transformer(MIXTRAL).initialise(seed=0)
    assert all(torch.equal(p, loaded.get_parameter(name)) for name, p in original.named_parameters())


def test_our_own_names_are_read_in_a_mixtral_too(folder: Path) -> None:
    file = ParameterFile(folder / "model.safetensors")
    ours = {ours: file.tensor(at.name).clone() for ours, at in stored_names(MIXTRAL, file).items()}
    before = load_transformer(folder).state_dict()
    write_parameters(folder / "model.safetensors", ours)
    assert all(torch.equal(tensor, before[name]) for name, tensor in load_transformer(folder).state_dict().items())


def test_what_is_missing_or_does_not_fit_is_named_as_the_file_has_it(folder: Path) -> None:
    rewrite(folder, {W2: torch.zeros(8, 11)})
    with pytest.raises(ModelFolderError, match=rf"{W2} has shape \[8, 11\], but config.json asks for \[8, 12\]"):
        load_transformer(folder)
    rewrite(folder, {W2: None})
    with pytest.raises(ModelFolderError, match=f"the tensor '{W2}' is missing"):
        load_transformer(folder)
    rewrite(folder, {W2: torch.zeros(8, 12), W2.replace("w2", "w4"): torch.zeros(1)})
    with pytest.raises(ModelFolderError, match=r"w4.weight' is not part of such a model"):
        load_transformer(folder)
    rewrite(folder, {W2: torch.full((8, 12), torch.nan), W2.replace("w2", "w4"): None})
    with pytest.raises(ModelFolderError, match=f"'{W2}' holds NaN or infinity"):
        load_transformer(folder)


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2, torch.int8])
def test_a_kind_of_number_that_is_not_computed_with_is_refused_by_name(folder: Path, kind: torch.dtype) -> None:
    rewrite(folder, {W2: torch.zeros(8, 12).to(kind)})
    with pytest.raises(ModelFolderError, match=f"{W2} holds {str(kind).removeprefix('torch.')}; llm101 runs float16"):
        load_transformer(folder)


def test_experts_that_are_only_claimed_cost_nothing(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_local_experts": 2**31}))
    with pytest.raises(ModelFolderError, match="config.json claims 4294967296 experts for only .* parameters"):
        load_transformer(folder)
