"""Model folders: what is saved comes back the same, and a folder that does not fit is refused in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from llm101.inference import InferenceEngine
from llm101.model import ModelConfig, Transformer
from llm101.parameters import ParameterFile, write_parameters
from llm101.parameters.model_folder import ModelFolderError, load_transformer, open_model, save_model
from llm101.tokenizer import Tokenizer

TINY = ModelConfig(vocab_size=300, d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, context_length=32)
IDS = torch.tensor([[1, 2, 3, 4]])


@pytest.fixture
def model() -> Transformer:
    return Transformer(TINY).initialise(seed=0).eval()


@pytest.fixture
def folder(tmp_path: Path, model: Transformer) -> Path:
    save_model(tmp_path / "model", model, dtype=torch.float32)
    return tmp_path / "model"


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    parameters = ParameterFile(folder / "model.safetensors")
    return {name: parameters.tensor(name).clone() for name in parameters.tensors}


def with_tensors(folder: Path, **changes: torch.Tensor | None) -> Path:
    """The folder after some tensors were replaced (a name's dots written as __), or removed (None)."""
    tensors = tensors_of(folder)
    for key, tensor in changes.items():
        name = key.replace("__", ".")
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor
    write_parameters(folder / "model.safetensors", tensors)
    return folder


def with_config(folder: Path, **changes: Any) -> Path:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return folder


# There and back


@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_model_comes_back_number_by_number(tmp_path: Path, tied: bool) -> None:
    config = ModelConfig(vocab_size=50, d_model=16, n_layers=2, n_heads=2, tie_embeddings=tied, rope_theta=500.0)
    model = Transformer(config).initialise(seed=1)
    save_model(tmp_path / "m", model, dtype=torch.float32)
    loaded = load_transformer(tmp_path / "m")
    assert loaded.config == config
    assert not loaded.training
    ours = dict(model.named_parameters())
    theirs = dict(loaded.named_parameters())
    assert theirs.keys() == ours.keys()  # with tied embeddings, one parameter and not two
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    assert torch.equal(loaded(IDS), model.eval()(IDS))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rounding_happens_once_on_the_way_out(tmp_path: Path, model: Transformer, dtype: torch.dtype) -> None:
    save_model(tmp_path / "m", model, dtype=dtype)
    loaded = load_transformer(tmp_path / "m")
    for name, parameter in loaded.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, model.get_parameter(name).to(dtype).float())
    assert ParameterFile(tmp_path / "m" / "model.safetensors").dtype == str(dtype).removeprefix("torch.")


