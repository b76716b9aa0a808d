"""Pre-training: read text, guess each next token, move the parameters so that the guess would have been better.

It knows the model, the corpus and the run folder; it does not know who watches. `moments()` yields what
happened after each step, and a notebook, a widget or the command line shows it, pauses, or stops.

Reading order: Pretrainer.moments (the loop), _gradient (one step's arithmetic), then the rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from llm101.corpus import Corpus
from llm101.model import Transformer
from llm101.pretraining.device import bfloat16_pays, choose_device, compiled, threads_that_pay
from llm101.pretraining.evaluation import Evaluation, evaluate
from llm101.pretraining.interruption import interruptions_wait
from llm101.pretraining.memory import refuse_too_large
from llm101.pretraining.moment import Moment, Pace
from llm101.pretraining.optimizer import Optimizer, learning_rate_factor
from llm101.pretraining.recipe import Recipe
from llm101.pretraining.rows import ShuffledRows
from llm101.pretraining.run_folder import RunFolder
from llm101.pretraining.workers import Workers

EVALUATED_AT_ONCE = 4096
"""Tokens of validation text scored together, where that is a row or more."""


class PretrainingError(ValueError):
    """Training that cannot start or cannot go on."""


class Pretrainer:
    """Trains a model on a corpus.

    Args:
        model: initialised; trained in place.
        train: what it learns from.
        valid: texts by name that it is judged on and never learns from.
        recipe: how.
        run_folder: where checkpoints go; without one, nothing is written and an interrupted run is lost.
        device: "cpu", "cuda" or "mps"; CUDA if there is one, else the CPU.
        compile: let torch.compile fuse the arithmetic, which needs a C++ compiler.
        checkpoint_seconds: how much work a crash may cost at most; 0: a checkpoint after every step.

    Raises:
        PretrainingError: the corpus has other tokens than the model, or the checkpoint is another model's.
        DeviceError: the device is not there, or has not enough memory for a step.
        CorpusError: the corpus is smaller than one row.
    """

    def __init__(
        self,
        model: Transformer,
        train: Corpus,
        valid: dict[str, Corpus] | None,
        recipe: Recipe,
        run_folder: RunFolder | None = None,
        *,
        device: str | None = None,
        compile: bool = False,
        checkpoint_seconds: float = 120.0,
    ) -> None:
        check_checkpoint_seconds(checkpoint_seconds)
        for corpus in (train, *(valid or {}).values()):
            if corpus.facts.vocab_size > model.config.vocab_size:
                raise PretrainingError(
                    f"{corpus.folder} has token ids up to {corpus.facts.vocab_size - 1}, "
                    f"the model's vocabulary ends at {model.config.vocab_size - 1}"
                )
        self.device = choose_device(device)
        refuse_too_large(model.config, recipe.tokens_at_once, self.device)
        self.workers = Workers.join(self.device)
        self.model, self.recipe, self.valid = model.to(self.device), recipe, valid or {}
        self.run_folder = run_folder if self.workers.is_first else None
        self.optimizer = Optimizer(model, recipe.matrix_lr, recipe.other_lr, recipe.weight_decay, muon=recipe.muon)
        self.bfloat16 = bfloat16_pays(self.device, model.config.d_model)
        self.checkpoint_seconds = checkpoint_seconds
        self.step, self.seconds, self.train = 0, 0.0, train
        context_length = model.config.context_length
        short = min(recipe.short_row_length or context_length, context_length)
        self.short_steps = round(recipe.steps * recipe.short_rows_fraction) if short < context_length else 0
        self._rows = {length: ShuffledRows(train, length, recipe.seed) for length in {short, context_length}}
        self._short, self._long = self._rows[short], self._rows[context_length]
        self._loss = compiled(self._plain_loss) if compile else self._plain_loss
        self._resume()

    def moments(self) -> Iterator[Moment]:
        """Train until the recipe's last step; yields after every step.

        Leaving the loop early, by `break` or by an interruption, loses nothing: what was done is in the model,
        and in the run folder once `save()` is called. Calling moments() again goes on.
        """
        self.model.train()
        if self.step == 0:
            self._snapshot()
        last_save, pace = time.monotonic(), Pace()
        while self.step < self.recipe.steps:
            with pace.step(), self.threads():
                moment = self._moment()
            moment = replace(moment, seconds_left=pace.seconds_for(self.recipe.steps - self.step))
            self._log(moment)
            self._snapshot()
            if time.monotonic() - last_save >= self.checkpoint_seconds or self.step == self.recipe.steps:
                self.save()
                last_save = time.monotonic()
            yield moment

    def _moment(self) -> Moment:
        """One step, and a look at the validation text where it is due."""
        began, tokens_before = time.perf_counter(), self.tokens_seen
        factor = self.learning_rate_factor
        loss, gradient_norm = self._gradient()
        self._refuse_nan(loss, gradient_norm)
        with interruptions_wait():
            self.optimizer.step(factor)
            self.step += 1
            step_seconds = time.perf_counter() - began
            self.seconds += step_seconds
        return Moment(
            step=self.step,
            steps=self.recipe.steps,
            tokens_seen=self.tokens_seen,
            train_loss_nats=loss,
            learning_rate_factor=factor,
            gradient_norm=gradient_norm,
            seconds=self.seconds,
            tokens_per_second=(self.tokens_seen - tokens_before) / step_seconds,
            seconds_left=0.0,
            valid=self._evaluations(),
        )

    @property
    def learning_rate_factor(self) -> float:
        """The schedule's share of the full learning rates in the step that comes next."""
        return learning_rate_factor(
            self.step,
            self.recipe.steps,
            min(self.recipe.warmup_steps, self.recipe.steps // 10),
            round(self.recipe.steps * self.recipe.decay_fraction),
        )

    def threads(self) -> AbstractContextManager[None]:
        """As many threads as pay for a model of this size, and afterwards as many as there were."""
        return threads_that_pay(self.model.config, self.recipe.tokens_at_once)

    def _gradient(self) -> tuple[float, float]:
        """Read one batch, leave its mean gradient in the parameters; returns its loss and the gradient's length."""
        is_short = self.step < self.short_steps
        rows, first = (self._short, self.step) if is_short else (self._long, self.step - self.short_steps)
        n_rows, n_at_once = self._rows_per_step(rows), max(1, self.recipe.micro_batch_tokens // rows.row_length)
        mine = range(first * n_rows + self.workers.rank, (first + 1) * n_rows, self.workers.count)
        self.model.zero_grad()  # of a step that was interrupted
        loss_sum = 0.0
        with self._arithmetic():
            for at in range(0, len(mine), n_at_once):  # a batch need not fit into memory, a micro-batch must
                micro_batch = mine[at : at + n_at_once]
                ids = torch.from_numpy(rows.take(micro_batch[0], len(micro_batch), mine.step)).to(self.device)
                share = len(ids) * self.workers.count / n_rows  # right also if workers have unequally many rows
                loss = self._loss(ids[:, :-1].contiguous(), ids[:, 1:].contiguous()) * share
                loss.backward()
                loss_sum += loss.detach()
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        mean_loss = torch.as_tensor(loss_sum, device=self.device).reshape(1)
        self.workers.average([*gradients, mean_loss])
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip)
        return mean_loss.item(), norm.item()

    def _refuse_nan(self, loss: float, gradient_norm: float) -> None:
        """Stop before such a number gets into a parameter, and from there into the checkpoint."""
        for name, number in (("loss", loss), ("gradient", gradient_norm)):
            if not math.isfinite(number):
                where = "; in the same folder it goes on from the last checkpoint" if self.run_folder else ""
                raise PretrainingError(
                    f"the {name} became {number} at step {self.step}; a lower learning rate would help "
                    f"(matrix_lr is {self.recipe.matrix_lr}, other_lr {self.recipe.other_lr}){where}"
                )

    def _rows_per_step(self, rows: ShuffledRows) -> int:
        return max(self.recipe.batch_tokens // rows.row_length, self.workers.count)

    @property
    def tokens_seen(self) -> int:
        """Tokens read in all steps so far: whole rows, so up to a row less per step than batch_tokens."""
        steps = ((self._short, min(self.step, self.short_steps)), (self._long, max(self.step - self.short_steps, 0)))
        return sum(n * self._rows_per_step(rows) * rows.row_length for rows, n in steps)

    def _plain_loss(self, token_ids: Tensor, targets: Tensor) -> Tensor:
        logits = self.model(token_ids)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        """bfloat16 where it pays; on a CPU, attention as plain matrix products, which beat torch's fused kernel."""
        with ExitStack() as stack:
            if self.device.type == "cpu":
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            # cache_enabled=False: the cache of cast weights would outlive the step that changes them
            stack.enter_context(
                torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16, cache_enabled=False)
            )
            yield

    def evaluate(self, max_tokens: int | None = None, model: Transformer | None = None) -> dict[str, Evaluation]:
        """Score the model (or another of its shape) on all validation texts, or on about max_tokens of each."""
        batch_rows = max(1, min(4, EVALUATED_AT_ONCE // self.model.config.context_length))
        with self.threads():
            return {
                name: evaluate(
                    model or self.model,
                    corpus,
                    max_tokens=max_tokens,
                    batch_rows=batch_rows,
                    workers=self.workers,
                    bfloat16=self.bfloat16,
                )
                for name, corpus in self.valid.items()
            }

    def _evaluations(self) -> dict[str, Evaluation] | None:
        due = self.step % self.recipe.evaluate_every == 0 or self.step == self.recipe.steps
        if not due or not self.valid:
            return None
        return self.evaluate(None if self.step == self.recipe.steps else self.recipe.evaluate_tokens)

    def save(self) -> None:
        """Write a checkpoint; a run started with the same settings goes on from there, bit for bit."""
        if self.run_folder is None:
            return
        tensors = {f"model|{name}": p for name, p in self.model.named_parameters()}
        tensors |= {f"optimizer|{name}": t for name, t in self.optimizer.state_tensors().items()}
        self.run_folder.save_checkpoint(tensors, self.step, {"seconds": self.seconds})

    def _resume(self) -> None:
        """Take over the last checkpoint, if there is one. Only the first worker has the folder; it tells the others."""
        checkpoint = self.run_folder.load_checkpoint() if self.run_folder else None
        tensors, step, facts = checkpoint or (None, 0, {"seconds": 0.0})
        tensors = self.workers.share(tensors)
        step, self.seconds = self.workers.total(*((step, facts["seconds"]) if self.workers.is_first else (0, 0.0)))
        self.step = int(step)
        if self.run_folder:
            self.run_folder.drop_moments_after(self.step)
        if tensors is None:
            return
        shapes = {f"model|{name}": p.shape for name, p in self.model.named_parameters()}
        if self.step > self.recipe.steps or any(n not in tensors or tensors[n].shape != s for n, s in shapes.items()):
            raise PretrainingError("the checkpoint belongs to another model or recipe; choose another folder")
        with torch.no_grad():
            for name, p in self.model.named_parameters():
                p.copy_(tensors[f"model|{name}"])
        memory = {n.removeprefix("optimizer|"): t for n, t in tensors.items() if n.startswith("optimizer|")}
        self.optimizer.load_state_tensors(memory)

    def _log(self, moment: Moment) -> None:
        if self.run_folder is None:
            return
        line = asdict(replace(moment, valid=None))
        if moment.valid:
            line["valid"] = {
                name: {"loss_nats": e.loss_nats, "bits_per_byte": e.bits_per_byte} for name, e in moment.valid.items()
            }
        self.run_folder.add_moment(line)

    def _snapshot(self) -> None:
        if self.run_folder and self.step in self.recipe.snapshot_steps:
            self.run_folder.save_snapshot(dict(self.model.named_parameters()), self.step)


def check_checkpoint_seconds(seconds: float) -> None:
    """See that it is a time after which something can be saved.

    Raises:
        PretrainingError: it is below 0, infinite, or no number.
    """
    if not 0 <= seconds < math.inf:
        raise PretrainingError(f"checkpoint_seconds must be a number from 0 upwards, got {seconds}")
