"""The command estimate: size, memory and speed of a model on a machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm101.command.words import InputModel, Name

if TYPE_CHECKING:
    from llm101.model import ModelConfig


def estimate_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    command.add_argument(
        "model", type=InputModel, help="a known model, a folder, or a published one such as llama-2-7b"
    )
    command.add_argument(
        "--on", type=Name, default="this", metavar="MACHINE", help="a100, h100, laptop, this: measured (%(default)s)"
    )
    command.add_argument("--context", type=int, metavar="N", help="tokens of text behind it (all that it can look at)")
    command.add_argument("--batch", type=int, default=1, metavar="B", help="texts at once (%(default)s)")
    command.add_argument(
        "--dtype", type=Name, default="float16", metavar="D", help="float32, float16, bfloat16, int8 or int4"
    )


def estimate(options: argparse.Namespace) -> dict[str, Any]:
    """Say what a model takes on a machine, and how fast it can be at best."""
    from llm101.estimates import speed
    from llm101.estimates.machines import machine

    config, on = _config(options.model), machine(options.on)
    found = speed.estimate(config, on, context=options.context, batch=options.batch, dtype=options.dtype)
    if not options.json:
        print(f"{options.model} on {on.name} ({on.flops / 1e9:,.0f} GFLOP/s, {on.bandwidth / 1e9:,.0f} GB/s):")
        print(f"  weights    {found.weights_bytes / 1e9:,.3f} GB in {options.dtype}")
        print(f"  KV cache   {found.kv_cache_bytes / 1e9:,.3f} GB")
        print(f"  together   {found.total_bytes / 1e9:,.3f} GB of {on.memory_bytes / 1e9:,.0f} GB")
        print(f"  prefill    {found.prefill_seconds:,.3g} s for a full context, at best")
        print(f"  decode     {found.decode_tokens_per_second:,.3g} tokens/s, at best; limited by {found.limited_by}")
    return vars(found)


def _config(name: str) -> ModelConfig:
    """The shape of a model, from a name or a folder; nothing is downloaded and no parameter is read."""
    from llm101.estimates.published import PUBLISHED
    from llm101.library import known_models
    from llm101.parameters.model_folder import open_config

    if name in PUBLISHED:
        return PUBLISHED[name]
    known = {model.name: model for model in known_models()}
    if name in known:
        known[name].check_installed()
    path = known[name].path if name in known else Path(name)
    if path.is_file() or (path / "config.json").is_file():
        return open_config(path)
    names = ", ".join([*known, *PUBLISHED])
    raise ValueError(f"no model {name!r}: there are {names}; or give a folder with a config.json, or a .gguf file")


COMMANDS = (("estimate", "size, memory and speed of a model on a machine", estimate_options, estimate),)
