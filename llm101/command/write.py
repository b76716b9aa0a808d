"""The commands that let a model write: complete, chat."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from llm101.command.streams import text_of
from llm101.command.words import InputFile, InputModel, Text

if TYPE_CHECKING:
    from llm101.inference import Completion, CompletionToken
    from llm101.library import LanguageModel

SETTINGS = (
    *("max_tokens", "temperature", "top_k", "top_p", "min_p", "stop", "seed"),
    *("repetition_penalty", "frequency_penalty", "presence_penalty"),
)


def complete_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    command.add_argument("prompt", type=Text, help="the beginning of a text, or - for standard input")
    _add_settings(command, model="storyteller", max_tokens=200, temperature=0.8)


def chat_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    command.add_argument("message", type=Text, help="what you say to the model, or - for standard input")
    command.add_argument("--system", type=Text, metavar="TEXT", help="what the model is told before (its own, if any)")
    _add_settings(command, model="smollm2", max_tokens=400, temperature=0.0)


def _add_settings(command: argparse.ArgumentParser, *, model: str, max_tokens: int, temperature: float) -> None:
    add = command.add_argument
    add(
        "--model",
        type=InputModel,
        default=model,
        metavar="NAME",
        help="a known model, a folder, a file or a hub id (%(default)s)",
    )
    add(
        "--steering",
        type=InputFile,
        metavar="FILE",
        help="steer it, with what `llm101 features steer --save FILE` wrote",
    )
    add(
        "--precision",
        type=Text,
        metavar="FORMAT",
        help="how the parameters are read: float32, float16, bfloat16, Q8_0, Q4_0 or Q4_1 (as they are stored)",
    )
    add("--n", type=int, default=1, metavar="N", help="write so many samples; the seeds count on (%(default)s)")
    add("--max-tokens", type=int, default=max_tokens, metavar="N", help="stop after so many tokens (%(default)s)")
    add(
        "--temperature",
        type=float,
        default=temperature,
        metavar="T",
        help="0: always the likeliest token (%(default)s)",
    )
    add("--top-k", type=int, default=0, metavar="K", help="choose among the K likeliest only (0: all)")
    add("--top-p", type=float, default=0.95, metavar="P", help="... among the likeliest that make up P (%(default)s)")
    add("--min-p", type=float, default=0.0, metavar="P", help="... among those at least P times the best (%(default)s)")
    add(
        "--repetition-penalty",
        type=float,
        default=1.0,
        metavar="P",
        help="above 1: what stands in the text or the prompt becomes less likely (%(default)s)",
    )
    add(
        "--frequency-penalty",
        type=float,
        default=0.0,
        metavar="P",
        help="above 0: ... the more often it has been written (%(default)s)",
    )
    add(
        "--presence-penalty",
        type=float,
        default=0.0,
        metavar="P",
        help="above 0: ... once it has been written (%(default)s)",
    )
    add(
        "--stop",
        type=Text,
        action="append",
        default=[],
        metavar="TEXT",
        help="end before this text; may be given several times",
    )
    add("--seed", type=int, help="the same seed gives the same text")


def complete(options: argparse.Namespace) -> dict[str, Any]:
    """Continue a text, token by token; Ctrl-C ends it early."""
    lm, prompt = _model(options), text_of(options.prompt)
    if options.json or options.n != 1:
        return _several(lm.complete(prompt, n=options.n, **_settings(options)), options, before=prompt)
    stream = lm.stream(prompt, **_settings(options))  # refuses bad settings before anything is printed
    print(prompt, end="", flush=True)
    _print_stream(stream, options)
    return {}


def chat(options: argparse.Namespace) -> dict[str, Any]:
    """Answer a message, token by token; Ctrl-C ends it early."""
    lm = _model(options)
    messages = [{"role": "user", "content": text_of(options.message)}]
    if options.system is not None:
        messages.insert(0, {"role": "system", "content": options.system})
    if options.json or options.n != 1:
        return _several(lm.chat(messages, n=options.n, **_settings(options)), options) | {"messages": messages}
    _print_stream(lm.stream_chat(messages, **_settings(options)), options)
    return {}


def _model(options: argparse.Namespace) -> LanguageModel:
    from llm101.library import load

    lm = load(options.model, precision=options.precision)
    if options.steering is not None:
        from llm101.interpretability.steering import Steering  # most texts are written without

        Steering.from_file(options.steering).keep_on(lm)
    return lm


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in SETTINGS}


def _print_stream(stream: Iterable[CompletionToken], options: argparse.Namespace) -> None:
    try:
        for token in stream:
            print(token.text, end="", flush=True)
    except KeyboardInterrupt:
        options.exit_code = 130
    print()


def _several(made: Completion | list[Completion], options: argparse.Namespace, before: str = "") -> dict[str, Any]:
    """What was made, printed if no JSON is wanted; the JSON of one is that one, of several a list."""
    completions = made if isinstance(made, list) else [made]
    if not options.json:
        for i, completion in enumerate(completions, 1):
            print(f"[{i}] {before}{completion.text}")
    objects = [_as_json(completion) for completion in completions]
    return objects[0] if options.n == 1 else {"completions": objects}


def _as_json(completion: Completion) -> dict[str, Any]:
    return {
        "prompt_ids": completion.prompt_ids,
        "completion_ids": completion.token_ids,
        "text": completion.text,
        "stop_reason": completion.stop_reason,
        "prefill_seconds": completion.prefill_seconds,
        "decode_tokens_per_second": completion.decode_tokens_per_second,
    }


COMMANDS = (
    ("complete", "completion tokens, streamed", complete_options, complete),
    ("chat", "an answer to a message, streamed", chat_options, chat),
)
