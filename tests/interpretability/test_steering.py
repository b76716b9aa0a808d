"""Steering: the clamp is encode-clamp-decode-plus-error, and a steered text is what it would be alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from llm101.inference import InferenceEngine
from llm101.interpretability.autoencoder.sparse_autoencoder import AutoencoderError, SparseAutoencoder
from llm101.interpretability.capture import CaptureError, capture, hooks
from llm101.interpretability.shipped import bridge_beginnings, prompts, shipped_measurements, shipped_steering
from llm101.interpretability.steering import Steering, add, clamp, steered
from llm101.interpretability.steering.study import (
    Story,
    compare,
    loss_of_stories,
    mean_difference,
    outcome,
    random_direction,
    repeated_trigrams,
    write_stories,
)
from llm101.library import LanguageModel, load
from llm101.model import Transformer
from llm101.parameters import ParameterFile, ParameterFileError, write_parameters
from llm101.parameters.model_folder import save_model

POINT = "layers.1.resid_post"


def test_clamping_is_decoding_the_changed_latents_and_keeping_the_error(sae: SparseAutoencoder) -> None:
    x = torch.randn(50, 16, generator=torch.Generator().manual_seed(3)) * 3
    latents = sae.encode(x)
    error = x - sae.decode(latents)
    clamped = latents.clone()
    clamped[:, 7] = 5.0
    assert 0 < (latents[:, 7] > 0).sum() < 50
    torch.testing.assert_close(clamp(sae, 7, 5.0)(x), sae.decode(clamped) + error)


def test_clamping_a_latent_to_what_it_is_changes_nothing(sae: SparseAutoencoder) -> None:
    x = torch.randn(1, 16, generator=torch.Generator().manual_seed(3)) * 3
    for latent in range(5):
        torch.testing.assert_close(clamp(sae, latent, float(sae.encode(x)[0, latent]))(x), x)


def test_completions_run_through_the_clamp_token_by_token(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    """With the KV cache each token passes once; the text must be what one run over all of it would give."""
    plain = lm.complete("The cat", max_tokens=8, temperature=0).token_ids
    with steered(lm.model, sae, 7, 40.0):
        made = lm.complete("The cat", max_tokens=8, temperature=0)
        ids, expected = list(made.prompt_ids), []
        for _ in range(len(made.token_ids)):
            with torch.no_grad():
                expected.append(int(lm.model(torch.tensor([ids]))[0, -1].argmax()))
            ids.append(expected[-1])
    assert made.token_ids == expected != plain
    assert lm.complete("The cat", max_tokens=8, temperature=0).token_ids == plain


@pytest.mark.parametrize("strength", [None, 40.0])
def test_stories_written_side_by_side_are_those_written_alone(
    lm: LanguageModel, sae: SparseAutoencoder, strength: float | None
) -> None:
    prompts = ["The cat", "The dog sat on", "T"]
    changes = {} if strength is None else {POINT: clamp(sae, 7, strength)}
    with hooks(lm.model, changes):
        together = write_stories(lm, prompts, max_tokens=12, temperature=0)
        engine = InferenceEngine(lm.model, lm.tokenizer, fast=False)
        for prompt, story in zip(prompts, together):
            alone = engine.complete(prompt, max_tokens=12, temperature=0)
            assert story.token_ids == [i for i in alone.token_ids if i not in engine.end_ids]
            assert story.text == alone.text


def test_the_same_seed_writes_the_same_stories(lm: LanguageModel) -> None:
    first, again, other = (
        [s.token_ids for s in write_stories(lm, ["The cat", "The"], max_tokens=9, temperature=1.0, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_each_story_has_a_seed_of_its_own_and_can_be_written_once_more(lm: LanguageModel) -> None:
    stories = write_stories(lm, ["The cat"] * 3, max_tokens=9, temperature=1.0, seed=5)
    assert len({tuple(story.token_ids) for story in stories}) == 3
    for seed, story in enumerate(stories, 5):
        assert lm.complete("The cat", max_tokens=9, temperature=1.0, top_p=0.95, seed=seed).text == story.text


def test_a_steering_is_kept_in_a_file(lm: LanguageModel, sae: SparseAutoencoder, tmp_path: Path) -> None:
    steering = Steering.of(sae, 7, 40.0)
    steering.save(tmp_path / "steering.safetensors")
    again = Steering.from_file(tmp_path / "steering.safetensors")
    assert again.fingerprint == sae.config.fingerprint
    ids = lm.engine.prompt_ids("The cat")
    with steered(lm.model, sae, 7, 40.0):
        expected = capture(lm.model, ids, "logits")["logits"]
    with again.on(lm.model):
        torch.testing.assert_close(capture(lm.model, ids, "logits")["logits"], expected)


def test_other_files_are_no_steering(folder: Path, sae: SparseAutoencoder, tmp_path: Path) -> None:
    sae.save(tmp_path / "sae.safetensors")
    for path in (folder / "model.safetensors", tmp_path / "sae.safetensors"):
        with pytest.raises(ParameterFileError, match="holds no steering"):
            Steering.from_file(path)


def test_a_model_that_a_file_steers_stays_steered(
    folder: Path, lm: LanguageModel, sae: SparseAutoencoder, tmp_path: Path
) -> None:
    path = tmp_path / "loud.safetensors"
    Steering.of(sae, 7, 40.0).save(path)
    settings: dict[str, Any] = {"max_tokens": 8, "temperature": 0.7, "seed": 1}
    with steered(lm.model, sae, 7, 40.0):
        expected = lm.complete("The cat", **settings).token_ids
    loud = load(folder)
    Steering.from_file(path).keep_on(loud)
    for _ in range(2):
        assert loud.complete("The cat", **settings).token_ids == expected
    assert [token.id for token in loud.stream("The cat", **settings)] == expected
    assert lm.complete("The cat", **settings).token_ids != expected


def test_a_steering_of_another_model_is_refused(folder: Path, sae: SparseAutoencoder, tmp_path: Path) -> None:
    path = tmp_path / "loud.safetensors"
    for change, words in (
        ({"fingerprint": "0" * 64}, "made for the model 000000000000..., and this one is"),
        ({"layer": 3}, "the model has layers 0 to 2, got 3"),
        ({"reader": torch.ones(9), "direction": torch.ones(9)}, "for a model of width 9, and this one has 16"),
    ):
        dataclasses.replace(Steering.of(sae, 7, 40.0), **change).save(path)
        with pytest.raises(CaptureError, match=words):
            Steering.from_file(path).keep_on(load(folder))
    Steering.of(sae, 7, 40.0).save(path)
    lm = load(folder)
    save_model(tmp_path / "changed", Transformer(lm.model.config).initialise(seed=2), lm.tokenizer)
    with pytest.raises(CaptureError, match="made for the model"):
        Steering.from_file(path).keep_on(load(tmp_path / "changed"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steering": "{"}, "holds no steering: not valid JSON"),
        ({"layer": -1}, "layer must be a number from 0 to 65536, got -1"),
        ({"latent": 1.5}, "latent must be a number from 0 to 16777216, got 1.5"),
        ({"latent": True}, "latent must be a number from 0 to 16777216, got True"),
        ({"strength": "40"}, "strength must be a number from -1000000.0 to 1000000.0, got '40'"),
        ({"threshold": 1e999}, "holds no steering"),
        ({"fingerprint": 7}, "fingerprint must be a text, got 7"),
        ({"colour": "red"}, "colour"),
        ({"direction": torch.ones(15)}, r"must be d_model numbers each, got shapes \(16,\) and \(15,\)"),
        ({"direction": torch.full((16,), torch.nan)}, "'direction' holds NaN or infinity"),
        ({"reader": None}, "it lacks a reader or a direction"),
    ],
)
def test_a_damaged_steering_is_refused_in_one_line(
    sae: SparseAutoencoder, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "steering.safetensors"
    Steering.of(sae, 7, 40.0).save(path)
    file = ParameterFile(path)
    about = {**json.loads(file.metadata["steering"]), **change}
    tensors = {name: about.pop(name, file.tensor(name)) for name in ("reader", "direction")}
    metadata = {"steering": about.pop("steering", json.dumps(about))}
    write_parameters(path, {name: tensor for name, tensor in tensors.items() if tensor is not None}, metadata)
    with pytest.raises(ParameterFileError, match=words) as refusal:
        Steering.from_file(path)
    assert "\n" not in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_steering_refuses_latents_and_models_that_do_not_fit(sae: SparseAutoencoder, lm: LanguageModel) -> None:
    with pytest.raises(AutoencoderError, match="latents 0 to 39, got 40"):
        steered(lm.model, sae, 40, 1.0)
    with pytest.raises(AutoencoderError, match="latents 0 to 39, got -1"):
        clamp(sae, -1, 1.0)
    storyteller = load("storyteller").model
    with pytest.raises(AutoencoderError, match="reads 16 numbers per token and the model has 256"):
        steered(storyteller, sae, 1, 1.0)
    with pytest.raises(CaptureError, match="for a model of width 16, and this one has 256"):
        Steering.of(sae, 1, 1.0).on(storyteller)


def test_a_direction_is_added_at_its_strength(lm: LanguageModel) -> None:
    direction = random_direction(16, seed=4)
    ids = lm.engine.prompt_ids("The cat")
    before = capture(lm.model, ids, POINT)[POINT]
    with hooks(lm.model, {POINT: add(direction, -6.0)}):
        steps = capture(lm.model, ids, "layers.2.resid_pre")["layers.2.resid_pre"] - before
    torch.testing.assert_close(steps.norm(dim=-1), torch.full_like(steps[..., 0], 6.0))
    assert (steps @ direction < 0).all()


def test_the_mean_difference_points_from_the_one_to_the_other(lm: LanguageModel) -> None:
    ids = [lm.engine.prompt_ids(text) for text in ("The cat sat", "The dog", "A hen")]
    rows = [capture(lm.model, one, POINT)[POINT][0, 1:] for one in ids]
    expected = rows[0].mean(dim=0) - torch.cat(rows[1:]).mean(dim=0)
    torch.testing.assert_close(mean_difference(lm.model, POINT, ids[:1], ids[1:]), expected)


def test_stories_are_measured_by_hand(lm: LanguageModel) -> None:
    prompt = lm.engine.prompt_ids("The")
    written = lm.tokenizer.encode(" cat sat on the mat.")
    stories = [Story(prompt, written, " cat sat on the mat."), Story(prompt, written[:4], "A Bridge")]
    found = outcome(lm, stories, r"\bbridge\b")
    assert found.concept_rate == 0.5
    assert found.n_tokens == (len(written) + 4) / 2
    logprobs = capture(lm.model, [*prompt, *written], "logits")["logits"][0].log_softmax(dim=-1)
    nats = [-logprobs[len(prompt) - 1 + i, token].item() for i, token in enumerate(written)]
    assert found.loss_nats == pytest.approx((sum(nats) + sum(nats[:4])) / (len(written) + 4), rel=1e-4)
    assert loss_of_stories(lm.model, stories[:1]) == pytest.approx(sum(nats) / len(nats), rel=1e-4)


def test_three_tokens_that_come_again_are_repeated() -> None:
    assert repeated_trigrams([1, 2, 3, 1, 2, 3]) == 0.25
    assert repeated_trigrams([1, 2]) == 0.0


def quiet_and_loud(lm: LanguageModel, sae: SparseAutoencoder) -> tuple[float, float]:
    """Two numbers: half of latent 7's calls in "The cat sat on the mat" lie above the one, a sixth above the other."""
    ids = lm.engine.prompt_ids("The cat sat on the mat")
    calls = Steering.of(sae, 7, 0.0).call(capture(lm.model, ids, POINT)[POINT])[0]
    return float(calls.quantile(0.5)), float(calls.quantile(0.85))


