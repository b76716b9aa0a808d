"""Is this machine ready for the book? One check per thing that can be missing, each with its remedy.

It changes nothing, downloads nothing, and does not know how its findings are printed (cli.py).
A check never raises: what goes wrong while looking is what it found.

Reading order: Check, checks, then one function per check.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from llm101.outside.memory import memory_bytes
from llm101.reader.installation import (
    MODEL_PACKAGES,
    NEWEST_PYTHON,
    OLDEST_PYTHON,
    get_model,
    remedy_for_damaged,
    remedy_for_llm101,
    remedy_for_missing,
    this_system,
    unmet_requirements,
    why_no_pytorch,
)
from llm101.reader.reading import first_unwritable, jupyter_folders

GIB = 2**30
FREE_DISK_BYTES = 1 * GIB
"""Room for the models and token files that the chapters write."""
MEMORY_BYTES = 2 * GIB
"""A chapter stays within 1 GiB; JupyterLab, a browser and the system want their share."""
REMEDY_FOR_PLACE = "set NUMBA_CACHE_DIR to a folder of your own"
STORYTELLER_FOLDER = Path(__file__).parents[1] / "models" / "storyteller"


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Example:
        >>> Check("Python", ok=False, found="3.9.2", remedy="install Python 3.10 to 3.13")
        Check(name='Python', ok=False, found='3.9.2', remedy='install Python 3.10 to 3.13')
    """

    name: str
    """What was looked at."""
    ok: bool
    """Whether the book can work with what was found."""
    found: str
    """What was found, with its unit."""
    remedy: str = ""
    """What to do; empty where all is well."""


def checks() -> list[Check]:
    """Look at everything that the book needs, and tell what was found.

    Returns:
        One Check per thing, always the same ones in the same order, whether or not they are well.

    Example:
        >>> [check.name for check in checks()]
        ['Python', 'packages', 'PyTorch', 'numba', 'disk', 'home', 'memory', 'JupyterLab', 'widgets', 'models']
    """
    return [
        _guarded("Python", check_python),
        _guarded("packages", check_packages),
        _guarded("PyTorch", check_torch),
        _guarded("numba", check_numba),
        _guarded("disk", check_disk),
        _guarded("home", check_home),
        _guarded("memory", check_memory),
        _guarded("JupyterLab", check_jupyterlab),
        _guarded("widgets", check_widgets),
        _guarded("models", check_models),
    ]


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """A broken installation can fail in any way at all; the report must still be complete."""
    try:
        return check()
    except ModuleNotFoundError as error:
        return Check(name, False, str(error), remedy_for_missing(error.name or "llm101"))
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", remedy_for_llm101())


