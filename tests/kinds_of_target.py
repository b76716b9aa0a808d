"""Kinds of target that a reader may name; every device, pipe and link is made in the test's own folder."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest


def device(path: Path, kind: int, numbers: tuple[int, int]) -> Path:
    """A device of the test's own: (1, 3) is another /dev/null."""
    try:
        os.mknod(path, kind | 0o666, os.makedev(*numbers))
        path.open("rb").close() if stat.S_ISCHR(kind) else None
    except OSError:
        pytest.skip("devices cannot be made or opened here")
    return path


def kept(path: Path) -> bytes:
    path.write_bytes(b"kept")
    return path.read_bytes()


def empty(folder: Path) -> str:
    return ""


def a_folder(folder: Path) -> str:
    return str(folder)


def a_folder_to_be(folder: Path) -> str:
    return f"{folder}/new/"


def in_no_folder(folder: Path) -> str:
    return f"{folder}/nowhere/out"


def in_a_file(folder: Path) -> str:
    kept(folder / "plain")
    return f"{folder}/plain/out"


def a_link_into_no_folder(folder: Path) -> str:
    (folder / "link").symlink_to("nowhere/out")
    return f"{folder}/link"


def a_link_to_itself(folder: Path) -> str:
    (folder / "link").symlink_to("link")
    return f"{folder}/link"


def a_socket(folder: Path) -> str:
    here = os.getcwd()
    os.chdir(folder)  # a socket's name may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("socket")
    finally:
        os.chdir(here)
    return f"{folder}/socket"


def a_disk(folder: Path) -> str:
    return str(device(folder / "disk", stat.S_IFBLK, (240, 250)))


def too_long(folder: Path) -> str:
    return f"{folder}/{'n' * 300}"


def with_a_zero_byte(folder: Path) -> str:
    return f"{folder}/a\0b"


IMPOSSIBLE = (
    empty, a_folder, a_folder_to_be, in_no_folder, in_a_file, a_link_into_no_folder, a_link_to_itself, a_socket, a_disk,
    too_long, with_a_zero_byte,
)  # fmt: skip

NO_FOLDERS = (empty, in_a_file, a_link_to_itself, a_socket, a_disk, too_long, with_a_zero_byte)


def under_its_own_name(source: Path) -> Path:
    return source


def by_another_way(source: Path) -> Path:
    return source.parent / "folder" / ".." / source.name


def a_link(source: Path) -> Path:
    (source.parent / "link").symlink_to(source.name)
    return source.parent / "link"


def a_hard_link(source: Path) -> Path:
    os.link(source, source.parent / "hard")
    return source.parent / "hard"


OTHER_NAMES = (under_its_own_name, by_another_way, a_link, a_hard_link)
