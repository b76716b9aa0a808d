"""What a model's files say about texts: what stands before one, what ends one, and how a conversation is written.

    tokenizer.json          its post-processor: what is put before every text
    generation_config.json  eos_token_id: what ends one; else config.json says it
    chat_template.jinja     how a conversation is written; or tokenizer_config.json, under chat_template
    model.gguf              all of that among its metadata

It knows nothing of tensors and of what a network computes.

Reading order: TextSettings, settings_of_folder, settings_of_gguf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm101.outside.atomic_file import reason
from llm101.outside.strict_json import read_strict_json, shown
from llm101.parameters.errors import ModelFolderError
from llm101.tokenizer import Tokenizer
from llm101.tokenizer.chat_template import ChatTemplate

NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")
"""What templates call some special tokens."""
GGUF_NAMES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
GGUF_ENDS = ("eos", "eot", "eom")
"""End of a text, of a turn in a conversation, and of a message that is not the turn's last."""


@dataclass(frozen=True)
class TextSettings:
    """How texts begin and end for a model, and how it is talked to."""

    start_ids: tuple[int, ...]
    """Tokens that stand before every text."""
    end_ids: tuple[int, ...]
    """Tokens that end a text."""
    chat_template: ChatTemplate | None
    """None if the model was not made for conversations, or its files do not say how they are written."""


def settings_of_folder(folder: Path, config: Mapping[str, Any], tokenizer: Tokenizer) -> TextSettings:
    """What the files of a folder say.

    Args:
        folder: in Hugging Face's layout.
        config: the contents of its config.json.
        tokenizer: its tokenizer.

    Raises:
        ModelFolderError: a file that cannot be read, or a token id that is none.
    """
    generation = _json(folder / "generation_config.json")
    end = generation.get("eos_token_id")
    end = config.get("eos_token_id") if end is None else end
    end_ids = _ids(end, "eos_token_id", tokenizer)
    if not end_ids and "eos_token_id" not in config and tokenizer.end_id is not None:
        end_ids = (tokenizer.end_id,)
    return TextSettings(_start_ids(config, tokenizer), end_ids, _template_of_folder(folder))


def _start_ids(config: Mapping[str, Any], tokenizer: Tokenizer) -> tuple[int, ...]:
    """As the tokenizer's file says. A folder that llm101 wrote says it in config.json, where Hugging Face's

    libraries write a bos_token_id too, and which they sign with their version, but do not go by.
    """
    if tokenizer.start_ids or "transformers_version" in config:
        return tokenizer.start_ids
    return _ids(config.get("bos_token_id"), "bos_token_id", tokenizer)


def _template_of_folder(folder: Path) -> ChatTemplate | None:
    settings = _json(folder / "tokenizer_config.json")
    source = settings.get("chat_template")
    if isinstance(source, list):  # several, each with its name
        named = {one.get("name"): one.get("template") for one in source if isinstance(one, dict)}
        source = named.get("default")
    path = folder / "chat_template.jinja"
    if path.is_file():
        source = _text(path)
    if source is None:
        return None
    if not isinstance(source, str):
        raise ModelFolderError(f"{folder}: chat_template must be a text, got {shown(source)}")
    tokens = {name: _content(settings.get(name)) for name in NAMED_TOKENS}
    return ChatTemplate(source, {name: token for name, token in tokens.items() if token is not None})


def _content(token: Any) -> str | None:
    """A special token, written as a text or as a table that holds it."""
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None


def settings_of_gguf(metadata: Mapping[str, Any], tokenizer: Tokenizer) -> TextSettings:
    """What the metadata of a GGUF file say.

    Raises:
        ModelFolderError: a token id that is none, or a template that is no text.
    """
    ids = {name: metadata.get(f"tokenizer.ggml.{name}_token_id") for name in (*GGUF_ENDS, *GGUF_NAMES.values())}
    ends = [_ids(ids[name], f"{name}_token_id", tokenizer) for name in GGUF_ENDS]
    source = metadata.get("tokenizer.chat_template")
    if source is not None and not isinstance(source, str):
        raise ModelFolderError(f"tokenizer.chat_template must be a text, got {shown(source)}")
    template = None
    if source is not None:
        named = {token: _ids(ids[name], f"{name}_token_id", tokenizer) for token, name in GGUF_NAMES.items()}
        template = ChatTemplate(source, {token: tokenizer.decode(its) for token, its in named.items() if its})
    return TextSettings(tokenizer.start_ids, tuple(dict.fromkeys(i for its in ends for i in its)), template)


def _ids(value: Any, name: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """One id, a list of them, or none; those that the tokenizer lacks can never come."""
    values: Iterable[Any] = () if value is None else value if isinstance(value, list) else (value,)
    for token_id in values:
        if type(token_id) is not int:
            raise ModelFolderError(f"{name} must be a token id or a list of them, got {shown(value)}")
    return tuple(token_id for token_id in dict.fromkeys(values) if 0 <= token_id < tokenizer.vocab_size)


def _json(path: Path) -> dict[str, Any]:
    """The contents of a file that a folder may have; {} if it has none."""
    if not path.exists():
        return {}
    try:
        return read_strict_json(path)
    except ValueError as error:
        raise ModelFolderError(str(error)) from None


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[: 1 << 20].decode()
    except (OSError, UnicodeError) as error:
        said = reason(error) if isinstance(error, OSError) else "not UTF-8 text"
        raise ModelFolderError(f"cannot read {path}: {said}") from None