def check_python(running: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """Python 3.10 to 3.13.

    Example:
        >>> check_python((3, 9, 2)).ok, check_python((3, 13, 0)).ok
        (False, True)
    """
    ok = OLDEST_PYTHON <= running[:2] <= NEWEST_PYTHON
    found = ".".join(map(str, running))
    return Check("Python", ok, found, "" if ok else "install Python 3.10 to 3.13, then make a new environment with it")


def check_packages() -> Check:
    """Whatever llm101 asks for, itself or through others, is installed in a version that it takes."""
    unmet = unmet_requirements()
    if unmet:
        found = f"missing, or in another version: {', '.join(unmet)}"
        return Check("packages", False, found, remedy_for_missing(*unmet))
    return Check("packages", True, "all that llm101 asks for")


def check_torch() -> Check:
    """PyTorch imports, adds two numbers, and says which devices it sees."""
    try:
        import torch
    except ModuleNotFoundError as error:
        because = why_no_pytorch(*this_system())
        if because:
            return Check("PyTorch", False, f"missing, and not made for {because}", "use one of README.md's systems")
        return Check("PyTorch", False, f"does not import ({error})", remedy_for_missing(error.name or "torch"))
    except ImportError as error:
        return Check("PyTorch", False, f"does not import ({error})", remedy_for_damaged("torch"))
    if float(torch.ones(2).sum()) != 2.0:
        return Check("PyTorch", False, f"{torch.__version__} cannot add", remedy_for_damaged("torch"))
    devices = ["CPU"]
    if torch.cuda.is_available():
        devices.append(torch.cuda.get_device_name())
    if torch.backends.mps.is_available():
        devices.append("MPS")
    return Check("PyTorch", True, f"{torch.__version__} on {', '.join(devices)} ({torch.get_num_threads()} threads)")


def check_numba() -> Check:
    """numba compiles the decode step. The book works without it, and says here what that costs."""
    cost = "the book works, but each token of a completion takes about 5 times as long"
    try:
        from numba import __version__, config
    except ModuleNotFoundError as error:
        return Check("numba", False, f"not installed: {cost}", remedy_for_missing(error.name or "numba"))
    except ImportError as error:
        return Check("numba", False, f"does not import ({error}): {cost}", remedy_for_damaged("numba"))
    if config.DISABLE_JIT:  # pyright: ignore[reportAttributeAccessIssue]
        return Check("numba", False, f"switched off by NUMBA_DISABLE_JIT: {cost}", "unset NUMBA_DISABLE_JIT")
    from llm101.inference.compiled.loops import place_of_loops

    if place_of_loops() is None:
        return Check("numba", False, f"{__version__}, with no place to keep what it compiles: {cost}", REMEDY_FOR_PLACE)
    return Check("numba", True, __version__)


def check_disk(folder: Path | None = None, needed_bytes: int = FREE_DISK_BYTES) -> Check:
    """Free room in the folder where the reader works (default: the current one), and leave to write there."""
    try:
        folder = folder or Path.cwd()
    except FileNotFoundError:
        return Check("disk", False, "the folder that this runs in has been deleted", "go into one that is there (cd)")
    free_bytes = shutil.disk_usage(folder).free
    found = f"{free_bytes / GIB:.1f} GiB free in {folder}"
    if not os.access(folder, os.W_OK):
        return Check("disk", False, f"{folder} cannot be written to", "run from a folder of your own")
    if free_bytes < needed_bytes:
        return Check("disk", False, found, f"free {needed_bytes / GIB:.0f} GiB, or run from a folder on another disk")
    return Check("disk", True, found)


def check_home(folders: Sequence[Path] | None = None) -> Check:
    """Jupyter and the kernel can keep their settings in the reader's home folder (or where they were told to)."""
    unwritable = first_unwritable(jupyter_folders() if folders is None else folders)
    if unwritable is not None:
        found = f"{unwritable} cannot be written to, so `llm101 read` keeps JupyterLab's settings for one session only"
        return Check("home", False, found, "set HOME to a folder of your own (Windows: USERPROFILE)")
    return Check("home", True, str(Path.home()))


def check_memory(total_bytes: int | None = None) -> Check:
    """The machine's memory, or the container's limit where that is smaller.

    Example:
        >>> check_memory(total_bytes=8 * GIB)
        Check(name='memory', ok=True, found='8.0 GiB', remedy='')
        >>> check_memory(total_bytes=GIB).ok
        False
    """
    total_bytes = total_bytes or memory_bytes()
    if total_bytes is None:
        return Check("memory", True, "unknown on this system")
    ok = total_bytes >= MEMORY_BYTES
    remedy = "" if ok else f"close other programs, or use a machine with {MEMORY_BYTES / GIB:.0f} GiB or more"
    return Check("memory", ok, f"{total_bytes / GIB:.1f} GiB", remedy)


def check_jupyterlab() -> Check:
    """JupyterLab 4 and the Python kernel are installed in this very environment."""
    try:
        jupyterlab, ipykernel = version("jupyterlab"), version("ipykernel")
    except PackageNotFoundError as error:
        return Check("JupyterLab", False, f"{error.name} is not installed", remedy_for_missing(error.name))
    ok = int(jupyterlab.split(".")[0]) >= 4
    remedy = "" if ok else remedy_for_missing("--upgrade", "jupyterlab")
    return Check("JupyterLab", ok, f"{jupyterlab}, ipykernel {ipykernel}", remedy)


def check_widgets() -> Check:
    """Widgets have their Python half, and their front-end extension lies where JupyterLab looks for it."""
    from jupyter_core.paths import jupyter_path

    try:
        found = f"anywidget {version('anywidget')}, ipywidgets {version('ipywidgets')}"
    except PackageNotFoundError as error:
        return Check("widgets", False, f"{error.name} is not installed", remedy_for_missing(error.name))
    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    extensions = {"anywidget": "anywidget", "@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets"}
    missing = [
        package
        for extension, package in extensions.items()
        if not any((folder / extension / "package.json").is_file() for folder in folders)
    ]
    if missing:
        front_ends = f"front end of {' and '.join(missing)} is missing"
        return Check("widgets", False, front_ends, remedy_for_damaged(*missing))
    return Check("widgets", True, found)


def check_models(folder: Path = STORYTELLER_FOLDER) -> Check:
    """The model that comes with the book is there and opens: its shape, numbers and tokenizer. Is SmolLM2 here?"""
    from llm101.parameters import ParameterFileError
    from llm101.parameters.model_folder import ModelFolderError, open_model
    from llm101.tokenizer import TokenizerError

    restore = _how_to_restore_models(folder.parents[2])
    if not folder.is_dir():
        return Check("models", False, f"no folder {folder}", restore)
    try:
        files = open_model(folder)
        files.transformer()
    except (ModelFolderError, ParameterFileError, TokenizerError, OSError) as error:
        return Check("models", False, str(error), restore)
    found = f"storyteller: {files.config.n_parameters:,} parameters, {files.tokenizer.vocab_size:,} tokens"
    return Check("models", True, f"{found}; {_chat_model()}")


def _chat_model() -> str:
    """Whether SmolLM2 is here; the book opens without it."""
    from llm101.library import known_models

    smollm2 = known_models()[1]
    return "smollm2" if smollm2.installed else f"without smollm2, a chat model ({get_model(MODEL_PACKAGES[0])})"


def _how_to_restore_models(around: Path) -> str:
    """Models come with the source, so what brings them back depends on how that came here."""
    if (around / ".git").exists():
        return f"git -C {shlex.quote(str(around))} checkout -- llm101/models"
    if (around / "pyproject.toml").exists():
        return f"put llm101/models from a fresh copy of the book into {around}"
    return remedy_for_llm101()
