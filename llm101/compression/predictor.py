"""A language model as coding needs it: its exact arithmetic, and what its tokens stand for."""

from __future__ import annotations

import hashlib
import re

from llm101.compression.container import CompressionError
from llm101.compression.documents import end_id
from llm101.compression.forward import ExactModel
from llm101.library import LanguageModel
from llm101.tokenizer import Tokenizer, TokenizerError


class Predictor:
    """A language model, ready to code with.

    Attributes:
        name, tokenizer: the language model's.
        model: its Transformer, in arithmetic whose every bit is defined.
        end_id: the token that stands before each document and ends it.
        token_sizes: bytes of each token; the end of a document counts nothing.
        digest: by which it is known again: its exact numbers, and what its tokens stand for.
        foreign: the bytes that it has no tokens for, as a pattern; most tokenizers lack none.

    Raises:
        CompressionError: its tokenizer has no special token to end a document with, or cannot give every file back.
    """

    def __init__(self, lm: LanguageModel) -> None:
        check_gives_back(lm.tokenizer)
        missing = [bytes([byte]) for byte in range(256) if bytes([byte]) not in lm.tokenizer.ranks]
        self.foreign = re.compile(b"|".join(map(re.escape, missing)) or b"(?!)")
        self.name, self.tokenizer, self.end_id = lm.name, lm.tokenizer, end_id(lm.tokenizer)
        self.model = ExactModel(lm.model, lm.tokenizer.vocab_size)
        ranks = sorted(lm.tokenizer.ranks.items(), key=lambda pair: pair[1])
        self.token_sizes = [0] * lm.tokenizer.vocab_size
        for token, token_id in ranks:
            self.token_sizes[token_id] = len(token)
        self.digest = hashlib.sha256(self.model.exact_digest + repr((ranks, self.end_id)).encode()).digest()


def check_gives_back(tokenizer: Tokenizer) -> None:
    """See that bytes come back from their tokens as they were.

    Raises:
        CompressionError: they need not; the line says why.
    """
    try:
        parts = tokenizer.parts
    except TokenizerError:
        raise CompressionError(f"{tokenizer.name} is no tokenizer of bytes, so not every file comes back") from None
    if parts.nfc:
        raise CompressionError(f"the tokenizer of {tokenizer.name} rewrites letters (NFC): not every file comes back")
