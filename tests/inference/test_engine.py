"""The engine: the loop, its stopping reasons, its refusals, and batches that equal single texts.

Where a test needs the model to say certain tokens, a hook replaces the logits by a script.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
import torch

from llm101.inference import InferenceEngine, SamplingSettings, next_token_probabilities
from llm101.inference.batch import equally_long
from llm101.model import ModelConfig, Transformer
from llm101.tokenizer import END_OF_TEXT, Tokenizer

END = 256
BYTES = Tokenizer("bytes", {bytes([b]): b for b in range(256)}, {END_OF_TEXT: END})


def tiny_model(context_length: int = 64, **shape) -> Transformer:
    config = ModelConfig(
        vocab_size=257, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, context_length=context_length, **shape
    )
    model = Transformer(config).initialise(0).eval()
    with torch.no_grad():
        model.lm_head.weight *= 20  # sure of itself, so that texts differ
    return model


def engine_that_says(script: bytes | Sequence[int], context_length: int = 64) -> InferenceEngine:
    """An engine whose likeliest next tokens are the script's, and the end token after it."""
    ids: Iterator[int] = iter([*script, *[END] * 99])
    model = tiny_model(context_length)

    def force(module: torch.nn.Module, inputs: tuple, logits: torch.Tensor) -> torch.Tensor:
        forced = torch.zeros_like(logits)
        forced[:, -1, next(ids)] = 50.0
        return forced

    model.logits.register_forward_hook(force)
    return InferenceEngine(model, BYTES)


@pytest.fixture(scope="module")
def engine() -> InferenceEngine:
    return InferenceEngine(tiny_model(), BYTES)


def test_a_completion_is_the_loop_of_prefill_sample_decode_step(engine):
    ids = engine.prompt_ids("once")
    expected = []
    with torch.no_grad():  # without any cache: the whole text anew for each token
        for _ in range(20):
            logits = engine.model(torch.tensor([ids + expected]))[0, -1]
            expected.append(int(logits.argmax()))
    assert engine.complete("once", max_tokens=20, temperature=0).token_ids == expected


def test_a_text_is_put_after_the_start_token_and_ids_are_taken_as_they_are(engine):
    assert engine.prompt_ids("ab") == [END, 97, 98]
    assert engine.prompt_ids([97, 98]) == [97, 98]
    other = InferenceEngine(tiny_model(), BYTES, start_ids=(1, 2))
    assert other.prompt_ids("a") == [1, 2, 97]
    assert InferenceEngine(tiny_model(), BYTES, start_ids=()).prompt_ids("a") == [97]


def test_a_special_token_in_a_readers_text_is_only_text(engine):
    assert END not in engine.prompt_ids(f"say {END_OF_TEXT}")[1:]


def test_stream_and_complete_agree(engine):
    asked = {"max_tokens": 30, "temperature": 0.9, "top_p": 0.95, "seed": 3}
    tokens = list(engine.stream("once", **asked))
    whole = engine.complete("once", **asked)
    assert "".join(token.text for token in tokens) == whole.text
    assert [token.id for token in tokens] == whole.token_ids
    assert tokens[-1].stop_reason == whole.stop_reason
    assert [token.stop_reason for token in tokens[:-1]] == [None] * (len(tokens) - 1)
    assert whole.text == BYTES.decode([i for i in whole.token_ids if i != END])
    assert whole.decode_tokens_per_second == pytest.approx(len(whole.token_ids) / whole.decode_seconds)


def test_the_same_seed_gives_the_same_text_and_another_one_another(engine):
    first, again, other = (engine.complete("once", max_tokens=20, seed=seed).token_ids for seed in (1, 1, 2))
    assert first == again != other


def test_logprobs_and_alternatives_are_the_models_own_probabilities(engine):
    for token in engine.stream("once", max_tokens=5, temperature=0.3, top_k=3, seed=0, n_alternatives=257):
        chances = {a.id: a.probability for a in token.alternatives}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-4)
        assert chances[token.id] == pytest.approx(2.718281828**token.logprob, rel=1e-4)
        assert [a.probability for a in token.alternatives] == sorted(chances.values(), reverse=True)
    expected = next_token_probabilities(engine.prefill(engine.prompt_ids("x")), SamplingSettings())
    first = next(engine.stream("x", n_alternatives=2))
    assert [a.id for a in first.alternatives] == expected.topk(2).indices.tolist()
    assert first.alternatives[0].text == BYTES.decode([first.alternatives[0].id])


def test_two_streams_at_once_do_not_disturb_each_other(engine):
    alone = [[t.id for t in engine.stream(p, max_tokens=8, seed=1)] for p in ("one", "other")]
    one, other = engine.stream("one", max_tokens=8, seed=1), engine.stream("other", max_tokens=8, seed=1)
    both = [(a.id, b.id) for a, b in zip(one, other)]
    assert [list(ids) for ids in zip(*both)] == alone


