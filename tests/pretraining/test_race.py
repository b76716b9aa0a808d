"""The race's recipe and the table of what each of its ingredients is worth."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm101.model import Transformer
from llm101.pretraining.study.race import RACE_CONFIG, RACE_RECIPE, ablation
from tests.benchmarks import bench_race, plain_baseline


def test_the_baseline_has_the_published_size_and_schedule() -> None:
    model = plain_baseline.PlainGPT(vocab_size=65)
    # 0.80 M in nanoGPT's own count, which leaves the positions out
    assert sum(p.numel() for p in model.parameters()) - model.positions.weight.numel() == 795_904
    assert plain_baseline.learning_rate(0) < plain_baseline.learning_rate(99) < 1e-3
    assert plain_baseline.learning_rate(100) == 1e-3
    assert plain_baseline.learning_rate(2000) == pytest.approx(1e-4)


def test_both_are_judged_on_every_character_once(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("To be, or not to be: that is the question.\n" * 100, encoding="utf-8")
    text = bench_race.Shakespeare(file, tmp_path / "corpus")
    assert len(text.train) + len(text.valid) == 4300
    assert text.corpus.token_ids.tolist()[1:-1] == text.train.tolist()
    model = Transformer(RACE_CONFIG).initialise(0)
    n = (len(text.valid) - 1) // 64 * 64
    windows = [(text.valid[at : at + 64], text.valid[at + 1 : at + 65]) for at in range(0, n, 64)]
    by_hand = [-model(x[None])[0].log_softmax(-1)[range(64), y] for x, y in windows]
    assert bench_race.judge(model, text.valid) == pytest.approx(sum(b.sum().item() for b in by_hand) / n, rel=1e-5)


def test_the_ablation_is_about_the_recipe_that_races() -> None:
    about, (full, *others) = ablation()
    assert full.steps == RACE_RECIPE.steps
    assert about["n_parameters"] == RACE_CONFIG.n_parameters
    assert full.mean < about["baseline_loss_nats"]
    assert len({row.name for row in others}) == len(others) >= 4
    assert all(len(row.loss_nats) == len(full.loss_nats) for row in others)
