"""The film of a run: one look per snapshot, the same look every time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llm101.model import ModelConfig
from llm101.pretraining import Recipe
from llm101.pretraining.run import finish, start
from llm101.pretraining.study.film import neighbours, plane, positions, record_film
from llm101.tokenizer import Tokenizer

CONFIG = ModelConfig(vocab_size=270, d_model=16, n_layers=1, n_heads=2, d_mlp=32, context_length=64)
RECIPE = Recipe(steps=4, batch_tokens=128, micro_batch_tokens=128, evaluate_every=2, snapshots=3)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    text = tmp_path / "stories.txt"
    text.write_text("\n<|endoftext|>\n".join(f"Once upon a time a dog ran {i} times." for i in range(300)))
    run = start([text], tmp_path / "run", CONFIG, RECIPE, device="cpu")
    for _ in run.pretrainer.moments():
        pass
    finish(run)
    run.close()
    return tmp_path / "run"


def test_every_snapshot_gets_its_moment(run_folder: Path) -> None:
    film = record_film(run_folder)
    assert [moment["step"] for moment in film["moments"]] == sorted(RECIPE.snapshot_steps)
    for moment in film["moments"]:
        assert len(moment["samples"]) == len(film["prompts"])
        assert len(moment["positions"]) == sum(map(len, film["groups"].values()))
        assert 0 < moment["valid_bits_per_byte"]["held_back"] < 10
    first, last = film["moments"][0], film["moments"][-1]
    assert last["valid_bits_per_byte"]["held_back"] < first["valid_bits_per_byte"]["held_back"]


def test_a_run_without_snapshots_has_no_film(run_folder: Path) -> None:
    for snapshot in (run_folder / "training" / "snapshots").iterdir():
        snapshot.unlink()
    with pytest.raises(ValueError, match="kept no snapshots"):
        record_film(run_folder)


def test_neighbours_point_the_same_way_whatever_their_length() -> None:
    tokenizer = Tokenizer.train(["a"], 257)
    embedding = torch.zeros(257, 2)
    embedding[:, 0] = -1.0
    embedding[ord("x")] = torch.tensor([0.0, 1.0])
    embedding[ord("y")] = torch.tensor([0.1, 5.0])
    assert neighbours(embedding, tokenizer, "x")[0] == "y"
    assert neighbours(embedding, tokenizer, "two tokens") == []


def test_the_plane_shows_the_directions_in_which_tokens_differ_most() -> None:
    embedding = torch.tensor([[5.0, 0.0, 0.0], [-5.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.01]])
    seen = positions(embedding, range(4), plane(embedding, range(4)))
    assert [round(abs(x)) for x, _ in seen] == [5, 5, 0, 0]
    assert [round(abs(y)) for _, y in seen] == [0, 0, 1, 1]
