"""A run from text to model folder: tokenizer, corpus, model, training, the finished files.

It strings the parts of this package together, in the order of the article; `llm101 pretrain` calls it.

Reading order: start, then finish; steps_in turns a time into a number of steps.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from llm101.atomic_file import atomic_file
from llm101.corpus import Corpus, CorpusError, Progress, documents
from llm101.documents import n_bytes_of
from llm101.model import ModelConfig, Transformer
from llm101.model_folder import save_model
from llm101.pretraining.device import choose_device
from llm101.pretraining.evaluation import Evaluation
from llm101.pretraining.memory import keep_freed_memory
from llm101.pretraining.pretrainer import Pretrainer, PretrainingError
from llm101.pretraining.recipe import Recipe
from llm101.pretraining.run_folder import RunFolder, RunFolderError
from llm101.pretraining.workers import Workers
from llm101.tokenizer import Tokenizer

HELD_BACK = 0.02
"""The share of the corpus that is kept for validation if no validation text is given."""
PROBE_STEPS = 3
"""Steps that are timed to turn minutes into a number of steps; the first of them is warm-up."""


@dataclass(frozen=True)
class Run:
    """Everything that `start` made ready."""

    pretrainer: Pretrainer
    tokenizer: Tokenizer
    out: Path

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
    keep_freed_memory()
    out = Path(out)
    workers = Workers.join(choose_device(device))
    folder = RunFolder(out) if workers.is_first else None
    try:
        if folder:
            _prepare(folder, sources, valid, config.vocab_size, progress)
        workers.wait()
        tokenizer = Tokenizer.from_file(out / "training" / "tokenizer.json")
        train = Corpus(out / "training" / "corpus" / "train")
        judged_on = {path.name: Corpus(path) for path in sorted((out / "training" / "corpus" / "valid").iterdir())}
        if minutes is not None:
            recipe = replace(recipe, steps=_agreed_steps(minutes, config, train, recipe, device, compile, folder))
        if folder:
            folder.refuse_others(_settings(config, recipe, train, judged_on))
        model = Transformer(config).initialise(recipe.seed)
        pretrainer = Pretrainer(
            model,
            train,
            judged_on,
            recipe,
            folder,
            device=device,
            compile=compile,
            checkpoint_seconds=checkpoint_seconds,
        )
        if folder:  # last, so that a start that was refused can be tried again with other settings
            folder.claim(_settings(config, recipe, train, judged_on))
    except BaseException:
        if folder:
            folder.close()
        raise
    return Run(pretrainer, tokenizer, out)


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
        save_model(run.out, model, run.tokenizer, torch.float16, metadata)
    return evaluations


def _prepare(
    folder: RunFolder,
    sources: Sequence[str | os.PathLike[str]],
    valid: Sequence[str | os.PathLike[str]],
    vocab_size: int,
    progress: Callable[[str], Progress] | None,
) -> None:
    """Train the tokenizer and encode the text, unless an earlier start of this run did."""
    corpus, texts = folder.path / "corpus", _texts(sources, valid, vocab_size)
    ready = corpus / "ready"
    if ready.exists():
        if (found := ready.read_text(encoding="utf-8")) in ("", texts):  # "": of a run that did not write them down
            return
        if folder.settings() is not None:
            raise RunFolderError(
                f"{folder.out} holds a run on other text ({found}, not {texts}); "
                "give the same to go on with it, or choose another folder"
            )
    shutil.rmtree(corpus, ignore_errors=True)
    all_texts = (text for source in sources for text in documents(source))
    first = next(all_texts, None)
    if first is None:
        raise CorpusError(f"no text in {', '.join(map(str, sources))}")
    tokenizer = Tokenizer.train(chain([first], all_texts), vocab_size, folder.out.resolve().name)
    tokenizer.save(folder.path / "tokenizer.json")

    def build(what: Sequence[str | os.PathLike[str]], name: str) -> Corpus:
        told = progress and progress("encoding " + ", ".join(map(str, what)))
        return Corpus.build(what, tokenizer, corpus / name, told)

    if valid:
        build(sources, "train")
        for name, source in _names(valid).items():
            build([source], f"valid/{name}")
    else:
        build(sources, "whole").hold_back(HELD_BACK, tokenizer, corpus / "train", corpus / "valid" / "held_back")
        shutil.rmtree(corpus / "whole")
    with atomic_file(ready) as file:
        file.write(texts.encode())


def _texts(sources: Sequence[str | os.PathLike[str]], valid: Sequence[str | os.PathLike[str]], vocab_size: int) -> str:
    """What was prepared, in one line: the same line means the same tokens, wherever the files have been moved to."""

    def listed(some: Sequence[str | os.PathLike[str]]) -> str:
        return ", ".join(f"{Path(source).name} {n_bytes_of(source)}" for source in some)

    return f"{vocab_size} tokens of {listed(sources)}" + (f", judged on {listed(valid)}" if valid else "")


def _names(valid: Sequence[str | os.PathLike[str]]) -> dict[str, str | os.PathLike[str]]:
    """Validation texts under short names, which also name folders."""
    names: dict[str, str | os.PathLike[str]] = {}
    for source in valid:
        name = Path(os.path.abspath(source)).stem.replace(":", "-")
        if name in names:
            raise CorpusError(f"two validation texts are called {name} ({names[name]} and {source}); rename one")
        names[name] = source
    return names


def _settings(config: ModelConfig, recipe: Recipe, train: Corpus, valid: dict[str, Corpus]) -> dict[str, Any]:
    return {
        "model": asdict(config),
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
    return max(1, round(seconds * (PROBE_STEPS - 1) / (time.perf_counter() - began)))


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
