"""What each ingredient of the race's recipe is worth: one is taken away at a time (race_ablation.json).

    python tests/benchmarks/race_ablation.py [--text ../shared/corpus/tinyshakespeare.txt] [--threads 1] [--seeds 2]

Every variant trains for the same computing time as the full recipe: what a step costs is measured first, for all
variants in turns, and the number of steps follows from it. The file is written anew after every run, and runs that
it has are left out.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch

from llm101.model import ModelConfig
from llm101.outside.atomic_file import atomic_file
from llm101.pretraining import Recipe
from llm101.pretraining.memory import keep_freed_memory
from llm101.pretraining.study.race import ABLATION, RACE_CONFIG, RACE_RECIPE
from tests.benchmarks import plain_baseline
from tests.benchmarks.bench_race import MISSING, Shakespeare, judge, options, ours

VARIANTS: dict[str, tuple[ModelConfig, Recipe]] = {
    "everything": (RACE_CONFIG, RACE_RECIPE),
    "AdamW instead of Muon": (RACE_CONFIG, replace(RACE_RECIPE, muon=False, other_lr=0.004)),
    "a level learning rate": (RACE_CONFIG, replace(RACE_RECIPE, decay_fraction=0.0)),
    "half the learning rates": (
        RACE_CONFIG,
        replace(RACE_RECIPE, matrix_lr=RACE_RECIPE.matrix_lr / 2, other_lr=RACE_RECIPE.other_lr / 2),
    ),
    "without QK-norm": (replace(RACE_CONFIG, qk_norm=False), RACE_RECIPE),
    "steps of twice as many tokens": (
        RACE_CONFIG,
        replace(
            RACE_RECIPE, batch_tokens=2 * RACE_RECIPE.batch_tokens, micro_batch_tokens=2 * RACE_RECIPE.batch_tokens
        ),
    ),
    "the opponent's size": (
        replace(RACE_CONFIG, d_model=128, n_layers=4, n_heads=4, n_kv_heads=4, d_mlp=384),
        RACE_RECIPE,
    ),
}
"""By what is different from the recipe."""
PROBE_STEPS, PROBE_ROUNDS = 4, 5


def steps_of_equal_cost(text: Shakespeare) -> dict[str, int]:
    """How many steps of each variant take as much computing as the full recipe's."""
    trainings = {name: ours(text, config, replace(recipe, steps=10**6)) for name, (config, recipe) in VARIANTS.items()}
    seconds = dict.fromkeys(VARIANTS, 0.0)
    for turn in range(PROBE_ROUNDS + 1):  # the first is warm-up
        for name, training in trainings.items():
            began = time.process_time()
            for _ in range(PROBE_STEPS):
                next(training)
            seconds[name] += (time.process_time() - began) * (turn > 0)
    return {name: round(RACE_RECIPE.steps * seconds["everything"] / seconds[name]) for name in VARIANTS}


def write(out: Path, steps: dict[str, int], losses: dict[str, list[float]], threads: int) -> None:
    """The table, as far as it has come."""
    about = {
        "what": "nats per character of tinyshakespeare's last tenth, after the same computing time, by seed",
        "command": "python tests/benchmarks/race_ablation.py",
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {threads} of {os.cpu_count()} cores, torch {torch.__version__}",
        "n_parameters": RACE_CONFIG.n_parameters,
        "baseline_loss_nats": plain_baseline.REACHED_NATS,
    }
    rows = [{"name": name, "steps": steps[name], "loss_nats": losses[name]} for name in VARIANTS if losses.get(name)]
    with atomic_file(out) as file:
        table = ",\n  ".join(json.dumps(row) for row in rows)
        file.write(f'{{"about": {json.dumps(about, indent=1)},\n "rows": [\n  {table}\n ]}}\n'.encode())


def main() -> None:
    """Train what is missing, seed after seed."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ABLATION)
    chosen = parser.parse_args()
    if not chosen.text.is_file():
        print(MISSING.format(chosen.text))
        return
    torch.set_num_threads(chosen.threads)
    keep_freed_memory()
    known = json.loads(chosen.out.read_text(encoding="utf-8"))["rows"] if chosen.out.exists() else []
    losses = {row["name"]: row["loss_nats"] for row in known}
    with tempfile.TemporaryDirectory() as folder:
        text = Shakespeare(chosen.text, Path(folder) / "corpus")
        steps = steps_of_equal_cost(text) | {row["name"]: row["steps"] for row in known}
        for seed in range(chosen.seeds):
            for name, (config, recipe) in VARIANTS.items():
                done = losses.setdefault(name, [])
                if len(done) > seed:
                    continue
                *_, model = ours(text, config, replace(recipe, steps=steps[name], seed=seed))
                done.append(round(judge(model, text.valid), 4))
                write(chosen.out, steps, losses, chosen.threads)
                print(f"{name}: {steps[name]} steps, seed {seed}: {done[seed]:.4f}", flush=True)


if __name__ == "__main__":
    main()
