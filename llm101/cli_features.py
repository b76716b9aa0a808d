"""The command `features`: train a sparse autoencoder, look at what a text makes active, steer a completion."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm101.interpretability.autoencoder_training import AutoencoderTrainer
    from llm101.interpretability.residuals import Progress
    from llm101.interpretability.sparse_autoencoder import SparseAutoencoder

N_COUNTED_TOKENS = 1_000_000
"""A latent is dead if so many tokens leave it idle."""


def features_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, says, options in (("train", "train a sparse autoencoder on a model's residual stream", _train_options),):
        action = actions.add_parser(name, help=says, description=says[0].upper() + says[1:] + ".")
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")
        action.add_argument("--model", default="storyteller", help="a model's name or folder (%(default)s)")
        options(action)


def features(options: argparse.Namespace) -> dict[str, Any]:
    """Train, look or steer."""
    return {"train": train}[options.action](options)


def _train_options(action: argparse.ArgumentParser) -> None:
    add = action.add_argument
    add("corpus", nargs="+", help="text files or folders; each gives as many tokens as the others")
    add("--out", required=True, metavar="FILE", help="the autoencoder, a .safetensors file")
    add("--valid", nargs="+", required=True, metavar="FILE", help="texts to judge it on, never trained on")
    add("--layer", type=int, default=3, help="it reads the residual stream after this layer (%(default)s)")
    add("--latents", type=int, default=3840, help="how many latents (%(default)s)")
    add("--active", type=int, default=16, help="how many of them per token (%(default)s)")
    add("--tokens", type=int, default=400_000, help="tokens of text to learn from (%(default)s)")
    add("--steps", type=int, default=500, help="training steps of 2,048 tokens (%(default)s)")
    add("--learning-rate", type=float, default=3e-3, help="of Adam (%(default)s)")
    add("--seed", type=int, default=0, help="of the first parameters and the choice of text (%(default)s)")


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Texts in, an autoencoder with its scorecard out."""
    import torch

    from llm101.corpus import documents
    from llm101.interpretability.autoencoder_training import AutoencoderRecipe, AutoencoderTrainer
    from llm101.interpretability.capture import check_layer
    from llm101.interpretability.residuals import residual_rows, sample_ids, text_ids
    from llm101.interpretability.scorecard import score
    from llm101.interpretability.sparse_autoencoder import AutoencoderConfig
    from llm101.library import load
    from llm101.model_folder import fingerprint
    from llm101.pretraining.device import bfloat16_pays

    start = time.perf_counter()
    lm = load(options.model)
    config = AutoencoderConfig(
        d_model=lm.model.config.d_model,
        d_sae=options.latents,
        layer=check_layer(lm.model, options.layer),
        k=options.active,
        fingerprint=fingerprint(lm.path),
    )
    recipe = AutoencoderRecipe(
        steps=options.steps,
        learning_rate=options.learning_rate,
        seed=options.seed,
        bfloat16=bfloat16_pays(torch.device("cpu"), config.d_model),
    )
    valid = text_ids(lm, [text for source in options.valid for text in documents(source)])
    sources = [list(documents(source)) for source in options.corpus]
    ids, left = sample_ids(lm, sources, options.tokens, options.seed)
    rows = residual_rows(lm.model, ids, config.point, dtype=torch.float16, progress=_progress("reading texts"))
    sae = _trained(AutoencoderTrainer(rows.x, config, recipe))
    about = {"recipe": _command_line(options)}
    sae.save(options.out, about)  # before it is measured, which takes a while
    n_more = max(0, N_COUNTED_TOKENS - sum(map(len, valid))) * len(left) // max(1, sum(map(len, left)))
    card = score(lm.model, sae, valid, count_ids=left[:n_more], progress=_progress("measuring"))
    sae.scorecard = {name: round(value, 5) for name, value in card.facts().items()}
    sae.save(options.out, about)
    result = {"out": options.out, "n_rows": len(rows.x), "seconds": round(time.perf_counter() - start, 1)}
    if not options.json:
        print(f"wrote {options.out}: {sae}")
        for name, value in sae.scorecard.items():
            print(f"{value:>12,}  {name.replace('_', ' ')}")
    return result | sae.scorecard


def _trained(trainer: AutoencoderTrainer) -> SparseAutoencoder:
    shown = time.monotonic()
    for moment in trainer.moments():
        if time.monotonic() - shown > 5 or moment.step == trainer.recipe.steps:
            shown = time.monotonic()
            explained = f"{1 - moment.unexplained:.3f} of the variance explained"
            _say(f"step {moment.step:,}/{trainer.recipe.steps:,}  {explained}  {moment.n_dead} latents idle")
    return trainer.autoencoder()


def _command_line(options: argparse.Namespace) -> str:
    sources, valid = (" ".join(Path(p).name for p in paths) for paths in (options.corpus, options.valid))
    chosen = ("layer", "latents", "active", "tokens", "steps", "learning_rate", "seed")
    settings = " ".join(f"--{name.replace('_', '-')} {getattr(options, name)}" for name in chosen)
    return f"llm101 features train {sources} --valid {valid} {settings}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _progress(what: str) -> Progress:
    shown = 0.0

    def show(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > 5 or done == total:
            shown = time.monotonic()
            _say(f"{what}: {done:,} of {total:,}")

    return show


COMMANDS = (("features", "train or look into a sparse autoencoder, or steer with it", features_options, features),)
