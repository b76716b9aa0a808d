"""A small world in which every command can be run within a second, and one command line for each that does."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from llm101.cli import parser
from llm101.compression import compress_file
from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderConfig, SparseAutoencoder
from llm101.interpretability.steering import Steering
from llm101.library import load
from llm101.model import ModelConfig, Transformer
from llm101.parameters.model_folder import save_model
from llm101.tokenizer import Tokenizer

TINY_MODEL = ModelConfig(vocab_size=280, d_model=16, n_layers=2, n_heads=2, d_mlp=16, context_length=64)
TINY_RUN = "--vocab-size 280 --context-length 16 --d-model 16 --n-layers 1 --n-heads 2 --n-kv-heads 1 "
TINY_RUN += "--batch-tokens 64 --steps 4 --evaluate-every 2 --device cpu"

COMMAND_LINES = {
    "read": "read book --copy-only",
    "doctor": "doctor",
    "models": "models",
    "inspect": "inspect little",
    "tokens": "tokens once --tokenizer little",
    "complete": "complete once --model little --max-tokens 2 --steering steering",
    "chat": "chat once --model little --max-tokens 2 --steering steering",
    "pretrain": f"pretrain text.txt --out run --valid valid.txt {TINY_RUN}",
    "compress": "compress text.txt --out packed --model little",
    "decompress": "decompress compressed --out unpacked --model little",
    "features train": (
        "features train text.txt --out trained --valid valid.txt --model little --layer 1 --latents 20 --active 2 "
        "--tokens 300 --steps 2"
    ),
    "features look": "features look once --autoencoder sae --model little",
    "features steer": (
        "features steer once --latent 1 --strength 2 --autoencoder sae --model little --max-tokens 3 --save kept"
    ),
    "estimate": "estimate llama-2-7b --on a100",
}
"""To be run in the folder of `make_world`."""
INSTEAD_OF = {
    ("features", "latent"): ("look once", "look"),
    ("features", "search"): ("look once", "look"),
    ("pretrain", "minutes"): ("--steps 4", ""),
}
"""What has to go if another option is given."""


def make_world(folder: Path) -> None:
    """What the command lines read: a model, texts, an autoencoder, a steering, a compressed file."""
    text = "\n<|endoftext|>\n".join(f"The {['cat', 'dog', 'hen'][n % 3]} sat, {n} times." for n in range(80))
    (folder / "text.txt").write_text(text)
    (folder / "valid.txt").write_text("The cow sat.\n<|endoftext|>\nThe cat sat.")
    tokenizer = Tokenizer.train([text], vocab_size=TINY_MODEL.vocab_size)
    save_model(folder / "little", Transformer(TINY_MODEL).initialise(seed=0), tokenizer)
    (folder / "little" / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}\n{% endfor %}")
    lm = load(folder / "little")
    config = AutoencoderConfig(d_model=16, d_sae=20, layer=1, k=2, fingerprint=lm.fingerprint)
    sae = SparseAutoencoder(config)
    with torch.no_grad():
        sae.W_enc.copy_(torch.randn(sae.W_enc.shape, generator=torch.Generator().manual_seed(0)))
        sae.W_dec.copy_(torch.nn.functional.normalize(sae.W_enc.T, dim=1))
    sae.save(folder / "sae")
    Steering.of(sae, 1, 2.0).save(folder / "steering")
    compress_file(folder / "text.txt", folder / "compressed", lm)


def commands(top: argparse.ArgumentParser | None = None) -> dict[str, argparse.ArgumentParser]:
    """The parser of every command, by its name: "features look" is one."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in (top or parser())._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                inner = commands(below)
                found |= {f"{name} {more}": p for more, p in inner.items()} if inner else {name: below}
    return found


def changed(line: str, action: argparse.Action, value: str) -> list[str]:
    """A command line of the table with another value in one place."""
    words = line.replace(*INSTEAD_OF.get((line.split(maxsplit=1)[0], action.dest), ("", ""))).split()
    if not action.option_strings:
        here = words.index(_positional_of(words))
        return [*words[:here], value, *words[here + 1 :]]
    for option in action.option_strings:
        if option in words:
            here = words.index(option)
            return [*words[:here], f"{option}={value}", *words[here + 2 :]]
    return [*words, f"{action.option_strings[-1]}={value}"]


def _positional_of(words: list[str]) -> str:
    return words[2] if words[0] == "features" else words[1]
