"""The command line: every command in words and as JSON; bad input is one line and exit code 1, misuse is 2."""

from __future__ import annotations

import errno
import io
import json
import re
import signal
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from llm101.cli import main
from llm101.command import pretrain as cli_pretrain
from llm101.model import ModelConfig, Transformer
from llm101.parameters import ParameterFile
from llm101.parameters.model_folder import save_model
from llm101.reader import doctor
from llm101.tokenizer import Tokenizer
from tests.command_lines import commands

ROOT = Path(__file__).parents[2]
TINY = {"vocab-size": 280, "context-length": 16, "d-model": 16, "n-layers": 1, "n-heads": 2, "n-kv-heads": 1}
TINY |= {"batch-tokens": 64, "steps": 4, "evaluate-every": 2, "device": "cpu"}

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def model(tmp_path: Path) -> str:
    config = ModelConfig(vocab_size=262, d_model=8, n_layers=1, n_heads=2, d_mlp=8, context_length=32)
    tokenizer = Tokenizer.train(["once upon a time"] * 3, vocab_size=262)
    save_model(tmp_path / "little", Transformer(config).initialise(seed=0), tokenizer, metadata={"made by": "a test"})
    return str(tmp_path / "little")


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "stories.txt"
    path.write_text("\n<|endoftext|>\n".join(f"The {['cat', 'dog', 'hen'][n % 3]} sat, {n} times." for n in range(80)))
    return str(path)


def tiny(**changes: object) -> list[str]:
    return [f"--{name}={value}" for name, value in {**TINY, **changes}.items()]


