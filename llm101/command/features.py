"""The command `features`: train a sparse autoencoder, look at what a text makes active, steer a completion."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm101.command.progress import SecondsLeft, now_and_then, say
from llm101.command.streams import text_of
from llm101.command.words import InputFile, InputModel, InputTexts, OutputFile, Text
from llm101.outside.atomic_file import stays_in_place

if TYPE_CHECKING:
    from llm101.interpretability.autoencoder.features import Features, LatentRecord
    from llm101.interpretability.autoencoder.run import Watch
    from llm101.interpretability.autoencoder.sparse_autoencoder import SparseAutoencoder
    from llm101.interpretability.steering import Steering
    from llm101.library import LanguageModel


def features_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, says, options in (
        (
            "train",
            "train a sparse autoencoder on a residual stream, and measure it for minutes",
            _train_options,
        ),
        ("look", "show what a text makes active, or what a latent responds to", _look_options),
        ("steer", "continue a text with and without one latent held at a strength", _steer_options),
    ):
        action = actions.add_parser(name, help=says, description=says[0].upper() + says[1:] + ".")
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")
        action.add_argument(
            "--model", type=InputModel, default="storyteller", help="a model's name or folder (%(default)s)"
        )
        options(action)


def features(options: argparse.Namespace) -> dict[str, Any]:
    """Train, look or steer."""
    return {"train": train, "look": look, "steer": steer}[options.action](options)


def _train_options(action: argparse.ArgumentParser) -> None:
    add = action.add_argument
    add("corpus", nargs="+", type=InputTexts, help="text files or folders; each gives as many tokens as the others")
    add("--out", type=OutputFile, required=True, metavar="FILE", help="the autoencoder, a .safetensors file")
    add(
        "--valid",
        nargs="+",
        type=InputTexts,
        required=True,
        metavar="FILE",
        help="texts to judge it on, never trained on",
    )
    for name, kind, says in (
        ("layer", int, "it reads the residual stream after this layer"),
        ("latents", int, "how many latents"),
        ("active", int, "how many of them per token"),
        ("tokens", int, "tokens of text to learn from"),
        ("steps", int, "training steps of 2,048 tokens"),
        ("learning-rate", float, "of Adam"),
        ("seed", int, "of the first parameters and the choice of text"),
    ):
        add(f"--{name}", type=kind, default=OfTraining(name), help=f"{says} (%(default)s)")


class OfTraining:
    """The default of an option: that of train_autoencoder, looked up when it is needed, for then torch is loaded."""

    def __init__(self, option: str) -> None:
        name = option.replace("-", "_")
        self.setting = {"latents": "n_latents", "active": "n_active", "tokens": "n_tokens"}.get(name, name)

    @property
    def value(self) -> Any:
        from llm101.interpretability.autoencoder import train_autoencoder

        return inspect.signature(train_autoencoder).parameters[self.setting].default

    def __str__(self) -> str:
        return str(self.value)


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Texts in, an autoencoder with its scorecard out."""
    from llm101.corpus.documents import documents
    from llm101.interpretability.autoencoder import train_autoencoder
    from llm101.library import load

    for name, value in vars(options).items():
        if isinstance(value, OfTraining):
            setattr(options, name, value.value)
    _check_at_least(1, options, "tokens")
    _check_at_least(0, options, "seed")
    start, about = time.perf_counter(), {"recipe": _command_line(options)}

    def keep(sae: SparseAutoencoder) -> None:
        if not stays_in_place(options.out):
            sae.save(options.out, about)
            said = "measuring it takes some minutes, and Ctrl-C leaves it saved without its scorecard"
            say(f"saved {options.out}; {said}")

    sae, _, n_rows = train_autoencoder(
        load(options.model),
        [list(documents(source)) for source in options.corpus],
        [text for source in options.valid for text in documents(source)],
        layer=options.layer,
        n_latents=options.latents,
        n_active=options.active,
        n_tokens=options.tokens,
        steps=options.steps,
        learning_rate=options.learning_rate,
        seed=options.seed,
        on_trained=keep,
        watch=_watch(),
    )
    sae.save(options.out, about)
    result = {"out": options.out, "n_rows": n_rows, "seconds": round(time.perf_counter() - start, 1)}
    if not options.json:
        print(f"wrote {options.out}: {sae}")
        for name, value in sae.scorecard.items():
            print(f"{value:>12,}  {name.replace('_', ' ')}")
    return result | sae.scorecard


