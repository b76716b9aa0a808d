"""A model that writes with a latent held or without, beside the one that the reader goes on using.

It knows how a text is written and how a model is steered. The widget SteeringConsole asks it for texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from llm101.inference import Cancel, CompletionToken, InferenceEngine
from llm101.interpretability.autoencoder.sparse_autoencoder import SparseAutoencoder
from llm101.interpretability.capture import twin
from llm101.interpretability.steering.steering import EVERYWHERE, NEVER, Listener, Steering
from llm101.interpretability.steering.study import Story, loss_of_stories

if TYPE_CHECKING:
    from llm101.library import LanguageModel


class SteerableTwin:
    """A language model's parameters, put to work a second time.

    Each text is written by a twin of its own: whatever it does, in whatever thread, the language model itself is
    never steered. The numbers are in memory once. Steered or not, a text takes the same, plain path through the
    engine, so that two texts with one seed differ in nothing but the steering.

    Args:
        lm: whose parameters they are.
        sae: an autoencoder of this model.
        reach, enough: where and how long a latent is held (see Steering); everywhere and always if left out.

    Raises:
        AutoencoderError: an autoencoder of another model.

    Example:
        >>> import llm101
        >>> from llm101.interpretability import shipped_autoencoder
        >>> model = SteerableTwin(llm101.load("storyteller"), shipped_autoencoder())
        >>> "".join(token.text for token in model.stream("Once upon a time", max_tokens=3, temperature=0))
        ', there was'
    """

    def __init__(
        self, lm: LanguageModel, sae: SparseAutoencoder, *, reach: float = EVERYWHERE, enough: float = NEVER
    ) -> None:
        sae.check_fits(lm.model, lm.fingerprint)
        self._lm, self._sae, self._reach, self._enough = lm, sae, reach, enough

    def stream(
        self,
        prompt: str | Sequence[int],
        *,
        latent: int | None = None,
        strength: float = 0.0,
        max_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 0.95,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        n_alternatives: int = 0,
        cancel: Cancel = None,
    ) -> Iterator[CompletionToken]:
        """Continue a text token by token; the end token is left out, as in a Story.

        Args:
            prompt: its beginning.
            latent: which one to hold; None for the model as it is.
            strength: what it is held at.
            top_p: as in write_stories, if left out. InferenceEngine.stream says what it and the others do.

        Raises:
            AutoencoderError: at once: no such latent.
            ValueError: at once: a setting out of range, or a prompt that the model cannot take.
        """
        engine = InferenceEngine(
            twin(self._lm.model),
            self._lm.tokenizer,
            start_ids=self._lm.engine.start_ids,
            end_ids=tuple(self._lm.engine.end_ids),
            fast=False,
        )
        if latent is not None:
            steering = Steering.of(self._sae, latent, strength, reach=self._reach, enough=self._enough)
            Listener(steering).keep_on(engine.model)
        tokens = engine.stream(
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
        return (token for token in tokens if token.id not in engine.end_ids)

    def loss_nats(self, prompt: str, token_ids: Sequence[int]) -> float:
        """Loss per token of what was written after a beginning, under the model as it is."""
        story = Story(self._lm.engine.prompt_ids(prompt), [*token_ids], "")
        return loss_of_stories(twin(self._lm.model), [story])
