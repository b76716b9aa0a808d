"""Files that earlier releases made are still read; these two were made by the last of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from llm101.compression import CompressionError, container, decompress
from llm101.compression.container import Container
from llm101.compression.forward import ExactModel
from llm101.library import LanguageModel, load
from llm101.model import ModelConfig, Transformer
from llm101.parameters.model_folder import save_model
from llm101.tokenizer import Tokenizer
from tests.compression.conftest import STORIES

FOLDER = Path(__file__).parent / "version_1"
BOOK = ("\n<|endoftext|>\n".join(STORIES * 3) + "\n<|endoftext|>\n").encode()


@pytest.fixture(scope="module")
def by_formula(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """A model whose numbers depend on no random generator."""
    config = ModelConfig(vocab_size=300, d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, d_mlp=22, context_length=24)
    model = Transformer(config)
    with torch.no_grad():
        for parameter in model.parameters():
            numbers = torch.arange(parameter.numel()) * 7919 % 1009
            parameter.copy_((numbers.double() / 1009 - 0.5).float().reshape(parameter.shape))
    folder = tmp_path_factory.mktemp("models") / "by-formula"
    save_model(folder, model, Tokenizer.train(STORIES * 3, vocab_size=290))
    return load(folder)


def test_a_file_of_version_1_comes_back(by_formula: LanguageModel) -> None:
    packed = (FOLDER / "by_model.llm101").read_bytes()
    code = Container.from_bytes(packed).by_model
    assert code is not None
    assert (len(code.parts), code.joined) == (4, [0, 3, 6])
    assert decompress(packed, by_formula) == BOOK


def test_a_plain_file_of_version_1_comes_back_with_any_model(tiny: LanguageModel) -> None:
    assert decompress((FOLDER / "plain.llm101").read_bytes(), tiny) == bytes(range(255, 205, -1))


def test_a_file_of_version_1_still_asks_for_its_model(tiny: LanguageModel) -> None:
    with pytest.raises(CompressionError, match="compressed with another model .'by-formula', digest 84653fed"):
        decompress((FOLDER / "by_model.llm101").read_bytes(), tiny)


@pytest.mark.parametrize("name", ["by_model", "plain"])
def test_every_damaged_or_missing_byte_of_version_1_is_noticed(by_formula: LanguageModel, name: str) -> None:
    packed = (FOLDER / f"{name}.llm101").read_bytes()
    for i in range(len(packed)):
        damaged = bytearray(packed)
        damaged[i] ^= 4
        with pytest.raises(CompressionError, match="not a file made by|version|truncated|damaged"):
            decompress(bytes(damaged), by_formula)
        with pytest.raises(CompressionError, match="truncated" if i else "not a file made by"):
            decompress(packed[:i], by_formula)
    assert packed[len(container.MAGIC)] == 1


@dataclass(frozen=True)
class LaterConfig(ModelConfig):
    """What a later release may add to a model's shape."""

    attention_cap: float | None = None


def test_what_a_later_shape_can_say_changes_no_digest_and_is_refused_where_it_is_said() -> None:
    shape: dict[str, Any] = {
        "vocab_size": 300,
        "d_model": 16,
        "n_layers": 1,
        "n_heads": 4,
        "sliding_window": 7,
        "rope_theta": 500,
    }
    digests = [
        ExactModel(Transformer(config).initialise(seed=0), 290).exact_digest
        for config in (ModelConfig(**shape), LaterConfig(**shape))
    ]
    assert digests[0] == digests[1]
    with pytest.raises(ValueError, match="does not compute models with attention_cap"):
        ExactModel(Transformer(LaterConfig(**shape, attention_cap=30.0)).initialise(seed=0), 290)
