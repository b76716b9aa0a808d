"""A recording of four latents, small enough to be known by heart, for tests of what shows recordings."""

from __future__ import annotations

import gzip
import json
from typing import Any

HOSTILE = '<img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script>'
TOKENS = ["The", " golden", " bridge", " rain", " fell", "\n", HOSTILE]


def latent(number: int, words: list[str], passage: list[int], strengths: list[int], **more: Any) -> dict[str, Any]:
    return {
        **{"id": number, "density": 0.0031, "strongest": 12.5, "histogram": [9, 4, 2, 1, *[0] * 11, 1]},
        **{"promoted": [[2, 3.25]], "suppressed": [[3, -1.5]], "relatives": [], "words": words},
        **{"passages": [[passage, strengths]]},
        **more,
    }


def recording() -> dict[str, Any]:
    return {
        **{"format": "llm101 features 1", "fingerprint": "f", "layer": 3, "d_sae": 10, "n_tokens": 1000, "n_texts": 9},
        "tokens": list(TOKENS),
        "latents": [
            latent(2, ["bridge", "golden"], [0, 1, 2, 5], [0, 30, 99, 0], relatives=[[7, 0.61], [5, 0.2]]),
            latent(4, ["rain", "fell"], [0, 3, 4], [0, 99, 55], promoted=[[4, 2.0]]),
            latent(7, ["bridges"], [2, 2], [60, 99], relatives=[[2, 0.61]]),
            latent(9, [HOSTILE], [6, 4], [99, 80], promoted=[[6, 1.0]]),
        ],
    }


def packed(recorded: Any) -> bytes:
    return gzip.compress(json.dumps(recorded).encode())
