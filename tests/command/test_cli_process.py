"""The command line in a process of its own: closed streams, missing packages, Ctrl-C, no folder and no memory."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm101.inference.compiled.packed import loops
from tests.command_lines import COMMAND_LINES, make_world

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="needs a Unix shell")]

RUN_ALL = """
import json, sys
from llm101.cli import main
stdout, stderr = sys.stdout, sys.stderr  # None where the shell closed them
codes = {}
for words in json.loads(sys.argv[1]):
    sys.stdout, sys.stderr = stdout, stderr
    codes[words[0] if words[0] != "features" else " ".join(words[:2])] = main(words)
with open("codes", "w") as file:
    json.dump(codes, file)
"""
AS_TYPED = "import sys; from llm101.__main__ import run; sys.exit(run())"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    make_world(folder)
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world, tmp_path / "here"))


def shell(here: Path, program: str, *words: str, more: str = "", before: str = "") -> subprocess.CompletedProcess[str]:
    """A Python program with llm101 on its path, started by a shell that may redirect or limit it."""
    line = shlex.join([sys.executable, "-c", program, *words])
    return subprocess.run(
        ["bash", "-c", f"{before} OMP_NUM_THREADS=1 PYTHONPATH={shlex.quote(str(ROOT))} {line} {more}"],
        check=False, cwd=here, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def only_line_of(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("llm101: ")
    return line.removeprefix("llm101: ")


# Closed streams


@pytest.mark.parametrize(
    ("closed", "how"), [(">&-", []), ("2>&-", ["--json"]), (">&- 2>&-", ["--json"]), ("<&- >&- 2>&-", [])]
)
def test_with_closed_streams_every_command_does_its_work_and_says_nothing_odd(
    here: Path, closed: str, how: list[str]
) -> None:
    lines = json.dumps([[*line.split(), *how] for line in COMMAND_LINES.values()])
    done = shell(here, RUN_ALL, lines, more=closed)
    assert "Traceback" not in done.stderr
    codes = json.loads((here / "codes").read_text())
    assert {name for name, code in codes.items() if code != 0} <= {"doctor"}  # which may find something
    assert set(codes) == set(COMMAND_LINES)
    assert (here / "unpacked").read_bytes() == (here / "text.txt").read_bytes()
    if how and closed == "2>&-":  # only results came out, and no progress between them
        assert all(isinstance(json.loads(line), dict) for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    "words", ["tokens -", "complete -", "features look -", "features steer -", "compress - -o out"]
)
def test_a_closed_standard_input_is_one_line(here: Path, words: str) -> None:
    done = shell(here, AS_TYPED, *words.split(), more="<&-")
    assert done.returncode == 1
    assert "standard input is closed" in only_line_of(done)


@pytest.mark.parametrize("words", ["compress text.txt -o -", "decompress compressed -o -"])
def test_a_closed_standard_output_that_is_asked_for_is_one_line(here: Path, words: str) -> None:
    done = shell(here, AS_TYPED, *words.split(), more=">&-")
    assert done.returncode == 1
    assert "standard output is closed" in only_line_of(done)


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="needs a name for standard input")
def test_what_comes_in_through_standard_input_is_not_written_over(here: Path) -> None:
    before = (here / "text.txt").read_bytes()
    done = shell(here, AS_TYPED, "compress", "-", "-o", "text.txt", more="< text.txt")
    assert done.returncode == 1
    assert "would replace the file that it is made from" in only_line_of(done)
    assert (here / "text.txt").read_bytes() == before


def test_progress_that_nobody_reads_does_not_end_the_work(here: Path) -> None:
    done = shell(here, AS_TYPED, *COMMAND_LINES["pretrain"].split(), more="2>&1 >written | true")
    assert (here / "run" / "model.safetensors").exists()
    assert (here / "written").read_text().startswith("wrote run after 4 steps")
    assert done.stderr == ""


# What is missing


@pytest.mark.parametrize("package", ["torch", "tiktoken"])
def test_a_missing_package_is_one_line_that_names_doctor(here: Path, package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None\n" + RUN_ALL
    lines = [line.split() for name, line in COMMAND_LINES.items() if name not in ("read", "doctor")]
    done = shell(here, program, json.dumps(lines))
    codes = json.loads((here / "codes").read_text())
    refused = [name for name, code in codes.items() if code]
    assert len(refused) >= 6
    said = [line for line in done.stderr.splitlines() if line.startswith("llm101: ")]
    assert len(said) == len(refused)
    assert all(f"{package} is missing or damaged" in line and "`llm101 doctor`" in line for line in said)
    assert "Traceback" not in done.stderr


def test_a_folder_that_was_deleted_is_one_line(tmp_path: Path) -> None:
    done = shell(tmp_path, AS_TYPED, "models", before="mkdir gone; cd gone; rmdir ../gone;")
    assert done.returncode == 1
    assert only_line_of(done) == "the current folder was deleted: go to another one (cd ..)"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to a limit on addresses")
def test_too_little_memory_for_pytorch_is_one_line(here: Path) -> None:
    done = shell(here, AS_TYPED, *COMMAND_LINES["complete"].split(), before="ulimit -v 400000;")
    assert done.returncode == 1
    assert only_line_of(done) == "there is not enough memory for that; try something smaller"


# Ctrl-C

INTERRUPTED = """
import signal, sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
"""


@pytest.mark.parametrize(
    "module", ["argparse", "llm101.cli", "llm101.command.use", "torch", "numpy", "numba", "tiktoken"]
)
def test_ctrl_c_while_anything_is_imported_is_one_line(here: Path, module: str) -> None:
    loops.wait()  # numba is imported once everything is compiled
    program = INTERRUPTED.replace("MODULE", repr(module)) + AS_TYPED
    done = shell(here, program, *COMMAND_LINES["complete"].split())
    assert done.returncode == 130
    assert done.stdout == ("once" if module == "numba" else "")  # the beginning stands there when the text begins
    assert done.stderr.splitlines() == ["llm101: stopped"]
