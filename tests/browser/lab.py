"""The book as a reader sees it: JupyterLab in Chromium, with a witness for everything that wants out.

Reading order: Witness (who tries to reach another machine?), serve_jupyterlab, find_chromium and launch, then
NotebookPage, which the tests drive.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import socketserver
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Playwright

from llm101.reader.reading import jupyterlab_command, jupyterlab_environment

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MISSING_CHROMIUM = (
    "Chromium is missing. Get it with: sudo apt install chromium / brew install --cask chromium / "
    "playwright install chromium, or name one in LLM101_CHROMIUM"
)
# Chromium starts as root in a container, and is not to reach its maker: no other machine has a name here.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


class Witness:
    """A proxy that lets nothing through and writes down who wanted to go where.

    The server and its kernels are told to go through it to anything but this machine, so it sees what Python
    code in a cell asks for. Not so the browser, which phones home for its maker: there each page is watched.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        witness = self

        class Refuse(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                witness.requests.append(self.rfile.readline(4096).decode("latin-1").strip())
                self.wfile.write(b"HTTP/1.1 502 The book needs no network\r\nContent-Length: 0\r\n\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuse)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def environment(self) -> dict[str, str]:
        """What sends a process's requests here; loopback stays direct."""
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"), self.url)
        return {**proxies, "no_proxy": ",".join(LOOPBACK), "NO_PROXY": ",".join(LOOPBACK)}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    folder: Path
    """The folder it serves."""

    def address(self, notebook: str) -> str:
        return f"{self.url}/lab/tree/{notebook}?reset&token={self.token}"


@contextmanager
def serve_jupyterlab(folder: Path, notebook: str, state_folder: Path, witness: Witness) -> Iterator[Lab]:
    """JupyterLab over `folder`, started as `llm101 read` starts it; the reader's own settings are left alone.

    Args:
        folder: what it serves.
        notebook: the one that it would open at.
        state_folder: for its settings, workspaces and log.
        witness: through which the server and its kernels reach anything but loopback.
    """
    port, token = free_port(), secrets.token_hex(16)
    command = jupyterlab_command(folder, notebook, port, open_browser=False)
    command += ["--LabApp.expose_app_in_browser=True", "--ServerApp.port_retries=0"]
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    places += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    environment = jupyterlab_environment() | witness.environment() | {"JUPYTER_TOKEN": token}
    environment |= {place: str(state_folder / place.lower()) for place in places}
    log = state_folder / "jupyterlab.log"
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as server:
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/api?token={token}", server, log)
            yield Lab(f"http://127.0.0.1:{port}", token, folder)
        finally:
            server.terminate()
            try:
                server.wait(timeout=15)
            except subprocess.TimeoutExpired:
                server.kill()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + seconds
    while True:
        try:
            with opener.open(url, timeout=5):
                return
        except OSError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab does not answer; its log:\n{log.read_text()[-4000:]}") from error
        time.sleep(0.1)


def find_chromium(playwright: Playwright) -> str | None:
    """The reader's own Chromium or Chrome, or the one that playwright has installed; None if there is none."""
    named = os.environ.get("LLM101_CHROMIUM")
    on_path = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "chrome")]
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    candidates = [named, *on_path, mac, playwright.chromium.executable_path]
    return next((path for path in candidates if path and Path(path).is_file()), None)


def launch(playwright: Playwright, chromium: str) -> Browser:
    return playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)


CLOSE_ALL = """async () => {
  const { shell } = window.jupyterapp;
  for (const widget of [...shell.widgets("main")]) {
    await widget.context?.sessionContext?.shutdown().catch(() => {}); // while it restarts it cannot be
    if (widget.context) widget.context.model.dirty = false;
    widget.close();
  }
  shell.expandLeft();
}"""


class NotebookPage:
    """One notebook, open in JupyterLab.

    `page` is playwright's own, for everything that is not here: `notebook.page.get_by_role(...)`.
    """

    KERNEL = "window.jupyterapp?.shell.currentWidget?.context?.sessionContext?.session?.kernel"

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        """Everything that this page asked for, web sockets too."""
        self.console_errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda web_socket: self.requests.append(web_socket.url))
        page.on("console", lambda said: self.console_errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.console_errors.append(str(error)))

    def open(self, lab: Lab, name: str) -> None:
        """Go to the notebook, and wait until it can be run."""
        self.page.goto(lab.address(name))
        self.wait_for_kernel()

    def open_beside_nothing(self, name: str) -> None:
        """Open it in this JupyterLab, whose other notebooks are closed; what was asked for before is forgotten."""
        self.requests.clear()
        self.console_errors.clear()
        self._do("docmanager:open", {"path": name, "factory": "Notebook"})
        self.wait_for_kernel()

    def _do(self, command: str, settings: dict[str, Any]) -> None:
        """A command of JupyterLab's. What it returns stays in the page: to write it down for Python takes seconds."""
        call = "async ([command, settings]) => { await window.jupyterapp.commands.execute(command, settings); }"
        self.page.evaluate(call, [command, settings])

    @property
    def foreign_requests(self) -> list[str]:
        """What this page asked of any other machine. blob: and data: never leave the page."""
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in ("blob", "data") and urlsplit(url).hostname not in LOOPBACK
        ]

    def wait_for_kernel(self, seconds: float = 60) -> None:
        """Until the kernel answers. What the page shows as its state is ahead of the truth."""
        self.page.wait_for_function(
            f"() => {{ const kernel = {self.KERNEL};"
            " return kernel?.connectionStatus === 'connected' && kernel.status === 'idle' }",
            timeout=1000 * seconds,
        )

    def run_all(self, seconds: float = 300) -> None:
        """Run every cell, and wait for the last one to end."""
        self.page.evaluate(
            """ms => Promise.race([
                window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => {}),
                new Promise((_, reject) => setTimeout(() => reject(Error(`still running after ${ms} ms`)), ms)),
            ])""",
            1000 * seconds,
        )
        self.wait_for_kernel()

    def restart_kernel(self) -> None:
        """Ask for it, without waiting for its end, which a JupyterLab of 2024 never tells."""
        self.page.evaluate(f"() => {{ {self.KERNEL}.restart(); }}")

    def outputs(self) -> list[list[dict[str, Any]]]:
        """The outputs of each cell, as the notebook's file would hold them; text cells have none."""
        return self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells.map(cell => cell.outputs ?? [])"
        )

    def errors(self) -> list[str]:
        """What went wrong in the cells, one line each."""
        every_output = [output for outputs in self.outputs() for output in outputs]
        return [f"{out['ename']}: {out['evalue']}" for out in every_output if out["output_type"] == "error"]

    def scroll_to_cell(self, index: int) -> None:
        """Bring a cell into view; JupyterLab draws those far away only when they come near."""
        self.page.evaluate("index => window.jupyterapp.shell.currentWidget.content.scrollToItem(index, 'start')", index)

    def use_theme(self, name: str) -> None:
        """'JupyterLab Light' or 'JupyterLab Dark'."""
        self._do("apputils:change-theme", {"theme": name})
        dark = "true" if name.endswith("Light") else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light={dark}]", state="attached")

    def close_all(self) -> None:
        """Close every notebook unsaved, its kernel shut down; light, with the sidebar open, as it all began."""
        self.page.evaluate(CLOSE_ALL)
        if self.page.locator("body[data-jp-theme-light=false]").count():
            self.use_theme("JupyterLab Light")

    def close(self) -> None:
        """Shut the kernels down as well, so that their memory is free for the next notebook."""
        self.page.evaluate(f"() => window.jupyterapp && ({CLOSE_ALL})()")
        self.page.close()
