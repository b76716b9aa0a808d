"""A run in the background: the cell that starts it ends at once, and it can be watched, paused and stopped meanwhile.

It knows the pretrainer, and the engine that speaks for the half-trained model; it knows no screens. Whoever shows
the run asks to be told (`watch`) and reads `points`, `samples` and `state`.

Reading order: Point and Sample (what is kept), LiveRun.start, then _train (the thread).
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from llm101.inference import InferenceEngine
from llm101.pretraining.memory import keep_freed_memory
from llm101.pretraining.moment import Moment
from llm101.pretraining.pretrainer import Pretrainer
from llm101.tokenizer import Tokenizer


@dataclass(frozen=True)
class Point:
    """One step of a run, as a curve shows it."""

    step: int
    steps: int
    """Steps in all."""
    tokens_seen: int
    seconds: float
    """Since the start; evaluations and samples count, pauses do not."""
    train_bits_per_byte: float
    """Of the step's batch, before the step."""
    valid_bits_per_byte: float | None
    """Of text never trained on, at the steps that are evaluated."""
    learning_rate_factor: float
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Sample:
    """What the model made of the prompt at one moment."""

    step: int
    text: str


class LiveRun:
    """A training run in a thread.

    Args:
        pretrainer: ready to train, alone (not one of several workers); it is judged by the first of its `valid`.
        tokenizer: the one that its corpus was encoded with.
        prompt: what the model is asked to go on with, before the first step and at each evaluation.
        sample_tokens: the most tokens of each answer.

    Example:
        >>> from tempfile import mkdtemp
        >>> from llm101 import Corpus, ModelConfig, Transformer
        >>> from llm101.pretraining import Recipe
        >>> tokenizer = Tokenizer.train(["one two"], 257)
        >>> corpus = Corpus.from_texts(["one two"] * 9, tokenizer, mkdtemp())
        >>> config = ModelConfig(vocab_size=257, d_model=8, n_layers=1, n_heads=1, context_length=8)
        >>> recipe = Recipe(steps=3, batch_tokens=16)
        >>> pretrainer = Pretrainer(Transformer(config).initialise(0), corpus, {"same": corpus}, recipe, device="cpu")
        >>> run = LiveRun(pretrainer, tokenizer, prompt="o", sample_tokens=2).start()
        >>> run.wait()
        'done'
        >>> [point.step for point in run.points], [sample.step for sample in run.samples]
        ([1, 2, 3], [0, 3])
    """

    def __init__(
        self, pretrainer: Pretrainer, tokenizer: Tokenizer, *, prompt: str = "Once upon a time", sample_tokens: int = 40
    ) -> None:
        self.pretrainer, self.tokenizer = pretrainer, tokenizer
        self.prompt, self.sample_tokens = prompt, sample_tokens
        self.points: list[Point] = []
        self.samples: list[Sample] = []
        self.state = "ready"
        """ready, running, paused, stopped (can be started again), done, or failed."""
        self.error: Exception | None = None
        self._tokens_per_byte = pretrainer.train.facts.n_tokens / pretrainer.train.facts.n_bytes
        self._engine = InferenceEngine(pretrainer.model, tokenizer, fast=False)  # the compiled one keeps old numbers
        self._engine.prompt_ids(prompt)  # refuses one that is empty or too long, before the thread starts
        self._go, self._stopped, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._ended.set()
        self._watchers: list[Callable[[], object]] = []

    def watch(self, tell: Callable[[], object]) -> None:
        """Ask to be told of every change: `tell` is called in the run's thread and must be quick."""
        self._watchers.append(tell)

    def start(self) -> LiveRun:
        """Begin, or go on after a stop; returns at once."""
        if self._ended.is_set():
            self._ended.clear()
            self._stopped.clear()
            self._go.set()
            threading.Thread(target=self._train, name="training", daemon=True).start()
        return self

    def pause(self) -> None:
        """Wait after the step in progress, until `resume`."""
        self._go.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self._go.set()

    def stop(self) -> None:
        """End after the step in progress. What has been learned stays in the model; `start` goes on."""
        self._stopped.set()
        self._go.set()

    def wait(self) -> str:
        """Return once the run has ended, with its state. Jupyter's own stop button ends it early, and cleanly.

        Raises:
            PretrainingError, RunFolderError: what ended the run, if it failed.
        """
        # Not Thread.join, which takes a thread for dead once it has been interrupted (Python's bug gh-90882).
        try:
            while not self._ended.wait(0.1):  # seconds: as long as a press of the stop button may go unnoticed
                pass
        except KeyboardInterrupt:
            self.stop()
            self._ended.wait()
        return self._outcome()

    async def ended(self) -> str:
        """The same as `wait()`, as `await run.ended()`: in a notebook the page can still pause and stop meanwhile."""
        try:
            while not self._ended.is_set():
                await asyncio.sleep(0.1)
        except (KeyboardInterrupt, asyncio.CancelledError):
            self.stop()
            self._ended.wait()
        return self._outcome()

    def _outcome(self) -> str:
        if self.error is not None:
            raise self.error
        return self.state

    def _train(self) -> None:
        keep_freed_memory()
        self.error = None
        try:
            self._become("running")
            if not self.samples:
                self._sample(0)
            began = time.monotonic() - (self.points[-1].seconds if self.points else 0.0)
            for moment in self.pretrainer.moments():
                if moment.valid:
                    self._sample(moment.step)
                self._record(moment, time.monotonic() - began)
                began += self._while_paused()
                if self._stopped.is_set() and moment.step < moment.steps:
                    self.pretrainer.save()
                    self._become("stopped")
                    return
            self._become("done")
        except Exception as error:  # a thread has no cell to raise in: wait() does
            self.error = error
            self._become("failed")
        finally:
            self.pretrainer.model.eval()
            self._ended.set()

    def _record(self, moment: Moment, seconds: float) -> None:
        valid = next(iter(moment.valid.values())) if moment.valid else None
        self.points.append(
            Point(
                step=moment.step,
                steps=moment.steps,
                tokens_seen=moment.tokens_seen,
                seconds=seconds,
                train_bits_per_byte=moment.train_loss_nats / math.log(2) * self._tokens_per_byte,
                valid_bits_per_byte=valid.bits_per_byte if valid else None,
                learning_rate_factor=moment.learning_rate_factor,
                tokens_per_second=moment.tokens_per_second,
                seconds_left=moment.seconds_left,
            )
        )
        self._tell()

    def _while_paused(self) -> float:
        """Seconds spent waiting."""
        if self._go.is_set():
            return 0.0
        began = time.monotonic()
        self._become("paused")
        self._go.wait()
        self._become("running")
        return time.monotonic() - began

    def _sample(self, step: int) -> None:
        """The same prompt and the same seed each time, so that only the model differs."""
        completion = self._engine.complete(self.prompt, max_tokens=self.sample_tokens, temperature=0.8, seed=0)
        self.samples.append(Sample(step, completion.text))

    def _become(self, state: str) -> None:
        self.state = state
        self._tell()

    def _tell(self) -> None:
        for tell in self._watchers:
            tell()
