"""Open the book in JupyterLab: straight from a checkout, or from a copy where llm101 was installed from a wheel.

It knows folders, files and how to start JupyterLab; it does not know what is in a chapter, nor how
its findings are printed (cli.py). The reader's own work is never written over.

Reading order: Book, open_book's two halves (find_chapters and copy_chapters), then
jupyterlab_command and start_jupyterlab.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from llm101.outside.atomic_file import atomic_file, reason
from llm101.outside.beside import start_beside

PACKAGE_FOLDER = Path(__file__).resolve().parents[1]
COPY_NAME = "llm101-book"
RECORD_NAME = ".llm101-copied.json"
"""In the reader's copy: for each file the SHA-256 of what was last put there or offered beside it."""
FIRST_CHAPTER = "00_the_map.ipynb"


class BookError(ValueError):
    """The book cannot be opened; the message says why and what to do."""


@dataclass(frozen=True)
class Book:
    """A folder with the chapters in it, and what was done to bring it up to date."""

    folder: Path
    """Where the reader works."""
    copied: bool = False
    """Whether the folder is a copy of chapters that came in a wheel; in a checkout it is the original."""
    new: list[str] = field(default_factory=list)
    """Files that were not there before."""
    updated: list[str] = field(default_factory=list)
    """Files that the reader had not edited and that now hold this version of the book."""
    kept: list[str] = field(default_factory=list)
    """Files that the reader edited: left as they are."""
    beside: list[str] = field(default_factory=list)
    """This version of edited files, put next to them under a name with the version in it."""

    @property
    def chapters(self) -> list[str]:
        """The notebooks' names, in the book's order."""
        return sorted(path.name for path in self.folder.glob("[0-9][0-9]_*.ipynb") if not path.name.startswith("."))


def find_chapters(package_folder: Path = PACKAGE_FOLDER) -> tuple[Path, bool]:
    """Where the chapters of this installation are, and whether they came in a wheel.

    Raises:
        BookError: neither a wheel's copy nor a checkout's book/ is there.
    """
    carried = package_folder / "_book"
    if carried.is_dir():
        return carried, True
    checkout = package_folder.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "book").is_dir():
        return checkout / "book", False
    raise BookError(f"no chapters beside {package_folder}: install llm101 again, or run it from a checkout")


def open_book(folder: str | Path | None = None, package_folder: Path = PACKAGE_FOLDER) -> Book:
    """Make the chapters ready to be read, without starting anything.

    Args:
        folder: where a copy is to lie; default ./llm101-book from a wheel, and no copy at all in a checkout.

    Raises:
        BookError: there are no chapters, or the folder has no name or cannot be written.
    """
    if folder is not None and not str(folder).strip():
        raise BookError("the folder for the chapters is '', which names none: give it a name, or leave it out")
    source, from_wheel = find_chapters(package_folder)
    if not from_wheel and folder is None:
        return Book(source)
    folder = Path(COPY_NAME if folder is None else folder).resolve()
    try:
        return copy_chapters(source, folder)
    except OSError as error:
        raise BookError(
            f"cannot copy the chapters to {folder} ({reason(error)}): free it, or name another folder"
        ) from error


def copy_chapters(source: Path, folder: Path) -> Book:
    """Copy the chapters, never over a file that the reader edited.

    A file is the reader's own if it differs both from what is to be copied and from what was copied last
    time. Then it stays, and the new version goes beside it, once, under a name with the version in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copied_before = _read_record(folder / RECORD_NAME)
    record = dict(copied_before)
    book = Book(folder, copied=True)
    for path in sorted(source.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(source).parts):
            continue
        name = path.relative_to(source).as_posix()
        contents = path.read_bytes()
        there = _hash_of_file(folder / name)
        offered = _hash(contents)
        record[name] = offered
        if there is None:
            _write(folder / name, contents)
            book.new.append(name)
        elif there == copied_before.get(name) and there != offered:
            _write(folder / name, contents)
            book.updated.append(name)
        elif there != offered:
            book.kept.append(name)
            if copied_before.get(name) != offered:
                beside = _free_name_beside(folder, name)
                _write(folder / beside, contents)
                book.beside.append(beside)
    _write(folder / RECORD_NAME, json.dumps(record, indent=1).encode())
    return book


def _free_name_beside(folder: Path, name: str) -> str:
    """'01_parameters.ipynb' -> '01_parameters.llm101-0.1.0.ipynb', numbered on if that is taken."""
    from importlib.metadata import version

    stem, suffix = os.path.splitext(name)
    beside, n = f"{stem}.llm101-{version('llm101')}{suffix}", 1
    while (folder / beside).exists():
        n += 1
        beside = f"{stem}.llm101-{version('llm101')}-{n}{suffix}"
    return beside


def _read_record(path: Path) -> dict[str, str]:
    """An unreadable record counts as none: then every file that differs is taken for the reader's own."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write(path: Path, contents: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(contents)


