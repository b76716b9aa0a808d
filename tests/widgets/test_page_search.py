"""The page's search (search.js, under node) against Features.search: one rule, the same latents in the same order."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from llm101.interpretability.autoencoder.features import Features
from llm101.interpretability.shipped import shipped_features, shipped_file

NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is missing: see make test-widgets")

WORDS = ("bridge", "rain", "dog", "cry", "said", "st", "a", "Golden GATE", "gate golden", "dog park", "the of")
ODD = (
    "",
    "  ",
    "804",
    "#804",
    "80",
    "804 bridge",
    "1e3",
    "<!>",
    "_",
    "snow_man",
    "zebra crossing",
    "É",
    "ß",
    "don't",
    "²",
)


@pytest.fixture(scope="module")
def features() -> Features:
    return shipped_features()


def by_the_page(queries: list[str]) -> list[list[int]]:
    script, file = Path(__file__).with_name("search.mjs"), shipped_file("features.json.gz")
    done = subprocess.run(
        [str(NODE), script, file], input=json.dumps(queries).encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_the_page_finds_what_python_finds_in_the_same_order(features: Features) -> None:
    promoted = [features.tokens[token] for latent in features.latents[::400] for token, _ in latent.promoted]
    queries = [*WORDS, *ODD, *promoted]
    found = dict(zip(queries, by_the_page(queries), strict=True))
    for query, ids in found.items():
        assert [latent.id for latent in features.search(query)] == ids, query
    assert found["bridge"][0] != found["rain"][0]
    assert found["#804"] == found["804"] == [804]
    assert len(found[""]) == len(features.latents)
    assert found["zebra crossing"] == found["<!>"] == []
