"""Damaged and hostile files by the thousand: each is read, or refused in one line, quickly and in little memory.

Three readers are tried: parameter files, config.json, tokenizer.json (and the tokenizer that a GGUF file holds). The
damage is drawn from a fixed seed, so a failure can be repeated; the message names the file's number and keeps a copy of
it.
"""

from __future__ import annotations

import copy
import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from llm101.model import ModelConfig, Transformer
from llm101.outside.strict_json import shown
from llm101.parameters import ParameterFile, ParameterFileError
from llm101.parameters.model_folder import ModelFolderError, load_transformer, save_model
from llm101.tokenizer import Tokenizer, TokenizerError
from tests.shards import INDEX, split_into_shards
from tests.tokenizer.kinds import BYTE_LEVEL, LIBRARY
from tests.tokenizer.test_gguf_content import gguf_of, sentence_piece

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

N_FILES = 10_000  # for each of the readers
LONGEST_SECONDS = 5.0  # for one file; a hang on a busy machine is told apart from one that is merely busy
MOST_NEW_MEMORY = 500_000_000  # bytes, for all files of one reader together

KINDS = BYTE_LEVEL | LIBRARY

ODD_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 7, 2**15, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**30,
    10**12, 0.0, -0.0, 0.5, 1e308, -1e308, 1e-320, "", "0", "F32", "F64", "BF16", "I64", "U8", "silu", "llama",
    "mistral", "a" * 5000, "\n", "\ud800", "\0", "é", "(", "[a", "(a+)+$", "\\p{L}", "/etc/passwd", "..", [], {},
    [[]], [1], [1, 2], [0, 0], [-1], [2**62, 2**62], ["a", "b"], {"": ""}, {"rope_type": "yarn"}, {"type": "BPE"},
    {"Regex": "("},
]  # fmt: skip


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bits flipped, bytes lost, doubled, moved or replaced: what disks, networks and careless programs do."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        at, n = rng.randrange(len(result) + 1), rng.choice((1, 1, 2, 8, 64))
        kind = rng.randrange(7)
        if kind == 0 and at < len(result):
            result[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            result[at : at + n] = rng.randbytes(n)
        elif kind == 2:
            del result[at : at + n]
        elif kind == 3:
            result[at:at] = result[at : at + n]
        elif kind == 4:
            result[at:at] = rng.choice((b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\xff", b"\0", b"-", b"e9"))
        elif kind == 5:
            del result[at:]
        else:
            result[:8] = rng.choice((0, 1, 8, 2**31, 10**12, 2**63, 2**64 - 1, len(data))).to_bytes(8, "little")
    return bytes(result)


def damaged_number(text: bytes, rng: random.Random) -> bytes:
    """One number in the text becomes another one, often a huge one."""
    numbers = list(re.finditer(rb"-?\d+", text))
    if not numbers:
        return text
    found = rng.choice(numbers)
    value = int(found.group())
    new = rng.choice((value + 1, value - 1, -value, value * 2, 0, 1, 10 ** rng.randrange(25), 2 ** rng.randrange(70)))
    return text[: found.start()] + str(new).encode() + text[found.end() :]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            yield from places(value[key])


def damaged_values(text: bytes, rng: random.Random) -> bytes:
    """Values of valid JSON replaced by odd ones, lost, renamed, or put in another's place."""
    content = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        container, key = rng.choice(list(places(content)) or [({}, "")])
        kind = rng.randrange(5)
        if kind <= 1:
            container[key] = copy.deepcopy(rng.choice(ODD_VALUES))  # what is put in may be damaged, too
        elif kind == 2 and key in container:
            del container[key]
        elif kind == 3 and isinstance(container, dict):
            container[rng.choice((f"{key}x", str(key).upper(), "", "dtype", "__metadata__"))] = container.get(key)
        else:
            other, other_key = rng.choice(list(places(content)) or [({}, "")])
            container[key] = json.loads(json.dumps(other[other_key] if other else None))
    return json.dumps(content).encode()


def damaged_json(text: bytes, rng: random.Random) -> bytes:
    return rng.choice((damaged_bytes, damaged_number, damaged_values, damaged_values))(text, rng)


def damaged_parameters(data: bytes, rng: random.Random) -> bytes:
    """Damage to the whole file, or to the header only, whose length is then set right again."""
    length = int.from_bytes(data[:8], "little")
    header, numbers = data[8 : 8 + length], data[8 + length :]
    kind = rng.randrange(4)
    if kind == 0:
        return damaged_bytes(data, rng)
    if kind == 1:  # bits of the numbers: NaN, infinity, or just other numbers
        at = rng.randrange(len(numbers))
        numbers = numbers[:at] + bytes([numbers[at] ^ 1 << rng.randrange(8)]) + numbers[at + 1 :]
    else:
        header = damaged_json(header, rng)
    return len(header).to_bytes(8, "little") + header + numbers


def peak_memory() -> int:
    """Most memory that this process ever had, in bytes; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def survive(
    path: Path,
    original: bytes,
    damage: Callable[[bytes, random.Random], bytes],
    use: Callable[[], None],
    refusals: tuple[type[ValueError], ...],
    n_files: int = N_FILES,
) -> None:
    """Write so many damaged files to `path` and use each; only the project's own refusals may come out."""
    rng = random.Random(0)
    use()  # undamaged, it works
    n_refused, memory_before = 0, peak_memory()
    for i in range(n_files):
        path.write_bytes(damage(original, rng))
        start, refusal = time.process_time(), None
        try:
            use()
        except refusals as error:
            refusal = str(error)
        except BaseException as error:
            kept = path.replace(path.with_name(f"damaged-{i}"))
            pytest.fail(f"file {i} (kept as {kept}): {type(error).__name__}: {shown(str(error))}")
        if refusal is not None:
            n_refused += 1
            assert refusal.strip(), f"file {i} is refused without a word"
            assert "\n" not in refusal, f"file {i} is refused in several lines: {shown(refusal)}"
            assert len(refusal) < 1000, f"file {i} is refused at length: {shown(refusal)}"
        assert time.process_time() - start < LONGEST_SECONDS, f"file {i} took too long"
    assert peak_memory() - memory_before < MOST_NEW_MEMORY
    assert n_files * 0.3 < n_refused < n_files  # neither everything nor nothing is damage


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    config = ModelConfig(vocab_size=262, d_model=4, n_layers=1, n_heads=2, n_kv_heads=1, d_mlp=4, context_length=16)
    tokenizer = Tokenizer.train(["once upon a time there was a time"] * 9, vocab_size=262)
    save_model(folder, Transformer(config).initialise(seed=0), tokenizer, metadata={"made by": "a test"})
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    for path in original.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_damaged_parameter_files(folder: Path) -> None:
    path = folder / "model.safetensors"

    def use() -> None:
        parameters = ParameterFile(path)
        repr(parameters)
        for name, entry in parameters.tensors.items():
            tensor = parameters.tensor(name)
            assert tensor.shape == entry.shape
            assert tensor.nbytes == entry.n_bytes == len(parameters.raw(name))
        parameters.fingerprint()
        parameters.check_finite()
        load_transformer(folder)

    survive(path, path.read_bytes(), damaged_parameters, use, (ParameterFileError, ModelFolderError))


def test_damaged_indexes(folder: Path) -> None:
    path = split_into_shards(folder) / INDEX

    def use() -> None:
        ParameterFile(path).fingerprint()
        load_transformer(folder)

    survive(path, path.read_bytes(), damaged_json, use, (ParameterFileError, ModelFolderError))


# A damaged name is an unknown key, and may be harmless.
@pytest.mark.filterwarnings("ignore::llm101.outside.notice.Notice")
def test_damaged_configs(folder: Path) -> None:
    path = folder / "config.json"
    token_ids = torch.tensor([[1, 2]])

    def use() -> None:
        model = load_transformer(folder)
        if model.config.context_length >= 2:
            assert model(token_ids).shape == (1, 2, 262)

    survive(path, path.read_bytes(), damaged_json, use, (ModelFolderError,))


def damaged_settings(data: bytes, rng: random.Random) -> bytes:
    """Damage to all of a tokenizer.json but its long lists, where nearly all damage would fall otherwise."""
    content = json.loads(data)
    model = content["model"]
    kept = {name: model.pop(name) for name in ("vocab", "merges") if name in model}
    damaged = json.loads(damaged_values(json.dumps(content).encode(), rng))
    if isinstance(damaged.get("model"), dict):
        damaged["model"] = kept | damaged["model"]
    return json.dumps(damaged).encode()


def use_tokenizer(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("Once upon a time, there's 1 é!")
    tokenizer.decode(ids)
    tokenizer.encode("a<|endoftext|><s>b", allow_special=True)
    marked, origins = tokenizer.encode_parts([("<|endoftext|>a", True), ("b<s>", False)])
    assert len(marked) == len(origins)
    for token_id in (*ids, *marked, *tokenizer.start_ids):
        assert 0 <= token_id < tokenizer.vocab_size
        tokenizer.token_bytes(token_id)


def test_damaged_tokenizers(folder: Path) -> None:
    path = folder / "tokenizer.json"
    survive(path, path.read_bytes(), damaged_json, lambda: use_tokenizer(Tokenizer.from_file(path)), (TokenizerError,))


@pytest.mark.parametrize("kind", ["llama3", "qwen", "deepseek", "sentence_piece_bpe", "metaspace_bpe", "unigram"])
def test_damaged_tokenizers_of_other_kinds(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(KINDS[kind]()), encoding="utf-8")

    def use() -> None:
        use_tokenizer(Tokenizer.from_file(path))

    original = path.read_bytes()
    survive(path, original, damaged_settings, use, (TokenizerError,), n_files=2000)
    path.write_bytes(original)
    survive(path, original, damaged_json, use, (TokenizerError,), n_files=700)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_damaged_tokenizers_in_gguf_files(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    metadata = sentence_piece(0) if kind == "llama" else gguf_of(KINDS["smollm"](), "smollm")
    long = {name: value for name, value in metadata.items() if isinstance(value, list)}
    original = json.dumps(metadata).encode()

    def damaged_short(data: bytes, rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return damaged_values(data, rng)
        short = {name: value for name, value in metadata.items() if name not in long}
        return json.dumps(long | json.loads(damaged_values(json.dumps(short | {"x": 0}).encode(), rng))).encode()

    def use() -> None:
        use_tokenizer(Tokenizer.from_gguf(json.loads(path.read_bytes()), "damaged"))

    path.write_bytes(original)
    survive(path, original, damaged_short, use, (TokenizerError,), n_files=4000)
