"""A file that appears whole or not at all: in what order things reach the disk, and what is left when they do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llm101.outside.atomic_file import atomic_file, reason


def test_the_numbers_are_on_the_disk_before_the_name_is_and_the_name_before_we_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        order.append("folder" if Path(f"/dev/fd/{descriptor}").is_dir() else f"{size} bytes")
        sync(descriptor)

    def replaced(old: Path, new: Path) -> None:
        order.append("name")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    with atomic_file(tmp_path / "numbers.bin") as file:
        file.write(b"12345")
    assert order[:2] == ["5 bytes", "name"]
    assert os.name == "nt" or order[2:] == ["folder"]


def test_after_an_error_in_the_block_the_older_file_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "numbers.bin"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), atomic_file(path) as file:
        file.write("new")  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_reason_is_in_the_systems_words_or_in_the_errors_own() -> None:
    assert reason(OSError(28, "No space left on device")) == "No space left on device"
    assert reason(OSError("a disk without a number")) == "a disk without a number"
