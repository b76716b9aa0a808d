"""Where compiled loops are kept from one session to the next, and whether all of them are there.

numba keeps one file for each loop and each kind of arguments. Ours lie together in a folder whose name says what they
were made from, so that a change anywhere gives another folder. A list of its files is put there once none is missing.
It knows nothing of what is compiled, and looks for a folder without importing numba.

Reading order: folder, is_listed, is_complete (the same, looked at closely), compile_ahead.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock, Timeout

from llm101.outside.atomic_file import atomic_file

HERE = Path(__file__).parent
LIST_NAME = "{what}-{processor}.json"
KEPT_FOLDERS = 4
"""Folders of earlier sources, or of other versions, that may stay beside the newest."""


@cache
def folder() -> Path | None:
    """The folder for what is compiled from the sources as they are, there or not; None if no place can be written.

    Raises:
        PackageNotFoundError: numba, or what it stands on, is not installed.
    """
    name = f"loops-{_made_from()}"
    return next((place / name for place in _places() if _can_be_written(place / name)), None)


def _made_from() -> str:
    """A short hash of what decides whether compiled loops can be used, the processor aside."""
    settings = {k: v for k, v in os.environ.items() if k.startswith("NUMBA_") and k != "NUMBA_CACHE_DIR"}
    decides = [version("numba"), version("llvmlite"), sys.implementation.cache_tag, str(HERE), sorted(settings.items())]
    digest = hashlib.sha256(repr(decides).encode())
    for source in sorted(HERE.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _places() -> Iterator[Path]:
    """Where numba would look too: where it is told to, beside the source, in the reader's own folder for such files."""
    told = os.environ.get("NUMBA_CACHE_DIR")
    if told:
        yield Path(told).absolute()
    yield HERE / "__pycache__"
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        yield Path(os.environ.get("LOCALAPPDATA") or home, "llm101")
    elif sys.platform == "darwin":
        yield Path(home, "Library", "Caches", "llm101")
    else:
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path(home, ".cache"), "llm101")


def _can_be_written(place: Path) -> bool:
    """Tried, as numba does, in the nearest folder that is there: permission bits are not the whole truth."""
    try:
        with tempfile.TemporaryFile(dir=next(parent for parent in (place, *place.parents) if parent.exists())):
            return True
    except OSError:
        return False


def is_listed(what: str, place: Path) -> bool:
    """Whether all of this was compiled here once, for one processor or another: a quick look."""
    return any(place.glob(LIST_NAME.format(what=what, processor="*")))


def is_complete(what: str, place: Path) -> bool:
    """Whether all of this that was compiled for this processor is here, and undamaged."""
    try:
        listed = json.loads(_list_path(what, place).read_text(encoding="utf-8"))
        return all(_is_there(place / name, *size_and_digest) for name, size_and_digest in listed.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def compile_ahead(what: str, place: Path, rehearse: Callable[[], object], *, wait: bool = True) -> bool:
    """Compile what is missing, here and now, one process at a time.

    Args:
        what: a name for these loops.
        place: where numba keeps them: `folder()`.
        rehearse: a function that runs each loop with each kind of arguments.
        wait: if another process is at it, until it is done; else leave it to that one.

    Returns:
        Whether all is there now.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    place.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place / "lock", timeout=-1 if wait else 0):
            if is_complete(what, place):
                return True
            if _list_path(what, place).exists():  # it was complete, and something has been damaged since
                _forget(place)
            rehearse()
            _write_list(what, place)
            _forget_older(place)
            return True
    except Timeout:
        return False


def _write_list(what: str, place: Path) -> None:
    """List what is here now as everything that there is to compile for this processor."""
    files = [path for path in place.rglob("*") if path.suffix in (".nbi", ".nbc")]
    listed = {path.relative_to(place).as_posix(): [path.stat().st_size, _digest(path)] for path in files}
    with atomic_file(_list_path(what, place)) as file:
        file.write(json.dumps(listed, indent=1).encode())


def _forget(place: Path) -> None:
    for path in [*place.glob(LIST_NAME.format(what="*", processor="*")), *place.rglob("*.nb[ic]")]:
        path.unlink(missing_ok=True)


def _forget_older(place: Path) -> None:
    others = [path for path in place.parent.glob("loops-*") if path != place]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT_FOLDERS:]:
        shutil.rmtree(path, ignore_errors=True)


def _list_path(what: str, place: Path) -> Path:
    import llvmlite.binding as llvm

    processor = f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
    return place / LIST_NAME.format(what=what, processor=hashlib.sha256(processor.encode()).hexdigest()[:16])


def _is_there(path: Path, size: int, digest: str | None) -> bool:
    return path.stat().st_size >= size and _digest(path) == digest


def _digest(path: Path) -> str | None:
    """Of machine code; None for an index (.nbi), to which numba adds what is compiled later on."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix == ".nbc" else None
