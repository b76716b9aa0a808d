"""How texts begin and end, and conversations look: what a model's files say, and in which order they are asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llm101
from llm101.model import ModelConfig, Transformer
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.model_folder import open_model, save_model
from llm101.parameters.text_settings import settings_of_folder, settings_of_gguf
from llm101.tokenizer import Tokenizer

SPECIAL = {"<|endoftext|>": 260, "<|im_start|>": 261, "<|im_end|>": 262}
TRAINED = Tokenizer.train(["low lower lowest"], 260)
TOKENIZER = Tokenizer("chat", TRAINED.ranks, SPECIAL)
HUGGING_FACES: dict[str, Any] = {"transformers_version": "5.23.0"}


def write(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("generation", "config", "ends"),
    [
        ({"eos_token_id": 262}, {"eos_token_id": 260}, (262,)),
        ({"eos_token_id": [262, 260]}, {"eos_token_id": 260}, (262, 260)),
        ({}, {"eos_token_id": 261}, (261,)),
        ({"eos_token_id": None}, {"eos_token_id": [261, 262, 261]}, (261, 262)),
        ({}, {}, (260,)),  # nobody says anything: the tokenizer's own
        ({}, {"eos_token_id": None}, ()),
        ({"eos_token_id": 999}, {}, ()),  # an id that can never come
    ],
)
def test_the_end_of_a_text_is_what_generation_config_says_else_config(
    tmp_path: Path, generation: dict[str, Any], config: dict[str, Any], ends: tuple[int, ...]
) -> None:
    write(tmp_path, generation_config__json=generation)
    found = settings_of_folder(tmp_path, HUGGING_FACES | config, TOKENIZER).end_ids
    assert found == (ends or ((260,) if "eos_token_id" not in config else ()))


def test_a_token_before_every_text_is_the_tokenizers_affair(tmp_path: Path) -> None:
    assert settings_of_folder(tmp_path, HUGGING_FACES | {"bos_token_id": 261}, TOKENIZER).start_ids == ()
    before = Tokenizer("chat", TRAINED.ranks, SPECIAL, start_ids=(261,))
    assert settings_of_folder(tmp_path, HUGGING_FACES | {"bos_token_id": 260}, before).start_ids == (261,)


def test_a_folder_of_our_own_says_it_in_its_config(tmp_path: Path) -> None:
    config = ModelConfig(vocab_size=263, d_model=8, n_layers=1, n_heads=2, d_mlp=8, context_length=16)
    save_model(tmp_path, Transformer(config).initialise(seed=0), TOKENIZER)
    files = open_model(tmp_path)
    assert (files.start_ids, files.end_ids, files.chat_template) == ((260,), (260,), None)
    storyteller = llm101.load("storyteller")
    assert storyteller.files.start_ids == storyteller.files.end_ids == (4095,)


def test_a_template_is_the_file_of_that_name_else_the_tokenizer_configs(tmp_path: Path) -> None:
    write(
        tmp_path,
        tokenizer_config__json={"chat_template": "inner", "bos_token": "<s>", "eos_token": {"content": "</s>"}},
    )
    template = settings_of_folder(tmp_path, {}, TOKENIZER).chat_template
    assert template is not None
    assert (template.source, template.named_tokens) == ("inner", {"bos_token": "<s>", "eos_token": "</s>"})
    write(tmp_path, chat_template__jinja="of its own")
    template = settings_of_folder(tmp_path, {}, TOKENIZER).chat_template
    assert template is not None
    assert template.source == "of its own"


def test_of_several_templates_the_default_one_is_taken(tmp_path: Path) -> None:
    several = [{"name": "tools", "template": "a"}, {"name": "default", "template": "b"}]
    write(tmp_path, tokenizer_config__json={"chat_template": several})
    template = settings_of_folder(tmp_path, {}, TOKENIZER).chat_template
    assert template is not None
    assert template.source == "b"


def test_gguf_says_it_all_in_its_metadata() -> None:
    found = settings_of_gguf(
        {
            "tokenizer.ggml.eos_token_id": 262,
            "tokenizer.ggml.eot_token_id": 260,
            "tokenizer.ggml.bos_token_id": 261,
            "tokenizer.chat_template": "{{ bos_token }}",
        },
        TOKENIZER,
    )
    assert found.end_ids == (262, 260)
    assert found.start_ids == ()  # add_bos_token is the tokenizer's affair
    assert found.chat_template is not None
    assert found.chat_template.text([{"role": "user", "content": "Hi"}]) == "<|im_start|>"


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"generation_config__json": {"eos_token_id": "262"}}, "eos_token_id must be a token id or a list of them"),
        ({"generation_config__json": {"eos_token_id": [1, None]}}, "eos_token_id must be a token id or a list"),
        ({"generation_config__json": "{"}, "not valid JSON"),
        ({"tokenizer_config__json": {"chat_template": 7}}, "chat_template must be a text"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, files: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ModelFolderError, match=complaint):
        settings_of_folder(write(tmp_path, **files), {}, TOKENIZER)


def test_a_template_that_is_no_text_is_refused_in_gguf_too() -> None:
    with pytest.raises(ModelFolderError, match="must be a text"):
        settings_of_gguf({"tokenizer.chat_template": 7}, TOKENIZER)
    with pytest.raises(ModelFolderError, match="eos_token_id must be a token id"):
        settings_of_gguf({"tokenizer.ggml.eos_token_id": "</s>"}, TOKENIZER)