def test_loading_leaves_the_random_numbers_alone(folder: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load_transformer(folder)
    assert torch.equal(torch.rand(3), expected)


def test_loading_does_not_wait_for_torchs_compiler(folder: Path) -> None:
    program = """
        import sys
        from llm101.parameters.model_folder import load_transformer
        load_transformer(sys.argv[1])
        print([name for name in ("torch._dynamo", "sympy", "transformers", "IPython") if name in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(folder)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout == "[]\n"


def test_a_loaded_model_does_not_need_its_files_any_more_and_can_be_trained(folder: Path) -> None:
    loaded = load_transformer(folder)
    shutil.rmtree(folder)
    loaded(IDS).sum().backward()
    assert loaded.model.embed_tokens.weight.grad is not None


def test_the_tokenizer_is_saved_beside_the_model_and_its_end_token_ends_texts(
    tmp_path: Path, model: Transformer
) -> None:
    tokenizer = Tokenizer.train(["once upon a time there was a time"] * 3, vocab_size=260)
    save_model(tmp_path / "m", model, tokenizer)
    assert Tokenizer.from_file(tmp_path / "m" / "tokenizer.json").encode("a time") == tokenizer.encode("a time")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["eos_token_id"] == config["bos_token_id"] == tokenizer.end_id
    names = {path.name for path in (tmp_path / "m").iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def test_metadata_reaches_the_parameter_file(tmp_path: Path, model: Transformer) -> None:
    save_model(tmp_path / "m", model, metadata={"seed": "0"})
    assert ParameterFile(tmp_path / "m" / "model.safetensors").metadata == {"format": "pt", "seed": "0"}


def test_saving_again_replaces_the_model_and_keeps_other_files(folder: Path) -> None:
    (folder / "MODEL_CARD.md").write_text("who made it")
    other = Transformer(ModelConfig(vocab_size=20, d_model=8, n_layers=1, n_heads=2)).initialise(seed=3)
    save_model(folder, other, dtype=torch.float32)
    assert load_transformer(folder).config == other.config
    assert {path.name for path in folder.iterdir()} == {"MODEL_CARD.md", "config.json", "model.safetensors"}


def test_another_parameter_file_can_take_the_place_of_the_folders_own(folder: Path, tmp_path: Path) -> None:
    original = ParameterFile(folder / "model.safetensors")
    number = original.number("model.embed_tokens.weight", 3, 5).with_value(-0.75)
    changed = original.save_copy(tmp_path / "changed.safetensors", [number])
    for parameters in (changed, changed.path, str(changed.path)):
        assert load_transformer(folder, parameters=parameters).model.embed_tokens.weight[3, 5] == -0.75


def test_a_smaller_context_can_be_chosen(folder: Path) -> None:
    loaded = load_transformer(folder, context_length=8)
    assert loaded.config.context_length == 8
    with pytest.raises(ValueError, match="9 tokens do not fit the context of 8"):
        loaded(torch.zeros(1, 9, dtype=torch.long))


# Opened


def test_an_opened_model_holds_all_that_its_files_say(tmp_path: Path, model: Transformer) -> None:
    tokenizer = Tokenizer.train(["once upon a time"] * 3, vocab_size=260)
    save_model(tmp_path / "m", model, tokenizer, dtype=torch.float32)
    opened = open_model(tmp_path / "m")
    assert (opened.folder, opened.config) == (tmp_path / "m", model.config)
    assert opened.parameters.path == tmp_path / "m" / "model.safetensors"
    assert opened.tokenizer.encode("a time") == tokenizer.encode("a time")
    assert opened.start_ids == opened.end_ids == (tokenizer.end_id,)
    assert opened.fingerprint == opened.parameters.fingerprint()
    assert torch.equal(opened.transformer()(IDS), model(IDS))


def test_a_tokenizer_without_an_end_token_begins_and_ends_nothing(tmp_path: Path, model: Transformer) -> None:
    save_model(tmp_path, model, Tokenizer.train(["once upon a time"] * 3, vocab_size=260))
    parts = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(parts | {"added_tokens": []}))
    assert open_model(tmp_path).start_ids == open_model(tmp_path).end_ids == ()


def test_a_changed_copy_is_opened_with_the_rest_of_its_folder(tmp_path: Path, model: Transformer) -> None:
    save_model(tmp_path, model, Tokenizer.train(["once upon a time"] * 3, vocab_size=260), dtype=torch.float32)
    original = open_model(tmp_path)
    number = original.parameters.number("model.norm.weight", 3).with_value(-0.75)
    original.parameters.save_copy(tmp_path / "changed.safetensors", [number])
    changed = open_model(tmp_path / "changed.safetensors")
    assert (changed.folder, changed.parameters.path) == (tmp_path, tmp_path / "changed.safetensors")
    assert changed.transformer().model.norm.weight[3] == -0.75
    assert changed.fingerprint != original.fingerprint


# Tensors that do not fit


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("model__norm__weight", None, "'model.norm.weight' is missing"),
        ("model__extra__weight", torch.zeros(3), "'model.extra.weight' is not part of such a model"),
        ("lm_head__bias", torch.zeros(300), "'lm_head.bias' is not part of such a model"),
        ("model__norm__weight", torch.zeros(17), r"model.norm.weight has shape \[17\], but .* asks for \[16\]"),
        ("model__norm__weight", torch.zeros(16, 1), r"has shape \[16, 1\]"),
        ("model__norm__weight", torch.zeros(16, dtype=torch.int32), "model.norm.weight holds int32"),
        ("model__norm__weight", torch.zeros(16).to(torch.float8_e5m2), "model.norm.weight holds float8_e5m2"),
        ("model__norm__weight", torch.full((16,), torch.nan), "'model.norm.weight' holds NaN or infinity"),
        ("model__norm__weight", torch.full((16,), torch.inf).bfloat16(), "'model.norm.weight' holds NaN or infinity"),
        (
            "model__norm__weight",
            torch.full((16,), 1e300, dtype=torch.float64),
            "'model.norm.weight' holds NaN or infinity",
        ),
        ("lm_head__weight", torch.zeros(300, 16), "ties lm_head.weight to model.embed_tokens.weight, but"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    folder: Path, name: str, tensor: torch.Tensor | None, message: str
) -> None:
    with pytest.raises(ModelFolderError, match=message) as caught:
        load_transformer(with_tensors(folder, **{name: tensor}))
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_an_output_layer_that_repeats_the_tied_embedding_is_welcome(folder: Path, model: Transformer) -> None:
    with_tensors(folder, lm_head__weight=model.model.embed_tokens.weight.detach().clone())
    assert torch.equal(load_transformer(folder)(IDS), model(IDS))


def test_old_llama_files_with_stored_wavelengths_are_welcome(folder: Path, model: Transformer) -> None:
    with_tensors(folder, model__layers__0__self_attn__rotary_emb__inv_freq=torch.ones(2))
    assert torch.equal(load_transformer(folder)(IDS), model(IDS))


def test_untied_embeddings_need_an_output_layer(folder: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"'lm_head.weight' is missing"):
        load_transformer(with_config(folder, tie_word_embeddings=False))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("num_hidden_layers", "claims 2147483648 layers for only 20 tensors"),
        ("vocab_size", "asks for"),
        ("hidden_size", "asks for"),
        ("intermediate_size", "asks for"),
        ("head_dim", "asks for"),
    ],
)
def test_a_config_that_claims_a_huge_model_costs_nothing(folder: Path, key: str, message: str) -> None:
    with pytest.raises(ModelFolderError, match=message):
        load_transformer(with_config(folder, **{key: 2**31}))


def test_a_context_of_any_length_costs_nothing_before_it_is_used(folder: Path) -> None:
    model = load_transformer(with_config(folder, max_position_embeddings=2**31))
    engine = InferenceEngine(model, Tokenizer("bytes", {bytes([b]): b for b in range(256)}, {}))
    assert len(engine.complete("a", max_tokens=3, temperature=0).token_ids) == 3
    far = torch.tensor([[2**31 - 2, 2**31 - 1]])
    assert model(torch.tensor([[1, 2]]), positions=far).isfinite().all()


def test_of_several_missing_tensors_the_first_is_named_and_the_others_counted(folder: Path) -> None:
    names = ("model.layers.1.mlp.up_proj.weight", "model.norm.weight", "model.layers.0.mlp.up_proj.weight")
    for n_lost, also in enumerate(("", r" \(and 1 more\)", r" \(and 2 more\)")):
        name = names[n_lost]
        with_tensors(folder, **{name.replace(".", "__"): None})
        with pytest.raises(ModelFolderError, match=f"weight'{also} is missing"):
            load_transformer(folder)


# Folders that are no models


def test_a_json_file_may_be_as_large_as_allowed_and_no_larger(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (folder / "config.json").stat().st_size
    monkeypatch.setattr("llm101.outside.strict_json.MAX_JSON_BYTES", size)
    load_transformer(folder)
    monkeypatch.setattr("llm101.outside.strict_json.MAX_JSON_BYTES", size - 1)
    with pytest.raises(ModelFolderError, match="config.json: too large to be what its name says"):
        load_transformer(folder)


def test_a_folder_without_a_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="there is no such folder"):
        load_transformer(tmp_path / "nowhere")
    with pytest.raises(ModelFolderError, match="there is no such folder"):
        load_transformer(folder / "config.json")
    with pytest.raises(ModelFolderError, match=r"holds no model.safetensors and no .gguf file"):
        load_transformer(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"holds no model.safetensors"):
        load_transformer(folder)
    (folder / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(ModelFolderError, match="pickled parameters, which can run code; get its safetensors version"):
        load_transformer(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"[1]", "not a JSON table"),
        (b'{"a": 1, "a": 2}', "'a' occurs twice"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"vocab_size": 1' + b"0" * 10_000 + b"}", "not valid JSON|must be a whole number|model of type"),
    ],
)
def test_a_config_that_is_not_json_is_refused(folder: Path, content: bytes, message: str) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelFolderError, match=message) as caught:
        load_transformer(folder)
    assert str(folder / "config.json") in str(caught.value) or "config.json" in str(caught.value)
    assert len(str(caught.value)) < 500


# What cannot be saved


def test_parameters_that_float16_cannot_hold_are_not_saved(tmp_path: Path, model: Transformer) -> None:
    with torch.no_grad():
        model.model.norm.weight[3] = 70_000
    with pytest.raises(ModelFolderError, match=r"model.norm.weight holds NaN, .* too large for torch.float16"):
        save_model(tmp_path / "m", model)
    assert not (tmp_path / "m").exists()
    save_model(tmp_path / "m", model, dtype=torch.bfloat16)
    assert load_transformer(tmp_path / "m").model.norm.weight[3] == torch.tensor(70_000.0).bfloat16()


def test_whole_numbers_are_no_dtype_for_a_model(tmp_path: Path, model: Transformer) -> None:
    with pytest.raises(ModelFolderError, match=r"not as torch.int8"):
        save_model(tmp_path / "m", model, dtype=torch.int8)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path: Path) -> None:
    model = Transformer(ModelConfig(vocab_size=256, d_model=8, n_layers=1, n_heads=2))
    tokenizer = Tokenizer.train(["a"], vocab_size=257)
    with pytest.raises(ModelFolderError, match="the tokenizer has 257 tokens, the model only 256"):
        save_model(tmp_path / "m", model, tokenizer)


def test_a_save_that_fails_leaves_the_older_model_complete(folder: Path, model: Transformer) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    class Broken:
        vocab_size, end_id = 300, None

        def save(self, path: Path) -> None:
            raise OSError(28, "No space left on device")

    model.model.norm.weight.data.fill_(2)
    for target in (folder, folder.parent / "new"):
        with pytest.raises(ModelFolderError, match=f"cannot write {target}: No space left on device"):
            save_model(target, model, Broken())  # type: ignore[arg-type]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file size to set")
def test_a_full_disk_leaves_the_older_model_complete(folder: Path) -> None:
    program = """
        import resource, sys, torch
        from llm101.parameters.model_folder import load_transformer, save_model
        model = load_transformer(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        model.model.norm.weight.data.fill_(2)
        for target in sys.argv[1:]:
            try:
                save_model(target, model, dtype=torch.float32)
            except ValueError as error:
                print(str(error).endswith("File too large; nothing was changed there"))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(folder), str(folder.parent / "new")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.stderr) == ("True\nTrue\n", "")
    assert load_transformer(folder).model.norm.weight[0] == 1
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_cannot_be_made_gets_one_line(folder: Path, model: Transformer) -> None:
    with pytest.raises(ModelFolderError, match="cannot write .*config.json.*; nothing was changed there"):
        save_model(folder / "config.json" / "m", model)
