"""A race to the same loss on Shakespeare's characters: nanoGPT's published CPU recipe against ours.

    python tests/benchmarks/bench_race.py [--text ../shared/corpus/tinyshakespeare.txt] [--threads 2] [--json]

The baseline (plain_baseline.py) trains to its end; ours (llm101.pretraining.study.race) goes through this library's own
Pretrainer. Both take turns, step by step, so that a busy machine slows both alike. Each has its own clock, which
runs while its model is made and trained. Reading the text and judging are off the clock, and the same for both:
every character of the last tenth, in windows of 64, the baseline's context.

The text (1.1 MB, from karpathy/char-rnn, data/tinyshakespeare/input.txt) is not part of this project.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm101.corpus import Corpus
from llm101.model import ModelConfig, Transformer
from llm101.pretraining import Pretrainer, Recipe
from llm101.pretraining.memory import keep_freed_memory
from llm101.pretraining.study.race import RACE_CONFIG, RACE_RECIPE
from tests.benchmarks import plain_baseline
from tests.benchmarks.history import record

WINDOW = 64
TRAIN_SHARE = 0.9
TEXT = Path("../shared/corpus/tinyshakespeare.txt")
MISSING = (
    "bench_race: no file {}. Get data/tinyshakespeare/input.txt from github.com/karpathy/char-rnn (1.1 MB) and name "
    "it with --text or in the environment variable LLM101_SHAKESPEARE"
)


class Characters:
    """The smallest tokenizer: one id for each character that occurs; as much of one as Corpus asks for."""

    name = "characters"

    def __init__(self, text: str) -> None:
        self.ids = {character: i for i, character in enumerate(sorted(set(text)))}
        self.end_id = len(self.ids)
        self.vocab_size = len(self.ids) + 1

    def encode_many(self, texts: list[str]) -> list[list[int]]:
        return [[self.ids[character] for character in text] for text in texts]


class Shakespeare:
    """The text as ids: what is learned from, and what is judged on."""

    def __init__(self, file: Path, folder: Path) -> None:
        text = file.read_text(encoding="utf-8")
        self.characters = Characters(text)
        cut = int(len(text) * TRAIN_SHARE)
        self.train, self.valid = (torch.tensor(self.characters.encode_many([t])[0]) for t in (text[:cut], text[cut:]))
        self.corpus = Corpus.from_texts([text[:cut]], self.characters, folder)  # pyright: ignore[reportArgumentType]


@torch.no_grad()
def judge(model: nn.Module, ids: Tensor) -> float:
    """Mean loss of all characters in nats, in windows of 64: the same for every model."""
    n_windows = (len(ids) - 1) // WINDOW
    inputs, targets = (ids[shift : shift + n_windows * WINDOW].view(n_windows, WINDOW) for shift in (0, 1))
    nats = 0.0
    for window, following in zip(inputs.split(128), targets.split(128)):
        nats += F.cross_entropy(model(window).flatten(0, 1), following.flatten(), reduction="sum").item()
    return nats / targets.numel()


def ours(text: Shakespeare, config: ModelConfig = RACE_CONFIG, recipe: Recipe = RACE_RECIPE) -> Iterator[Transformer]:
    """Train by the library's Pretrainer; yields the model after every step."""
    model = Transformer(config).initialise(recipe.seed)
    for _ in Pretrainer(model, text.corpus, None, recipe, device="cpu").moments():
        yield model


class Runner:
    """One competitor with its clocks: seconds on the wall, and of computing on all cores."""

    def __init__(self, training: Iterator[nn.Module], steps: int) -> None:
        self.training, self.steps = training, steps
        self.model: nn.Module
        self.step, self.seconds, self.cpu_seconds = 0, 0.0, 0.0

    def run_to(self, share: float) -> None:
        """Train up to a share of all steps."""
        wall, cpu = time.perf_counter(), time.process_time()
        while self.step < self.steps * share:
            self.model = next(self.training)
            self.step += 1
        self.seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu


def race(text: Shakespeare, seed: int = 0) -> dict[str, Any]:
    """Run both and judge them."""
    baseline = Runner(plain_baseline.training(text.train, len(text.characters.ids)), plain_baseline.STEPS)
    own = Runner(ours(text), RACE_RECIPE.steps)
    for turn in range(1, 101):
        baseline.run_to(turn / 100)
        own.run_to(turn / 100)
    figures = {
        name: {
            "loss_nats": judge(runner.model, text.valid),
            "seconds": runner.seconds,
            "cpu_seconds": runner.cpu_seconds,
            "steps": runner.steps,
            "n_parameters": sum(p.numel() for p in runner.model.parameters()),
        }
        for name, runner in (("baseline", baseline), ("ours", own))
    }
    return {**figures, "times_faster": baseline.seconds / own.seconds, "threads": torch.get_num_threads()}


def options(description: str | None) -> argparse.ArgumentParser:
    """What this benchmark and the ablation let one choose."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--text", type=Path, default=Path(os.environ.get("LLM101_SHAKESPEARE", TEXT)))
    parser.add_argument("--threads", type=int, default=2, help="for both (%(default)s)")
    return parser


def main() -> None:
    """Race and print."""
    parser = options(__doc__)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if not chosen.text.is_file():
        print(MISSING.format(chosen.text))
        return
    torch.set_num_threads(chosen.threads)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        result = race(Shakespeare(chosen.text, Path(folder) / "corpus"))
    record("race", {name: result[name] for name in ("baseline", "ours", "times_faster")}, threads=chosen.threads)
    if chosen.json:
        print(json.dumps(result))
        return
    for name in ("baseline", "ours"):
        figures = result[name]
        print(
            f"{name:<9} {figures['loss_nats']:.4f} nats per character after {figures['steps']:,} steps, "
            f"{figures['seconds']:.1f} s on the clock, {figures['cpu_seconds']:.1f} s of computing; "
            f"{figures['n_parameters']:,} parameters"
        )
    verdict = "reached" if result["ours"]["loss_nats"] <= result["baseline"]["loss_nats"] else "NOT reached"
    print(f"The baseline's loss was {verdict}, {result['times_faster']:.1f} times as fast ({chosen.threads} threads)")


if __name__ == "__main__":
    main()
