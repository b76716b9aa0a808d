"""Bytes in, fewer bytes out, and back: a language model as the compressor.

A good prediction is a short code: a token that the model gives probability p takes -log2(p) bits. So a file's size is
the model's loss on it, made real; and what cannot be predicted costs what it costs. What no model can shorten is kept
as it is.

Reading order: compress, decompress; bits_per_token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from llm101.compression.container import BY_MODEL, PLAIN, CompressionError, Container, Part
from llm101.compression.documents import Documents, end_id
from llm101.compression.forward import ExactModel
from llm101.compression.processors import Count, Progress, side_by_side
from llm101.compression.range_coder import BitCounter, RangeDecoder, RangeEncoder
from llm101.compression.walk import walk
from llm101.library import LanguageModel

ROWS = 32
"""Documents read side by side in one part."""

PARTS = 4
"""A file is cut into so many parts, which processors can take at the same time; each costs about 6 bytes."""

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


def compress(
    data: bytes, lm: LanguageModel, *, n_threads: int | None = None, progress: Progress | None = None
) -> bytes:
    """Any bytes, in as few as the model can.

    Args:
        data: text of the model's kind shrinks best; other bytes come back unchanged all the same.
        lm: the model; `decompress` needs the very same.
        n_threads: at most so many processors; as many as there are, if left out. The result is the same.
        progress: told how far it is.

    Example:
        >>> from llm101 import load
        >>> lm = load("storyteller")
        >>> story = b"Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
        >>> packed = compress(story, lm)
        >>> decompress(packed, lm) == story
        True
    """
    model, end = ExactModel(lm.model, lm.tokenizer.vocab_size), end_id(lm.tokenizer)
    documents = Documents.from_bytes(data, lm.tokenizer)
    groups = _groups(documents.token_ids)
    n_rows = max(1, min(ROWS, CACHE_BYTES // PARTS // model.cache_bytes_per_text))
    sizes = _token_sizes(lm)

    def encode(known: list[list[int]], count: Count) -> bytes:
        encoder = RangeEncoder()
        walk(model, encoder, end, len(known), n_rows, known, lambda coded: count(sum(sizes[i] for i in coded)))
        return encoder.finish()

    codes = side_by_side(encode, groups, n_threads, len(data), progress)
    parts = [Part(len(group), code) for group, code in zip(groups, codes)]
    head = _fingerprint(model, lm), _checksum(data), lm.name, len(data)
    packed = Container(
        *head, BY_MODEL, separator=documents.separator, n_rows=n_rows, joined=documents.joined, parts=parts
    ).to_bytes()
    plain = Container(*head, PLAIN, plain=data).to_bytes()
    return min(packed, plain, key=len)


def decompress(
    packed: bytes, lm: LanguageModel, *, n_threads: int | None = None, progress: Progress | None = None
) -> bytes:
    """The original of what `compress` made, byte for byte.

    Args:
        packed: what compress returned.
        lm: the model with which it was made; its fingerprint is compared.
        n_threads, progress: as for compress.

    Raises:
        CompressionError: another model, a damaged or truncated file, or none of ours.
    """
    container = Container.from_bytes(packed)
    if container.method == PLAIN:
        return _checked(container.plain, container)
    model = ExactModel(lm.model, lm.tokenizer.vocab_size)
    fingerprint, end, sizes = _fingerprint(model, lm), end_id(lm.tokenizer), _token_sizes(lm)
    if container.fingerprint != fingerprint:
        raise CompressionError(
            f"compressed with another model ({container.model!r}, fingerprint {container.fingerprint.hex()[:8]}…; "
            f"this is {lm.name!r}, {fingerprint.hex()[:8]}…): give that one"
        )

    def decode(part: Part, count: Count) -> list[list[int]]:
        decoder, n_bytes = RangeDecoder(part.code), 0

        def watch(coded: Sequence[int]) -> None:
            nonlocal n_bytes
            n_new = sum(sizes[i] for i in coded)
            n_bytes += n_new
            if n_bytes > container.n_bytes:
                raise CompressionError("damaged: it holds more than its header says")
            count(n_new)

        return walk(model, decoder, end, part.n_documents, container.n_rows, watch=watch)

    groups = side_by_side(decode, container.parts, n_threads, container.n_bytes, progress)
    documents = [ids for group in groups for ids in group]
    return _checked(Documents(documents, container.separator, container.joined).to_bytes(lm.tokenizer), container)


def bits_per_token(text: str | bytes, lm: LanguageModel) -> list[TokenBits]:
    """What each token of a text takes when it is compressed: where the model is surprised, and where it knew.

    The end-of-text token at the end of each document is one of them.

    Example:
        >>> from llm101 import load
        >>> [(t.token, round(t.bits)) for t in bits_per_token("Once upon a time", load("storyteller"))]
        [(b'Once', 0), (b' upon', 0), (b' a', 0), (b' time', 0), (b'<|endoftext|>', 22)]
    """
    data = text.encode() if isinstance(text, str) else text
    documents = Documents.from_bytes(data, lm.tokenizer).token_ids
    model, end = ExactModel(lm.model, lm.tokenizer.vocab_size), end_id(lm.tokenizer)
    found = []
    for ids in documents:
        counter = BitCounter()
        walk(model, counter, end, 1, 1, [ids])
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


def _token_sizes(lm: LanguageModel) -> list[int]:
    """Bytes of each token, for counting what is done; the end of a document counts nothing."""
    sizes = [0] * lm.tokenizer.vocab_size
    for token, token_id in lm.tokenizer.ranks.items():
        sizes[token_id] = len(token)
    return sizes


def _fingerprint(model: ExactModel, lm: LanguageModel) -> bytes:
    """By which the model is known again: its numbers, and what its tokens stand for."""
    digest = hashlib.sha256(model.fingerprint)
    tokenizer = lm.tokenizer
    digest.update(repr((sorted(tokenizer.ranks.items(), key=lambda pair: pair[1]), end_id(tokenizer))).encode())
    return digest.digest()[:16]


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:16]


def _checked(data: bytes, container: Container) -> bytes:
    """The data, if it is what the header says."""
    if len(data) != container.n_bytes or _checksum(data) != container.checksum:
        raise CompressionError("damaged: what it holds does not fit its checksum")
    return data
