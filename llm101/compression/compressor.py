"""Bytes in, fewer bytes out, and back: a language model as the compressor, and lzma for what it cannot foretell.

Reading order: compress, decompress; pack, which finds the smallest way; unpack.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import accumulate

from llm101.compression.choice import WORTH_IT, choose
from llm101.compression.container import (
    BY_LZMA,
    BY_MODEL,
    DIGEST_BYTES,
    METHODS,
    PLAIN,
    Buffer,
    CompressionError,
    Container,
    Run,
)
from llm101.compression.lzma_code import LzmaCosts, from_lzma_code, lzma_code
from llm101.compression.model_code import from_model_code, model_code
from llm101.compression.predictor import Predictor
from llm101.compression.processors import Progress
from llm101.library import LanguageModel


def compress(
    data: bytes,
    lm: LanguageModel,
    *,
    method: str | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """Any bytes, in as few as the model or lzma can; never more than `xz -9e` makes of them.

    Args:
        data: text of the model's kind shrinks best; other bytes come back unchanged all the same.
        lm: the model; `decompress` needs the very same.
        method: "model", "lzma" or "plain" for all of it; left out, a sample tells which is best for each stretch.
        n_threads: at most so many processors; as many as there are, if left out. The result is the same.
        progress: told how far it is.

    Raises:
        ValueError: there is no such method.

    Example:
        >>> from llm101 import load
        >>> lm = load("storyteller")
        >>> story = b"Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
        >>> packed = compress(story, lm)
        >>> len(packed) < len(story), decompress(packed, lm) == story
        (True, True)
    """
    return pack(data, lm, method=method, n_threads=n_threads, progress=progress).to_bytes()


def decompress(
    packed: bytes, lm: LanguageModel, *, n_threads: int | None = None, progress: Progress | None = None
) -> bytes:
    """The original of what `compress` made, byte for byte; also of what an earlier release made.

    Args:
        packed: what compress returned.
        lm: the model with which it was made; its digest is compared, if the model is needed.
        n_threads, progress: as for compress.

    Raises:
        CompressionError: another model, a damaged or truncated file, or none of ours.
    """
    return unpack(Container.from_bytes(packed), lm, n_threads=n_threads, progress=progress)


def pack(
    data: bytes,
    lm: LanguageModel,
    *,
    method: str | None = None,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Container:
    """What `compress` does, as far as the container, which tells what is stored how."""
    if method is not None and method not in METHODS:
        raise ValueError(f"there is no method {method!r}: choose one of {', '.join(METHODS)}")
    tell = progress or _tell_nobody
    if method is None and data:
        found = _smallest(data, Predictor(lm), n_threads, tell)
    else:
        found = _without_model(data, [Run(len(data), METHODS[method or "plain"])] if data else [], tell)
        if found.n_bytes(BY_MODEL):
            found = _with_model(found, data, Predictor(lm), n_threads, tell)
    tell(len(data), len(data))
    return found


def _smallest(data: bytes, predictor: Predictor, n_threads: int | None, tell: Progress) -> Container:
    """The smallest of three: all as it is, all by lzma, and each stretch in the way that a sample advises.

    The model takes its time, so it goes to work only where the sample promises that this will be worth it.
    """
    plain, by_lzma = (_without_model(data, [Run(len(data), method)], tell) for method in (PLAIN, BY_LZMA))
    smallest = min(plain, by_lzma, key=lambda container: container.n_packed)
    choice = choose(data, LzmaCosts(by_lzma.by_lzma, len(data)), predictor, n_threads)
    if choice.runs in (plain.runs, by_lzma.runs):
        return smallest
    mixed = _without_model(data, choice.runs, tell)
    if mixed.n_packed + choice.model_bytes / WORTH_IT >= smallest.n_packed:
        return smallest
    if mixed.n_bytes(BY_MODEL):
        mixed = _with_model(mixed, data, predictor, n_threads, tell)
    return min(smallest, mixed, key=lambda container: container.n_packed)


def _without_model(data: bytes, runs: list[Run], tell: Progress) -> Container:
    """A container in which only the model's part is missing."""
    pieces = _stretches(data, runs, BY_LZMA)
    by_lzma = lzma_code(pieces, sum(map(len, pieces)), lambda: tell(0, len(data)))
    return Container(hashlib.sha256(data).digest()[:DIGEST_BYTES], runs, None, by_lzma, _stretches(data, runs, PLAIN))


def _with_model(
    container: Container, data: bytes, predictor: Predictor, n_threads: int | None, tell: Progress
) -> Container:
    """The container with the model's part. What is stored in other ways counts as done."""
    text = b"".join(_stretches(data, container.runs, BY_MODEL))
    others = len(data) - len(text)
    return replace(container, by_model=model_code(text, predictor, n_threads, _beside(others, tell)))


def _stretches(data: Buffer, runs: list[Run], method: int) -> list[Buffer]:
    """Of the data, the runs that are stored in one way; nothing is copied."""
    ends = accumulate(run.n_bytes for run in runs)
    return [memoryview(data)[end - run.n_bytes : end] for run, end in zip(runs, ends) if run.method == method]


def unpack(
    container: Container, lm: LanguageModel, *, n_threads: int | None = None, progress: Progress | None = None
) -> bytes:
    """What `decompress` does, from the container on."""
    tell, n_model, n_lzma = progress or _tell_nobody, container.n_bytes(BY_MODEL), container.n_bytes(BY_LZMA)
    found = {PLAIN: b"".join(container.plain)}
    if n_lzma:
        found[BY_LZMA] = from_lzma_code(container.by_lzma, n_lzma)
    if container.by_model:
        beside = _beside(container.n_bytes() - n_model, tell)
        found[BY_MODEL] = from_model_code(container.by_model, n_model, Predictor(lm), n_threads, beside)
    data = _in_order(container.runs, found)
    if len(data) != container.n_bytes() or not hashlib.sha256(data).digest().startswith(container.checksum):
        raise CompressionError("damaged: what it holds does not fit its checksum")
    tell(len(data), len(data))
    return data


def _in_order(runs: list[Run], found: dict[int, bytes]) -> bytes:
    """The runs one after the other, taken from what is stored in each way."""
    if len(runs) == 1:
        return found[runs[0].method]
    places, pieces = dict.fromkeys(found, 0), []
    for run in runs:
        start = places[run.method]
        places[run.method] += run.n_bytes
        pieces.append(memoryview(found[run.method])[start : start + run.n_bytes])
    return b"".join(pieces)


def _beside(others: int, tell: Progress) -> Progress:
    """Tell of the model's bytes, when others are done already."""
    return lambda done, total: tell(others + done, others + total)


def _tell_nobody(done: int, total: int) -> None:
    pass
