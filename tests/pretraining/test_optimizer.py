"""The optimizer: which rule moves which parameter, and that its memory can be carried over."""

from __future__ import annotations

import pytest
import torch

from llm101.model import ModelConfig, Transformer
from llm101.pretraining.optimizer import Optimizer, learning_rate_factor

CONFIG = ModelConfig(vocab_size=40, d_model=8, n_layers=2, n_heads=2, d_mlp=16, context_length=8)


def with_gradients(model: Transformer, seed: int = 0) -> Transformer:
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator)
    return model


def test_the_schedule_rises_stays_and_falls_to_zero() -> None:
    factors = [learning_rate_factor(step, 100, warmup_steps=10, decay_steps=40) for step in range(101)]
    assert factors[:10] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert set(factors[10:61]) == {1.0}
    assert factors[61:] == pytest.approx([1 - n / 40 for n in range(1, 41)])
    assert learning_rate_factor(0, 1, warmup_steps=0, decay_steps=0) == 1.0


def test_muon_moves_the_matrices_in_the_layers_by_equal_amounts_in_all_directions() -> None:
    model = with_gradients(Transformer(CONFIG).initialise(0))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    Optimizer(model, matrix_lr=0.1, other_lr=1e-9, weight_decay=0.0).step(1.0)
    for name, p in model.named_parameters():
        moved = (p.detach() - before[name]).abs().max()
        if ".layers." in name and p.ndim == 2:
            singular = torch.linalg.svdvals(p.detach() - before[name])
            assert singular.max() / singular.min() < 2.5, name  # of a random gradient itself: far more
            assert moved > 1e-3, name
        else:
            assert moved < 1e-6, name


def test_adamw_moves_the_rest_by_its_learning_rate() -> None:
    model = with_gradients(Transformer(CONFIG).initialise(0))
    before = model.model.embed_tokens.weight.detach().clone()
    Optimizer(model, matrix_lr=1e-9, other_lr=0.01, weight_decay=0.0).step(0.5)
    moved = model.model.embed_tokens.weight.detach() - before
    assert moved.abs().median() == pytest.approx(0.005, rel=1e-3)  # the first step of Adam has the length of its rate


def test_weight_decay_pulls_matrices_but_no_norms() -> None:
    model = Transformer(CONFIG).initialise(0)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    Optimizer(model, matrix_lr=0.1, other_lr=0.1, weight_decay=0.5).step(1.0)
    for name, p in model.named_parameters():
        expected = before[name] * (0.95 if p.ndim == 2 else 1.0)
        torch.testing.assert_close(p.detach(), expected, msg=name)


def test_without_muon_adamw_moves_everything() -> None:
    model = with_gradients(Transformer(CONFIG).initialise(0))
    optimizer = Optimizer(model, 0.1, 0.01, 0.0, muon=False)
    optimizer.step(1.0)
    assert {name.split("|")[1] for name in optimizer.state_tensors()} == {"step", "exp_avg", "exp_avg_sq"}


def test_gradients_are_forgotten_after_a_step() -> None:
    model = with_gradients(Transformer(CONFIG).initialise(0))
    Optimizer(model, 0.1, 0.01, 0.0).step(1.0)
    assert all(p.grad is None for p in model.parameters())


def test_a_copy_with_the_same_memory_goes_on_exactly_alike() -> None:
    model, copy = Transformer(CONFIG).initialise(0), Transformer(CONFIG)
    optimizer, other = (Optimizer(m, 0.1, 0.01, 0.1) for m in (model, copy))
    for seed in range(3):
        with_gradients(model, seed)
        optimizer.step(1.0)
    copy.load_state_dict(model.state_dict())
    other.load_state_tensors({name: t.clone() for name, t in optimizer.state_tensors().items()})
    with_gradients(model, 9)
    with_gradients(copy, 9)
    optimizer.step(0.3)
    other.step(0.3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), copy.parameters(), strict=True))
    n_matrices = 7 * CONFIG.n_layers
    assert len(optimizer.state_tensors()) == n_matrices + 3 * (len(list(model.parameters())) - n_matrices)
