"""A run from text to model folder: tokenizer, corpus, model, training, the finished files.

It strings the parts of this package together, in the order of the article; `llm101 pretrain` calls it. Whatever
can be seen beforehand to be impossible is refused before the first text is read.

Reading order: start, then finish; steps_in turns a time into a number of steps.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from llm101.corpus import Corpus, Progress
from llm101.model import ModelConfig, Transformer
from llm101.parameters.model_folder import save_model
from llm101.pretraining.device import choose_device
from llm101.pretraining.evaluation import Evaluation
from llm101.pretraining.memory import keep_freed_memory, refuse_too_large
from llm101.pretraining.preparation import look_at, prepare, remove_prepared
from llm101.pretraining.pretrainer import Pretrainer, PretrainingError, check_checkpoint_seconds
from llm101.pretraining.recipe import Recipe
from llm101.pretraining.rows import refuse_too_little
from llm101.pretraining.run_folder import RunFolder
from llm101.pretraining.run_record import MODEL_FILES
from llm101.pretraining.workers import Workers
from llm101.tokenizer import Tokenizer

MOST_STEPS = 2**53
"""Any number of minutes gives at most so many."""
PROBE_STEPS = 3
"""Steps that are timed to turn minutes into a number of steps; the first of them is warm-up."""


@dataclass(frozen=True)
class Run:
    """Everything that `start` made ready."""

    pretrainer: Pretrainer
    tokenizer: Tokenizer
    out: Path
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """Settings that a resumed run goes on with instead of those that it had: name -> (before, now)."""

    def close(self) -> None:
        """Let others into the folder."""
        if self.pretrainer.run_folder:
            self.pretrainer.run_folder.close()
        self.pretrainer.workers.leave()


def start(
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    config: ModelConfig,
    recipe: Recipe,
    *,
    valid: Sequence[str | os.PathLike[str]] = (),
    minutes: float | None = None,
    device: str | None = None,
    compile: bool = False,
    checkpoint_seconds: float = 120.0,
    progress: Callable[[str], Progress] | None = None,
) -> Run:
    """Make a run ready: lock the folder, train the tokenizer, encode the text, build the model, resume.

    Args:
        sources: what to learn from; see corpus.documents.
        out: the folder of the run and, in the end, of the model.
        config: the model's shape. Its vocab_size is what the tokenizer is trained to.
        recipe: how to train.
        valid: texts to judge it on, each by its file name; a part of the corpus is held back if there are none.
        minutes: train about that long instead of recipe.steps.
        device, compile, checkpoint_seconds: see Pretrainer.
        progress: called with what is being done; gives the function that is told how far.

    Raises:
        RunFolderError, CorpusError, TokenizerError, PretrainingError, DeviceError: each with one clear line.
    """
    if minutes is not None and not 0 < minutes < math.inf:
        raise PretrainingError(f"minutes must be a number above 0, got {minutes}")
    check_checkpoint_seconds(checkpoint_seconds)
    keep_freed_memory()
    out = Path(out)
    workers = Workers.join(choose_device(device))
    folder = RunFolder(out) if workers.is_first else None
    try:
        if folder:
            look_at(sources, valid, config)
            refuse_too_large(config, recipe.tokens_at_once, choose_device(device))
            prepare(folder, sources, valid, config.vocab_size, progress)
        workers.wait()
        tokenizer = Tokenizer.from_file(out / "training" / "tokenizer.json")
        train = Corpus(out / "training" / "corpus" / "train")
        judged_on = {path.name: Corpus(path) for path in sorted((out / "training" / "corpus" / "valid").iterdir())}
        refuse_too_little(train.facts.n_tokens, config.context_length)  # before a model of that context is made
        if minutes is not None:
            recipe = replace(recipe, steps=_agreed_steps(minutes, config, train, recipe, device, compile, folder))
        settings = _settings(config, recipe, train, judged_on)
        changed = folder.refuse_others(settings, _may_change) if folder else {}
        pretrainer = Pretrainer(
            Transformer(config).initialise(recipe.seed),
            train,
            judged_on,
            recipe,
            folder,
            device=device,
            compile=compile,
            checkpoint_seconds=checkpoint_seconds,
        )
        if folder:  # last, so that a start that was refused can be tried again with other settings
            folder.claim(settings)
    except BaseException as error:
        if folder:
            _leave(folder, refused=isinstance(error, ValueError))
        raise
    return Run(pretrainer, tokenizer, out, changed)


def finish(run: Run) -> dict[str, Evaluation]:
    """Score the model on all validation text and write the model folder.

    The model is scored as it will be read: rounded to float16.
    """
    pretrainer = run.pretrainer
    model = pretrainer.model.eval()
    rounded = Transformer(model.config)
    rounded.load_state_dict({name: t.half().float() for name, t in model.state_dict().items()})
    evaluations = pretrainer.evaluate(model=rounded.to(pretrainer.device).eval())
    if pretrainer.workers.is_first:
        metadata = {
            "steps": str(pretrainer.step),
            "tokens_seen": str(pretrainer.tokens_seen),
            "seed": str(pretrainer.recipe.seed),
        }
        if pretrainer.run_folder:
            pretrainer.run_folder.record.refuse_other_model()  # one may have come there meanwhile
            pretrainer.run_folder.record.add(*MODEL_FILES)
        save_model(run.out, model, run.tokenizer, torch.float16, metadata)
    return evaluations


def _leave(folder: RunFolder, *, refused: bool) -> None:
    """After a start that came to nothing: nothing is left behind, but what a resumed run or a second try can use."""
    begun = (folder.path / "settings.json").exists() or folder.has_checkpoint()
    if begun or (not refused and (folder.path / "corpus" / "ready").exists()):
        folder.close()
        return
    remove_prepared(folder)
    folder.abandon()


def _may_change(name: str, there: Any, here: Any) -> bool:
    """What a run can be resumed with: more steps, and lower learning rates, as after a loss that became nan."""
    if name == "recipe.steps":
        return here > there
    return name in ("recipe.matrix_lr", "recipe.other_lr") and here < there


def _settings(config: ModelConfig, recipe: Recipe, train: Corpus, valid: dict[str, Corpus]) -> dict[str, Any]:
    return {
        "model": config.in_use(),
        "recipe": asdict(recipe),
        "corpus": train.facts.sha256,
        "validation": {name: corpus.facts.sha256 for name, corpus in valid.items()},
    }


def steps_in(
    seconds: float, config: ModelConfig, train: Corpus, recipe: Recipe, device: str | None = None, compile: bool = False
) -> int:
    """How many steps of a recipe fit into some seconds on this machine: time a few, on a model thrown away."""
    probe_recipe = replace(recipe, steps=PROBE_STEPS, snapshots=0)
    probe = Pretrainer(Transformer(config).initialise(0), train, None, probe_recipe, device=device, compile=compile)
    moments = probe.moments()
    next(moments)
    began = time.perf_counter()
    for _ in moments:
        pass
    fitting = seconds * (PROBE_STEPS - 1) / (time.perf_counter() - began)
    return max(1, round(min(fitting, MOST_STEPS)))


def _agreed_steps(
    minutes: float,
    config: ModelConfig,
    train: Corpus,
    recipe: Recipe,
    device: str | None,
    compile: bool,
    folder: RunFolder | None,
) -> int:
    """The steps in some minutes, the same for all workers. A resumed run keeps its number."""
    workers = Workers.join(choose_device(device))
    known = folder.settings() if folder else None
    if steps := workers.total(known["recipe"]["steps"] if known else 0)[0]:  # the first worker tells the others
        return int(steps)
    return round(workers.total(steps_in(60 * minutes, config, train, recipe, device, compile))[0] / workers.count)
