"""A model with everything it needs, in one hand: it completes texts, streams them, and answers.

It knows how the parts are put together, and nothing of how they work or where models lie.

Reading order: LanguageModel from top to bottom.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

from llm101.inference import Cancel, Completion, CompletionToken, InferenceEngine
from llm101.library.stored_model import StoredModel
from llm101.model import Transformer
from llm101.parameters import ParameterFile
from llm101.parameters.model_folder import ModelFiles
from llm101.tokenizer import Tokenizer
from llm101.tokenizer.chat_template import ChatPrompt, ChatTemplateError, Message


@dataclass(frozen=True)
class LanguageModel:
    """A model with everything it needs: its parameters, a tokenizer, the network, an engine that runs it.

    Example:
        >>> import llm101
        >>> lm = llm101.load("storyteller")
        >>> lm.complete("Once upon a time", max_tokens=3, temperature=0).text
        ', there was'

    It can be copied and sent to other processes, steered or not; the copy has an engine of its own.
    """

    name: str
    files: ModelFiles
    """All that its files say."""
    precision: str | None = None
    """The format in which the engine reads the parameters; None: as they are stored."""
    made: InitVar[Transformer | None] = None
    """The network, if there is one already."""
    engine: InferenceEngine = field(init=False, repr=False, compare=False)
    """What turns input tokens into completion tokens."""
    _source: StoredModel = field(init=False, repr=False, compare=False)

    def __post_init__(self, made: Transformer | None) -> None:
        files, source = self.files, StoredModel(self.files, made)
        engine = InferenceEngine(
            source, files.tokenizer, start_ids=files.start_ids, end_ids=files.end_ids, precision=self.precision
        )
        object.__setattr__(self, "_source", source)
        object.__setattr__(self, "engine", engine)

    def __copy__(self) -> LanguageModel:
        return LanguageModel(self.name, self.files, self.precision, self._source.made)

    def __deepcopy__(self, memo: dict[int, Any]) -> LanguageModel:
        return LanguageModel(self.name, self.files, self.precision, copy.deepcopy(self._source.made, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is sent to another process: with its own numbers.

        Left to itself torch would share them, and for that move them to another place in memory, from under a text
        that another thread is writing just then.
        """
        return _received, (self.name, self.files, self.precision, pickle.dumps(self._source.made))

    @property
    def model(self) -> Transformer:
        """The network, its parameters as float32: made when it is first asked for, which takes 4 bytes for each."""
        return self._source.transformer()

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

    @property
    def context_length(self) -> int:
        """The most tokens that it holds, those that it reads and those that it writes together."""
        return self.files.config.context_length

    @overload
    def complete(self, prompt: str | Sequence[int], *, n: Literal[1] = 1, **settings: Any) -> Completion: ...

    @overload
    def complete(self, prompt: str | Sequence[int], *, n: int, **settings: Any) -> list[Completion]: ...

    def complete(  # pyright: ignore[reportInconsistentOverload] - whose settings are spelled out
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

    def chat(  # pyright: ignore[reportInconsistentOverload] - whose settings are spelled out
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


def _received(name: str, files: ModelFiles, precision: str | None, made: bytes) -> LanguageModel:
    return LanguageModel(name, files, precision, pickle.loads(made))  # part of a pickle being read already