def _look_options(action: argparse.ArgumentParser) -> None:
    add = action.add_argument
    what = action.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "text", type=Text, nargs="?", help="show the strongest latents at each token of this text (-: standard input)"
    )
    what.add_argument("--latent", type=int, metavar="N", help="show what latent N responds to and does")
    what.add_argument("--search", type=Text, metavar="WORD", help="show the latents that have to do with a word")
    add("--autoencoder", type=InputFile, metavar="FILE", help="another one than the Storyteller's own")
    add("--top", type=int, default=3, help="how many latents per token, or found (%(default)s)")


def look(options: argparse.Namespace) -> dict[str, Any]:
    """What a text makes active; what a latent responds to."""
    from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderError
    from llm101.interpretability.shipped import shipped_features

    _check_at_least(1, options, "top")
    lm, sae = _model_and_autoencoder(options)
    features = None if options.autoencoder else shipped_features()
    if options.text is not None:
        return _look_at_text(lm, sae, features, options)
    if features is None:
        raise ValueError("--latent and --search need the record that comes with the Storyteller's own autoencoder")
    if options.search is not None:
        found = features.search(options.search)[: options.top] if options.search.strip() else []
        if not found:
            raise ValueError(f"no latent has to do with {options.search!r}: try the beginning of another word")
    elif sae.check_latent(options.latent) not in features.by_id:
        raise AutoencoderError(f"latent {options.latent} was active on none of the recorded texts")
    else:
        found = [features.by_id[options.latent]]
    if not options.json:
        for latent in found:
            _print_latent(features, latent)
    return {"latents": [vars(latent) for latent in found], "tokens": features.tokens}


def _look_at_text(
    lm: LanguageModel, sae: SparseAutoencoder, features: Features | None, options: argparse.Namespace
) -> dict[str, Any]:
    from llm101.interpretability.capture import capture

    ids = lm.tokenizer.encode(text_of(options.text))
    if not ids:
        raise ValueError("the text has no tokens: give it a few words")
    residual = capture(lm.model, [*lm.engine.start_ids, *ids], sae.config.point)[sae.config.point]
    best = sae.encode(residual[0, len(lm.engine.start_ids) :]).topk(min(options.top, sae.config.d_sae))
    words = {latent.id: latent.words for latent in features.latents} if features else {}
    tokens = [
        {
            "id": token,
            "text": lm.tokenizer.decode([token]),
            "latents": [
                {"latent": latent, "strength": round(strength, 2), "words": words.get(latent, [])}
                for latent, strength in zip(latents, strengths)
                if strength > 0
            ],
        }
        for token, latents, strengths in zip(ids, best.indices.tolist(), best.values.tolist())
    ]
    if not options.json:
        for token in tokens:
            shown = "; ".join(
                f"{z['latent']} at {z['strength']:.0f} ({' '.join(z['words'][:4])})" for z in token["latents"]
            )
            print(f"{token['text']!r:<14} {shown}")
    return {"point": sae.config.point, "tokens": tokens}


def _print_latent(features: Features, latent: LatentRecord) -> None:
    def outputs(pairs: list[list[Any]]) -> str:
        return ", ".join(repr(features.tokens[token]) for token, _ in pairs)

    print(f"latent {latent.id}: active on {latent.density:.2%} of the tokens, at most {latent.strongest:.0f}")
    print(f"  words       {' '.join(latent.words)}")
    print(f"  promotes    {outputs(latent.promoted)}")
    print(f"  suppresses  {outputs(latent.suppressed)}")
    for passage in latent.passages:
        print(f"  {features.text(passage)!r}")


def _steer_options(action: argparse.ArgumentParser) -> None:
    add = action.add_argument
    add("prompt", type=Text, help="the beginning of a text, or - for standard input")
    add("--latent", type=int, metavar="N", help="left out: the Storyteller's latent for the Golden Gate Bridge")
    add("--strength", type=float, help="what it is held at, in the units of the residual stream; 0 removes it")
    add("--reach", type=float, metavar="CALL", help="hold it only where its call is stronger than this")
    add("--enough", type=float, metavar="CALL", help="let go once the text has called it more strongly than this")
    add("--autoencoder", type=InputFile, metavar="FILE", help="another one than the Storyteller's own")
    add("--concept", type=Text, default="bridge", metavar="WORD", help="what to count in the texts (%(default)s)")
    add("--stories", type=int, default=1, metavar="N", help="how many to write of each kind (%(default)s)")
    add("--max-tokens", type=int, default=100, help="length of each (%(default)s)")
    add("--temperature", type=float, default=0.8, help="how freely to choose (%(default)s)")
    add("--seed", type=int, default=0, help="of the choices; the same for both kinds (%(default)s)")
    add(
        "--save",
        type=OutputFile,
        metavar="FILE",
        help="keep the steering as a file, for `llm101 complete --steering FILE`",
    )


