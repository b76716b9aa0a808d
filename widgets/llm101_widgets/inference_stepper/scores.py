"""The scores of all next tokens, packed for the page: all of them, or of a large vocabulary the likeliest.

It knows nothing of widgets and models.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

ALL, SOME, SHOWN = 8192, 1000, 20
"""Up to ALL tokens the page gets every score, else those of the SOME likeliest; it shows bars for SHOWN of them."""
NO_SCORES: dict[str, Any] = {"ids": b"", "logits": b"", "rest": [0, -99.0], "top": []}
"""Where nothing follows."""


def packed_scores(logits: npt.ArrayLike) -> dict[str, Any]:
    """What the page computes probabilities from.

    Returns:
        logits: float32 scores, little-endian; ids: int32, whose they are, empty for all tokens in order;
        rest: how many tokens are left out, and the log-sum-exp of their scores; top: ids of the likeliest.

    Raises:
        ValueError: a score is NaN or +infinity.

    Example:
        >>> packed = packed_scores([0.5, 2.0, 1.0])
        >>> packed["top"], packed["rest"], len(packed["logits"])
        ([1, 2, 0], [0, -99.0], 12)
    """
    scores = np.asarray(logits, np.float32).reshape(-1)
    if not len(scores) or not np.isfinite(scores.max()):
        raise ValueError("the model's scores are not finite (NaN or infinity): a parameter is damaged, load it again")
    order = np.argsort(-scores, kind="stable")  # equal scores stay in the order of their ids, as in the page
    few, rest = (order[:SOME], order[SOME:]) if len(scores) > ALL else (order, order[:0])
    kept = scores[few] if len(rest) else scores
    return {
        "ids": few.astype("<i4").tobytes() if len(rest) else b"",
        "logits": np.maximum(kept, np.float32(-1e30)).astype("<f4").tobytes(),
        "rest": [len(rest), max(-99.0, log_sum_exp(scores[rest])) if len(rest) else -99.0],
        "top": order[:SHOWN].tolist(),
    }


def log_sum_exp(scores: npt.ArrayLike) -> float:
    """Logarithm of the sum of the exponentials, without overflow.

    Example:
        >>> round(log_sum_exp([1000.0, 1000.0]), 4)
        1000.6931
    """
    x = np.asarray(scores, np.float64)
    return float(x.max() + np.log(np.exp(x - x.max()).sum()))


def log_probability(logits: npt.ArrayLike, token_id: int) -> float:
    """Natural logarithm of the model's own probability of a token; JSON has no infinity, so at least -99."""
    scores = np.asarray(logits, np.float64).reshape(-1)
    return max(-99.0, float(scores[token_id]) - log_sum_exp(scores))