def _hash(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def _hash_of_file(path: Path) -> str | None:
    return _hash(path.read_bytes()) if path.exists() else None


def jupyterlab_command(
    folder: Path, chapter: str = FIRST_CHAPTER, port: int = 8888, open_browser: bool = True
) -> list[str]:
    """The command line that serves the book: for this machine only, and behind JupyterLab's token.

    Example:
        >>> command = jupyterlab_command(open_book().folder, port=8899, open_browser=False)
        >>> [word for word in command if word.startswith(("--ServerApp.ip", "--ServerApp.port"))]
        ['--ServerApp.ip=127.0.0.1', '--ServerApp.port=8899']
    """
    if not 1 <= port <= 65535:
        raise BookError(f"port is {port}: it must be 1 to 65535; 8888 is usual")
    if not (folder / chapter).is_file():
        raise BookError(f"no chapter {chapter!r} in {folder}: the chapters are {', '.join(Book(folder).chapters)}")
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    command += [f"--ServerApp.root_dir={folder.resolve()}", f"--LabApp.default_url=/lab/tree/{chapter}"]
    if not open_browser:
        command.append("--ServerApp.open_browser=False")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container; Jupyter asks to be told that it is meant
        command.append("--ServerApp.allow_root=True")
    return command


def jupyter_folders() -> list[Path]:
    """Where Jupyter and the kernel write of their own accord: under HOME, unless the environment says otherwise."""
    from jupyter_core.paths import jupyter_config_dir, jupyter_runtime_dir

    ipython = os.environ.get("IPYTHONDIR") or os.path.expanduser("~/.ipython")
    return [Path(folder).absolute() for folder in (jupyter_config_dir(), jupyter_runtime_dir(), ipython)]


def first_unwritable(folders: Sequence[Path]) -> Path | None:
    """The first of these folders that can neither be written to nor be made; None if all is well.

    It tries, in the nearest folder that is there, because permission bits are not the whole truth (root is
    not bound by them, and a read-only disk does not show in them).

    Example:
        >>> first_unwritable([Path.cwd()])
        >>> first_unwritable([Path(__file__) / "below a file"]).name
        'below a file'
    """
    for folder in folders:
        there = next(parent for parent in [folder, *folder.parents] if parent.exists())
        try:
            with tempfile.TemporaryDirectory(prefix=".llm101-", dir=there):
                pass
        except OSError:
            return folder
    return None


def jupyterlab_environment(home: Path | None = None) -> dict[str, str]:
    """This process's environment, with the book's defaults for JupyterLab: it does not ask about news.

    They stand in llm101/reader/jupyter/labconfig/; what the reader has set there goes before them.

    Args:
        home: a folder for everything that Jupyter, the kernel and matplotlib keep between sessions, instead
            of the reader's home.
    """
    paths = [str(PACKAGE_FOLDER / "reader" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    environment = os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(path for path in paths if path)}
    if home is not None:
        names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
        environment |= {"HOME": str(home), **{name: str(home / name.lower()) for name in names}}
    return environment


def compile_beside() -> None:
    """Have compiled what the book runs, unless that is done, by a process beside this one."""
    with suppress(OSError):  # without it the first chapter that is opened sees to it
        _compiling.append(start_beside("llm101.reader.compiling", "--beside"))


_compiling: list[subprocess.Popen[bytes]] = []
"""Kept, because Python complains of a process that nobody waited for."""


def start_jupyterlab(command: list[str], home: Path | None = None) -> int:
    """Run JupyterLab until the reader ends it; returns its exit status.

    Ctrl-C reaches JupyterLab by itself, which then asks whether to stop: wait for that answer. A request to
    end this program is passed on, so that no server stays behind.

    Args:
        home: see jupyterlab_environment.
    """
    with subprocess.Popen(command, env=jupyterlab_environment(home)) as server:
        before = signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            while True:
                try:
                    return server.wait()
                except KeyboardInterrupt:
                    continue
        finally:
            signal.signal(signal.SIGTERM, before)
