"""The inference engine: runs the model over input tokens and hands out completion tokens.

It knows the model, the tokenizer and the sampler, and nothing of training, interpretability or screens.
One rule for each edge: a prompt is put after `start_ids`; an empty prompt is refused; a prompt that does not
leave room for one token is refused; a completion that fills the context stops with reason "context".

Reading order: prefill and decode_step (the two halves of inference), stream, complete, complete_batch; then
writer.py (from logits to one more token), batch.py (several texts) and runner.py (the ways to run a model).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import Tensor

from llm101.inference.batch import Read, Text, write_together
from llm101.inference.compiled.compiled_runner import CompiledRunner
from llm101.inference.completion import Cancel, Completion, CompletionToken, Rules, is_cancelled
from llm101.inference.kv_cache import KVCache
from llm101.inference.runner import PlainRunner, Runner
from llm101.inference.sampling import SamplingSettings
from llm101.inference.side_by_side import SideBySide
from llm101.inference.source import Made, ModelSource
from llm101.inference.writer import Writer
from llm101.model import ModelConfig, Transformer
from llm101.outside.given import id_row, whole
from llm101.outside.strict_json import shown

if TYPE_CHECKING:
    from llm101.tokenizer import Tokenizer


LOGPROBS_AT_ONCE = 64  # tokens: their logits are what takes memory


class InferenceEngine:
    """Puts a model and its tokenizer to work.

    Args:
        model: a Transformer, on any device; or where one comes from, which then is made only if it is needed.
        tokenizer: the one it was trained with.
        start_ids: ids put before every text. Left out: the tokenizer's <|endoftext|>, because a model trained on
            "<|endoftext|> story <|endoftext|> story ..." has learned that a text begins after it.
        end_ids: tokens that end a completion. Left out: the tokenizer's <|endoftext|>.
        fast: whether the compiled path may be taken where it can be; its logits are within 1e-4 of the plain ones,
            with weights in four bits within 1e-2. See `compile` for when that is.
        precision: the format in which that path reads the parameters, as for `llm101.load`. Left out: as they are
            stored.

    Raises:
        ValueError: the tokenizer has more tokens than the model, or a precision that is not known or not for this one.
    """

    def __init__(
        self,
        model: Transformer | ModelSource,
        tokenizer: Tokenizer,
        *,
        start_ids: Sequence[int] | None = None,
        end_ids: Sequence[int] | None = None,
        fast: bool = True,
        precision: str | None = None,
    ) -> None:
        self._source, self.tokenizer = Made(model) if isinstance(model, Transformer) else model, tokenizer
        if tokenizer.vocab_size > self.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {tokenizer.vocab_size} tokens and the model only {self.config.vocab_size}: "
                "load the tokenizer that belongs to this model"
            )
        end_id = () if tokenizer.end_id is None else (tokenizer.end_id,)
        self.start_ids = self._checked(end_id if start_ids is None else start_ids)
        self.end_ids = frozenset(self._checked(end_id if end_ids is None else end_ids))
        self.kv_cache = self.new_cache()
        self._plain = PlainRunner(self._source)
        self._fast = CompiledRunner(self._source, precision) if fast else None

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self._source.config

    @property
    def model(self) -> Transformer:
        """The network, as float32: made now, if nobody has asked for it before."""
        return self._source.transformer()

    @property
    def is_fast(self) -> bool:
        """Whether the next step takes the compiled path: decided at each prompt, and given up while a hook listens."""
        return self._fast is not None and self._fast.is_ready

    @property
    def precision(self) -> str:
        """The formats in which the next text reads the parameters, that of most of them first: "Q4_1 + Q8_0"."""
        runner = self._runner(look=True)
        if isinstance(runner, CompiledRunner):
            return runner.pack.precision
        return str(self.model.lm_head.weight.dtype).removeprefix("torch.")

    @property
    def weight_bytes(self) -> int:
        """The bytes of the matrices that the next text reads, once for each token."""
        runner = self._runner(look=True)
        if isinstance(runner, CompiledRunner):
            return runner.pack.n_bytes
        return sum(p.nbytes for p in self.model.parameters() if p.ndim == 2)

    def compile(self) -> None:
        """Wait until the compiled path can be taken: half a second, or half a minute the first time on a machine.

        Left alone, the engine writes along the plain path until another process has compiled what is missing, and
        takes the compiled path from a later prompt on. Where there is no compiler, this changes nothing.
        """
        if self._fast is not None:
            self._fast.compile()

    def new_cache(self, batch: int = 1) -> KVCache:
        """An empty KV cache that fits the model."""
        made = self._source.made
        if made is None:
            return KVCache(self.config, batch)
        return KVCache(self.config, batch, dtype=made.lm_head.weight.dtype, device=made.lm_head.weight.device)

    def prompt_ids(self, prompt: str | Sequence[int]) -> list[int]:
        """Input tokens of a prompt: `start_ids` and the text's ids, or the ids given, checked.

        Raises:
            ValueError: the prompt is empty, does not fit the context, or holds an id that the model does not have.
        """
        if isinstance(prompt, (bytes, bytearray)):
            raise ValueError("the prompt is bytes: give a text (prompt.decode()), or tokenizer.encode_bytes(prompt)")
        given = self.tokenizer.encode(prompt) if isinstance(prompt, str) else self._checked(prompt)
        if not given:
            raise ValueError(
                "the prompt is empty: give it a few words, or engine.start_ids to let the model begin by itself"
            )
        ids = [*self.start_ids, *given] if isinstance(prompt, str) else given
        limit = self.config.context_length
        if len(ids) >= limit:
            raise ValueError(
                f"the prompt has {len(ids)} tokens; the model's context is {limit}, and one must stay free "
                "for the completion: shorten the prompt"
            )
        return ids

    def prefill(self, token_ids: Sequence[int], kv_cache: KVCache | None = None) -> Tensor:
        """Read input tokens all at once; the first half of inference, limited by arithmetic.

        Args:
            token_ids: at least one id. Without a cache of your own, `engine.kv_cache` starts anew with them.
            kv_cache: continue this one instead.

        Returns:
            logits [vocab_size] of the token that comes next.

        Raises:
            ValueError: no ids, unknown ids, or more than the context holds.
        """
        ids = self._checked(token_ids)
        if not ids:
            raise ValueError("there are no token ids to read: give at least one")
        if kv_cache is None:
            kv_cache = self.kv_cache = self.new_cache()
        self._check_fits(kv_cache)
        return self._runner(look=True).prefill(ids, kv_cache)

    def logprobs(self, token_ids: Sequence[int]) -> Tensor:
        """How likely the model finds a text: the logarithm of each token's probability, given those before it.

        Args:
            token_ids: at least two, and no more than the context holds.

        Returns:
            nats [n_tokens - 1], all below 0: of the second token, and so on to the last.

        Raises:
            ValueError: too few ids, unknown ones, or more than the context holds.
        """
        ids = self._checked(token_ids)
        if len(ids) < 2:
            raise ValueError(f"a first token has nothing before it: give at least two ids, got {len(ids)}")
        runner, kv_cache, found = self._runner(look=True), self.new_cache(), []
        for first in range(0, len(ids) - 1, LOGPROBS_AT_ONCE):  # logits of a long text at once would fill the memory
            piece = ids[first : min(first + LOGPROBS_AT_ONCE, len(ids) - 1)]
            scores = runner.all_logits(piece, kv_cache).float().log_softmax(dim=-1)
            found.append(scores.gather(1, torch.tensor(ids[first + 1 : first + 1 + len(piece)])[:, None])[:, 0])
        return torch.cat(found)

    def decode_step(self, token_id: int, kv_cache: KVCache | None = None) -> Tensor:
        """Read one more token; the second half of inference, limited by memory bandwidth.

        Returns:
            logits [vocab_size] of the token that comes after it.

        Raises:
            ValueError: an unknown id, or a full context.
        """
        token_id = self._checked_id(token_id)
        kv_cache = self.kv_cache if kv_cache is None else kv_cache
        self._check_fits(kv_cache)
        return self._runner().decode_step(token_id, kv_cache)

    def _runner(self, *, look: bool = False) -> Runner:
        """The way that the next step goes; `look`: at the model as it is now, before a text."""
        if self._fast is not None:
            if look:
                self._fast.refresh()
            if self._fast.is_ready:
                return self._fast
        return self._plain

    def _checked(self, token_ids: Iterable[int]) -> list[int]:
        return [self._checked_id(i) for i in id_row(token_ids, self._allowed_ids())]

    def _checked_id(self, token_id: int) -> int:
        taken = whole(token_id)
        if taken is None or not 0 <= taken < self.config.vocab_size:
            raise ValueError(f"{self._allowed_ids()}, got {shown(token_id)}")
        return taken

    def _allowed_ids(self) -> str:
        return f"token ids are whole numbers from 0 to {self.config.vocab_size - 1}"

    def _check_fits(self, kv_cache: KVCache) -> None:
        """The compiled loops look at no bounds: a cache of another shape would be written beyond its end."""
        if not isinstance(kv_cache, KVCache):
            raise ValueError(f"kv_cache must be a KVCache, such as engine.new_cache(), got {shown(kv_cache)}")
        config = self.config
        if kv_cache.config is not config and kv_cache.config != config:
            raise ValueError("this KV cache was made for a model of another shape: take engine.new_cache()")
        if kv_cache.keys.shape[1] != 1:
            raise ValueError(f"one text needs a KV cache of one row, this one has {kv_cache.keys.shape[1]}")

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
        """Completion tokens, each as soon as it is made.

        Args:
            prompt: a text, which is put after `start_ids`, or token ids, which are taken as they are.
            max_tokens: at least 1.
            temperature, top_k, top_p, min_p, repetition_penalty, frequency_penalty, presence_penalty, seed: see
                SamplingSettings.
            stop: texts that end the completion; they are never shown.
            n_alternatives: how many of the likeliest next tokens to report with each token.
            cancel: an Event, or a function that says True, looked at between tokens: the stream just ends.

        Raises:
            ValueError: at once, not at the first token: a setting out of range, or a prompt that prompt_ids refuses.
        """
        sampling = SamplingSettings(
            temperature, top_k, top_p, min_p, seed, repetition_penalty, frequency_penalty, presence_penalty
        )
        rules = Rules(sampling, max_tokens, stop, n_alternatives)
        ids = self.prompt_ids(prompt)

        def tokens() -> Iterator[CompletionToken]:
            kv_cache, writer = self.new_cache(), Writer(self.tokenizer, self.end_ids, rules, ids)
            yield from self._decode(self.prefill(ids, kv_cache), kv_cache, writer, cancel)

        return tokens()

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
        """The whole completion at once; arguments as for stream.

        Jupyter's own stop button, or Ctrl-C, ends it early and keeps what was made.

        Args:
            n: how many samples of the same prompt, which is read once. They differ in their seeds, `seed` and those
                that follow it; at temperature 0 they are all alike.

        Returns:
            A completion, or for n above 1 a list of them.

        Raises:
            ValueError: a setting out of range, or a prompt that prompt_ids refuses.
        """
        sampling = SamplingSettings(
            temperature, top_k, top_p, min_p, seed, repetition_penalty, frequency_penalty, presence_penalty
        )
        samples = [Rules(its, max_tokens, stop) for its in sampling.samples(n)]
        ids = self.prompt_ids(prompt)
        texts = [Text(ids, Writer(self.tokenizer, self.end_ids, rules, ids)) for rules in samples]
        start = time.perf_counter()
        with suppress(KeyboardInterrupt):
            kv_cache = self.new_cache()
            logits = self.prefill(ids, kv_cache)
            read = time.perf_counter() - start
            for text in texts:
                kv_cache.truncate(len(ids))  # back to where the prompt ends
                text.prefill_seconds, begun = read, time.perf_counter()
                for token in self._decode(logits, kv_cache, text.writer, cancel):
                    text.made.append(token)  # one by one, so that an interruption loses nothing
                    text.decode_seconds = time.perf_counter() - begun
        completions = [text.completion() for text in texts]
        return completions if n > 1 else completions[0]

    def _decode(self, logits: Tensor, kv_cache: KVCache, writer: Writer, cancel: Cancel) -> Iterator[CompletionToken]:
        while not is_cancelled(cancel):
            token = writer.next_token(logits, self.config.context_length - kv_cache.length)
            yield token
            if token.stop_reason is not None:
                return
            logits = self.decode_step(token.id, kv_cache)

    def complete_batch(
        self,
        prompts: Sequence[str | Sequence[int]],
        *,
        max_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        seed: int | Sequence[int] | None = None,
        stop: str | Sequence[str] = (),
        cancel: Cancel = None,
    ) -> list[Completion]:
        """Several completions side by side; each is what `complete` gives for its prompt alone, with the same seed.

        Their lengths may differ, and one that ends leaves the others alone. A hook in the model sees prompts of the
        same length together, whole, and then one token of each text that is not over, [n_texts, 1, ...].

        The compiled path adds up each text's numbers as it does for one text alone. The plain path leaves that to
        torch, which may take another order for another number of texts: logits differ in their last bits then, and
        a text only where a draw falls between the two.

        Args:
            prompts: several, each as for complete; so are the settings but for the seed.
            seed: one for all texts, or a list with one for each. Two texts of one prompt and one seed are the same.

        Returns:
            A completion for each prompt. Its `prefill_seconds` is the time that it took to read all prompts of that
            length, its `decode_seconds` the time until it ended, the others' share included.

        Raises:
            ValueError: a setting out of range, or a prompt that prompt_ids refuses.
        """
        sampling = SamplingSettings(
            temperature, top_k, top_p, min_p, None, repetition_penalty, frequency_penalty, presence_penalty
        )
        rules = Rules(sampling, max_tokens, stop)
        ids = [self.prompt_ids(prompt) for prompt in _several(prompts)]
        each = [replace(rules, sampling=replace(rules.sampling, seed=one)) for one in _seeds(seed, len(ids))]
        texts = [Text(one, Writer(self.tokenizer, self.end_ids, its, one)) for one, its in zip(ids, each)]
        with suppress(KeyboardInterrupt):
            write_together(texts, self._reading(len(texts)), self.config.context_length, cancel)
        return [text.completion() for text in texts]

    def _reading(self, n_texts: int) -> Read:
        """How several texts are read: by the compiled loops if they are ready now, else side by side by the model."""
        runner = self._runner(look=True)
        if isinstance(runner, CompiledRunner):
            return self._compiled_reading(runner, n_texts)
        return self._plain_reading(n_texts)

    def _compiled_reading(self, fast: CompiledRunner, n_texts: int) -> Read:
        kv_caches = [self.new_cache() for _ in range(n_texts)]

        def read(texts: Sequence[int], token_ids: Sequence[Sequence[int]]) -> Sequence[Tensor]:
            own = [kv_caches[text] for text in texts]
            if fast.is_ready and own[0].length:
                return fast.decode_steps([token_id for (token_id,) in token_ids], own)
            return [self.prefill(ids, kv_cache) for ids, kv_cache in zip(token_ids, own)]

        return read

    def _plain_reading(self, n_texts: int) -> Read:
        p = self.model.lm_head.weight
        cache = SideBySide(self.config, n_texts, dtype=p.dtype, device=p.device)

        @torch.no_grad()
        def read(texts: Sequence[int], token_ids: Sequence[Sequence[int]]) -> Sequence[Tensor]:
            cache.go_on_with(texts)
            ids, n = torch.tensor(token_ids, device=p.device), len(token_ids[0])
            _, positions = cache.places(n)
            logits = self.model(ids, cache, positions=positions, attention_mask=cache.mask(n), last_only=True)
            return logits[:, -1].unbind()

        return read


def _several(prompts: Iterable[str | Sequence[int]]) -> Iterable[str | Sequence[int]]:
    if isinstance(prompts, (str, bytes)) or not hasattr(prompts, "__iter__"):
        raise ValueError(f"prompts must be several, got the single {shown(prompts)}: put it into a list")
    return prompts


def _seeds(seed: object, n_texts: int) -> Sequence[Any]:
    """What was given as the seed of each text; whether it is one, SamplingSettings says."""
    if not isinstance(seed, Sequence) or isinstance(seed, (str, bytes)):
        return [seed] * n_texts
    if len(seed) != n_texts:
        raise ValueError(f"seed must be one for all, or a list of one for each of {n_texts} texts, got {len(seed)}")
    return seed