def json_of(capsys: Capture, *arguments: str) -> Any:
    """What a command prints with --json: one line, and nothing else."""
    assert main([*arguments, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


PROGRESS = "learning |encoding |.* parameters, |measuring "


def refusal_of(capsys: Capture, *arguments: str) -> str:
    """The one line that a command says when it cannot; with --json, nothing may be on standard output."""
    for more in ([], ["--json"]):
        assert main([*arguments, *more]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = (line for line in printed.err.splitlines() if not re.match(PROGRESS, line))
        assert line.startswith("llm101: ")
    return line.removeprefix("llm101: ")


# What each command prints


def test_models(capsys: Capture) -> None:
    row = json_of(capsys, "models")["models"][0]
    assert row.keys() == {
        "name", "path", "n_parameters", "n_bytes", "dtype", "context_length", "origin", "installed",
    }  # fmt: skip
    assert main(["models"]) == 0
    assert capsys.readouterr().out.startswith(f"storyteller    {row['n_parameters']:,} parameters, ")


def test_inspect(capsys: Capture, model: str) -> None:
    found = json_of(capsys, "inspect", model)
    file = ParameterFile(Path(model) / "model.safetensors")
    assert found.keys() == {"path", "n_bytes", "n_parameters", "metadata", "tensors"}
    assert (found["path"], found["n_bytes"]) == (str(file.path), file.path.stat().st_size)
    assert found["metadata"]["made by"] == "a test"
    assert [tensor["name"] for tensor in found["tensors"]] == list(file.tensors)
    first = found["tensors"][0]
    entry = file.tensors[first["name"]]
    assert first == {
        "name": entry.name, "shape": list(entry.shape), "dtype": "float16", "offset": entry.offset,
        "n_bytes": entry.n_bytes, "file": "model.safetensors",
    }  # fmt: skip
    assert found["n_parameters"] == sum(torch.Size(tensor["shape"]).numel() for tensor in found["tensors"])
    assert main(["inspect", str(file.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{file.path}: {file.n_parameters:,} parameters in {file.n_bytes:,} bytes"
    assert len(lines) == 1 + len(found["tensors"])


def test_tokens(capsys: Capture, model: str) -> None:
    found = json_of(capsys, "tokens", "once é", "--tokenizer", model)
    assert found.keys() == {"tokenizer", "n_tokens", "ids", "bytes"}
    assert bytes.fromhex("".join(found["bytes"])).decode() == "once é"
    assert found["n_tokens"] == len(found["ids"]) == len(found["bytes"])
    several = json_of(capsys, "tokens", "once", "--tokenizer", model, "--tokenizer", "gpt2")
    assert [row["tokenizer"] for row in several["tokenizers"]] == [model, "gpt2"]
    assert several["tokenizers"][1]["ids"] == [27078]
    assert main(["tokens", "é", "--tokenizer", model]) == 0
    assert capsys.readouterr().out == f"{model}: 2 tokens for 2 bytes\n  195:'\\\\xc3' 169:'\\\\xa9'\n"


def test_tokens_of_any_bytes_from_standard_input(capsys: Capture, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\xff\0\n")))
    assert json_of(capsys, "tokens", "-", "--tokenizer", model)["bytes"] == ["61", "ff", "00", "0a"]


def test_complete(capsys: Capture, model: str) -> None:
    options = ["complete", "once", "--model", model, "--max-tokens", "7", "--temperature", "0.5", "--seed", "3"]
    found = json_of(capsys, *options)
    assert found.keys() == {
        "prompt_ids", "completion_ids", "text", "stop_reason", "prefill_seconds", "decode_tokens_per_second",
    }  # fmt: skip
    assert len(found["completion_ids"]) == 7
    assert found["stop_reason"] == "length"
    assert json_of(capsys, *options)["completion_ids"] == found["completion_ids"]
    assert main(options) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"once{found['text']}\n", "")


@pytest.mark.parametrize("given", [b"once upon\n", b"once upon\r\n", b"once upon"])
def test_complete_reads_standard_input_without_the_last_line_break(
    capsys: Capture, model: str, monkeypatch: pytest.MonkeyPatch, given: bytes
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    options = ["--model", model, "--max-tokens", "2", "--temperature", "0"]
    found = json_of(capsys, "complete", "-", *options)
    assert found["prompt_ids"] == json_of(capsys, "complete", "once upon", *options)["prompt_ids"]


def test_complete_passes_every_setting_on(capsys: Capture, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm101.library import LanguageModel

    seen: dict[str, Any] = {}
    usual = LanguageModel.complete
    monkeypatch.setattr(LanguageModel, "complete", lambda lm, prompt, **s: seen.update(s) or usual(lm, prompt, **s))
    options = "--max-tokens 3 --temperature 0.7 --top-k 5 --top-p 0.9 --min-p 0.01 --stop x --stop yz --seed 8 --n 2"
    options += " --repetition-penalty 1.1 --frequency-penalty 0.2 --presence-penalty 0.3"
    json_of(capsys, "complete", "once", "--model", model, *options.split())
    assert seen == {
        "n": 2, "max_tokens": 3, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.01, "stop": ["x", "yz"],
        "seed": 8, "repetition_penalty": 1.1, "frequency_penalty": 0.2, "presence_penalty": 0.3,
    }  # fmt: skip


def test_ctrl_c_ends_a_completion_early(capsys: Capture, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm101.library import LanguageModel

    usual = LanguageModel.stream

    def interrupted(lm: LanguageModel, prompt: str, **settings: Any) -> Any:
        for n, token in enumerate(usual(lm, prompt, **settings)):
            if n == 2:
                raise KeyboardInterrupt
            yield token

    monkeypatch.setattr(LanguageModel, "stream", interrupted)
    assert main(["complete", "once", "--model", model, "--temperature", "0"]) == 130
    assert capsys.readouterr().out.startswith("once")


def test_doctor(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [doctor.Check("Python", True, "3.11"), doctor.Check("disk", False, "1 MB free", "free 1 GB")]
    monkeypatch.setattr(doctor, "checks", lambda: checks)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["ok", "Python", "3.11"]
    assert out.splitlines()[1].split() == ["PROBLEM", "disk", "1", "MB", "free"]
    assert out.splitlines()[2].strip() == "free 1 GB"
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ready"] is False
    assert found["checks"][1] == {"name": "disk", "ok": False, "found": "1 MB free", "remedy": "free 1 GB"}
    monkeypatch.setattr(doctor, "checks", lambda: checks[:1])
    assert json_of(capsys, "doctor")["ready"] is True


def test_read_makes_a_copy_of_the_book(capsys: Capture, tmp_path: Path) -> None:
    found = json_of(capsys, "read", "--copy-only", str(tmp_path / "book"))
    assert found["folder"] == str(tmp_path / "book")
    assert found["chapters"] == sorted(path.name for path in (tmp_path / "book").glob("*.ipynb"))
    assert main(["read", "--copy-only", str(tmp_path / "book")]) == 0
    assert capsys.readouterr().out == f"the book is in {tmp_path / 'book'}\n"


def test_pretrain(capsys: Capture, text: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["pretrain", text, "--out", str(out), *tiny(), "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found.keys() == {
        "steps", "tokens_seen", "seconds", "train_loss_nats", "valid_loss_nats", "valid_bits_per_byte", "validation",
        "stopped", "out",
    }  # fmt: skip
    assert (found["steps"], found["tokens_seen"], found["stopped"], found["out"]) == (4, 256, False, str(out))
    assert found["validation"] == {"held_back": found["valid_bits_per_byte"]}
    last = r"step 4/4  loss \d\.\d+ nats  [\d,]+ tokens/s  0 s left  held_back \d\.\d+ bits/byte"
    assert re.search(last, printed.err)
    assert "encoding" in printed.err
    assert json_of(capsys, "complete", "The", "--model", str(out), "--max-tokens", "2")["completion_ids"]
    again = json_of(capsys, "pretrain", text, "--out", str(out), *tiny())  # finished: nothing is trained, all is told
    assert (again["steps"], again["train_loss_nats"]) == (4, found["train_loss_nats"])
    assert main(["pretrain", text, "--out", str(out), *tiny()]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {out} after 4 steps; bits per byte: held_back ")


def test_pretrain_twice_gives_the_same_file(capsys: Capture, text: str, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        json_of(capsys, "pretrain", text, "--out", str(tmp_path / name), *tiny(seed=seed))
    one, two, three = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


def test_pretrain_stopped_and_started_again_gives_the_same_file(
    capsys: Capture, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    json_of(capsys, "pretrain", text, "--out", str(tmp_path / "straight"), *tiny())
    usual = cli_pretrain._line

    def line(moment: Any) -> str:
        if moment.step == 2:
            signal.raise_signal(signal.SIGINT)  # Ctrl-C while the second step is shown
        return usual(moment)

    with monkeypatch.context() as patch:
        patch.setattr(cli_pretrain, "_line", line)
        assert main(["pretrain", text, "--out", str(tmp_path / "broken"), *tiny(), "--json"]) == 130
        printed = capsys.readouterr()
    assert "stopped after step 2 and saved; the same command goes on from there" in printed.err
    stopped = json.loads(printed.out)
    assert (stopped["steps"], stopped["stopped"]) == (2, True)
    assert (tmp_path / "broken" / "model.safetensors").exists()
    resumed = json_of(capsys, "pretrain", text, "--out", str(tmp_path / "broken"), *tiny())
    assert (resumed["steps"], resumed["stopped"]) == (4, False)
    straight, broken = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "broken"))
    assert straight == broken


def test_pretrain_shows_a_sample_however_short_the_context(capsys: Capture, text: str, tmp_path: Path) -> None:
    for length in (1, 2, 5):
        changes = {"context-length": length}
        assert json_of(capsys, "pretrain", text, "--out", str(tmp_path / str(length)), *tiny(**changes))["steps"] == 4


# What cannot be done


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["complete", "hi", "--model", "storyteler"], "no model 'storyteler': did you mean 'storyteller'. known "),
        (["complete", ""], "the prompt is empty"),
        (["complete", "hi", "--temperature", "-1"], "temperature must be .* got -1"),
        (["complete", "hi", "--temperature", "nan"], "temperature must be .* got nan"),
        (["complete", "hi", "--max-tokens", "0"], "max_tokens must be .* got 0"),
        (["complete", "hi", "--top-p", "0"], "top_p must be .* got 0"),
        (["complete", "hi", "--top-k", "-1"], "top_k must be .* got -1"),
        (["complete", "hi", "--min-p", "2"], "min_p must .* got 2"),
        (["complete", "hi", "--seed", "-1"], "seed must be .* got -1"),
        (["complete", "hi", "--stop", ""], "stop must be texts of at least one character"),
        (["complete", "word " * 900], "the model's context is"),
        (["inspect", "nowhere.safetensors"], "no model 'nowhere.safetensors'"),
        (["tokens", "hi", "--tokenizer", "nothing"], "no model 'nothing': .*known tokenizers are"),
        (["read", "--copy-only", "/dev/null"], "/dev/null"),
    ],
)
def test_bad_input_is_one_line(capsys: Capture, model: str, arguments: list[str], message: str) -> None:
    if arguments[0] == "complete" and "--model" not in arguments:
        arguments = [*arguments, "--model", model]
    assert re.search(message, refusal_of(capsys, *arguments))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "no text in .*stories.txt"),
        (b"\r\n\r\n", {"vocab-size": 257}, "no text in .*stories.txt"),
        (b"The cat.", {}, r"yields only \d+ tokens, 280 were asked for; give more text or a smaller vocab_size"),
        (b"PNG\0\1\2", {}, "stories.txt is not text: a zero byte at offset 3"),
        (b"caf\xe9", {}, "stories.txt is not UTF-8 text: an odd byte at offset 3"),
        (b"The cat sat on the mat. " * 9, {"vocab-size": 262, "context-length": 1000}, "less than one row of 1000"),
        (None, {}, "no file or folder"),
        (b"text " * 9, {"vocab-size": 256}, "vocab_size must be at least 257"),
        (b"text", {"steps": 0}, "steps must be a whole number from 1 upwards, got 0"),
        (b"text", {"matrix-lr": "nan"}, "matrix_lr must be a .*number .*, got nan"),
        (b"text", {"n-heads": 3}, r"n_heads \(3\) must be a multiple|d_head must be even"),
        (b"text", {"context-length": 0}, "context_length must be"),
        (b"text", {"device": "tpu"}, "no device 'tpu' here; there is cpu"),
    ],
)
def test_pretrain_refuses_in_one_line(
    capsys: Capture, text: str, tmp_path: Path, content: bytes | None, options: dict[str, Any], message: str
) -> None:
    if content is None:
        Path(text).unlink()
    else:
        Path(text).write_bytes(content)
    assert re.search(message, refusal_of(capsys, "pretrain", text, "--out", str(tmp_path / "out"), *tiny(**options)))


def test_too_large_a_model_is_one_line(capsys: Capture, text: str, tmp_path: Path) -> None:
    huge = tiny(**{"d-model": 500_000_000})
    assert "memory" in refusal_of(capsys, "pretrain", text, "--out", str(tmp_path / "out"), *huge)


def test_an_output_folder_that_is_a_file_is_one_line(capsys: Capture, text: str) -> None:
    assert re.search("cannot write to .*stories.txt", refusal_of(capsys, "pretrain", text, "--out", text, *tiny()))


def test_fewer_steps_than_are_done_is_one_line(capsys: Capture, text: str, tmp_path: Path) -> None:
    json_of(capsys, "pretrain", text, "--out", str(tmp_path / "out"), *tiny())
    refusal = refusal_of(capsys, "pretrain", text, "--out", str(tmp_path / "out"), *tiny(steps=2))
    assert "recipe.steps is 4 there and 2 here" in refusal


def test_a_loss_that_is_no_number_is_one_line(
    capsys: Capture, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm101.pretraining import Pretrainer

    usual = Pretrainer._plain_loss
    monkeypatch.setattr(Pretrainer, "_plain_loss", lambda self, ids, targets: usual(self, ids, targets) * float("nan"))
    assert main(["pretrain", text, "--out", str(tmp_path / "out"), *tiny()]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("llm101: the loss became nan at step 0; a lower learning rate would help")


def test_standard_input_that_is_no_text_is_one_line(
    capsys: Capture, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9!")))
    assert main(["complete", "-", "--model", model]) == 1
    assert capsys.readouterr().err == "llm101: standard input is not UTF-8 text: an odd byte at offset 3\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\n  two"), "one two"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), "/a: Permission denied"),
        (OSError("odd"), "odd"),
        (MemoryError(), "there is not enough memory for that; try something smaller"),
        (RuntimeError("can't allocate memory"), "there is not enough memory for that; try something smaller"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "there is not enough memory for that; try something smaller"),
        (
            ImportError("x.so: failed to map segment from shared object"),
            "there is not enough memory for that; try something smaller",
        ),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            "torch is missing or damaged (No module named 'torch'); `llm101 doctor` says what to do",
        ),
        (ValueError("n" * 1000 + ": try m"), "n" * 118 + " … " + "n" * 111 + ": try m"),
    ],
)
def test_any_expected_failure_is_one_line(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, error: BaseException, line: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(doctor, "checks", fail)
    assert main(["doctor"]) == 1
    assert capsys.readouterr() == ("", f"llm101: {line}\n")


@pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyError("a defect"), ValueError()])
def test_a_mistake_of_ours_is_one_line_and_a_developer_can_ask_for_all(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(doctor, "checks", fail)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"llm101: a mistake in llm101 ({type(error).__name__}: ")
    assert said.endswith("LLM101_TRACEBACK=1 shows where, for whoever will mend it\n")
    monkeypatch.setenv("LLM101_TRACEBACK", "1")
    with pytest.raises(type(error)):
        main(["doctor"])


def test_stopped_is_exit_code_130(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "checks", stop)
    assert main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "llm101: stopped\n")


def test_a_warning_is_one_line_without_the_code_that_gave_it(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def warn() -> list[doctor.Check]:
        warnings.simplefilter("always")
        warnings.warn("two\nlines", stacklevel=1)
        return []

    monkeypatch.setattr(doctor, "checks", warn)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().err == "llm101: two lines\n"


# Misuse and help


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["complete"],
        ["complete", "hi", "--max-tokens", "many"],
        ["pretrain", "text.txt"],
        ["pretrain", "--out", "x"],
        ["pretrain", "text.txt", "--out", "x", "--steps", "5", "--minutes", "1"],
        ["tokens", "hi", "--colour"],
        ["inspect"],
    ],
)
def test_misuse_is_exit_code_two(capsys: Capture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch("llm101.*: .+; llm101.* --help says what can be given", line)


def test_the_version_can_be_asked_for(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"llm101 {version('llm101')}\n"


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_and_json(capsys: Capture, name: str) -> None:
    with pytest.raises(SystemExit) as end:
        main([*name.split(), "--help"])
    assert end.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_the_commands_are_those_of_the_book(capsys: Capture) -> None:
    names = ("read", "doctor", "models", "inspect", "tokens", "complete", "chat", "pretrain")
    names = (*names, "compress", "decompress", "features", "estimate")
    assert list(dict.fromkeys(name.split()[0] for name in commands())) == list(names)
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(re.search(rf"\n    {name}\s", out) for name in names)


# In a process of its own


def llm101(*arguments: str, stdout: Any = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llm101", *arguments],
        check=False, stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=300,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell's pipe")
@pytest.mark.parametrize("more", ["", "--json"])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, more: str) -> None:
    words = tmp_path / "words.txt"
    words.write_text("word " * 50_000)  # more than a pipe holds
    command = f"{sys.executable} -m llm101 tokens - --tokenizer gpt2 {more} < {words} | head -c 10"
    shell = ["bash", "-o", "pipefail", "-c", command]
    done = subprocess.run(shell, check=False, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr, len(done.stdout)) == (0, "", 10)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
@pytest.mark.parametrize("words", [["tokens", "hello", "--tokenizer", "gpt2"], ["--help"], ["--version"]])
def test_a_full_disk_under_the_output_is_one_line(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = llm101(*words, stdout=full)
    assert (done.returncode, done.stderr) == (1, "llm101: No space left on device\n")


def test_help_does_not_load_torch() -> None:
    program = "import sys, llm101.cli as cli; cli.parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
