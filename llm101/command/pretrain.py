"""The command `pretrain`: data in, a model folder out."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llm101.command.progress import now_and_then, say
from llm101.command.words import InputTexts, Name, OutputFolder

if TYPE_CHECKING:
    from llm101.corpus import Progress
    from llm101.pretraining import Evaluation
    from llm101.pretraining.run import Run

SAMPLE_PROMPT = "Once upon a time"
STOPPED = 130
"""The exit code of a run that Ctrl-C stopped before its end, as shells have it."""


def pretrain_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    add = command.add_argument
    add("corpus", nargs="+", type=InputTexts, help="text files, folders, or a hub dataset (owner/name)")
    add("--out", type=OutputFolder, required=True, metavar="DIR", help="folder for the run and the finished model")
    add(
        "--valid",
        nargs="+",
        type=InputTexts,
        default=[],
        metavar="FILE",
        help="texts to judge it on; else 2 %% are held back",
    )
    length = command.add_mutually_exclusive_group()
    steps = "how often the parameters move (%(default)s); a run can be given more of them later"
    length.add_argument("--steps", type=int, default=1000, help=steps)
    length.add_argument("--minutes", type=float, help="train about that long instead")
    add("--seed", type=int, default=0, help="of the first parameters and the order of the text (%(default)s)")
    add("--vocab-size", type=int, default=4096, help="tokens in the vocabulary (%(default)s)")
    add("--context-length", type=int, default=512, help="tokens the model can look at (%(default)s)")
    add("--d-model", type=int, default=256, help="width of the residual stream (%(default)s)")
    add("--n-layers", type=int, default=6, help="layers (%(default)s)")
    add("--n-heads", type=int, default=4, help="attention heads (%(default)s)")
    add("--n-kv-heads", type=int, default=2, help="key/value heads (%(default)s)")
    add("--batch-tokens", type=int, default=16_384, help="tokens per step (%(default)s)")
    add("--short-rows", type=int, default=0, metavar="N", help="rows of N tokens for the first 80 %% of the steps")
    add("--matrix-lr", type=float, default=0.02, help="learning rate of Muon (%(default)s)")
    add("--other-lr", type=float, default=0.004, help="learning rate of AdamW (%(default)s)")
    add("--evaluate-every", type=int, default=100, metavar="N", help="steps between looks at validation (%(default)s)")
    lost = "work that a crash may cost (%(default)s); 0: none, every step is saved"
    add("--checkpoint-seconds", type=float, default=120, metavar="S", help=lost)
    add("--snapshots", type=int, default=0, metavar="N", help="keep the parameters of N moments (%(default)s)")
    add("--device", type=Name, help="cpu, cuda or mps (cuda if there is one, else cpu)")
    add("--compile", action="store_true", help="let torch.compile fuse the arithmetic; needs a C++ compiler")


def pretrain(options: argparse.Namespace) -> dict[str, Any] | None:
    """Train, showing loss, speed, time left and a sample; Ctrl-C saves, and the same command goes on from there."""
    from llm101.model import ModelConfig
    from llm101.pretraining import Recipe
    from llm101.pretraining.run import finish, start

    config = ModelConfig(
        vocab_size=options.vocab_size,
        d_model=options.d_model,
        n_layers=options.n_layers,
        n_heads=options.n_heads,
        n_kv_heads=options.n_kv_heads,
        context_length=options.context_length,
    )
    recipe = Recipe(
        steps=options.steps,
        batch_tokens=options.batch_tokens,
        short_row_length=options.short_rows,
        matrix_lr=options.matrix_lr,
        other_lr=options.other_lr,
        evaluate_every=options.evaluate_every,
        snapshots=options.snapshots,
        seed=options.seed,
    )
    run = start(
        options.corpus,
        options.out,
        config,
        recipe,
        valid=options.valid,
        minutes=options.minutes,
        device=options.device,
        compile=options.compile,
        checkpoint_seconds=options.checkpoint_seconds,
        progress=_progress,
    )
    first = run.pretrainer.workers.is_first
    if first:
        say(f"{config.n_parameters:,} parameters, {run.pretrainer.train.facts.n_tokens:,} tokens of text")
        for line in _changes(run):
            say(line)
    try:
        stopped = _train(run)
        if stopped:
            options.exit_code = STOPPED
        if first:
            say("measuring it on all validation text")
        evaluations = finish(run)
    finally:
        run.close()
    if not first:
        return None
    result = _result(run, evaluations) | {"stopped": stopped, "out": options.out}
    if not options.json:
        scores = ", ".join(f"{name} {e.bits_per_byte:.4f}" for name, e in evaluations.items())
        print(f"wrote {options.out} after {result['steps']} steps; bits per byte: {scores}")
    return result


def _result(run: Run, evaluations: dict[str, Evaluation]) -> dict[str, Any]:
    valid = next(iter(evaluations.values()), None)
    log = run.pretrainer.run_folder.moments() if run.pretrainer.run_folder else []
    return {
        "steps": run.pretrainer.step,
        "tokens_seen": run.pretrainer.tokens_seen,
        "seconds": round(run.pretrainer.seconds, 1),
        "train_loss_nats": log[-1]["train_loss_nats"] if log else None,
        "valid_loss_nats": valid.loss_nats if valid else None,
        "valid_bits_per_byte": valid.bits_per_byte if valid else None,
        "validation": {name: e.bits_per_byte for name, e in evaluations.items()},
    }


def _changes(run: Run) -> Iterator[str]:
    """What a resumed run goes on with instead of what it had, and what follows from that."""
    step = run.pretrainer.step
    for name, (before, now) in run.changed.items():
        yield f"goes on after step {step} with {name.removeprefix('recipe.')} {now} instead of {before}"
    if "recipe.steps" in run.changed and step:
        factor = run.pretrainer.learning_rate_factor
        yield f"the learning rates go on at {factor:.0%} and fall to zero at the new end; the loss may rise at first"


def _train(run: Run) -> bool:
    """Train to the end, or until Ctrl-C in any worker; returns whether it was stopped."""
    first, shown = run.pretrainer.workers.is_first, 0.0
    try:
        with _stop_signal(aloud=first) as asked_to_stop:
            for moment in run.pretrainer.moments():
                if first and (moment.valid or time.monotonic() - shown > 10):
                    say(_line(moment))
                    if moment.valid:
                        say("    " + _sample(run))
                    shown = time.monotonic()
                if run.pretrainer.workers.total(asked_to_stop.is_set())[0] and moment.step < moment.steps:
                    _save(run, "stopped")
                    return True
    except KeyboardInterrupt:  # asked twice: the step in progress is given up
        _save(run, "stopped at once")
        raise
    return False


def _save(run: Run, how: str) -> None:
    run.pretrainer.save()
    if run.pretrainer.workers.is_first:
        say(f"{how} after step {run.pretrainer.step} and saved; the same command goes on from there")


@contextmanager
def _stop_signal(*, aloud: bool) -> Iterator[threading.Event]:
    """An event that Ctrl-C or a polite kill sets, as workers must stop at the same step; a second one stops at once."""
    asked = threading.Event()

    def ask(number: int, _: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        if aloud:  # in a thread, because what was interrupted here may be in the middle of saying something
            threading.Thread(target=say, args=["stopping after this step; Ctrl-C again stops at once"]).start()

    usual = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _progress(what: str) -> Progress:
    return now_and_then(
        1, lambda done, total: f"{what}: {done / 1e6:,.1f} MB" + (f" of {total / 1e6:,.1f}" if total else "")
    )


def _line(moment: Any) -> str:
    parts = [
        f"step {moment.step:,}/{moment.steps:,}",
        f"loss {moment.train_loss_nats:.3f} nats",
        f"{moment.tokens_per_second:,.0f} tokens/s",
        f"{_duration(moment.seconds_left)} left",
    ]
    parts += [f"{name} {e.bits_per_byte:.4f} bits/byte" for name, e in (moment.valid or {}).items()]
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    """A time in the unit that suits it.

    Example:
        >>> _duration(7.2), _duration(200), _duration(9000)
        ('7 s', '3.3 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _sample(run: Any) -> str:
    """What the model writes at this point: a seeded sample, the same prompt every time."""
    from llm101.inference import InferenceEngine

    if run.pretrainer.model.config.context_length < 2:
        return ""  # no room for a prompt and a token
    engine = InferenceEngine(run.pretrainer.model.eval(), run.tokenizer)
    ids = [*engine.start_ids, *run.tokenizer.encode(SAMPLE_PROMPT)]
    ids = ids[: engine.model.config.context_length // 2]
    with run.pretrainer.threads():
        completion = engine.complete(ids, max_tokens=40, temperature=0.8, seed=0)
    run.pretrainer.model.train()
    return (run.tokenizer.decode(ids[1:]) + completion.text).replace("\n", " ")


COMMANDS = (("pretrain", "data in, a model folder out; resumes after any interruption", pretrain_options, pretrain),)
