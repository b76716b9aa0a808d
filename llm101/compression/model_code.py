"""What the model makes of bytes: a token that it gives probability p takes -log2(p) bits.

So the length of the code is the model's loss on the text, made real, and what cannot be predicted costs what it costs.
It knows nothing of files and of other ways to pack.

Reading order: model_code, from_model_code; bits_per_token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm101.compression.container import DIGEST_BYTES, ByModel, CompressionError, Part
from llm101.compression.documents import Documents
from llm101.compression.predictor import Predictor
from llm101.compression.processors import Count, Progress, side_by_side
from llm101.compression.range_coder import BitCounter, RangeDecoder, RangeEncoder
from llm101.compression.walk import walk
from llm101.library import LanguageModel

ROWS = 32
"""Documents read side by side in one part."""

PARTS = 4
"""A text is cut into so many parts, which processors can take at the same time; each costs about 6 bytes."""

SMALLEST_PART = 8_000
"""Tokens: below that, one processor is quicker."""

CACHE_BYTES = 256_000_000
"""Memory for keys and values, in all parts together: a large model reads fewer documents side by side."""


@dataclass(frozen=True)
class TokenBits:
    """One token of a text, and how surprising it was."""

    token_id: int
    token: bytes
    bits: float
    """-log2 of the probability that the model gave it: what it takes in a compressed file."""


def model_code(
    data: bytes, predictor: Predictor, n_threads: int | None = None, progress: Progress | None = None
) -> ByModel:
    """Some bytes, packed.

    Args:
        data: any bytes; text of the model's kind takes least.
        predictor: the model.
        n_threads: at most so many processors; as many as there are, if left out. The result is the same.
        progress: told how far it is.
    """
    model, sizes = predictor.model, predictor.token_sizes
    documents = Documents.from_bytes(data, predictor.tokenizer)
    groups = _groups(documents.token_ids)
    n_rows = max(1, min(ROWS, CACHE_BYTES // PARTS // model.cache_bytes_per_text))

    def encode(known: list[list[int]], count: Count) -> bytes:
        def watch(coded: Sequence[int]) -> None:
            count(sum(sizes[i] for i in coded))

        encoder = RangeEncoder()
        walk(model, encoder, predictor.end_id, len(known), n_rows, known, watch)
        return encoder.finish()

    codes = side_by_side(encode, groups, n_threads, len(data), progress)
    parts = [Part(len(group), code) for group, code in zip(groups, codes)]
    digest = predictor.digest[:DIGEST_BYTES]
    return ByModel(digest, predictor.name, documents.separator, n_rows, documents.joined, parts)


def from_model_code(
    code: ByModel, n_bytes: int, predictor: Predictor, n_threads: int | None = None, progress: Progress | None = None
) -> bytes:
    """The bytes again.

    Args:
        code: what model_code returned.
        n_bytes: how many bytes it may hold.
        predictor: the model with which it was made; its digest is compared.
        n_threads, progress: as for model_code.

    Raises:
        CompressionError: another model, or a damaged code.
    """
    if not predictor.digest.startswith(code.model_digest):
        raise CompressionError(
            f"compressed with another model ({code.name!r}, digest {code.model_digest.hex()[:8]}…; "
            f"this is {predictor.name!r}, {predictor.digest.hex()[:8]}…): give that one"
        )
    sizes = predictor.token_sizes

    def decode(part: Part, count: Count) -> list[list[int]]:
        decoder, n_made = RangeDecoder(part.code), 0

        def watch(coded: Sequence[int]) -> None:
            nonlocal n_made
            n_new = sum(sizes[i] for i in coded)
            n_made += n_new
            if n_made > n_bytes:
                raise CompressionError("damaged: it holds more than its header says")
            count(n_new)

        return walk(predictor.model, decoder, predictor.end_id, part.n_documents, code.n_rows, watch=watch)

    groups = side_by_side(decode, code.parts, n_threads, n_bytes, progress)
    documents = [ids for group in groups for ids in group]
    return Documents(documents, code.separator, code.joined).to_bytes(predictor.tokenizer)


def bits_per_token(text: str | bytes, lm: LanguageModel) -> list[TokenBits]:
    """What each token of a text takes when the model packs it: where it is surprised, and where it knew.

    The end-of-text token at the end of each document is one of them.

    Example:
        >>> from llm101 import load
        >>> [(t.token, round(t.bits)) for t in bits_per_token("Once upon a time", load("storyteller"))]
        [(b'Once', 0), (b' upon', 0), (b' a', 0), (b' time', 0), (b'<|endoftext|>', 22)]
    """
    data, predictor = text.encode() if isinstance(text, str) else text, Predictor(lm)
    found = []
    for ids in Documents.from_bytes(data, lm.tokenizer).token_ids:
        counter = BitCounter()
        walk(predictor.model, counter, predictor.end_id, 1, 1, [ids])
        found += [TokenBits(i, lm.tokenizer.token_bytes(i), bits) for i, bits in zip(ids, counter.bits)]
    return found


def _groups(documents: list[list[int]]) -> list[list[list[int]]]:
    """The documents in up to PARTS groups of about the same number of tokens."""
    n_tokens = sum(map(len, documents))
    n_groups = max(1, min(PARTS, n_tokens // SMALLEST_PART, len(documents)))
    groups: list[list[list[int]]] = [[] for _ in range(n_groups)]
    before = 0
    for ids in documents:
        groups[before * n_groups // n_tokens].append(ids)
        before += len(ids)
    return [group for group in groups if group]
