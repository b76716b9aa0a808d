"""Any bytes come back, whatever the number of threads; what is not right is refused, and said."""

from __future__ import annotations

import random
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm101.compression import CompressionError, bits_per_token, compress, compressor, container, decompress
from llm101.compression.container import PLAIN, Container
from llm101.compression.documents import Documents
from llm101.compression.range_coder import RangeDecoder, RangeEncoder
from llm101.compression.walk import walk
from llm101.library import LanguageModel, load
from tests.compression.conftest import STORIES, tiny_model

SEPARATOR = "\n<|endoftext|>\n"
BOOK = (SEPARATOR.join(STORIES * 6) + SEPARATOR).encode()
"""Twelve little documents and an empty one."""
ODD = {
    "nothing": b"",
    "one byte": b"x",
    "zeros": bytes(300),
    "every byte": bytes(range(256)),
    "no UTF-8": b"caf\xe9 \xf0\x9f\x98 \xff\xfe" * 3,
    "characters of four bytes": "🐈 und 🐕 ".encode() * 5,
    "only separators": b"<|endoftext|>" * 4,
    "separators of two kinds": b"a\r\n<|endoftext|>\r\nb\n<|endoftext|>\nc\n<|endoftext|>\nd<|endoftext|",
    "line breaks at the ends": b"\n\na\n\n<|endoftext|>\n\n\nb\n",
    "longer than the context": b"the cat sat on the mat, " * 40,
    "much white space": b" " * 500 + b"\t\n" * 100,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_bytes_come_back(name: str, tiny: LanguageModel) -> None:
    packed = compress(ODD[name], tiny)
    assert decompress(packed, tiny) == ODD[name]


def through_the_model(data: bytes, lm: LanguageModel, n_rows: int = 4) -> bytes:
    """There and back by tokens, also where compress would rather have kept the bytes as they are."""
    model, end = compressor.ExactModel(lm.model, lm.tokenizer.vocab_size), compressor.end_id(lm.tokenizer)
    documents = Documents.from_bytes(data, lm.tokenizer)
    encoder = RangeEncoder()
    walk(model, encoder, end, len(documents.token_ids), n_rows, documents.token_ids)
    decoder = RangeDecoder(encoder.finish())
    found = walk(model, decoder, end, len(documents.token_ids), n_rows)
    return Documents(found, documents.separator, documents.joined).to_bytes(lm.tokenizer)


@settings(max_examples=40)
@given(data=st.one_of(st.text(max_size=60).map(str.encode), st.binary(max_size=60)), n_rows=st.integers(1, 5))
def test_texts_and_bytes_come_back_through_the_model(tiny: LanguageModel, data: bytes, n_rows: int) -> None:
    data = data + SEPARATOR.encode() + data[::2]
    assert through_the_model(data, tiny, n_rows) == data


@pytest.mark.slow
def test_a_thousand_random_byte_strings_come_back_with_one_thread_and_two(tiny: LanguageModel) -> None:
    source = random.Random(0)
    for _ in range(1000):
        data = source.randbytes(source.randrange(200))
        packed = compress(data, tiny, n_threads=1)
        assert packed == compress(data, tiny, n_threads=2)
        assert decompress(packed, tiny) == data
        assert through_the_model(data, tiny) == data


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that even a little book is spread over processors and cut into pieces."""
    monkeypatch.setattr(compressor, "SMALLEST_PART", 20)
    monkeypatch.setattr("llm101.compression.documents.SHORTEST_PIECE", 10)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(tiny: LanguageModel, n_threads: int) -> None:
    packed = compress(BOOK, tiny, n_threads=n_threads)
    assert len(Container.from_bytes(packed).parts) == compressor.PARTS
    assert Container.from_bytes(packed).joined
    assert packed == compress(BOOK, tiny)
    assert decompress(packed, tiny, n_threads=n_threads) == BOOK


@pytest.mark.usefixtures("small_parts")
def test_other_work_at_the_same_time_changes_nothing(tiny: LanguageModel) -> None:
    expected, found = compress(BOOK, tiny), []
    others = [threading.Thread(target=lambda: found.append(compress(BOOK, tiny))) for _ in range(3)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    assert found == [expected] * 3


def test_a_story_shrinks_to_what_its_tokens_cost() -> None:
    lm = load("storyteller")
    story = b"Once upon a time, there was a little girl named Lily. She loved to play outside in the park with her mom."
    packed = Container.from_bytes(compress(story, lm))
    tokens = bits_per_token(story, lm)
    assert b"".join(t.token for t in tokens[:-1]) == story
    assert tokens[-1].token_id == lm.tokenizer.end_id
    (part,) = packed.parts
    assert 0 <= 8 * len(part.code) - sum(t.bits for t in tokens) <= 16
    assert len(part.code) < len(story) / 5
    assert decompress(packed.to_bytes(), lm) == story


def test_bits_per_token_agree_with_the_models_own_probabilities(tiny: LanguageModel) -> None:
    import torch

    text = "the cat sat"
    tokens = bits_per_token(text, tiny)
    ids = [tiny.tokenizer.end_id, *(t.token_id for t in tokens)]
    logits = tiny.model(torch.tensor([ids]))[0, :, : tiny.tokenizer.vocab_size]
    expected = -logits.log_softmax(-1).detach()[range(len(ids) - 1), ids[1:]] / torch.tensor(2.0).log()
    assert torch.allclose(torch.tensor([t.bits for t in tokens]), expected, atol=1e-3)


def test_what_cannot_be_predicted_is_kept_as_it_is(tiny: LanguageModel) -> None:
    noise = random.Random(1).randbytes(500)
    packed = compress(noise, tiny)
    assert Container.from_bytes(packed).method == PLAIN
    assert len(packed) < len(noise) + 70


# What is refused


def test_another_model_is_refused_by_name(tiny: LanguageModel, tmp_path: Path) -> None:
    packed, other = compress(BOOK, tiny), tiny_model(tmp_path, seed=1)
    with pytest.raises(CompressionError, match="compressed with another model .'tiny-0', fingerprint ") as refusal:
        decompress(packed, other)
    assert "this is 'tiny-1'" in str(refusal.value)


def test_one_changed_number_makes_another_model(tiny: LanguageModel, tmp_path: Path) -> None:
    changed = tiny_model(tmp_path)
    packed = compress(BOOK, tiny)
    assert decompress(packed, changed) == BOOK  # the same numbers in another file
    changed.model.get_parameter("model.layers.1.mlp.up_proj.weight").data[3, 2] *= 1.001
    with pytest.raises(CompressionError, match="compressed with another model"):
        decompress(packed, changed)


def test_every_damaged_byte_is_noticed(tiny: LanguageModel) -> None:
    packed = compress(BOOK, tiny)
    for i in range(len(packed)):
        damaged = bytearray(packed)
        damaged[i] ^= 1 << i % 8
        with pytest.raises(CompressionError, match="not a file made by|version|truncated|damaged"):
            decompress(bytes(damaged), tiny)


def test_every_truncation_is_called_by_its_name(tiny: LanguageModel) -> None:
    packed = compress(BOOK, tiny)
    for length in range(1, len(packed)):
        with pytest.raises(CompressionError, match="truncated"):
            decompress(packed[:length], tiny)
    with pytest.raises(CompressionError, match="damaged: 1 bytes too many at its end"):
        decompress(packed + b"x", tiny)


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08", b"Once upon a time", b"x" * 1000])
def test_a_file_of_another_kind_is_refused(tiny: LanguageModel, data: bytes) -> None:
    with pytest.raises(CompressionError, match="not a file made by compress"):
        decompress(data, tiny)


def test_a_later_version_is_refused(tiny: LanguageModel) -> None:
    packed = bytearray(compress(b"cat", tiny))
    packed[len(container.MAGIC)] = 2
    with pytest.raises(CompressionError, match="in version 2 of the format; this llm101 reads version 1"):
        decompress(bytes(packed), tiny)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_bytes": 10}, "it holds more than its header says"),
        ({"n_bytes": 10_000}, "what it holds does not fit its checksum"),
        ({"checksum": bytes(16)}, "what it holds does not fit its checksum"),
        ({"separator": b"x"}, "what it holds does not fit its checksum"),
        ({"n_rows": 1}, "damaged"),
        ({"n_rows": 0}, "its header does not make sense"),
    ],
)
def test_a_header_that_lies_is_refused(tiny: LanguageModel, change: dict, message: str) -> None:
    honest = Container.from_bytes(compress(BOOK, tiny))
    with pytest.raises(CompressionError, match=message):
        decompress(Container(**(vars(honest) | change)).to_bytes(), tiny)


def test_a_header_that_claims_endless_documents_ends(tiny: LanguageModel) -> None:
    honest = Container.from_bytes(compress(BOOK, tiny))
    parts = [container.Part(2**60, part.code) for part in honest.parts]
    with pytest.raises(CompressionError, match="damaged"):
        decompress(Container(**(vars(honest) | {"parts": parts, "n_bytes": 2**60})).to_bytes(), tiny)


@given(st.binary(max_size=80))
def test_a_body_of_any_bytes_is_read_or_refused(body: bytes) -> None:
    head = container.MAGIC + bytes([container.VERSION]) + len(body).to_bytes(8, "big")
    packed = head + zlib.crc32(body).to_bytes(4, "big") + body
    with suppress(CompressionError):  # and no other error
        assert len(Container.from_bytes(packed).fingerprint) == 16


def test_progress_rises_to_the_whole(tiny: LanguageModel) -> None:
    seen: list[tuple[int, int]] = []
    compress(BOOK, tiny, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(BOOK), len(BOOK))
    assert seen == sorted(seen)
