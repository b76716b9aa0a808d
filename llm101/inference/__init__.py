"""Inference: the parameters put to work. Input tokens go in, completion tokens come out.

Reading order: sampling.py (from scores to one token), kv_cache.py (what is remembered), completion.py
(what is handed out), engine.py (the loop that ties them together); batch.py and side_by_side.py (several texts at
once), walker.py (from text to neighbouring text).
"""

from llm101.inference.completion import Alternative, Cancel, Completion, CompletionToken, StopReason
from llm101.inference.engine import InferenceEngine
from llm101.inference.kv_cache import KVCache
from llm101.inference.sampling import Sampler, SamplingSettings, next_token_probabilities
from llm101.inference.walker import Walker

__all__ = [
    "Alternative",
    "Cancel",
    "Completion",
    "CompletionToken",
    "InferenceEngine",
    "KVCache",
    "Sampler",
    "SamplingSettings",
    "StopReason",
    "Walker",
    "next_token_probabilities",
]
