"""Trains a tiny model in child processes and kills them with `kill -9`; prints what was lost, for test_crashes.py.

    python -m tests.pretraining.killed_runs FOLDER KILLS

One process imports torch once and forks a child for every attempt, so that a hundred crashes take a minute. A child
saves a checkpoint after every step and says so through a pipe *after* it is written: what was said is not to be lost.
About every fourth kill falls in the middle of a write, when half of the new checkpoint is on disk. On a fast machine
a run ends after a few kills, on a slow one after many: runs follow until both kinds have been seen often enough.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from llm101.corpus import Corpus
from llm101.model import ModelConfig, Transformer
from llm101.pretraining import Pretrainer, Recipe, RunFolder, run_folder
from llm101.tokenizer import Tokenizer

CONFIG = ModelConfig(vocab_size=260, d_model=16, n_layers=1, n_heads=2, n_kv_heads=1, d_mlp=32, context_length=16)
RECIPE = Recipe(steps=40, batch_tokens=64, evaluate_every=20, seed=5)
TEXTS = [f"The cat sat on the mat, {n} times." for n in range(40)]
LONGEST_S = 0.25


def pretrainer(folder: Path, corpus: Corpus, *, checkpoint_seconds: float = 0.0) -> Pretrainer:
    model = Transformer(CONFIG).initialise(RECIPE.seed)
    return Pretrainer(
        model, corpus, None, RECIPE, RunFolder(folder), device="cpu", checkpoint_seconds=checkpoint_seconds
    )


def child(folder: Path, corpus: Corpus, said: int, *, half_write_at: int | None) -> None:
    """Train to the end, if nobody comes in between; says every step that is on disk, -1 in the middle of a write."""

    def half(tensors: dict[str, torch.Tensor], file: Path, metadata: dict[str, str]) -> None:
        save_file(tensors, file, metadata)
        if int(metadata["step"]) == half_write_at:
            os.truncate(file, file.stat().st_size // 2)
            os.write(said, b"-1\n")
            time.sleep(60)  # until it is killed

    run_folder.save_file = half
    run = pretrainer(folder, corpus)
    os.write(said, f"{run.step}\n".encode())
    for moment in run.moments():
        os.write(said, f"{moment.step}\n".encode())
    os._exit(0)


def killed(folder: Path, corpus: Corpus, dice: random.Random, step: int, mid_write: bool) -> tuple[bool, list[int]]:
    """One attempt, ended after a random time or in the middle of a write; returns whether it was, and what it said."""
    listen, said = os.pipe()
    half_write_at = step + dice.randint(1, 4) if mid_write else None
    pid = os.fork()
    if pid == 0:
        os.close(listen)
        child(folder, corpus, said, half_write_at=half_write_at)
    os.close(said)
    heard, deadline = b"", time.monotonic() + (60 if mid_write else dice.uniform(0, LONGEST_S))
    while b"-1\n" not in heard and (left := deadline - time.monotonic()) > 0:
        if select.select([listen], [], [], left)[0]:
            if not (part := os.read(listen, 4096)):
                break  # it came to its end
            heard += part
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    while part := os.read(listen, 4096):
        heard += part
    os.close(listen)
    return os.WIFSIGNALED(status), [int(line) for line in heard.split()]


def crash_until_done(folder: Path, corpus: Corpus, dice: random.Random) -> dict[str, int]:
    """Kill one run again and again, until it ends; counts kills, half writes, and steps said to be saved but lost."""
    counts, step = {"kills": 0, "half_writes": 0, "lost": 0}, 0
    while step < RECIPE.steps:
        was_killed, said = killed(folder, corpus, dice, step, mid_write=step < 30 and dice.random() < 0.25)
        counts["kills"] += was_killed
        counts["half_writes"] += -1 in said and (folder / "training" / "checkpoint.safetensors.partial").exists()
        open_again = RunFolder(folder)  # the lock went with the process
        checkpoint = open_again.load_checkpoint()
        open_again.close()
        step = checkpoint[1] if checkpoint else 0
        counts["lost"] += max([0, *(s - step for s in said)])
    return counts


def final_bytes(folder: Path) -> dict[str, bytes]:
    """Every tensor of the last checkpoint, the optimizer's memory included."""
    opened = RunFolder(folder)
    checkpoint = opened.load_checkpoint()
    opened.close()
    assert checkpoint is not None
    return {name: tensor.numpy().tobytes() for name, tensor in checkpoint[0].items()}


def main(folder: Path, kills: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    dice, total, runs, same = random.Random(4), {"kills": 0, "half_writes": 0, "lost": 0}, 0, 0
    corpus = Corpus.from_texts(TEXTS, Tokenizer.train(TEXTS, CONFIG.vocab_size), folder / "corpus")
    straight = pretrainer(folder / "straight", corpus)
    for _ in straight.moments():
        pass
    reference = final_bytes_of(straight)
    while total["kills"] < kills or total["half_writes"] < kills // 10:
        runs += 1
        for name, count in crash_until_done(folder / str(runs), corpus, dice).items():
            total[name] += count
        same += final_bytes(folder / str(runs)) == reference
    return {**total, "runs": runs, "bit_identical": same}


def final_bytes_of(run: Pretrainer) -> dict[str, bytes]:
    assert run.run_folder is not None
    run.run_folder.close()
    return final_bytes(run.run_folder.out)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
