"""Bytes into documents of tokens, and back: the form in which a model can read them.

The model was trained on texts that each follow the end-of-text token, so the separator between two texts in a file
(`<|endoftext|>` and the line breaks around it) becomes that one token, and each text is read from a fresh start. Any
other bytes, text or not, are ordinary tokens. It knows the tokenizer and nothing of codes.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from llm101.compression.container import CompressionError
from llm101.tokenizer import Tokenizer

SEPARATOR = re.compile(rb"[\r\n]*<\|endoftext\|>[\r\n]*")
SHORTEST_PIECE = 1024
"""Tokens: a text is cut for speed only where the pieces are this long at least, as each starts from nothing."""
MOST_PIECES = 64


@dataclass(frozen=True)
class Documents:
    """A file as the model reads it.

    Attributes:
        token_ids: of each document, with the end token after it.
        separator: the bytes between two documents.
        joined: after which documents no separator comes, because one text was cut there; rising.
    """

    token_ids: list[list[int]]
    separator: bytes
    joined: list[int]

    @classmethod
    def from_bytes(cls, data: bytes, tokenizer: Tokenizer) -> Documents:
        """Cut a file at its separators, and what is still long into pieces that can be read side by side.

        Example:
            >>> tokenizer = Tokenizer.train(["aa"], 257)
            >>> found = Documents.from_bytes(b"a\\n<|endoftext|>\\nb\\n<|endoftext|>\\n", tokenizer)
            >>> found.token_ids, found.separator
            ([[97, 256], [98, 256], [256]], b'\\n<|endoftext|>\\n')
        """
        counts = Counter(SEPARATOR.findall(data))
        separator = counts.most_common(1)[0][0] if counts else b""
        texts = data.split(separator) if separator else [data]
        encoded = [tokenizer.encode_bytes(text) for text in texts]
        longest = max(SHORTEST_PIECE, sum(map(len, encoded)) // MOST_PIECES)
        end, documents, joined = end_id(tokenizer), [], []
        for ids in encoded:
            n_pieces = max(1, len(ids) // longest)
            cuts = [len(ids) * i // n_pieces for i in range(n_pieces + 1)]
            joined += range(len(documents), len(documents) + n_pieces - 1)
            documents += [[*ids[start:stop], end] for start, stop in pairwise(cuts)]
        return cls(documents, separator, joined)

    def to_bytes(self, tokenizer: Tokenizer) -> bytes:
        """The file again."""
        joined = set(self.joined)
        pieces: list[bytes] = []
        for i, ids in enumerate(self.token_ids):
            pieces.append(tokenizer.decode_bytes(ids[:-1]))
            if i not in joined and i < len(self.token_ids) - 1:
                pieces.append(self.separator)
        return b"".join(pieces)


def end_id(tokenizer: Tokenizer) -> int:
    """The token that stands before and after a document: the end-of-text token, or whatever special token there is.

    Raises:
        CompressionError: the tokenizer has no special token.
    """
    if tokenizer.end_id is not None:
        return tokenizer.end_id
    if not tokenizer.special_tokens:
        raise CompressionError(f"the tokenizer {tokenizer.name} has no special token to mark the end of a text")
    return min(tokenizer.special_tokens.values())
