"""llm101: open, run, take apart and rebuild a large language model.

The folder is the article's flowchart:

    corpus/              what a model learns from: texts -> token ids on disk
    pretraining/         data in, parameters out
    parameters/          all that a model's files say
    model.py             the parameters put to work
    tokenizer/           text <-> token ids
    inference/           input tokens in, completion tokens out
    interpretability/    which numbers mean what
    compression/         the model as a lossless compressor
    estimates/           sizes, speeds and bills by arithmetic
    library/             load("storyteller") -> LanguageModel
    diagrams.py          the flowchart itself
    exercises.py         is a reader's answer right?
    cli.py, command/     the command line
    reader/              is this machine ready, and where is the book?
    outside/             files and values from outside, met with suspicion
    models/              the Storyteller, which comes with the book

Importing llm101 is quick: each name below is looked up when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: until something is imported, nobody is there to answer Ctrl-C
if TYPE_CHECKING:
    from typing import Any

    from llm101.corpus import Corpus
    from llm101.inference import InferenceEngine
    from llm101.library import LanguageModel, known_models, load
    from llm101.model import ModelConfig, Transformer
    from llm101.parameters import ParameterFile
    from llm101.tokenizer import Tokenizer

__version__ = "0.1.0"

_HOMES = {
    "Corpus": "llm101.corpus",
    "InferenceEngine": "llm101.inference",
    "LanguageModel": "llm101.library",
    "ModelConfig": "llm101.model",
    "ParameterFile": "llm101.parameters",
    "Tokenizer": "llm101.tokenizer",
    "Transformer": "llm101.model",
    "known_models": "llm101.library",
    "load": "llm101.library",
}

__all__ = [
    "Corpus",
    "InferenceEngine",
    "LanguageModel",
    "ModelConfig",
    "ParameterFile",
    "Tokenizer",
    "Transformer",
    "known_models",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'llm101' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