def test_a_latent_is_held_only_where_it_is_called_and_until_that_was_enough(sae: SparseAutoencoder) -> None:
    called = torch.tensor([-9.0, -2.0, 3.0, 30.0, 3.0])
    steering = dataclasses.replace(
        Steering.of(sae, 7, 50.0, reach=-5.0, enough=20.0),
        reader=torch.eye(16)[0],
        direction=torch.eye(16)[0],
        bias=0.0,
        threshold=0.0,
    )
    text = torch.zeros(5, 16)
    text[:, 0] = called
    assert steering.hook(text)[:, 0].tolist() == [-9.0, 48.0, 50.0, 30.0, 3.0]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_text_that_comes_in_pieces_is_steered_as_a_whole_at_any_layer(
    lm: LanguageModel, sae: SparseAutoencoder, layer: int
) -> None:
    """After the last layer's attention the new tokens count as held already."""
    ids = lm.engine.prompt_ids("The cat sat on the mat")
    steering = dataclasses.replace(Steering.of(sae, 7, 40.0), layer=layer)
    calls = steering.call(capture(lm.model, ids, steering.point)[steering.point])[0]
    assert calls.argmax() < len(ids) - 2
    enough = float(calls.topk(2).values.mean())  # one call exceeds it
    steering = dataclasses.replace(steering, reach=float(calls.min()) - 1, enough=enough)
    with hooks(lm.model, {steering.point: steering.hook}):
        whole = capture(lm.model, ids, "logits")["logits"][0]
    kv_cache = lm.engine.new_cache()
    with steering.on(lm.model), torch.no_grad():
        pieces = [lm.model(torch.tensor([ids[at : at + 2]]), kv_cache)[0] for at in range(0, len(ids), 2)]
    torch.testing.assert_close(torch.cat(pieces), whole)


