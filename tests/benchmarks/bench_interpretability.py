"""What chapter 05 claims, measured at full size: autoencoders, what latents find, what steering does.

    python tests/benchmarks/bench_interpretability.py             about twelve minutes on one thread
    python tests/benchmarks/bench_interpretability.py --record    and keeps what steering does in steering.json

Landmarks come twice: as they are, and with the tokens of their own names left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext

import torch

from llm101.corpus.stories import stories
from llm101.interpretability.autoencoder.detectors import (
    Strengths,
    detectors_of_words,
    found_on_one_half,
    halves,
    linear_probe,
    strongest_per_text,
    tokens_of_name,
)
from llm101.interpretability.autoencoder.scorecard import Scorecard, score
from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderConfig, SparseAutoencoder
from llm101.interpretability.autoencoder.training import AutoencoderRecipe, AutoencoderTrainer
from llm101.interpretability.residuals import residual_rows, text_ids
from llm101.interpretability.shipped import (
    LANDMARKS,
    LabelledText,
    bridge_beginnings,
    labelled_texts,
    prompts,
    shipped_autoencoder,
    shipped_file,
    shipped_steering,
)
from llm101.interpretability.steering import EVERYWHERE, Steering
from llm101.interpretability.steering.study import Outcome, compare, mean_difference, outcome, write_stories
from llm101.library import LanguageModel, load
from llm101.outside.atomic_file import atomic_file
from tests.benchmarks.history import Figures, record

SEED = 11
"""Of the stories; everything was chosen with others."""


def reader_cards(lm: LanguageModel, texts: list[str]) -> Iterator[tuple[str, Scorecard]]:
    """Scorecards of the small autoencoder that a reader trains, for three seeds, and of the shipped one."""
    sae = shipped_autoencoder()
    read, unread = halves(len(texts))
    ids = text_ids(lm, texts)
    unread_ids = [ids[i] for i in unread.tolist()]
    train_ids = [ids[i] for i in read.tolist()] + text_ids(lm, stories("train")[:200])
    rows = residual_rows(lm.model, train_ids, sae.config.point).x
    shape = AutoencoderConfig(d_model=256, d_sae=1024, layer=sae.config.layer, k=16)
    for seed in range(3):
        recipe = AutoencoderRecipe(steps=400, learning_rate=2e-3, seed=seed)
        start, trainer = time.perf_counter(), AutoencoderTrainer(rows, shape, recipe)
        list(trainer.moments())
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s")
        yield f"1024 latents, seed {seed}", score(lm.model, trainer.autoencoder(), unread_ids)
    yield "shipped", score(lm.model, sae, unread_ids)


def judged(strengths: Strengths, texts: list[LabelledText], name: str) -> Iterator[str]:
    """Precision and recall of each kind of detector on the half that it was not chosen on."""
    chosen_on, _ = halves(len(texts))
    wanted = torch.tensor([text.landmark == name for text in texts])
    mean = strengths.mean_residual
    mean = (mean - mean[chosen_on].mean(dim=0)) / mean[chosen_on].std(dim=0)
    probe = mean @ linear_probe(mean[chosen_on], wanted[chosen_on])
    for kind, table in (("latent", strengths.latents), ("neuron", strengths.neurons), ("probe", probe[:, None])):
        found = found_on_one_half(table, wanted)
        yield f"{kind} {found.column:5} precision {found.judgement.precision:.2f} recall {found.judgement.recall:.2f}"


def print_planted(lm: LanguageModel, sae: SparseAutoencoder, texts: list[LabelledText]) -> None:
    """One line per landmark, for each of the two variants."""
    ids = text_ids(lm, [text.text for text in texts])
    names = [tokens_of_name(lm.tokenizer, one, t.landmark) if t.landmark else [] for one, t in zip(ids, texts)]
    for title, hidden in (("landmarks, as they are", None), ("without the name's own tokens", names)):
        strengths = strongest_per_text(lm.model, sae, ids, hidden)
        print(title)
        for name in LANDMARKS:
            print(f"  {name:<20}", " | ".join(judged(strengths, texts, name)))


def brought_in(lm: LanguageModel, texts: list[LabelledText]) -> Iterator[dict[str, object]]:
    """The steering and its controls over all prompts: see compare."""
    steering = shipped_steering()
    with_it, without = (
        text_ids(lm, [text.text for text in texts if text.landmark == name]) for name in ("Golden Gate Bridge", None)
    )
    difference = mean_difference(lm.model, steering.point, with_it, without)
    for way in compare(lm, steering, difference, prompts(), seed=SEED):
        fields = dataclasses.asdict(way)
        yield fields | fields.pop("outcome")


def taken_out(lm: LanguageModel, sae: SparseAutoencoder) -> Iterator[dict[str, object]]:
    """The latent removed, and held below zero where it is called, in stories that begin with the bridge."""
    latent, threshold = shipped_steering().latent, float(sae.threshold)
    plain: Outcome | None = None
    for name, strength, reach in (
        ("plain", None, 0.0),
        ("at 0", 0, EVERYWHERE),
        ("at -120 where called", -120, threshold),
    ):
        way = nullcontext() if strength is None else Steering.of(sae, latent, strength, reach=reach).on(lm.model)
        with way:
            written = write_stories(lm, bridge_beginnings() * 4, seed=SEED)
        found = outcome(lm, written, "bridge")
        plain = plain or found
        ratios = {"mentions_ratio": found.mentions / plain.mentions, "extra_nats": found.loss_nats - plain.loss_nats}
        yield {"name": name, "strength": strength or 0, **ratios, **dataclasses.asdict(found)}


def measure_steering(lm: LanguageModel, sae: SparseAutoencoder, texts: list[LabelledText], keep: bool) -> Figures:
    """The bridge brought into stories, and taken out of them; printed, and recorded in steering.json if it is to be."""
    kept: dict[str, list[dict[str, object]]] = {"brought_in": [], "taken_out": []}
    for title, rows in (("brought_in", brought_in(lm, texts)), ("taken_out", taken_out(lm, sae))):
        for row in rows:
            kept[title].append(row)
            print({name: round(x, 3) if isinstance(x, float) else x for name, x in row.items()}, flush=True)
    if keep:
        about = {"seed": SEED, "max_tokens": 100, "n_prompts": len(prompts())}
        with atomic_file(shipped_file("steering.json")) as file:
            file.write(json.dumps({**about, **kept}, indent=1).encode())
    return {title: {str(row["name"]): numbers(row) for row in rows} for title, rows in kept.items()}


def numbers(row: dict[str, object]) -> dict[str, float]:
    """What in a row of a table was measured."""
    return {name: float(x) for name, x in row.items() if isinstance(x, (int, float))}


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep what steering does in steering.json")
    keep = parser.parse_args().record
    torch.set_num_threads(1)
    lm, sae, texts = load("storyteller"), shipped_autoencoder(), labelled_texts()
    steering = measure_steering(lm, sae, texts, keep)
    cards: dict[str, dict[str, float]] = {}
    for name, card in reader_cards(lm, [text.text for text in texts]):
        cards[name] = numbers(card.facts())
        print(f"{name}: { {figure: round(value, 4) for figure, value in card.facts().items()} }", flush=True)
    print_planted(lm, sae, texts)
    for concept, found in detectors_of_words(lm, sae, stories("valid")).items():
        precision, recall = found.judgement.precision, found.judgement.recall
        print(f"{concept:8} latent {found.column:5} precision {precision:.2f} recall {recall:.2f}")
    record("interpretability", {"steering": steering, "scorecards": cards})


if __name__ == "__main__":
    main()
