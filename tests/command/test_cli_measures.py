"""The commands compress, decompress and estimate, in words and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm101.cli import main
from llm101.command import compress as cli_compress
from llm101.model import ModelConfig, Transformer
from llm101.parameters.model_folder import save_model
from llm101.tokenizer import Tokenizer

HERE = {"PYTHONPATH": str(Path(__file__).parents[2])}
Capture = pytest.CaptureFixture[str]
TEXT = b"once upon a time\n<|endoftext|>\nupon a \xff time" * 5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "little"
    config = ModelConfig(vocab_size=262, d_model=8, n_layers=1, n_heads=2, d_mlp=8, context_length=32)
    save_model(folder, Transformer(config).initialise(0), Tokenizer.train(["once upon a time"] * 3, vocab_size=262))
    return str(folder)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "text").write_bytes(TEXT)
    return tmp_path / "text"


def json_of(capsys: Capture, *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refusal_of(capsys: Capture, *arguments: str) -> str:
    assert main(list(arguments)) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_compress_and_decompress(capsys: Capture, model: str, file: Path, tmp_path: Path) -> None:
    packed, back = tmp_path / "packed", tmp_path / "back"
    found = json_of(capsys, "compress", str(file), "-o", str(packed), "--model", model)
    assert found.keys() == {
        "n_bytes_in", "n_bytes_out", "bits_per_byte", "seconds", "model", "method", "bytes_by_method",
    }  # fmt: skip
    assert (found["n_bytes_in"], found["n_bytes_out"]) == (len(TEXT), packed.stat().st_size)
    assert found["bits_per_byte"] == 8 * packed.stat().st_size / len(TEXT)
    assert (found["model"], found["method"], found["bytes_by_method"]) == ("little", "lzma", {"lzma": len(TEXT)})
    returned = json_of(capsys, "decompress", str(packed), "-o", str(back), "--model", model)
    assert (returned["n_bytes_in"], returned["n_bytes_out"]) == (found["n_bytes_out"], found["n_bytes_in"])
    assert returned["bits_per_byte"] == found["bits_per_byte"]
    assert back.read_bytes() == TEXT
    assert main(["decompress", str(packed), "-o", str(back), "--model", model]) == 0
    assert capsys.readouterr().out.startswith(f"{back}: {packed.stat().st_size:,} -> {len(TEXT):,} bytes, ")


def test_what_cannot_be_unpacked_leaves_everything_as_it_was(
    capsys: Capture, model: str, file: Path, tmp_path: Path
) -> None:
    packed, out = tmp_path / "packed", tmp_path / "out"
    json_of(capsys, "compress", str(file), "-o", str(packed), "--model", model)
    out.write_text("kept")
    packed.write_bytes(packed.read_bytes()[:-1])
    for source, why in ((packed, "truncated: "), (file, "not a file made by compress"), (tmp_path / "no", "No such")):
        assert f"{source}: {why}" in refusal_of(capsys, "decompress", str(source), "-o", str(out), "--model", model)
    assert out.read_text() == "kept"
    assert "would replace the file that it is made from" in refusal_of(
        capsys, "compress", str(file), "-o", str(file), "--model", model
    )
    assert file.read_bytes() == TEXT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "packed", "text"]


def test_the_way_to_store_can_be_chosen(capsys: Capture, model: str, file: Path, tmp_path: Path) -> None:
    packed, back = tmp_path / "packed", tmp_path / "back"
    for method, words in (("model", "by the model"), ("lzma", "by lzma"), ("plain", "as they are")):
        chosen = ["compress", str(file), "-o", str(packed), "--model", model, "--method", method]
        assert json_of(capsys, *chosen)["method"] == method
        assert main(chosen) == 0
        assert f" bits per byte ({len(TEXT)} {words}), " in capsys.readouterr().out
        assert json_of(capsys, "decompress", str(packed), "-o", str(back), "--model", model)["method"] == method
        assert back.read_bytes() == TEXT


def test_nothing_has_no_bits_per_byte(capsys: Capture, model: str, tmp_path: Path) -> None:
    empty, packed, back = (tmp_path / name for name in ("empty", "packed", "back"))
    empty.write_bytes(b"")
    for arguments in (("compress", str(empty), "-o", str(packed)), ("decompress", str(packed), "-o", str(back))):
        found = json_of(capsys, *arguments, "--model", model)
        assert (found["bits_per_byte"], found["bytes_by_method"]) == (None, {})
        assert main([*arguments, "--model", model]) == 0
        assert "bits per byte" not in capsys.readouterr().out
    assert back.read_bytes() == b""


@pytest.mark.slow
def test_a_dash_means_standard_input_and_output(model: str, tmp_path: Path) -> None:
    def run(*arguments: str, given: bytes) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "llm101", *arguments, "--model", model]
        environment = os.environ | HERE
        return subprocess.run(command, input=given, capture_output=True, check=False, cwd=tmp_path, env=environment)

    packed = run("compress", "-", "-o", "-", given=TEXT)
    assert packed.stderr.startswith(b"-: ")
    back = run("decompress", "-", "-o", "-", given=packed.stdout)
    assert (back.returncode, back.stdout) == (0, TEXT)
    refused = run("decompress", "-", "-o", "-", given=TEXT)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr == b"llm101: what was sent: not a file made by compress\n"
    both = run("compress", "-", "-o", "-", "--json", given=TEXT)
    assert (both.returncode, both.stdout) == (1, b"")
    assert both.stderr == b"llm101: both -o - and --json want standard output: give a file to one of them\n"
    assert list(tmp_path.iterdir()) == []


def test_progress_tells_the_time_left_at_the_speed_of_late(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start of 100 s, then 1,000 bytes a second: the start is not counted."""
    clock = {"now": 0.0}
    monkeypatch.setattr(cli_compress.time, "monotonic", lambda: clock["now"])
    show = cli_compress._progress()
    steps = {2: 0, 50: 0, 100: 1000, 101: 2000, 104: 5000, 107: 8000, 108: 9000, 111: 10_000}
    for clock["now"], done in steps.items():
        show(done, 10_000)
    assert capsys.readouterr().err.splitlines() == [
        "looking for the best way to store 10,000 bytes",
        "1,000 of 10,000 bytes",
        "5,000 of 10,000 bytes, 5 s left",
        "9,000 of 10,000 bytes, 1 s left",
    ]


