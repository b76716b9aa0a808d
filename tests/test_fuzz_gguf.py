"""Damaged and hostile GGUF files by the thousand: each is read, or refused in one line, quickly and in little memory.

As test_fuzz_files.py does it; most of the damage is done to the header, whose lengths, counts and offsets are what a
reader would believe at its peril.
"""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from llm101.parameters import ParameterFile, ParameterFileError
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.filling import check_tensors, filled_transformer
from llm101.parameters.gguf_config import config_from_gguf
from llm101.parameters.quantised import QUANTISED
from tests.gguf_files import write_gguf
from tests.test_fuzz_files import damaged_bytes, survive

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::llm101.outside.notice.Notice"),  # a damaged key is an unknown one
]

MOST_MEMORY = 2_000_000  # bytes of Python's and numpy's, for the use of one file of 10 kilobytes

CLAIMS = (0, 1, 2, 7, 31, 32, 33, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**53, 2**62, 2**63, 2**64 - 1)

SHAPE = {
    "block_count": 1, "context_length": 16, "embedding_length": 32, "feed_forward_length": 32, "expert_count": 2,
    "expert_used_count": 1, "attention.head_count": 2, "attention.head_count_kv": 1, "rope.dimension_count": 16,
    "attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": 500_000.0, "attention.sliding_window": 4,
    "attention.sliding_window_pattern": [True], "tokenizer.ggml.tokens": ["a", "bc"], "general.name": "a test",
}  # fmt: skip


def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "token_embd": (40, 32), "output_norm": (32,), "rope_freqs": (8,), "blk.0.attn_norm": (32,),
        "blk.0.attn_q": (32, 32), "blk.0.attn_k": (16, 32), "blk.0.attn_v": (16, 32), "blk.0.attn_output": (32, 32),
        "blk.0.ffn_norm": (32,), "blk.0.ffn_gate_inp": (2, 32), "blk.0.ffn_gate_exps": (2, 32, 32),
        "blk.0.ffn_up_exps": (2, 32, 32), "blk.0.ffn_down_exps": (2, 32, 32),
    }  # fmt: skip
    found = {f"{name}.weight": rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return found | {"rope_freqs.weight": np.ones(8)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "f.gguf", SHAPE, tensors(), "Q4_1")


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Damage to the whole file; or a claim in its header made another, or its strings and numbers mixed up."""
    header = data.index(b"blk.0.ffn_down_exps.weight") + 80
    if rng.randrange(6) == 0:
        return damaged_bytes(data, rng)
    if rng.randrange(6) == 0:
        return damaged_bytes(data[:header], rng) + data[header:]
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at, kind = rng.randrange(4, header), rng.randrange(5)
        if kind == 0:
            result[at : at + 8] = struct.pack("<Q", rng.choice(CLAIMS))
        elif kind == 1:
            result[at : at + 4] = struct.pack("<I", rng.choice(CLAIMS) % 2**32)
        elif kind == 2:
            result[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            result[at : at + 4] = struct.pack("<f", rng.choice((0.0, -1.0, 1e30, float("nan"), float("inf"))))
        else:
            place = rng.randrange(len(result))  # among the numbers: scales that are NaN or infinite
            result[place] = rng.choice((0x7C, 0x7E, 0xFF, 0))
    return bytes(result)


def user_of(path: Path) -> Callable[[], None]:
    """What is done with each file: opened, listed, looked into, and put to work."""

    def use() -> None:
        parameters = ParameterFile(path)
        repr(parameters)
        for name, entry in [*parameters.tensors.items()][:1]:
            if entry.is_float or entry.dtype in QUANTISED:
                assert parameters.tensor(name).shape == entry.shape
            if entry.dtype in QUANTISED and entry.n_parameters:
                assert parameters.block(name, *(size - 1 for size in entry.shape)).formula
        config = config_from_gguf(parameters)
        check_tensors(config, parameters)
        filled_transformer(config, parameters)

    return use


REFUSALS = (ParameterFileError, ModelFolderError)


@pytest.mark.slow
def test_damaged_gguf_files(path: Path) -> None:
    survive(path, path.read_bytes(), damaged, user_of(path), REFUSALS, n_files=20_000)


def test_some_damaged_gguf_files_take_no_memory_to_speak_of(path: Path) -> None:
    original, use, rng = path.read_bytes(), user_of(path), random.Random(1)
    use()
    tracemalloc.start()
    try:
        for i in range(300):
            path.write_bytes(damaged(original, rng))
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            with suppress(*REFUSALS):
                use()
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < MOST_MEMORY, f"file {i}"
    finally:
        tracemalloc.stop()