def test_walking_back_along_the_cache_and_on(engine):
    ids = engine.prompt_ids("once upon")
    first = engine.prefill(ids)
    engine.decode_step(97)
    engine.kv_cache.truncate(len(ids) - 1)
    torch.testing.assert_close(engine.decode_step(ids[-1]), first, atol=1e-4, rtol=0)


def test_the_end_token_ends_it_and_is_not_shown():
    whole = engine_that_says(b"bye").complete("hi", temperature=0)
    assert (whole.text, whole.token_ids, whole.stop_reason) == ("bye", [98, 121, 101, END], "end")


def test_other_end_tokens_can_be_named():
    engine = InferenceEngine(engine_that_says(b"yes.no").model, BYTES, end_ids=(ord("."),))
    assert engine.complete("hi", temperature=0).text == "yes"


def test_max_tokens_ends_it():
    whole = engine_that_says(b"a long story").complete("hi", temperature=0, max_tokens=6)
    assert (whole.text, whole.stop_reason) == ("a long", "length")


def test_a_stop_string_ends_it_and_is_never_shown():
    stream = list(engine_that_says(b"one\n\ntwo").stream("hi", temperature=0, stop="\n\n"))
    assert [token.text for token in stream] == ["o", "n", "e", "", ""]
    assert stream[-1].stop_reason == "stop"


def test_what_was_held_back_is_shown_when_the_text_ends():
    assert engine_that_says(b"one\n").complete("hi", temperature=0, stop=("\n\n",)).text == "one\n"
    assert engine_that_says(b"one\n!").complete("hi", temperature=0, stop=("\n\n",), max_tokens=4).text == "one\n"


def test_characters_split_across_tokens_come_whole():
    texts = [token.text for token in engine_that_says("é🌉".encode()).stream("hi", temperature=0)]
    assert texts == ["", "é", "", "", "", "🌉", ""]


def test_a_full_context_ends_it():
    whole = engine_that_says(b"abcdefghij", context_length=8).complete("hi", temperature=0)
    assert len(whole.prompt_ids) == 3
    assert (whole.text, whole.stop_reason) == ("abcde", "context")


def test_cancelling_ends_it_between_tokens_and_keeps_what_was_made():
    event = threading.Event()
    made = []
    for token in engine_that_says(b"abcdef").stream("hi", temperature=0, cancel=event):
        made.append(token.text)
        if len(made) == 2:
            event.set()
    assert made == ["a", "b"]
    calls = iter([False, False, False, True])
    whole = engine_that_says(b"abcdef").complete("hi", temperature=0, cancel=lambda: next(calls))
    assert (whole.text, whole.stop_reason) == ("abc", "cancelled")


def test_cancelling_before_the_first_token_gives_an_empty_completion(engine):
    whole = engine.complete("hi", cancel=lambda: True)
    assert (whole.text, whole.token_ids, whole.stop_reason) == ("", [], "cancelled")


def test_ctrl_c_keeps_what_was_made():
    calls = iter(range(100))

    def interrupt() -> bool:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return False

    whole = engine_that_says(b"abcdef").complete("hi", temperature=0, cancel=interrupt)
    assert (whole.text, whole.stop_reason) == ("abc", "cancelled")
    calls = iter(range(100))
    (one,) = engine_that_says(b"abcdef").complete_batch(["hi"], temperature=0, cancel=interrupt)
    assert (one.text, one.stop_reason) == ("abc", "cancelled")


def test_a_prompt_may_fill_the_context_up_to_one_token(engine):
    whole = engine.complete([97] * 63, max_tokens=5)
    assert (len(whole.token_ids), whole.stop_reason) in ((1, "context"), (1, "end"))
    with pytest.raises(ValueError, match="the prompt has 64 tokens; the model's context is 64.*shorten the prompt"):
        engine.complete([97] * 64)


@pytest.mark.parametrize("prompt", ["", []])
def test_an_empty_prompt_is_refused_saying_what_to_do(engine, prompt):
    with pytest.raises(ValueError, match=r"the prompt is empty: give it a few words, or engine.start_ids"):
        engine.complete(prompt)
    assert len(engine.complete(engine.start_ids, max_tokens=2, seed=0).token_ids) == 2


@pytest.mark.parametrize("bad", [-1, 257, 1.0, True, "a"])
def test_ids_out_of_range_are_refused(engine, bad):
    for use in (
        lambda: engine.complete([97, bad]),
        lambda: engine.prefill([97, bad]),
        lambda: engine.decode_step(bad),
    ):
        with pytest.raises(ValueError, match=f"whole numbers from 0 to 256, got {bad!r}"):
            use()


def test_refusals_come_at_once_and_not_with_the_first_token(engine):
    with pytest.raises(ValueError, match="temperature .* got -1"):
        engine.stream("hi", temperature=-1)
    with pytest.raises(ValueError, match="the prompt is empty"):
        engine.stream("")
    with pytest.raises(ValueError, match="there are no token ids"):
        engine.prefill([])


