"""The scaling law: the fit finds the law that made the numbers, and refuses too few of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llm101.pretraining.study.scaling_law import ScalingLaw, ScalingRun, scaling_runs

LAW = ScalingLaw(E=0.9, A=300.0, alpha=0.45, B=900.0, beta=0.38)


def runs_of(law: ScalingLaw, noise: float = 0.0) -> list[ScalingRun]:
    """What that law would give for four sizes and three numbers of tokens."""
    random = np.random.default_rng(0)
    return [
        ScalingRun(64, 2, n, d, 2048, 100, law.loss_nats(n, d) * (1 + noise * random.standard_normal()), 0.0, 1.0)
        for n in (250_000, 500_000, 1_000_000, 2_000_000)
        for d in (400_000, 1_600_000, 6_400_000)
    ]


def test_the_fit_finds_the_law_that_made_the_losses() -> None:
    found = ScalingLaw.fit(runs_of(LAW))
    for name in ("E", "A", "alpha", "B", "beta"):
        assert getattr(found, name) == pytest.approx(getattr(LAW, name), rel=0.02), name


def test_a_known_floor_is_kept_and_makes_noisy_runs_predict_better() -> None:
    runs = runs_of(LAW, noise=0.01)
    blind, knowing = ScalingLaw.fit(runs), ScalingLaw.fit(runs, E=0.9)
    assert knowing.E == 0.9
    truth = LAW.loss_nats(50_000_000, 400_000_000)
    off_blind, off_knowing = (abs(law.loss_nats(50_000_000, 400_000_000) - truth) for law in (blind, knowing))
    assert off_knowing < off_blind
    assert blind.error(runs) <= knowing.error(runs) < 0.015  # one unknown less fits no closer


def test_no_part_of_a_law_is_negative() -> None:
    falling = [replace(run, loss_nats=10 / run.n_parameters**0.1) for run in runs_of(LAW)]  # tokens do not matter
    law = ScalingLaw.fit(falling)
    assert min(law.E, law.A, law.B) >= 0
    assert law.error(falling) < 0.01


def test_the_optimum_is_the_lowest_loss_for_its_flops() -> None:
    n_parameters, n_tokens = LAW.optimal(1e15)
    assert 6 * n_parameters * n_tokens == pytest.approx(1e15)
    best = LAW.loss_nats(n_parameters, n_tokens)
    assert all(best < LAW.loss_nats(n_parameters * k, n_tokens / k) for k in (0.5, 0.9, 1.1, 2.0))


def test_arrays_give_arrays() -> None:
    losses = LAW.loss_nats(np.array([1e6, 1e7]), np.array([1e6, 1e7]))
    assert losses == pytest.approx([LAW.loss_nats(1e6, 1e6), LAW.loss_nats(1e7, 1e7)])


def test_too_few_runs_and_impossible_floors_are_refused() -> None:
    runs = runs_of(LAW)
    with pytest.raises(ValueError, match="5 unknowns need at least 5 runs.*got 4 runs"):
        ScalingLaw.fit(runs[:4])
    with pytest.raises(ValueError, match="got 8 runs, 8 sizes and 1 numbers of tokens"):
        ScalingLaw.fit([replace(run, n_tokens=9, n_parameters=i) for i, run in enumerate(runs[:8], start=1)])
    with pytest.raises(ValueError, match="E must lie between 0 and the lowest loss.*got 9"):
        ScalingLaw.fit(runs, E=9.0)


def test_the_book_s_runs_are_whole() -> None:
    runs = scaling_runs()
    assert len({run.n_parameters for run in runs}) == 5
    assert len({run.n_tokens for run in runs}) >= 3
    ratios = [run.bits_per_byte / run.loss_nats for run in runs]
    assert max(ratios) == pytest.approx(min(ratios), rel=1e-3)  # one text, one tokenizer
    for run in runs:
        assert run.n_tokens == pytest.approx(run.steps * run.batch_tokens, rel=0.001)
        for other in runs:
            if other.n_parameters > run.n_parameters and other.n_tokens == run.n_tokens:
                assert other.loss_nats < run.loss_nats
    assert ScalingLaw.fit(runs).error(runs) < 0.02
