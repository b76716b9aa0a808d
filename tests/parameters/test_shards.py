"""A model in several files is one file to its user; an index that its shards do not fit is refused in one line."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from llm101.model import ModelConfig, Transformer
from llm101.parameters import ParameterFile, ParameterFileError, write_parameters
from llm101.parameters.model_folder import load_transformer, open_parameters, save_model
from llm101_widgets import ParameterMicroscope
from tests.shards import INDEX, split_into_shards

TINY = ModelConfig(vocab_size=300, d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, context_length=32)
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", Transformer(TINY).initialise(seed=0), dtype=torch.float32, metadata={"seed": "0"})
    return tmp_path / "model"


def whole_and_sharded(folder: Path) -> tuple[ParameterFile, ParameterFile]:
    """The same numbers in one file (moved out of the folder) and in two."""
    whole = open_parameters(folder).save_copy(folder.parent / "whole.safetensors")
    return whole, open_parameters(split_into_shards(folder))


# One file to its user


def test_totals_and_tensors_are_those_of_all_shards(folder: Path) -> None:
    whole, sharded = whole_and_sharded(folder)
    assert (len(whole.files), len(sharded.files)) == (1, 2)
    assert sharded.path == folder / INDEX
    assert sharded.n_parameters == whole.n_parameters == TINY.n_parameters
    assert sharded.n_bytes == sum((folder / shard).stat().st_size for shard in (FIRST, SECOND))
    assert (sharded.dtype, sharded.metadata) == (whole.dtype, whole.metadata)
    assert list(sharded.tensors) == list(whole.tensors)
    for name in whole.tensors:
        assert sharded.entry(name).shape == whole.entry(name).shape
        assert torch.equal(sharded.tensor(name), whole.tensor(name))
        assert sharded.raw(name) == whole.raw(name)
    size = f"{TINY.n_parameters:,} parameters in 20 tensors, float32, {sharded.n_bytes:,} bytes in 2 files"
    assert repr(sharded) == f"ParameterFile('{INDEX}'): {size}"


def test_a_number_is_found_in_the_file_that_holds_it(folder: Path) -> None:
    whole, sharded = whole_and_sharded(folder)
    for name, shard in (("model.embed_tokens.weight", FIRST), ("model.norm.weight", SECOND)):
        place = (0,) * len(whole.entry(name).shape)
        number = sharded.number(name, *place)
        assert sharded.file_of(name) == folder / shard
        assert number.bits == whole.number(name, *place).bits
        assert (folder / shard).read_bytes()[number.offset : number.offset + 4] == number.to_bytes()
    with pytest.raises(ParameterFileError, match=r"index.json: there is no tensor 'model.nrom.weight'; did you mean"):
        sharded.file_of("model.nrom.weight")


def test_it_is_the_same_model_by_its_fingerprint_and_its_logits(folder: Path) -> None:
    ids = torch.tensor([[1, 2, 3, 4]])
    expected = load_transformer(folder)(ids)
    whole, sharded = whole_and_sharded(folder)
    assert sharded.fingerprint() == whole.fingerprint()
    assert torch.equal(load_transformer(folder)(ids), expected)
    assert torch.equal(load_transformer(folder, parameters=folder / INDEX)(ids), expected)


def test_a_number_changed_in_any_shard_makes_another_fingerprint(folder: Path) -> None:
    before = open_parameters(split_into_shards(folder)).fingerprint()
    for shard in (FIRST, SECOND):
        changed = bytearray((folder / shard).read_bytes())
        changed[-1] ^= 1
        (folder / shard).write_bytes(changed)
        after = open_parameters(folder).fingerprint()
        assert after != before
        before = after


def test_metadata_is_that_of_all_shards_and_the_first_has_the_word(tmp_path: Path) -> None:
    for shard, said in ((FIRST, {"by": "first", "a": "1"}), (SECOND, {"by": "second", "b": "2"})):
        write_parameters(tmp_path / shard, {shard: torch.ones(1)}, said)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {FIRST: FIRST, SECOND: SECOND}}))
    assert ParameterFile(tmp_path / INDEX).metadata == {"by": "first", "a": "1", "b": "2"}


def test_it_can_be_copied_to_another_process(folder: Path) -> None:
    _, sharded = whole_and_sharded(folder)
    copy = pickle.loads(pickle.dumps(sharded))
    assert (repr(copy), copy.fingerprint()) == (repr(sharded), sharded.fingerprint())


def test_the_shard_that_holds_nan_is_named(folder: Path) -> None:
    split_into_shards(folder)
    with open(folder / SECOND, "r+b") as file:
        file.seek(-4, 2)
        file.write(struct.pack("<f", float("nan")))
    with pytest.raises(ParameterFileError, match=f"{SECOND}: 'model.norm.weight' holds NaN or infinity"):
        open_parameters(folder).check_finite()


def test_a_shard_that_changed_since_it_was_opened_is_reported(folder: Path) -> None:
    _, sharded = whole_and_sharded(folder)
    (folder / SECOND).write_bytes((folder / SECOND).read_bytes() + b"x")
    assert sharded.tensor("model.embed_tokens.weight").shape == (300, 16)
    with pytest.raises(ParameterFileError, match=f"{SECOND} has changed since it was opened"):
        sharded.tensor("model.norm.weight")


def test_two_hundred_gigabytes_are_opened_without_being_read(tmp_path: Path) -> None:
    n_numbers = 50_000_000_000
    for name, shard in (("a", FIRST), ("b", SECOND)):
        entry = {"dtype": "F16", "shape": [n_numbers], "data_offsets": [0, 2 * n_numbers]}
        header = json.dumps({name: entry}).encode()
        with open(tmp_path / shard, "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            try:
                file.truncate(8 + len(header) + 2 * n_numbers)  # a hole: it takes no space on the disk
            except OSError:
                pytest.skip("this disk has no room for holes")
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": FIRST, "b": SECOND}}))
    parameters = ParameterFile(tmp_path / INDEX)
    assert parameters.n_parameters == 2 * n_numbers
    assert parameters.number("b", n_numbers - 1).value == 0.0


def test_the_microscope_looks_into_every_shard(folder: Path) -> None:
    _, sharded = whole_and_sharded(folder)
    microscope = ParameterMicroscope(sharded, tensor="model.norm.weight", index=(3,))
    assert len(microscope.tensors) == 20
    assert microscope.number["value"] == sharded.number("model.norm.weight", 3).value
    microscope.look_at("model.embed_tokens.weight", 2, 5)
    assert microscope.number["value"] == sharded.number("model.embed_tokens.weight", 2, 5).value


# A copy


def test_a_copy_is_one_file_with_all_tensors(folder: Path) -> None:
    whole, sharded = whole_and_sharded(folder)
    copy = sharded.save_copy(folder / "copy.safetensors")
    assert len(copy.files) == 1
    assert (copy.fingerprint(), copy.metadata) == (whole.fingerprint(), whole.metadata)


def test_a_copy_differs_in_exactly_the_changed_numbers(folder: Path) -> None:
    _, sharded = whole_and_sharded(folder)
    places = [
        ("model.embed_tokens.weight", 3, 5),
        ("model.layers.1.mlp.up_proj.weight", 2, 1),
        ("model.norm.weight", 7),
    ]
    copy = sharded.save_copy(
        folder / "changed.safetensors", [sharded.number(name, *index).with_value(-0.75) for name, *index in places]
    )
    for name in sharded.tensors:
        expected = sharded.tensor(name)
        for changed, *index in places:
            if changed == name:
                expected[tuple(index)] = -0.75
        assert torch.equal(copy.tensor(name), expected)
    assert copy.fingerprint() != sharded.fingerprint()
    assert load_transformer(folder, parameters=copy).model.norm.weight[7] == -0.75


@pytest.mark.parametrize("name", [INDEX, FIRST, SECOND])
def test_a_copy_never_replaces_a_file_that_it_is_made_of(folder: Path, name: str) -> None:
    _, sharded = whole_and_sharded(folder)
    before = (folder / name).read_bytes()
    with pytest.raises(ParameterFileError, match="is the file itself"):
        sharded.save_copy(folder / name)
    assert (folder / name).read_bytes() == before


# Indexes that do not fit


def changed_index(folder: Path, change: Any) -> Path:
    path = split_into_shards(folder) / INDEX
    index = json.loads(path.read_text())
    change(index["weight_map"])
    path.write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update({"model.norm.weight": "../model.safetensors"}), "not the name of a safetensors file"),
        (lambda m: m.update({"model.norm.weight": "/etc/passwd"}), "not the name of a safetensors file"),
        (lambda m: m.update({"model.norm.weight": "..\\x.safetensors"}), "not the name of a safetensors file"),
        (lambda m: m.update({"model.norm.weight": 3}), "weight_map must be a table"),
        (lambda m: m.update({"model.norm.weight": "gone.safetensors"}), "No such file"),
        (lambda m: m.update({"model.norm.weight": FIRST}), f"'model.norm.weight' lies in '{SECOND}'; is it the right"),
        (lambda m: m.update({"extra": SECOND}), f"'extra' is not in '{SECOND}'"),
        (lambda m: m.pop("model.norm.weight"), "does not say that 'model.norm.weight' lies in"),
        (lambda m: m.clear(), "claims 2 layers for only 0 tensors"),
    ],
)
def test_an_index_that_does_not_fit_its_shards_is_refused(folder: Path, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_transformer(changed_index(folder, change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"[1]", "not a JSON table"),
        (b"{}", "weight_map must be a table"),
        (b'{"weight_map": []}', "weight_map must be a table"),
        (b'{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', "'a' occurs twice"),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / INDEX).write_bytes(content)
    with pytest.raises(ParameterFileError, match=message) as caught:
        ParameterFile(tmp_path / INDEX)
    assert str(caught.value).startswith(f"{tmp_path / INDEX}: ")
    assert "\n" not in str(caught.value)


def test_a_tensor_in_two_shards_is_refused(folder: Path) -> None:
    _, sharded = whole_and_sharded(folder)
    tensors = {name: sharded.tensor(name) for name in sharded.tensors if sharded.file_of(name).name == FIRST}
    write_parameters(folder / FIRST, tensors | {"model.norm.weight": torch.zeros(16)})
    with pytest.raises(ParameterFileError, match=f"does not say that 'model.norm.weight' lies in '{FIRST}'"):
        open_parameters(folder)


@pytest.mark.parametrize("shard", [FIRST, SECOND])
def test_a_damaged_shard_is_named(folder: Path, shard: str) -> None:
    path = split_into_shards(folder) / shard
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        ParameterFileError, match=f"{shard}: the tensors end at byte .*; is the download complete"
    ) as caught:
        open_parameters(folder)
    assert "\n" not in str(caught.value)
