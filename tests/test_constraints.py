"""constraints.txt holds on every system and Python that README names: uv resolves it for each, from any machine.

Nothing is installed; what is asked of the network is what packages say about themselves.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from llm101.reader.installation import OLDEST_GLIBC, OLDEST_MACOS

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ["3.10.0", "3.11.0", "3.12.0", "3.13.0"]
GLIBC = "_".join(map(str, OLDEST_GLIBC))
SYSTEMS = [f"x86_64-manylinux_{GLIBC}", f"aarch64-manylinux_{GLIBC}", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"]
pytestmark = pytest.mark.slow


def resolve(requirements: Path, python: str, system: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What uv would install there, wheels only: nothing is to be compiled on a reader's machine."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    uv = shutil.which("uv", path=path)
    assert uv, "uv is missing: install the test extra"
    command = [uv, "pip", "compile", requirements.name, "--quiet", "--only-binary=:all:"]
    command += [f"--python-version={python}", f"--python-platform={system}", *options]
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": ".".join(map(str, OLDEST_MACOS))}
    if "PIP_INDEX_URL" in os.environ:  # pip's setting, which uv does not read
        environment |= {"UV_DEFAULT_INDEX": os.environ["PIP_INDEX_URL"]}
    return subprocess.run(
        command, cwd=requirements.parent, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips what needs a package source where none answers."""
    smallest = tmp_path_factory.mktemp("online") / "requirements.in"
    smallest.write_text("six\n", encoding="utf-8")
    asked = resolve(smallest, PYTHONS[0], SYSTEMS[0])
    if asked.returncode != 0:
        pytest.skip(f"no package source answers: {asked.stderr.strip().splitlines()[-1]}")


def pins() -> dict[str, str]:
    """Package -> version, whatever systems the line is for."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(";")[0].strip().split("==") for line in lines if line and not line.startswith("#"))


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_what_book_and_tests_need_installs_as_pinned(python: str, system: str) -> None:
    options = ["--extra=test", "--constraint=constraints.txt", "--no-annotate", "--no-header"]
    resolved = resolve(ROOT / "pyproject.toml", python, system, *options)
    assert resolved.returncode == 0, resolved.stderr
    chosen = dict(re.findall(r"^([\w.-]+)==(\S+)", resolved.stdout, flags=re.MULTILINE))
    assert chosen["torch"] == pins()["torch"]
    assert chosen["jupyterlab"] == pins()["jupyterlab"]


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_is_of_a_release_that_is_made_for_the_pythons_that_its_marker_admits(
    python: str, tmp_path: Path
) -> None:
    """Each by itself: a pin that nothing asks for at the moment may be asked for tomorrow."""
    shutil.copyfile(ROOT / "constraints.txt", tmp_path / "requirements.in")
    resolved = resolve(tmp_path / "requirements.in", python, SYSTEMS[0], "--no-deps")
    assert resolved.returncode == 0, resolved.stderr


@pytest.mark.usefixtures("online")
def test_a_pin_that_is_not_made_for_a_python_is_found(tmp_path: Path) -> None:
    """soupsieve 4.1.2 needs Python 3.11.5: for want of that, pip searched without end on Debian 12's 3.11.2."""
    (tmp_path / "requirements.in").write_text('soupsieve==4.1.2; python_version >= "3.11"\n', encoding="utf-8")
    assert resolve(tmp_path / "requirements.in", "3.11.0", SYSTEMS[0]).returncode == 1
    assert resolve(tmp_path / "requirements.in", "3.12.0", SYSTEMS[0]).returncode == 0