def test_estimate(capsys: Capture, model: str) -> None:
    found = json_of(capsys, "estimate", "llama-2-7b", "--on", "a100", "--context", "4096", "--batch", "2")
    assert found.keys() == {
        "weights_bytes", "kv_cache_bytes", "total_bytes", "prefill_seconds", "decode_tokens_per_second", "limited_by",
    }  # fmt: skip
    assert found["weights_bytes"] == 13_476_831_232
    assert found["kv_cache_bytes"] == 2 * 4096 * 512 * 1024
    assert found["limited_by"] == "bandwidth"
    small = json_of(capsys, "estimate", "llama-2-7b", "--on", "a100", "--dtype", "int4")
    assert small["weights_bytes"] == found["weights_bytes"] / 4
    assert json_of(capsys, "estimate", "storyteller", "--on", "laptop")["weights_bytes"] == 2 * 5_475_584
    assert main(["estimate", model, "--on", "h100"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{model} on h100 (989,000 GFLOP/s, 3,350 GB/s):\n  weights ")
    assert "  decode " in printed


def test_estimate_refuses_what_it_does_not_know(capsys: Capture) -> None:
    assert "no model 'gpt-9': there are storyteller, smollm2, llama-2-7b, " in refusal_of(
        capsys, "estimate", "gpt-9", "--on", "a100"
    )
    assert "no machine 'abacus'; there are a100, " in refusal_of(capsys, "estimate", "storyteller", "--on", "abacus")
