"""Capture points: every family's model can be read and changed in the same places."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from llm101.interpretability import patching
from llm101.interpretability.attention import attention_patterns, induction_scores, offset_scores
from llm101.interpretability.capture import CaptureError, capture, capture_point, hooks
from llm101.interpretability.logit_lens import logit_lens
from llm101.interpretability.patching import patching_effects
from llm101.model import ModelConfig, Transformer

LLAMA = ModelConfig(vocab_size=50, d_model=16, n_layers=3, n_heads=4, n_kv_heads=2, context_length=24)
FAMILIES = {
    "Llama": LLAMA,
    "Mistral": dataclasses.replace(LLAMA, sliding_window=4),
    "Qwen2": dataclasses.replace(LLAMA, qkv_bias=True),
    "Qwen3": dataclasses.replace(LLAMA, qk_norm=True, tie_embeddings=False, d_head=8),
}
IDS = [3, 14, 15, 9, 26, 5]


@pytest.fixture(params=FAMILIES.values(), ids=list(FAMILIES))
def model(request: pytest.FixtureRequest) -> Transformer:
    model = Transformer(request.param).initialise(seed=1)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(20)
    return model.eval()


def test_what_is_captured_is_what_the_model_computes(model: Transformer) -> None:
    names = [name for name, _ in model.capture_points()]
    seen = capture(model, IDS, *names)
    with torch.no_grad():
        torch.testing.assert_close(seen["logits"], model(torch.tensor([IDS])))
    assert seen["layers.1.self_attn.q"].shape == (1, 4, 6, model.config.d_head)
    assert seen["layers.1.self_attn.k"].shape == (1, 2, 6, model.config.d_head)
    assert torch.equal(seen["layers.1.resid_post"], seen["layers.2.resid_pre"])
    assert not any(point.is_watched for _, point in model.capture_points())


def test_the_model_runs_no_further_than_it_is_asked(model: Transformer) -> None:
    runs = []
    with hooks(model, {"layers.1.resid_pre": lambda x: runs.append(1)}):
        capture(model, IDS, "layers.0.resid_post")
        assert not runs
        capture(model, IDS, "layers.1.resid_post")
    assert runs


def test_a_hook_changes_what_flows_on_and_is_gone_afterwards(model: Transformer) -> None:
    ids = torch.tensor([IDS])
    with torch.no_grad():
        before = model(ids)
        with hooks(model, {"layers.2.resid_post": torch.zeros_like}):
            assert not model(ids).any()
        with pytest.raises(ZeroDivisionError), hooks(model, {"embedding": lambda x: x[1 // 0]}):
            model(ids)
        assert torch.equal(model(ids), before)


def test_the_lens_after_the_last_layer_is_the_model_itself(model: Transformer) -> None:
    lens = logit_lens(model, IDS)
    assert lens.shape == (model.config.n_layers + 1, len(IDS), model.config.vocab_size)
    with torch.no_grad():
        torch.testing.assert_close(lens[-1], model(torch.tensor([IDS]))[0])
        embedding = model.model.embed_tokens(torch.tensor(IDS))
        torch.testing.assert_close(lens[0], model.lm_head(model.model.norm(embedding)))


def test_each_token_spreads_its_attention_over_itself_and_what_came_before(model: Transformer) -> None:
    patterns = attention_patterns(model, IDS)
    assert patterns.shape == (3, 4, 6, 6)
    torch.testing.assert_close(patterns.sum(dim=-1), torch.ones(3, 4, 6))
    assert not patterns.triu(1).any()
    if model.config.sliding_window:
        assert not patterns.tril(-model.config.sliding_window).any()


@pytest.mark.parametrize("at_once", [1, 4, 6])
def test_putting_everything_decisive_back_restores_the_answer(
    model: Transformer, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patching, "BATCH_TOKENS", at_once * len(IDS))
    sizes: list[int] = []
    model.model.embedding.register_forward_hook(lambda _, __, embedded: sizes.append(len(embedded)))
    other = [3, 14, 40, 9, 26, 5]
    with torch.no_grad():
        clean, corrupted = (model(torch.tensor([ids]))[0, -1] for ids in (IDS, other))
    answer, wrong = int((clean - corrupted).argmax()), int((corrupted - clean).argmax())
    effects = patching_effects(model, IDS, other, answer, wrong)
    assert max(sizes) == at_once  # texts side by side: long ones would fill the memory
    assert effects.shape == (model.config.n_layers + 1, len(IDS))
    torch.testing.assert_close(effects[0, 2], torch.tensor(1.0), atol=1e-3, rtol=0)  # the changed token itself
    torch.testing.assert_close(effects[-1, -1], torch.tensor(1.0), atol=1e-3, rtol=0)  # what the answer is read from
    assert effects[:, :2].abs().max() < 1e-3  # what came before the change
    assert effects[-1, :-1].abs().max() < 1e-3  # nothing looks back after the last layer


def test_scores_of_heads_that_look_at_one_place() -> None:
    previous = torch.zeros(1, 1, 4, 4)
    previous[..., 0, 0] = 1
    previous[..., range(1, 4), range(3)] = 1
    assert offset_scores(previous, 1).item() == 1
    assert offset_scores(previous, 0).item() == pytest.approx(0.25)
    with pytest.raises(ValueError, match="offset must lie between 0 and 3 for a text of 4 tokens, got 4"):
        offset_scores(previous, 4)


def test_an_induction_head_looks_at_what_followed_last_time() -> None:
    model = Transformer(dataclasses.replace(LLAMA, n_layers=1)).initialise(seed=0).eval()

    def perfect(pattern: torch.Tensor) -> torch.Tensor:
        seq = pattern.shape[-1]
        return F.one_hot((torch.arange(seq) - seq // 2 + 1).clamp(min=0), seq).float().expand_as(pattern)

    with hooks(model, {"layers.0.self_attn.attention_pattern": perfect}):
        assert induction_scores(model, n_tokens=5).tolist() == [[1.0] * 4]
    assert induction_scores(model, n_tokens=5).max() < 0.9


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("layers.3.resid_post", "the model has layers 0 to 2, got 3"),
        ("layers.x.resid_post", "the model has layers 0 to 2, got 'x'"),
        ("layers.1.residpost", "did you mean 'layers.1.resid_post'"),
        ("", "the model has no capture point ''"),
    ],
)
def test_a_place_that_is_not_there_is_named(name: str, says: str) -> None:
    model = Transformer(LLAMA)
    with pytest.raises(CaptureError, match=says):
        capture_point(model, name)
    with pytest.raises(CaptureError, match=says):
        capture(model, IDS, name)


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ([], "the text has no tokens"),
        ([50], "token ids are whole numbers from 0 to 49"),
        ([-1], "token ids are whole numbers from 0 to 49"),
        (torch.tensor([0.5]), "token ids are whole numbers"),
        ([1] * 25, "25 tokens do not fit the context of 24"),
    ],
)
def test_tokens_that_the_model_cannot_read_are_refused(ids: list[int], says: str) -> None:
    with pytest.raises(CaptureError, match=says):
        capture(Transformer(LLAMA), ids, "embedding")


def test_patching_refuses_texts_that_cannot_be_compared() -> None:
    model = Transformer(LLAMA).initialise(seed=0)
    with pytest.raises(CaptureError, match="the same number of tokens, got 2 and 3"):
        patching_effects(model, [1, 2], [1, 2, 3], 5, 6)
    with pytest.raises(CaptureError, match="lead to the same answer"):
        patching_effects(model, [1, 2], [1, 2], 5, 6)
