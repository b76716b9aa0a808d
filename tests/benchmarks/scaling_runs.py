"""Train the small models that the scaling law is fitted to (scaling_runs.json in llm101/pretraining/study); 45 minutes.

    python tests/benchmarks/scaling_runs.py [--corpus ../shared/corpus] [--out FILE]

Each run is a whole one, with a schedule of its own, by the Storyteller's recipe and on its text with its tokenizer.
A step reads more tokens the longer the run is, with the square root, such that the Storyteller (21.3 M tokens in
steps of 16,384) is a larger member of the same family. The file is written anew after every run, and runs that it
has are left out: stop it and start it again at will.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from datetime import date
from pathlib import Path

import torch

from llm101 import load
from llm101.corpus import Corpus
from llm101.model import ModelConfig, Transformer
from llm101.outside.atomic_file import atomic_file
from llm101.pretraining import Pretrainer, Recipe
from llm101.pretraining.memory import keep_freed_memory

LAYERS = {48: 2, 64: 2, 96: 3, 128: 4, 192: 5}
"""n_layers of each size, by d_model."""
BUDGETS = (332_800, 665_600, 1_331_200, 2_662_400)
"""Tokens to read, about: 1/64 to 1/8 of the Storyteller's."""
MOST_FLOPS = 1.2e13
"""Runs that would take more are left out: the largest sizes with the largest budgets."""
STORYTELLER_TOKENS, STORYTELLER_BATCH = 21_299_200, 16_384
N_THREADS = 1


def config_of(d_model: int) -> ModelConfig:
    """A narrower, shallower Storyteller, with heads of about 32."""
    n_heads = d_model // 32 + (d_model == 48)
    n_kv_heads = n_heads // 2 if n_heads % 2 == 0 else 1
    return ModelConfig(
        vocab_size=4096, d_model=d_model, n_layers=LAYERS[d_model], n_heads=n_heads, n_kv_heads=n_kv_heads
    )


def recipe_of(budget: int) -> Recipe:
    """The Storyteller's recipe for another number of tokens."""
    batch_tokens = 512 * round(STORYTELLER_BATCH * (budget / STORYTELLER_TOKENS) ** 0.5 / 512)
    return Recipe(
        steps=round(budget / batch_tokens),
        batch_tokens=batch_tokens,
        micro_batch_tokens=6144,
        short_row_length=256,
        evaluate_every=10**9,
    )


def train(d_model: int, budget: int, texts: Corpus, valid: Corpus) -> dict[str, float]:
    """One run, as one row of the table."""
    config, recipe = config_of(d_model), recipe_of(budget)
    pretrainer = Pretrainer(Transformer(config).initialise(0), texts, {"valid": valid}, recipe, device="cpu")
    pretrainer.bfloat16 = True  # as the Storyteller was trained
    began = time.process_time()
    *_, last = pretrainer.moments()
    assert last.valid is not None
    return {
        "d_model": d_model,
        "n_layers": config.n_layers,
        "n_parameters": config.n_parameters,
        "n_tokens": pretrainer.tokens_seen,
        "batch_tokens": recipe.batch_tokens,
        "steps": recipe.steps,
        "loss_nats": round(last.valid["valid"].loss_nats, 5),
        "bits_per_byte": round(last.valid["valid"].bits_per_byte, 5),
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def main() -> None:
    """Train what is missing, the cheapest first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"), help="where stories-train.txt is")
    parser.add_argument("--out", type=Path, default=Path("llm101/pretraining/study/scaling_runs.json"))
    parser.add_argument("--work", type=Path, default=Path("runs/scaling"), help="folder for the encoded text")
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(N_THREADS)
    tokenizer = load("storyteller").tokenizer
    sources = {"train": ["stories-train.txt", "landmarks-train.txt"], "valid": ["stories-valid.txt"]}
    corpora = {
        name: Corpus(options.work / name)
        if (options.work / name / "corpus.json").exists()
        else Corpus.build([options.corpus / file for file in files], tokenizer, options.work / name)
        for name, files in sources.items()
    }
    rows = json.loads(options.out.read_text(encoding="utf-8"))["runs"] if options.out.exists() else []
    done = {(row["d_model"], row["steps"]) for row in rows}
    for flops, d_model, budget in sorted(
        (6 * config_of(d_model).n_parameters * budget, d_model, budget) for d_model in LAYERS for budget in BUDGETS
    ):
        if flops > MOST_FLOPS or (d_model, recipe_of(budget).steps) in done:
            continue
        rows.append(train(d_model, budget, corpora["train"], corpora["valid"]))
        about = {
            "what": "loss on stories-valid.txt of small models, trained by the Storyteller's recipe on its text",
            "command": "python tests/benchmarks/scaling_runs.py",
            "date": date.today().isoformat(),
            "machine": f"{platform.machine()}, {N_THREADS} thread, torch {torch.__version__}",
        }
        table = ",\n  ".join(json.dumps(row) for row in rows)
        with atomic_file(options.out) as file:
            file.write(f'{{"about": {json.dumps(about, indent=1)},\n "runs": [\n  {table}\n ]}}\n'.encode())
        print(json.dumps(rows[-1]), flush=True)


if __name__ == "__main__":
    main()
