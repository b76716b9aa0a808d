"""The page's probabilities (choices.js, under node) against llm101.inference.sampling, on the same scores."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm101.inference import SamplingSettings, next_token_probabilities

NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is missing: see make test-widgets")

SINGLE: list[dict[str, Any]] = [
    *({"temperature": t} for t in (0, 0.05, 0.7, 1.0, 2.0)),
    *({"top_k": k} for k in (1, 2, 20, 100)),
    *({"top_p": p} for p in (0.01, 0.5, 0.9, 0.99)),
    *({"min_p": p} for p in (0.02, 0.3, 1.0)),
]


def by_the_page(cases: list[tuple[torch.Tensor, dict[str, Any]]]) -> list[np.ndarray]:
    own = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    sent = [
        {"logits": base64.b64encode(logits.numpy().tobytes()).decode(), "settings": own | settings}
        for logits, settings in cases
    ]
    script = Path(__file__).with_name("settle.mjs")
    done = subprocess.run([str(NODE), script], input=json.dumps(sent).encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    results = []
    for ids, shares in json.loads(done.stdout):
        by_id = np.zeros(len(ids))
        by_id[ids] = shares
        results.append(by_id)
    return results


def random_settings(rng: random.Random) -> dict[str, Any]:
    """Several settings at once, as a reader turns several knobs."""
    return {
        "temperature": rng.choice((0.3, 0.8, 1.0, 1.5)),
        "top_k": rng.choice((0, 5, 40)),
        "top_p": rng.choice((1.0, 0.95, 0.6)),
        "min_p": rng.choice((0.0, 0.05, 0.4)),
    }


def assert_equal(cases: list[tuple[torch.Tensor, dict[str, Any]]]) -> None:
    for (logits, settings), found in zip(cases, by_the_page(cases), strict=True):
        expected = next_token_probabilities(logits, SamplingSettings(**settings)).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=str(settings))
        # What was cut is 0; a token that was not may be too small for float32, and the page has 64 bits.
        assert ((found > 1e-30) == (expected > 1e-30)).all(), settings


def test_every_single_setting_means_the_same_in_the_page() -> None:
    generator = torch.Generator().manual_seed(0)
    assert_equal([(3 * torch.randn(4096, generator=generator), settings) for settings in SINGLE])


def test_settings_together_mean_the_same_in_the_page() -> None:
    generator, rng = torch.Generator().manual_seed(1), random.Random(1)
    sizes = [(2, 3, 50, 4096)[i % 4] for i in range(200)]
    assert_equal([(4 * torch.randn(size, generator=generator), random_settings(rng)) for size in sizes])


def test_tokens_that_tie_are_kept_together_in_the_page_too() -> None:
    ties = torch.tensor([1.0, 2.0, 2.0, 2.0, 0.0])
    assert_equal([(ties, settings) for settings in ({"top_k": 2}, {"top_p": 0.3}, {"temperature": 0}, {"min_p": 1.0})])
