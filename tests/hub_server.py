"""A stand-in for the Hugging Face hub on this machine: a folder, served as the hub serves a model's files.

It can be told to break off in the middle of a file, as a network does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves `folder` as the model owner/little; every request is noted in `asked`."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder, self.asked = folder, list[str]()
        self.break_off_after: int | None = None
        """So many bytes of the next file's are sent, and no more."""
        self.n_parameters: int | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        begin = self.headers.get("Range", "")
        self.server.asked.append(f"{self.command} {self.path} {begin}".strip())
        if self.path.startswith("/api/models/owner/little/tree"):
            return self._json(self._files())
        if self.path.startswith("/api/models/owner/little"):
            return self._json(self._facts())
        found = re.fullmatch(r"/owner/little/resolve/[^/]+/([\w.-]+)", self.path)
        path = self.server.folder / found[1] if found else None
        if path is None or not path.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound" if "little" not in self.path else "EntryNotFound")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        content = path.read_bytes()
        start = int(begin.removeprefix("bytes=").split("-")[0]) if begin else 0
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content) - start))
        if begin:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if with_body:
            self._send(content[start:], path.name)

    def _send(self, body: bytes, name: str) -> None:
        cut = self.server.break_off_after
        if cut is not None and name.endswith((".safetensors", ".gguf")):
            self.server.break_off_after = None
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
        else:
            self.wfile.write(body)

    def _files(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": COMMIT}
            for path in sorted(self.server.folder.iterdir())
        ]

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"id": "owner/little", "sha": COMMIT, "private": False, "tags": [], "downloads": 0}
        facts["siblings"] = [{"rfilename": file["path"], "size": file["size"]} for file in self._files()]
        if self.server.n_parameters is not None:
            facts["safetensors"] = {"parameters": {"F16": self.server.n_parameters}, "total": self.server.n_parameters}
        return facts

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """The hub, up for as long as the block runs."""
    with Hub(folder) as hub:
        Thread(target=hub.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            hub.shutdown()