def test_a_layer_run_without_its_kv_cache_by_name_is_refused(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    decoder, residual = lm.model.model, torch.zeros(1, 2, 16)
    cos, sin = decoder.rotary(torch.arange(2))
    with Steering.of(sae, 7, 40.0).on(lm.model):
        with pytest.raises(CaptureError, match="knows a text by its KV cache: call the layer with kv_cache="):
            decoder.layers[1](residual, cos, sin, None)
        assert decoder.layers[1](residual, cos, sin, None, kv_cache=None).shape == (1, 2, 16)


def test_texts_written_by_turns_remember_what_they_have_called(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    """Whole texts know all calls at once; pieces with a KV cache, batches and texts cut back must come to the same."""
    reach, enough = quiet_and_loud(lm, sae)
    steering = Steering.of(sae, 7, 40.0, reach=reach, enough=enough)
    ids = lm.engine.prompt_ids("The cat sat on the mat")
    with hooks(lm.model, {POINT: steering.hook}):
        whole = capture(lm.model, ids, "logits")["logits"][0]
    with steered(lm.model, sae, 7, 40.0):
        assert not torch.allclose(capture(lm.model, ids, "logits")["logits"][0, -1], whole[-1])
    first, second = lm.engine.new_cache(), lm.engine.new_cache()
    with steering.on(lm.model), torch.no_grad():
        for at, token in enumerate(ids):
            torch.testing.assert_close(lm.engine.prefill([token], first), whole[at])
            lm.engine.prefill(ids[::-1][at : at + 1], second)
        first.truncate(2)
        torch.testing.assert_close(lm.engine.prefill(ids[2:], first), whole[-1])
        torch.testing.assert_close(lm.model(torch.tensor([ids]))[0], whole)


def test_stories_side_by_side_let_go_each_for_itself(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    reach, enough = quiet_and_loud(lm, sae)
    prompts = ["The cat", "The dog sat on", "T", "The cat sat on the mat"]
    with Steering.of(sae, 7, 40.0, reach=reach, enough=enough).on(lm.model):
        together = write_stories(lm, prompts, max_tokens=12, temperature=0)
        alone = [write_stories(lm, [prompt], max_tokens=12, temperature=0)[0] for prompt in prompts]
    assert [story.token_ids for story in together] == [story.token_ids for story in alone]


def test_each_way_is_measured_against_the_plain_stories(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    steering = Steering.of(sae, 7, 40.0)
    settings = {"concept": "e", "asking": "A hen", "max_tokens": 8, "n_tuning": 2}
    ways = {
        way.name: way for way in compare(lm, steering, random_direction(16, seed=2), ["The cat", "A dog"], **settings)
    }
    assert (ways["plain"].extra_nats, ways["plain"].repeated_ratio) in ((0.0, 1.0), (0.0, 0.0))
    with steering.on(lm.model):
        stories = write_stories(lm, ["The cat", "A dog"], max_tokens=8)
    expected = outcome(lm, stories, "e")
    assert ways["the latent"].outcome == expected
    assert ways["the latent"].extra_nats == expected.loss_nats - ways["plain"].outcome.loss_nats
    assert ways["the wrong sign"].strength == -40.0
    assert ways["difference in means, same places, same strength"].strength == 40.0


def test_what_is_asked_for_is_no_part_of_the_beginning(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    """The loss of what was written is that after the beginning alone."""
    plain, asked, *_ = compare(
        lm, Steering.of(sae, 7, 40.0), random_direction(16), ["The cat"], asking="A hen", max_tokens=8, n_tuning=0
    )
    [story] = write_stories(lm, ["A hen The cat"], max_tokens=8)
    alone = Story(lm.engine.prompt_ids("The cat"), story.token_ids, story.text)
    assert asked.outcome.loss_nats == loss_of_stories(lm.model, [alone]) != plain.outcome.loss_nats


def test_the_shipped_steering_brings_the_bridge_into_stories_that_stay_stories() -> None:
    lm = load("storyteller")
    plain = write_stories(lm, prompts()[:24], max_tokens=60)
    with shipped_steering().on(lm.model):
        steered_stories = write_stories(lm, prompts()[:24], max_tokens=60)
    before, after = (outcome(lm, stories, "bridge") for stories in (plain, steered_stories))
    assert before.concept_rate <= 0.1
    assert after.concept_rate >= 0.6
    assert after.loss_nats <= before.loss_nats + 0.8


def test_the_measurements_that_are_shipped_meet_what_the_card_says() -> None:
    measured = shipped_measurements()
    ways = {way["name"]: way for way in measured["brought_in"]}
    assert measured["n_prompts"] == len(prompts())
    assert ways["plain"]["concept_rate"] <= 0.02
    assert ways["the latent"]["concept_rate"] >= 0.9
    assert ways["the latent"]["repeated_ratio"] <= 1.5
    assert ways["the latent"]["extra_nats"] <= 0.5
    assert ways["the latent"]["strength"] == shipped_steering().strength
    assert all("Golden Gate Bridge" in beginning for beginning in bridge_beginnings())
