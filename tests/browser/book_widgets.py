"""Every widget as the book shows it, with the book's own contents, for tests that look at all of them.

Reading order: BOOK_WIDGETS (each made on demand, once), then what each is made of, in the order of the chapters.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import llm101
from llm101.estimates import Bill, machine
from llm101.inference import Walker
from llm101.interpretability import shipped
from llm101.interpretability.steering.steerable_twin import SteerableTwin
from llm101_widgets import (
    BillCalculator,
    ChatConsole,
    CompletionConsole,
    FeatureBrowser,
    InferenceStepper,
    LayerGrid,
    MergeReplay,
    ParameterMicroscope,
    SteeringConsole,
    SystemMap,
    TokenizerPlayground,
    TrainingFilm,
    TrainingMonitor,
)
from llm101_widgets.training_monitor import COMMANDS, NUMBERS
from tests.widgets.small_talk import SmallTalk

PROMPT = "The little robot found a"


@lru_cache(maxsize=1)
def storyteller() -> llm101.LanguageModel:
    return llm101.load("storyteller")


def completion_console() -> CompletionConsole:
    console = CompletionConsole(storyteller(), prompt=PROMPT, temperature=0)
    console.run()
    return console


def chat_console() -> ChatConsole:
    """With a model of a few lines: those that answer take a while to load."""
    console = ChatConsole(SmallTalk(), temperature=0, show_tokens=True)
    console.say("What is the capital of France?")
    console.say(f"Naïve 東京 <|im_start|> 👍: {PROMPT}")
    return console


def system_map() -> SystemMap:
    facts = [("numbers", "5,459,456"), ("bytes of the file", "11 MB"), ("largest tensor", "model.embed_tokens.weight")]
    found = {"parameters": {"now": "5.46 million numbers", "facts": facts}, "model": {"now": "8 layers"}}
    chapters = [f"{name}.ipynb" for name in ("01_parameters", "02_inference", "03_tokens", "04_training")]
    return SystemMap(found, selected="parameters", chapters=chapters)


def parameter_microscope() -> ParameterMicroscope:
    file = llm101.ParameterFile(storyteller().path / "model.safetensors")
    microscope = ParameterMicroscope(file, tensor="model.layers.0.self_attn.o_proj.weight", index=(97, 30))
    microscope.flip(14)
    return microscope


def inference_stepper() -> InferenceStepper:
    lm = storyteller()
    stepper = InferenceStepper(Walker(lm.engine), prompt=PROMPT)
    for word in (" big", " small", " bright"):
        stepper.selected = 0
        stepper.follow(lm.tokenizer.encode(word) + lm.complete(PROMPT + word, max_tokens=7, temperature=0).token_ids)
    stepper.selected = 2
    return stepper


def merge_replay() -> MergeReplay:
    return MergeReplay(storyteller().tokenizer.merges, step=30)


def token_playground() -> TokenizerPlayground:
    tokenizers = [storyteller().tokenizer, llm101.Tokenizer.from_tiktoken("gpt2")]
    text = "The keeper’s lamp was unextinguishable.\n  1234567 + 89, naïve 東京 👍 <|endoftext|>"
    return TokenizerPlayground(tokenizers, text=text, price=2.5)


def training_monitor() -> TrainingMonitor:
    """Half of a run, drawn by hand: a curve that falls, judged at every tenth step."""
    numbers = {"steps": 1_300, "seconds": 71.0, "seconds_left": 70.0, "learning_rate_factor": 0.53}
    numbers |= {"tokens_per_second": 23_456.0, "tokens_seen": 1_664_000}
    points = [
        SimpleNamespace(
            step=step,
            train_bits_per_byte=1 + 6 / step**0.4,
            valid_bits_per_byte=None if step % 10 else 1.1 + 6 / step**0.4,
            **numbers,
        )
        for step in range(1, 651)
    ]
    assert set(NUMBERS) <= set(vars(points[0]))
    samples = [SimpleNamespace(step=50 * n, text=" big red ball and it was very happy to play. " * 2) for n in range(9)]
    story = {"prompt": PROMPT, "points": points, "samples": samples, "state": "running", "error": None}
    return TrainingMonitor(SimpleNamespace(**story, **dict.fromkeys(("watch", *COMMANDS), lambda *_: None)))


def training_film() -> TrainingFilm:
    film = json.loads((storyteller().path / "film.json").read_text(encoding="utf-8"))
    return TrainingFilm(film, moment=len(film["moments"]) - 1)


def bill_calculator() -> BillCalculator:
    return BillCalculator(Bill(), machines=[machine(name) for name in ("a100", "h100", "laptop")])


def layer_grid() -> LayerGrid:
    columns = [" The", " cat", " sat", " on", " the", " extraordinary", " mat", "."]
    rows = ["embedding", *(f"after layer {n}" for n in range(8))]
    values = [[(r * 7 + c * 3) % 11 / 10 for c in range(len(columns))] for r in range(len(rows))]
    details = [[[[" cat", 0.9], [" extraordinarily", 0.05]] for _ in columns] for _ in rows]
    cells = [[column for column in columns] for _ in rows]
    title, chosen = "What the model would say if it stopped here", (5, len(columns) - 1)
    more = {"title": title, "value_name": "probability", "selected": chosen}
    return LayerGrid(values, rows=rows, columns=columns, cells=cells, details=details, **more)


def feature_browser() -> FeatureBrowser:
    return FeatureBrowser(shipped.shipped_features(), query="bridge")


def steering_console() -> SteeringConsole:
    steering = shipped.shipped_steering()
    twin = SteerableTwin(storyteller(), shipped.shipped_autoencoder(), reach=steering.reach, enough=steering.enough)
    names = {steering.latent: "the Golden Gate Bridge"}
    strong = {"strength": steering.strength, "concept": "bridge", "max_tokens": 40, "seed": 2}
    console = SteeringConsole(twin, names, prompt=PROMPT, **strong)
    console.run(2)
    return console


BOOK_WIDGETS: dict[str, Callable[[], Any]] = {
    make.__name__: lru_cache(maxsize=1)(make)
    for make in (
        *(chat_console, completion_console, system_map, parameter_microscope, inference_stepper, merge_replay),
        *(token_playground, training_monitor, training_film, bill_calculator, layer_grid, feature_browser),
        steering_console,
    )
}
"""The name of each widget's folder, and what makes it."""
