"""The sparse autoencoder: its equations by hand, what training must bring, its file, its scorecard."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llm101.interpretability import losses
from llm101.interpretability.autoencoder.scorecard import losses_with, score
from llm101.interpretability.autoencoder.sparse_autoencoder import (
    AutoencoderConfig,
    AutoencoderError,
    SparseAutoencoder,
)
from llm101.interpretability.autoencoder.training import (
    AutoencoderRecipe,
    AutoencoderTrainer,
    ChosenCalls,
    batch_top_k,
)
from llm101.interpretability.capture import capture, hooks
from llm101.interpretability.residuals import padded_batches, residual_rows, sample_ids, text_ids
from llm101.interpretability.steering.study import Story, loss_of_stories
from llm101.library import LanguageModel
from llm101.parameters import ParameterFileError, write_parameters

TEXTS = ["The cat sat on the mat.", "A hen.", "The dog sat on the hill.", "The cat sat on the roof."]
POINT = "layers.1.resid_post"


def sparse_rows(n: int, seed: int = 0, n_causes: int = 24) -> tuple[Tensor, Tensor]:
    """Rows that really are sums of two out of two dozen directions; rows [n, 16], causes [n_causes, 16]."""
    generator = torch.Generator().manual_seed(seed)
    causes = F.normalize(torch.randn(n_causes, 16, generator=torch.Generator().manual_seed(9)), dim=1)
    on = torch.rand(n, n_causes, generator=generator).topk(2, dim=1).indices
    strength = torch.zeros(n, n_causes).scatter(1, on, 2 + torch.rand(n, 2, generator=generator))
    return strength @ causes + torch.linspace(-3, 5, 16), causes


def test_the_equations_by_hand() -> None:
    sae = SparseAutoencoder(AutoencoderConfig(d_model=2, d_sae=2, layer=0, k=1))
    sae.W_enc.copy_(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
    sae.b_enc.copy_(torch.tensor([0.5, -1.0]))
    sae.W_dec.copy_(torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    sae.b_dec.copy_(torch.tensor([10.0, 20.0]))
    sae.threshold.fill_(2.0)
    x = torch.tensor([1.0, 3.0])
    assert sae.pre_activations(x).tolist() == [1.5, 4.0]
    assert sae.encode(x).tolist() == [0.0, 4.0]
    assert sae(x).tolist() == [10.0, 24.0]


def test_a_texts_latents_do_not_depend_on_the_batch(sae: SparseAutoencoder) -> None:
    x = torch.randn(6, 16, generator=torch.Generator().manual_seed(2)) * 3
    torch.testing.assert_close(sae.encode(x)[2], sae.encode(x[2]))


def test_training_finds_the_causes_that_rows_were_made_of() -> None:
    rows, causes = sparse_rows(4000)
    recipe = AutoencoderRecipe(steps=400, batch_rows=256, learning_rate=1e-2, dead_after=5000)
    trainer = AutoencoderTrainer(rows, AutoencoderConfig(d_model=16, d_sae=48, layer=0, k=2), recipe)
    moments = list(trainer.moments())
    assert moments[0].unexplained > 0.3
    assert moments[-1].unexplained < 0.05
    sae, (test_rows, _) = trainer.autoencoder(), sparse_rows(1000, seed=1)
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(48))
    unexplained = (test_rows - sae(test_rows)).pow(2).sum() / (test_rows - test_rows.mean(dim=0)).pow(2).sum()
    assert unexplained < 0.1
    assert 1.5 < (sae.encode(test_rows) > 0).sum() / 1000 < 2.6  # a fixed threshold lets about k through
    assert (causes @ sae.W_dec.T).max(dim=1).values.median() > 0.95


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_same_seed_trains_the_same_autoencoder(bfloat16: bool) -> None:
    rows, _ = sparse_rows(300)
    config = AutoencoderConfig(d_model=16, d_sae=48, layer=0, k=2)
    trained = []
    for seed in (1, 1, 2):
        trainer = AutoencoderTrainer(
            rows, config, AutoencoderRecipe(steps=5, batch_rows=64, seed=seed, bfloat16=bfloat16)
        )
        assert len(list(trainer.moments())) == 5
        trained.append(trainer.autoencoder().W_enc)
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])


def test_rows_in_16_bits_train_as_well() -> None:
    rows, _ = sparse_rows(300)
    recipe = AutoencoderRecipe(steps=30, batch_rows=64)
    config = AutoencoderConfig(d_model=16, d_sae=48, layer=0, k=2)
    ends = [list(AutoencoderTrainer(r, config, recipe).moments())[-1].unexplained for r in (rows, rows.half())]
    assert ends[0] == pytest.approx(ends[1], abs=0.02)


def test_dead_latents_learn_what_the_living_left_over() -> None:
    """Without the auxiliary part nothing reaches a latent that is never chosen."""
    rows, _ = sparse_rows(64)
    moved = []
    for weight in (1 / 32, 0.0):
        recipe = AutoencoderRecipe(steps=10, batch_rows=64, dead_after=1000, aux_weight=weight)
        trainer = AutoencoderTrainer(rows, AutoencoderConfig(d_model=16, d_sae=48, layer=0, k=2), recipe)
        with torch.no_grad():
            trainer.b_enc[:20] = -0.4  # called, but never among the strongest
        trainer._idle[:20] = 2000
        x = rows - rows.mean(dim=0)
        before = trainer.W_dec.detach().clone()
        assert trainer.step(0, x).n_dead <= 20
        moved.append((trainer.W_dec.detach() - before).abs().amax(dim=1)[trainer._idle > 2000] > 1e-6)
    assert len(moved[0]) > 10
    assert moved[0].float().mean() > 0.7
    assert not moved[1].any()


@pytest.mark.parametrize("guess", [0.0, 0.2, 3.0, 100.0])
def test_the_strongest_of_the_batch_are_chosen_whatever_was_guessed(guess: float) -> None:
    pre = torch.randn(20, 30, generator=torch.Generator().manual_seed(0))
    row, latent = batch_top_k(pre, 3, guess)
    least = pre.flatten().topk(60).values.min()
    assert torch.equal(torch.stack((row, latent)), torch.stack((pre >= least).nonzero(as_tuple=True)))


@pytest.mark.parametrize("shuffled", [False, True])
def test_looking_only_at_what_was_chosen_gives_the_gradient_that_torch_gives(shuffled: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weights = torch.randn(20, 16, generator=generator), torch.randn(60, generator=generator)
    W_enc = torch.randn(30, 16, generator=generator, requires_grad=True)
    b_enc = torch.randn(30, generator=generator, requires_grad=True)
    pre = F.linear(x, W_enc, b_enc)
    order = torch.randperm(60, generator=generator) if shuffled else torch.arange(60)
    row, latent = (index[order] for index in batch_top_k(pre.detach(), 3))
    plain, ours = pre[row, latent], ChosenCalls.apply(x, W_enc, b_enc, pre.detach(), row, latent)
    assert torch.equal(plain, ours)
    for by_torch, by_us in zip(
        *(torch.autograd.grad((calls * weights).sum(), (W_enc, b_enc)) for calls in (plain, ours))
    ):
        torch.testing.assert_close(by_us, by_torch)


def test_each_time_that_a_latent_was_chosen_counts() -> None:
    x = torch.tensor([[2.0], [3.0]])
    W_enc, b_enc = torch.ones(2, 1, requires_grad=True), torch.zeros(2, requires_grad=True)
    row, latent = torch.tensor([0, 0, 1]), torch.tensor([1, 1, 1])
    ChosenCalls.apply(x, W_enc, b_enc, x.expand(2, 2), row, latent).sum().backward()
    assert W_enc.grad is not None
    assert b_enc.grad is not None
    assert (W_enc.grad.tolist(), b_enc.grad.tolist()) == ([[0.0], [7.0]], [0.0, 3.0])


def test_nothing_negative_is_ever_chosen() -> None:
    row, _ = batch_top_k(torch.tensor([[-1.0, 2.0, -3.0]]), 2)
    assert len(row) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 upwards, got 0"),
        ({"batch_rows": 1.5}, "batch_rows must be a whole number from 1 upwards, got 1.5"),
        ({"learning_rate": 0}, "learning_rate must lie between 0 and 1, got 0"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        AutoencoderRecipe(**changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"k": 0}, "k must be a whole number from 1 to 40, got 0"),
        ({"k": 41}, "k must be a whole number from 1 to 40, got 41"),
        ({"d_sae": -1}, "d_sae must be a whole number from 1 to 16777216, got -1"),
        ({"layer": True}, "layer must be a whole number from 0 to 65536, got True"),
        ({"fingerprint": 3}, "fingerprint must be a text, got 3"),
    ],
)
def test_configs_that_make_no_sense_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(AutoencoderError, match=says):
        AutoencoderConfig(**{"d_model": 16, "d_sae": 40, "layer": 1, "k": 4} | changes)  # pyright: ignore


# Its file


def test_the_file_gives_back_what_was_saved(sae: SparseAutoencoder, tmp_path: Path) -> None:
    sae.scorecard = {"l0": 3.5}
    sae.save(tmp_path / "sae.safetensors")
    again = SparseAutoencoder.from_file(tmp_path / "sae.safetensors")
    assert (again.config, again.scorecard) == (sae.config, sae.scorecard)
    for name, tensor in sae.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor.half().float())


def test_files_that_hold_no_autoencoder_are_refused(sae: SparseAutoencoder, folder: Path, tmp_path: Path) -> None:
    def written(name: str, tensors: dict[str, Tensor], config: str) -> Path:
        write_parameters(tmp_path / name, tensors, {"config": config})
        return tmp_path / name

    sae.save(tmp_path / "good.safetensors")
    tensors = {name: tensor.half() for name, tensor in sae.state_dict().items()}
    config = '{"d_model": 16, "d_sae": 40, "layer": 1, "k": 4}'
    cases = {
        folder / "model.safetensors": "its metadata hold no config",
        written("shape", {**tensors, "b_enc": torch.zeros(39)}, config): r"b_enc has shape \(39,\) instead of \(40,\)",
        written("missing", {"W_enc": tensors["W_enc"]}, config): "it lacks",
        written("config", tensors, "[]"): "not a JSON table",
        written("unknown", tensors, config[:-1] + ', "x": 1}'): "unexpected keyword argument",
        written("huge", tensors, config.replace("40", "4000000000")): "d_sae must be a whole number",
    }
    for path, says in cases.items():
        with pytest.raises(AutoencoderError, match=says):
            SparseAutoencoder.from_file(path)
    with pytest.raises(ParameterFileError, match="NaN or infinity"):
        SparseAutoencoder.from_file(written("nan", {**tensors, "b_dec": torch.full((16,), torch.nan)}, config))
    with pytest.raises(ParameterFileError, match="No such file"):
        SparseAutoencoder.from_file(tmp_path / "nowhere.safetensors")


def test_numbers_too_large_for_16_bits_are_not_saved(sae: SparseAutoencoder, tmp_path: Path) -> None:
    with torch.no_grad():
        sae.b_dec[0] = 1e6
    with pytest.raises(AutoencoderError, match="b_dec holds a number that a 16-bit float cannot"):
        sae.save(tmp_path / "sae.safetensors")
    assert not list(tmp_path.iterdir())


def test_another_models_autoencoder_is_noticed(sae: SparseAutoencoder, lm: LanguageModel) -> None:
    sae.check_fits(lm.model, sae.config.fingerprint)
    with pytest.raises(AutoencoderError, match="was trained on the model .* and this one is abcdefabcdef"):
        sae.check_fits(lm.model, "abcdef" * 8)


# Residual rows and the scorecard


def test_each_row_is_what_its_token_has_in_a_run_of_its_text_alone(lm: LanguageModel) -> None:
    ids = text_ids(lm, TEXTS)
    rows = residual_rows(lm.model, ids, POINT)
    assert len(rows.x) == sum(len(text) - 1 for text in ids)
    for text, one in enumerate(ids):
        here = rows.text == text
        assert rows.token_ids[here].tolist() == one[1:]
        torch.testing.assert_close(rows.x[here], capture(lm.model, one, POINT)[POINT][0, 1:])


def test_batches_hold_every_text_once() -> None:
    ids = [[1] * n for n in (3, 1, 7, 2, 2)]
    batches = list(padded_batches(ids, batch_tokens=6))
    assert sorted(text for batch in batches for text in batch.texts) == [0, 1, 2, 3, 4]
    assert sum(int(batch.is_token.sum()) for batch in batches) == 15
    assert max(batch.token_ids.shape[0] for batch in batches) > 1


def test_texts_are_drawn_evenly_from_each_source(lm: LanguageModel) -> None:
    sources = [["The cat sat."] * 50, ["The dog."] * 50]
    drawn, left = sample_ids(lm, sources, n_tokens=100, seed=0)
    assert len(drawn) + len(left) == 100
    shares = [sum(len(one) for one in drawn if one == text_ids(lm, source[:1])[0]) for source in sources]
    assert all(50 <= share < 60 for share in shares)
    assert sample_ids(lm, sources, n_tokens=100, seed=0) == (drawn, left)


def test_the_scorecard_by_definition(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    ids = text_ids(lm, TEXTS)
    x = torch.cat([capture(lm.model, one, POINT)[POINT][0, 1:] for one in ids])
    latents = sae.encode(x)
    card = score(lm.model, sae, ids)
    assert card.n_tokens == card.n_counted_tokens == len(x)
    assert card.l0 == pytest.approx(float((latents > 0).sum()) / len(x))
    variance = (x - x.mean(dim=0)).pow(2).sum()
    assert card.explained_variance == pytest.approx(1 - float((x - sae(x)).pow(2).sum() / variance), rel=1e-4)
    assert card.dead_share == pytest.approx(float(((latents > 0).sum(dim=0) == 0).float().mean()))
    assert card.dense_share == pytest.approx(float(((latents > 0).float().mean(dim=0) > 0.1).float().mean()))
    more = score(lm.model, sae, ids, count_ids=text_ids(lm, ["A hen sat."]))
    assert more.n_counted_tokens > card.n_counted_tokens
    assert more.dead_share <= card.dead_share
    assert more.l0 == card.l0


def test_losses_are_those_of_a_model_with_a_hook(lm: LanguageModel, sae: SparseAutoencoder) -> None:
    ids = text_ids(lm, TEXTS)

    def loss(one: list[int], change: object = None) -> Tensor:
        def hook(x: Tensor) -> Tensor:
            return x if change is None else torch.cat((x[:, :1], change(x[:, 1:])), dim=1)  # pyright: ignore

        with torch.no_grad(), hooks(lm.model, {POINT: hook}):
            logits = lm.model(torch.tensor([one]))[0]
        return F.cross_entropy(logits[1:-1], torch.tensor(one[2:]), reduction="sum")

    n = sum(len(one) - 2 for one in ids)
    card = score(lm.model, sae, ids)
    assert card.n_loss_tokens == n
    for found, change in (
        (card.loss_nats, None),
        (card.loss_nats_rebuilt, sae),
        (card.loss_nats_zero, torch.zeros_like),
    ):
        assert found == pytest.approx(float(sum(loss(one, change) for one in ids)) / n, rel=1e-4)
    assert card.recovered_zero == pytest.approx(
        (card.loss_nats_zero - card.loss_nats_rebuilt) / (card.loss_nats_zero - card.loss_nats)
    )
    assert losses_with(lm.model, ids, 1, {"": lambda x: x})[""] == pytest.approx(card.loss_nats)


def test_a_large_vocabulary_takes_no_more_memory(
    lm: LanguageModel, sae: SparseAutoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No logits but those of a few tokens at a time, and the figures are the same."""
    ids, made = text_ids(lm, TEXTS), list[Tensor]()

    def keep(_module: object, _inputs: object, logits: Tensor) -> None:
        made.append(logits)

    lm.model.lm_head.register_forward_hook(keep)
    stories = [Story(one[:3], one[3:], "") for one in ids]
    whole, loss = score(lm.model, sae, ids), loss_of_stories(lm.model, stories)
    assert max(logits.numel() for logits in made) > 4 * 280
    made.clear()
    monkeypatch.setattr(losses, "LOGITS_AT_ONCE", 4 * 280 + 1)
    parts = score(lm.model, sae, ids)
    assert parts.facts() == pytest.approx(whole.facts(), rel=1e-5)
    assert loss_of_stories(lm.model, stories) == pytest.approx(loss, rel=1e-5)
    assert {logits.numel() for logits in made} <= {280, 2 * 280, 3 * 280, 4 * 280}
