"""Any bytes come back, whatever the number of threads; what is not right is refused, and said."""

from __future__ import annotations

import random
import threading
import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm101.compression import CompressionError, bits_per_token, compress, container, decompress, model_code
from llm101.compression.compressor import _with_model, _without_model, pack
from llm101.compression.container import METHODS, ByModel, Container, Run
from llm101.compression.documents import Documents
from llm101.compression.lzma_code import lzma_code
from llm101.compression.predictor import Predictor, check_gives_back
from llm101.compression.range_coder import RangeDecoder, RangeEncoder
from llm101.compression.walk import walk
from llm101.library import LanguageModel, load
from llm101.tokenizer import Tokenizer
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
    for method in (None, *METHODS):
        assert decompress(compress(ODD[name], tiny, method=method), tiny) == ODD[name]


def through_the_model(data: bytes, lm: LanguageModel, n_rows: int = 4) -> bytes:
    """There and back by tokens, with any number of rows."""
    predictor = Predictor(lm)
    model, end = predictor.model, predictor.end_id
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
        for method in (None, "model"):
            packed = compress(data, tiny, method=method, n_threads=1)
            assert packed == compress(data, tiny, method=method, n_threads=2)
            assert decompress(packed, tiny) == data
        assert through_the_model(data, tiny) == data