def test_decoding_beyond_the_context_is_refused():
    engine = InferenceEngine(tiny_model(context_length=4), BYTES)
    engine.prefill([1, 2, 3])
    engine.decode_step(4)
    with pytest.raises(ValueError, match="5 tokens do not fit the context of 4"):
        engine.decode_step(5)


def test_a_tokenizer_larger_than_the_model_is_refused():
    larger = Tokenizer("larger", {bytes([b]): b for b in range(256)}, {END_OF_TEXT: 300})
    with pytest.raises(ValueError, match="the tokenizer has 301 tokens and the model only 257"):
        InferenceEngine(tiny_model(), larger)


def test_a_padded_vocabulary_never_gives_an_id_without_a_token():
    smaller = Tokenizer("smaller", {bytes([b]): b for b in range(256)})
    engine = InferenceEngine(tiny_model(), smaller)
    whole = engine.complete("hi", max_tokens=60, temperature=50, seed=0)
    assert len(whole.token_ids) == 60  # there is no end token, and id 256 is padding
    assert max(whole.token_ids) < 256


PROMPTS = ["a", "hello", "once upon a time there was", "xyz", [1, 2, 3, 4], "b" * 50, "q", "rs", "tuv"]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("settings", [{"temperature": 0}, {"temperature": 1.0, "top_p": 0.95, "seed": 11}])
def test_each_text_of_a_batch_is_what_it_is_alone(fast, settings):
    engine = InferenceEngine(tiny_model(), BYTES, fast=fast)
    together = engine.complete_batch(PROMPTS, max_tokens=40, **settings)
    alone = [engine.complete(prompt, max_tokens=40, **settings) for prompt in PROMPTS]
    assert len({c.stop_reason for c in alone}) > 1 or settings["temperature"] == 0  # they end at different times
    for a, b in zip(together, alone):
        assert (a.text, a.token_ids, a.prompt_ids, a.stop_reason) == (b.text, b.token_ids, b.prompt_ids, b.stop_reason)


@pytest.mark.parametrize("shape", [{}, {"sliding_window": 5}, {"sliding_window": 5, "windowed_layers": (1,)}])
def test_a_batch_with_a_hook_reads_its_texts_side_by_side_and_each_is_what_it_is_alone(shape):
    engine = InferenceEngine(tiny_model(**shape), BYTES)
    settings = {"max_tokens": 60, "temperature": 0.8, "seed": range(len(PROMPTS))}
    seen = []

    def push(_module: torch.nn.Module, _inputs: tuple, residual: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(residual.shape[:2]))
        return residual * 1.1

    point = dict(engine.model.capture_points())["layers.0.resid_post"]
    handle = point.register_forward_hook(push)
    together = engine.complete_batch(PROMPTS, **settings)
    assert not engine.is_fast
    lengths = {len(engine.prompt_ids(prompt)) for prompt in PROMPTS}
    prompts, steps = seen[: len(lengths)], seen[len(lengths) :]
    assert [seq for _, seq in prompts] == sorted(lengths)  # each prompt is read whole, with those of its length
    assert [n for n, _ in steps] == [
        sum(len(c.token_ids) > made for c in together) for made in range(1, max(len(c.token_ids) for c in together))
    ]
    for prompt, seed, one in zip(PROMPTS, settings["seed"], together):
        alone = engine.complete(prompt, **{**settings, "seed": seed})
        assert (one.token_ids, one.stop_reason) == (alone.token_ids, alone.stop_reason)
    assert len({one.stop_reason for one in together}) > 1  # they end at different times
    handle.remove()
    assert [one.token_ids for one in engine.complete_batch(PROMPTS, **settings)] != [c.token_ids for c in together]


@pytest.mark.parametrize("fast", [True, False])
def test_a_batch_may_have_a_seed_for_each_text(fast):
    engine = InferenceEngine(tiny_model(), BYTES, fast=fast)
    texts = [c.token_ids for c in engine.complete_batch(["once"] * 3, max_tokens=20, seed=[1, 2, 1])]
    assert texts == [engine.complete("once", max_tokens=20, seed=seed).token_ids for seed in (1, 2, 1)]
    assert texts[0] != texts[1]
    with pytest.raises(ValueError, match="one for each of 2 texts, got 3"):
        engine.complete_batch(["a", "b"], seed=[1, 2, 3])
    with pytest.raises(ValueError, match="seed must be a whole number .* got -1"):
        engine.complete_batch(["a", "b"], seed=[1, -1])


def test_many_long_prompts_are_read_a_few_at_a_time():
    groups = list(equally_long([[1] * 3000, [1] * 3000, [1] * 2000, [1] * 2000, [1] * 2000, [1] * 9000]))
    assert groups == [[2, 3], [4], [0], [1], [5]]


def test_an_empty_batch_is_an_empty_list(engine):
    assert engine.complete_batch([]) == []
