"""A model's files from the Hugging Face hub: the one place where a model is downloaded, and only when it is asked for.

The package huggingface_hub does the work: it shows how far it is, goes on where it was cut off, and keeps what it got
in a folder of its own. It knows nothing of what the files mean. Nothing that could run code is fetched.

Reading order: download, then what is looked at before (_check_room) and what is said afterwards (_complaint).
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILES = ("*.json", "*.safetensors", "*.jinja")
"""What a model folder is made of. Pickled parameters (*.bin, *.pt) and code (*.py) stay where they are."""


class HubError(ValueError):
    """A model cannot be had from the hub; the line says why and what to do."""


def download(name: str, check_parameters: Callable[[int], None] = lambda n_parameters: None) -> Path:
    """Fetch a model, or the part of it that is not here yet.

    Args:
        name: owner/name, or owner/name/FILE.gguf for one file of it.
        check_parameters: called with the number of parameters before anything large is fetched, where the hub
            knows it; what it raises ends the download.

    Returns:
        The folder, or the file, where it is now.

    Raises:
        HubError: no such model, no way to reach the hub, no room for it.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before the package is imported
    try:
        import huggingface_hub as hub  # an optional package
    except ImportError:
        raise HubError(
            f"no folder {name}. If it is a hub model, install what downloads those: pip install 'llm101[hub]'"
        ) from None
    owner, model, *file = name.split("/", 2)
    wanted = file or list(FILES)
    try:
        try:
            _look_ahead(hub, f"{owner}/{model}", wanted, check_parameters)
        except Exception as error:
            if not _is_unreachable(error):
                raise
            # What was fetched before can be used without a network: the package finds it, or says that it cannot.
        return Path(hub.snapshot_download(f"{owner}/{model}", allow_patterns=wanted)).joinpath(*file)
    except HubError:
        raise
    except Exception as error:  # dozens of kinds, from many packages
        raise HubError(_complaint(name, error)) from None


def _look_ahead(hub: Any, name: str, wanted: list[str], check_parameters: Callable[[int], None]) -> None:
    """What the hub says of a model, before its files are fetched."""
    found = hub.model_info(name, files_metadata=True)
    files = {one.rfilename: one.size or 0 for one in found.siblings or ()}
    taken = {file: size for file, size in files.items() if any(Path(file).match(pattern) for pattern in wanted)}
    if not any(file.endswith((".safetensors", ".gguf")) for file in taken):
        raise HubError(_no_parameters(name, list(files)))
    check_parameters(getattr(found.safetensors, "total", 0) or 0)
    _check_room(name, sum(taken.values()), Path(hub.constants.HF_HUB_CACHE))


def _no_parameters(name: str, files: list[str]) -> str:
    quantised = sorted(file for file in files if file.endswith(".gguf"))
    if quantised:
        shown = ", ".join(f"{name}/{file}" for file in quantised[:4]) + ", ..." * (len(quantised) > 4)
        return f"{name} holds GGUF files: name the one you mean, such as {shown}"
    if any(file.endswith((".bin", ".pt", ".pth", ".ckpt")) for file in files):
        return f"{name} holds pickled parameters only, which can run code; look for a safetensors version of it"
    return f"{name} holds no .safetensors file, so it is no model that llm101 can open"


def _check_room(name: str, n_bytes: int, cache: Path) -> None:
    folder = next(place for place in (cache, *cache.parents) if place.exists())
    here = sum(file.stat().st_size for file in cache.glob(f"models--{name.replace('/', '--')}/blobs/*"))
    free = shutil.disk_usage(folder).free
    if n_bytes - here > free:
        raise HubError(
            f"{name} takes {n_bytes / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB free: make room, "
            "or set HF_HOME to a folder on another disk"
        )


def _is_unreachable(error: BaseException) -> bool:
    """Whether nobody answered: no network, a wrong name, a proxy. The reason may lie several errors deep."""
    seen: BaseException | None = error
    while seen is not None:
        kind = type(seen).__name__
        if isinstance(seen, ConnectionError | TimeoutError) or any(
            word in kind for word in ("Connect", "Timeout", "Offline", "ProxyError", "NetworkError", "Protocol")
        ):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _complaint(name: str, error: Exception) -> str:
    """One line for what the package raised."""
    kind, status = type(error).__name__, getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {name} is not here in full. Make room and run it again; it goes on where it stopped"
    if kind == "GatedRepoError" or status in (401, 403):
        return (
            f"{name} is not for everybody, or not there: look at its page on the hub, ask for access, and log in there"
        )
    if kind in ("RepositoryNotFoundError", "HFValidationError", "EntryNotFoundError") or status == 404:
        return f"the hub has no model {name}: check the name"
    if kind == "LocalEntryNotFoundError" or _is_unreachable(error):
        return (
            f"{name} is not on this machine, and the hub cannot be reached: go online and run it again "
            "(what was fetched is kept), or give the folder of a model that is here"
        )
    words = str(error).split()
    return f"cannot get {name}: {' '.join(words)[:200] or kind}"
