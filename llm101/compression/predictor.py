"""A language model as coding needs it: its exact arithmetic, and what its tokens stand for."""

from __future__ import annotations

import hashlib

from llm101.compression.documents import end_id
from llm101.compression.forward import ExactModel
from llm101.library import LanguageModel


class Predictor:
    """A language model, ready to code with.

    Attributes:
        name, tokenizer: the language model's.
        model: its Transformer, in arithmetic whose every bit is defined.
        end_id: the token that stands before each document and ends it.
        token_sizes: bytes of each token; the end of a document counts nothing.
        digest: by which it is known again: its exact numbers, and what its tokens stand for.

    Raises:
        CompressionError: its tokenizer has no special token to end a document with.
    """

    def __init__(self, lm: LanguageModel) -> None:
        self.name, self.tokenizer, self.end_id = lm.name, lm.tokenizer, end_id(lm.tokenizer)
        self.model = ExactModel(lm.model, lm.tokenizer.vocab_size)
        ranks = sorted(lm.tokenizer.ranks.items(), key=lambda pair: pair[1])
        self.token_sizes = [0] * lm.tokenizer.vocab_size
        for token, token_id in ranks:
            self.token_sizes[token_id] = len(token)
        self.digest = hashlib.sha256(self.model.exact_digest + repr((ranks, self.end_id)).encode()).digest()