def by_model(packed: bytes) -> ByModel:
    """The model's part of what is packed."""
    found = Container.from_bytes(packed).by_model
    assert found is not None
    return found


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that even a little book is spread over processors and cut into pieces."""
    monkeypatch.setattr(model_code, "SMALLEST_PART", 20)
    monkeypatch.setattr("llm101.compression.documents.SHORTEST_PIECE", 10)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(tiny: LanguageModel, n_threads: int) -> None:
    packed = compress(BOOK, tiny, method="model", n_threads=n_threads)
    assert len(by_model(packed).parts) == model_code.PARTS
    assert by_model(packed).joined
    assert packed == compress(BOOK, tiny, method="model")
    assert decompress(packed, tiny, n_threads=n_threads) == BOOK


@pytest.mark.usefixtures("small_parts")
def test_other_work_at_the_same_time_changes_nothing(tiny: LanguageModel) -> None:
    expected, found = compress(BOOK, tiny, method="model"), []
    others = [threading.Thread(target=lambda: found.append(compress(BOOK, tiny, method="model"))) for _ in range(3)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    assert found == [expected] * 3


def test_a_story_shrinks_to_what_its_tokens_cost() -> None:
    lm = load("storyteller")
    story = b"Once upon a time, there was a little girl named Lily. She loved to play outside in the park with her mom."
    packed = compress(story, lm)
    tokens = bits_per_token(story, lm)
    assert b"".join(t.token for t in tokens[:-1]) == story
    assert tokens[-1].token_id == lm.tokenizer.end_id
    (part,) = by_model(packed).parts
    assert 0 <= 8 * len(part.code) - sum(t.bits for t in tokens) <= 16
    assert len(part.code) < len(story) / 5
    assert decompress(packed, lm) == story


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
    assert Container.from_bytes(packed).runs == [Run(500, METHODS["plain"])]
    assert len(packed) < len(noise) + 30


# What is refused

THREE_WAYS = BOOK + random.Random(1).randbytes(1500) + b"0123456789, " * 200


BODY_FROM = len(container.MAGIC) + 1 + 2 + 4
"""Behind the version, the length in two bytes, and the CRC-32."""


@pytest.fixture(scope="module")
def packed_in_three_ways(tiny: LanguageModel) -> bytes:
    """A part of each kind in one file, whatever a sample would have said."""
    lengths = dict(zip(("model", "plain", "lzma"), (len(BOOK), 1500, 2400)))
    runs = [Run(n_bytes, METHODS[method]) for method, n_bytes in lengths.items()]
    whole = _without_model(THREE_WAYS, runs, lambda done, total: None)
    return _with_model(whole, THREE_WAYS, Predictor(tiny), None, lambda done, total: None).to_bytes()


def test_a_file_packed_in_three_ways_comes_back(tiny: LanguageModel, packed_in_three_ways: bytes) -> None:
    assert decompress(packed_in_three_ways, tiny) == THREE_WAYS


def test_another_model_is_refused_by_name(tiny: LanguageModel, tmp_path: Path) -> None:
    packed, other = compress(BOOK, tiny, method="model"), tiny_model(tmp_path, seed=1)
    with pytest.raises(CompressionError, match="compressed with another model .'tiny-0', digest ") as refusal:
        decompress(packed, other)
    assert "this is 'tiny-1'" in str(refusal.value)


def test_where_the_model_was_not_needed_any_model_will_do(tiny: LanguageModel, tmp_path: Path) -> None:
    packed = compress(bytes(1000), tiny)
    assert decompress(packed, tiny_model(tmp_path, seed=1)) == bytes(1000)


def test_one_changed_number_makes_another_model(tiny: LanguageModel, tmp_path: Path) -> None:
    changed = tiny_model(tmp_path)
    packed = compress(BOOK, tiny, method="model")
    assert decompress(packed, changed) == BOOK  # the same numbers in another file
    changed.model.get_parameter("model.layers.1.mlp.up_proj.weight").data[3, 2] *= 1.001
    with pytest.raises(CompressionError, match="compressed with another model"):
        decompress(packed, changed)


def test_every_damaged_byte_is_noticed(tiny: LanguageModel, packed_in_three_ways: bytes) -> None:
    for i in range(len(packed_in_three_ways)):
        damaged = bytearray(packed_in_three_ways)
        damaged[i] ^= 1 << i % 8
        with pytest.raises(CompressionError, match="not a file made by|version|truncated|damaged"):
            decompress(bytes(damaged), tiny)


def test_every_truncation_is_called_by_its_name(tiny: LanguageModel, packed_in_three_ways: bytes) -> None:
    for length in range(1, len(packed_in_three_ways)):
        with pytest.raises(CompressionError, match="truncated"):
            decompress(packed_in_three_ways[:length], tiny)
    with pytest.raises(CompressionError, match="damaged: 1 bytes too many at its end"):
        decompress(packed_in_three_ways + b"x", tiny)


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08", b"Once upon a time", b"x" * 1000])
def test_a_file_of_another_kind_is_refused(tiny: LanguageModel, data: bytes) -> None:
    with pytest.raises(CompressionError, match="not a file made by compress"):
        decompress(data, tiny)


def test_a_later_version_is_refused(tiny: LanguageModel) -> None:
    packed = bytearray(compress(b"cat", tiny))
    packed[len(container.MAGIC)] = 3
    with pytest.raises(CompressionError, match="in version 3 of the format; this llm101 reads versions 1 to 2"):
        decompress(bytes(packed), tiny)


def test_no_method_but_the_three_is_taken(tiny: LanguageModel) -> None:
    with pytest.raises(ValueError, match="there is no method 'zip': choose one of plain, model, lzma"):
        compress(b"cat", tiny, method="zip")


def lie(packed: bytes, **change: Any) -> bytes:
    """A file whose CRC-32 is right and whose header is not."""
    honest = Container.from_bytes(packed)
    of_model = {key: change.pop(key) for key in list(change) if key not in vars(honest)}
    model = honest.by_model and replace(honest.by_model, **of_model)
    return replace(honest, **{"by_model": model, **change}).to_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": [Run(10, 1)]}, "it holds more than its header says"),
        ({"runs": [Run(10_000, 1)]}, "what it holds does not fit its checksum"),
        ({"runs": [Run(len(BOOK), 3)]}, "its header does not make sense"),
        ({"runs": [Run(len(BOOK), 1), Run(0, 0)]}, "its header does not make sense"),
        ({"checksum": bytes(8)}, "what it holds does not fit its checksum"),
        ({"separator": b"x"}, "what it holds does not fit its checksum"),
        ({"n_rows": 1}, "damaged"),
        ({"n_rows": 0}, "its header does not make sense"),
    ],
)
def test_a_header_that_lies_of_the_model_is_refused(tiny: LanguageModel, change: dict, message: str) -> None:
    with pytest.raises(CompressionError, match=message):
        decompress(lie(compress(BOOK, tiny, method="model"), **change), tiny)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": [Run(99_999, 2)]}, "what lzma unpacks is not as long as its header says"),
        ({"runs": [Run(100_001, 2)]}, "what lzma unpacks is not as long as its header says"),
        ({"runs": [Run(2**62, 2)]}, "what lzma unpacks is not as long as its header says"),
        ({"runs": [Run(1, 2)] * 2}, "what lzma unpacks is not as long as its header says"),
        ({"runs": [Run(100_000, 2), Run(1, 0)]}, "its header claims more than there is"),
        ({"by_lzma": b"\x00"}, "what lzma unpacks is not as long as its header says"),
        ({"by_lzma": b"\x01\x00\x00"}, "what lzma unpacks is not as long as its header says"),
        ({"by_lzma": b"\xff" * 40}, "lzma cannot unpack it"),
        ({"plain": [b"x"]}, "its header does not make sense"),
    ],
)
def test_a_header_that_lies_of_lzma_is_refused(tiny: LanguageModel, change: dict, message: str) -> None:
    with pytest.raises(CompressionError, match=message):
        decompress(lie(compress(bytes(100_000), tiny), **change), tiny)


def test_no_more_is_unpacked_than_the_header_says(tiny: LanguageModel) -> None:
    """50 MB of zeros take 8 kB; what claims that they are 1 kB gets no 50 MB of memory."""
    bomb = lzma_code([bytes(1 << 20)] * 50, 50 << 20)
    assert len(bomb) < 10_000
    packed = lie(compress(bytes(1000), tiny), runs=[Run(1000, 2)], by_lzma=bomb)
    tracemalloc.start()
    with pytest.raises(CompressionError, match="what lzma unpacks is not as long as its header says"):
        decompress(packed, tiny)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1_000_000


def test_a_header_that_claims_endless_documents_ends(tiny: LanguageModel) -> None:
    packed = compress(BOOK, tiny, method="model")
    parts = [container.Part(2**60, part.code) for part in by_model(packed).parts]
    with pytest.raises(CompressionError, match="damaged"):
        decompress(lie(packed, parts=parts, runs=[Run(2**60, 1)]), tiny)


@given(version=st.sampled_from([1, 2]), body=st.binary(max_size=80))
def test_a_body_of_any_bytes_is_read_or_refused(version: int, body: bytes) -> None:
    length = len(body).to_bytes(8, "big") if version == 1 else bytes([len(body)])
    packed = container.MAGIC + bytes([version]) + length + zlib.crc32(body).to_bytes(4, "big") + body
    with suppress(CompressionError):  # and no other error
        assert Container.from_bytes(packed).n_packed > 0


@given(st.data())
def test_any_change_under_a_right_crc_is_read_or_refused(
    tiny: LanguageModel, packed_in_three_ways: bytes, data: st.DataObject
) -> None:
    body = bytearray(packed_in_three_ways[BODY_FROM:])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, min(200, len(body)) - 1))] = data.draw(st.integers(0, 255))
    changed = packed_in_three_ways[: BODY_FROM - 4] + zlib.crc32(body).to_bytes(4, "big") + body
    with suppress(CompressionError):  # and no other error
        assert decompress(changed, tiny) == THREE_WAYS


def test_progress_rises_to_the_whole(tiny: LanguageModel) -> None:
    seen: list[tuple[int, int]] = []
    for method in (None, "model"):
        seen.clear()
        packed = compress(BOOK, tiny, method=method, progress=lambda done, total: seen.append((done, total)))
        assert seen[-1] == (len(BOOK), len(BOOK))
        assert seen == sorted(seen)
    seen.clear()
    decompress(packed, tiny, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(BOOK), len(BOOK))


def test_a_model_whose_tokenizer_rewrites_texts_is_refused() -> None:
    ranks = Tokenizer.train(["low"], 257).ranks
    with pytest.raises(CompressionError, match=r"the tokenizer of qwen rewrites letters \(NFC\)"):
        check_gives_back(Tokenizer("qwen", ranks, {"<|endoftext|>": 300}, nfc=True))
    check_gives_back(load("storyteller").tokenizer)


def lacking(lm: LanguageModel, *missing: int) -> LanguageModel:
    """A model whose tokenizer has no tokens for some bytes, as SmolLM2's has none for 0xff."""
    parts = lm.tokenizer.parts
    ranks = {token: token_id for token, token_id in parts.ranks.items() if not any(b in token for b in missing)}
    return LanguageModel(lm.name, replace(lm.files, tokenizer=Tokenizer(*parts._replace(ranks=ranks))), made=lm.model)


@pytest.mark.parametrize("name", ODD)
def test_bytes_that_the_model_has_no_tokens_for_come_back_all_the_same(name: str, tiny: LanguageModel) -> None:
    lm = lacking(tiny, 0x04, 0xFF, ord("x"), ord("Z"))
    assert decompress(compress(ODD[name], lm), lm) == ODD[name]


@pytest.mark.slow
def test_the_model_stores_what_stands_around_a_byte_that_it_has_no_token_for() -> None:
    lm = lacking(load("storyteller"), 0x04, 0xFF)
    first = load("storyteller").complete("Once upon a time", max_tokens=300, seed=1).text
    second = load("storyteller").complete("One day", max_tokens=300, seed=2).text
    data = f"Once upon a time{first}\x04One day{second}".encode()
    packed = pack(data, lm)
    assert [run.method for run in packed.runs] == [METHODS["model"], METHODS["lzma"], METHODS["model"]]
    assert packed.runs[1].n_bytes == 1
    assert decompress(packed.to_bytes(), lm) == data
