"""What every test stands on: no network beyond this machine, and the same examples on every run."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import hypothesis
import pytest

# Before transformers or huggingface_hub is imported: they read it once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

hypothesis.settings.register_profile("llm101", deadline=None, derandomize=True)
hypothesis.settings.load_profile("llm101")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for anything but this machine fails, saying which address it wanted."""
    connect = socket.socket.connect

    def connect_to_this_machine(sock: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"  # a Unix socket has no host
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address!r}; the book works without a network")
        connect(sock, address)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(socket.socket, "connect", connect_to_this_machine)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For models so small that they are slower on two threads."""
    import torch  # here: most tests never need it

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
