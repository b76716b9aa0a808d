"""The choice of a way to store: never larger than xz, the best of each kind, and no more than a sample read for it."""

from __future__ import annotations

import ast
import json
import lzma
import random
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llm101
from llm101.compression import choice, compress, decompress
from llm101.compression.compressor import pack, unpack
from llm101.compression.container import BY_LZMA, BY_MODEL, PLAIN, Container, Run
from llm101.compression.forward import ExactModel
from llm101.corpus.stories import stories
from llm101.library import LanguageModel, load

SOURCE = Path(llm101.__file__).parent
RANDOM = random.Random(0)
PEOPLE = [{"id": i, "name": RANDOM.choice(["Ann", "Bo"]), "price": RANDOM.randrange(10**6) / 100} for i in range(900)]


def docstrings() -> list[str]:
    """English, but no children's stories."""
    return [ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "" for path in sorted(SOURCE.rglob("*.py"))]


KINDS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "one byte": lambda: b"x",
    "one word": lambda: b"Hello",
    "one line": lambda: b"Hello, this is a short message to you. See you tomorrow at the station, please.\n",
    "a story": stories("valid")[0].encode,
    "the other English": lambda: "\n".join(docstrings()).encode(),
    "source code": (SOURCE / "model.py").read_bytes,
    "JSON": lambda: json.dumps(PEOPLE).encode(),
    "numbers as text": lambda: "\n".join(str(person["price"]) for person in PEOPLE).encode(),
    "base64": lambda: "".join(RANDOM.choices(string.ascii_letters + string.digits, k=20_000)).encode(),
    "noise": lambda: random.Random(1).randbytes(50_000),
    "zeros": lambda: bytes(200_000),
    "one text a hundred times": lambda: stories("valid")[1].encode() * 100,
    "parameters": lambda: (SOURCE / "models" / "storyteller" / "model.safetensors").read_bytes()[:100_000],
    "xz's own": lambda: lzma.compress((SOURCE / "model.py").read_bytes()),
}
NO_HELP = sorted(KINDS.keys() - {"nothing", "one line", "a story"})
"""The kinds for which the model is no help."""


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return load("storyteller")


@pytest.fixture
def tokens_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens the model read, step by step."""
    counts, step = [], ExactModel.step

    def counting(self: ExactModel, cache: object, slots: list[int], *others: list[int]) -> object:
        counts.append(len(slots))
        return step(self, cache, slots, *others)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(ExactModel, "step", counting)
    return counts


def xz(data: bytes) -> int:
    return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_file_becomes_larger_than_xz_makes_it(lm: LanguageModel, kind: str) -> None:
    data = KINDS[kind]()
    packed = compress(data, lm)
    assert len(packed) <= xz(data)
    assert len(packed) <= len(data) + 40
    assert decompress(packed, lm) == data


@pytest.mark.parametrize("kind", NO_HELP)
def test_where_the_model_is_no_help_it_reads_a_sample_and_no_more(
    lm: LanguageModel, kind: str, tokens_read: list[int]
) -> None:
    data = KINDS[kind]()
    assert pack(data, lm).n_bytes(BY_MODEL) == 0
    places = max(choice.FEWEST_PLACES, len(data) / choice.SPACING)
    assert 0 < sum(tokens_read) <= 2.5 * choice.FEWEST_TOKENS * places


def test_the_model_reads_a_thousand_places_of_the_largest_file(
    lm: LanguageModel, tokens_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "MOST_PLACES", 20)
    pack(bytes(1_000_000), lm)
    assert sum(tokens_read) == 20 * choice.FEWEST_TOKENS


def test_stories_are_stored_by_the_model_whole(lm: LanguageModel) -> None:
    text = "<|endoftext|>".join(stories("valid")[:6]).encode()
    found = pack(text, lm)
    assert found.runs == [Run(len(text), BY_MODEL)]
    assert found.to_bytes() == compress(text, lm, method="model")
    assert found.n_packed < 0.35 * xz(text)


def test_each_part_of_a_mixed_file_is_stored_in_its_own_way(lm: LanguageModel) -> None:
    story = "<|endoftext|>".join(stories("valid")[20:23]).encode() + b"<|endoftext|>"
    table, noise = json.dumps(PEOPLE[:150]).encode() + b"\n", random.Random(2).randbytes(3000)
    data = story + table + noise
    found = pack(data, lm)
    assert [run.method for run in found.runs] == [BY_MODEL, BY_LZMA, PLAIN]
    for run, part in zip(found.runs, (story, table, noise)):
        assert abs(run.n_bytes - len(part)) <= choice.CLOSEST
    apart = sum(pack(part, lm).n_packed for part in (story, table, noise))
    assert found.n_packed < 1.05 * apart
    assert found.n_packed < 0.9 * xz(data)
    assert unpack(Container.from_bytes(found.to_bytes()), lm) == data


def test_a_promise_that_is_not_kept_costs_no_bytes(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(PEOPLE[:50]).encode()
    wrong = choice.Choice([Run(len(data), BY_MODEL)], model_bytes=1.0)
    monkeypatch.setattr("llm101.compression.compressor.choose", lambda *_: wrong)
    assert pack(data, tiny).runs == [Run(len(data), BY_LZMA)]


PIECES = st.sampled_from([
    b"the cat sat on the mat.\n",
    b"One day, the dog said: hello, cat!",
    b"\n<|endoftext|>\n",
    b"<|endo",
    bytes(700),
    b"0123456789," * 90,
    RANDOM.randbytes(900),
    "🐈 é".encode(),
    b"\xff\r\n",
])  # fmt: skip


@settings(max_examples=8, deadline=None)
@given(pieces=st.lists(PIECES, max_size=12), methods=st.lists(st.sampled_from([PLAIN, BY_MODEL, BY_LZMA]), min_size=1))
def test_mixtures_come_back_whatever_the_sample_says(
    tiny: LanguageModel, pieces: list[bytes], methods: list[int]
) -> None:
    data = b"".join(pieces)
    packed = compress(data, tiny)
    assert decompress(packed, tiny) == data
    assert len(packed) <= xz(data)
    if data:
        sizes = [len(data) * (i + 1) // len(methods) - len(data) * i // len(methods) for i in range(len(methods))]
        runs = [Run(n_bytes, method) for n_bytes, method in zip(sizes, methods) if n_bytes]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("llm101.compression.compressor.choose", lambda *_: choice.Choice(runs, -1e9))
            patch.setattr("llm101.compression.compressor.min", lambda *found, key: found[-1], raising=False)
            container = pack(data, tiny)
        assert container.runs in (runs, [Run(len(data), BY_LZMA)])
        assert unpack(Container.from_bytes(container.to_bytes()), tiny) == data