def steer(options: argparse.Namespace) -> dict[str, Any]:
    """Both texts, how often the concept turns up in them, and how fluent they are."""
    import re
    from contextlib import nullcontext

    from llm101.interpretability.steering.study import outcome, write_stories

    _check_at_least(1, options, "stories", "max_tokens")
    _check_at_least(0, options, "seed")
    if not options.concept.strip():
        raise ValueError("--concept is empty: say which word to count")
    lm, sae = _model_and_autoencoder(options)
    prompt, steering = text_of(options.prompt), _steering(sae, options)
    result: dict[str, Any] = {"latent": steering.latent, "strength": steering.strength, "point": steering.point}
    for kind, how in (("plain", nullcontext()), ("steered", steering.on(lm.model))):
        with how:
            stories = write_stories(
                lm,
                [prompt] * options.stories,
                max_tokens=options.max_tokens,
                temperature=options.temperature,
                seed=options.seed,
            )
        measured = outcome(lm, stories, rf"(?<!\w){re.escape(options.concept)}")  # "rain" is not in "train"
        result[kind] = {"texts": [story.text for story in stories], **vars(measured)}
        if not options.json:
            print(f"{kind}: {prompt}{stories[0].text}")
            rate, repeated = f"{measured.concept_rate:.0%} mention {options.concept!r}", measured.repeated_trigrams
            print(f"    {rate}, {repeated:.1%} repeated, {measured.loss_nats:.2f} nats per token\n")
    if options.save is not None:
        steering.save(options.save)
    return result


def _steering(sae: SparseAutoencoder, options: argparse.Namespace) -> Steering:
    from llm101.interpretability.shipped import shipped_steering
    from llm101.interpretability.steering import Steering

    if options.latent is None and options.autoencoder:
        raise ValueError("say which latent: --latent N")
    if options.latent is not None and options.strength is None:
        raise ValueError("say how strongly: --strength S (half the length of a residual vector is a good start)")
    chosen = {name: value for name in ("reach", "enough") if (value := getattr(options, name)) is not None}
    if options.strength is None:
        return dataclasses.replace(shipped_steering(), **chosen)
    latent = shipped_steering().latent if options.latent is None else options.latent
    return Steering.of(sae, latent, options.strength, **chosen)


def _check_at_least(least: int, options: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(options, name) < least:
            raise ValueError(f"--{name.replace('_', '-')} must be at least {least}, got {getattr(options, name)}")


def _model_and_autoencoder(options: argparse.Namespace) -> tuple[LanguageModel, SparseAutoencoder]:
    """Both, and made for each other."""
    from llm101.interpretability.autoencoder.sparse_autoencoder import SparseAutoencoder
    from llm101.interpretability.shipped import shipped_autoencoder
    from llm101.library import load

    lm = load(options.model)
    sae = SparseAutoencoder.from_file(options.autoencoder) if options.autoencoder else shipped_autoencoder()
    sae.check_fits(lm.model, lm.fingerprint)
    return lm, sae


def _command_line(options: argparse.Namespace) -> str:
    sources, valid = (" ".join(Path(p).name for p in paths) for paths in (options.corpus, options.valid))
    chosen = ("layer", "latents", "active", "tokens", "steps", "learning_rate", "seed")
    settings = " ".join(f"--{name.replace('_', '-')} {getattr(options, name)}" for name in chosen)
    return f"llm101 features train {sources} --valid {valid} {settings}"


def _watch() -> Watch:
    """Says now and then how far the training has come."""
    doing, seconds_left = "", SecondsLeft()

    def line(done: int, total: int) -> str:
        left = seconds_left(done, total)
        return f"{doing}: {done:,} of {total:,}" + (f", {left:,.0f} s left" if left else "")

    show = now_and_then(5, line)

    def watch(what: str, done: int, total: int) -> None:
        nonlocal doing
        doing = what
        show(done, total)

    return watch


COMMANDS = (("features", "train or look into a sparse autoencoder, or steer with it", features_options, features),)
