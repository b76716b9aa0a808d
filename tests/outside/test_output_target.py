"""Where something may be written: asked before the work, and kept to by what writes.

Every device, pipe and link is made in the test's own folder.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llm101.outside.atomic_file import atomic_file
from llm101.outside.output_target import OutputTargetError, check_output_file, check_output_folder
from tests import kinds_of_target as kinds

unix = pytest.mark.skipif(sys.platform == "win32", reason="needs Unix's kinds of file")
is_root = hasattr(os, "geteuid") and os.geteuid() == 0


# What cannot be written


@unix
@pytest.mark.parametrize("make", kinds.IMPOSSIBLE)
def test_what_cannot_be_written_is_refused_before_the_work_and_by_the_writer(
    tmp_path: Path, make: Callable[[Path], str]
) -> None:
    name = make(tmp_path)
    before = {path: path.lstat().st_mode for path in tmp_path.rglob("*")}
    with pytest.raises(OutputTargetError) as refusal:
        check_output_file(name)
    assert "\n" not in str(refusal.value)
    if make is not kinds.a_folder_to_be:  # of which the writer sees only the name
        with pytest.raises((OSError, ValueError)) as failure, atomic_file(name) as file:
            file.write(b"new")
        assert ".partial" not in str(failure.value)
        assert {path: path.lstat().st_mode for path in tmp_path.rglob("*")} == before


@unix
@pytest.mark.skipif(is_root, reason="root may write anywhere")
def test_what_is_write_protected_is_refused(tmp_path: Path) -> None:
    kinds.kept(tmp_path / "file")
    (tmp_path / "file").chmod(0o400)
    with pytest.raises(OutputTargetError, match="file is write-protected"):
        check_output_file(tmp_path / "file")
    tmp_path.chmod(0o500)
    for check in (check_output_file, check_output_folder):
        with pytest.raises(OutputTargetError, match=f"the folder {tmp_path} is write-protected"):
            check(tmp_path / "new")


@unix
@pytest.mark.parametrize("name", kinds.OTHER_NAMES)
def test_an_input_is_never_the_target_whatever_it_is_called(tmp_path: Path, name: Callable[[Path], Path]) -> None:
    source = tmp_path / "source"
    kinds.kept(source)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputTargetError, match="would replace the file that it is made from; choose another name"):
        check_output_file(name(source), [tmp_path / "not there", source])
    check_output_file(tmp_path / "other", [source])


# What can be written, and what stays


def test_a_plain_name_and_a_plain_file_are_fine(tmp_path: Path) -> None:
    for _ in range(2):
        check_output_file(tmp_path / "out")
        with atomic_file(tmp_path / "out") as file:
            file.write(b"new")
    assert (tmp_path / "out").read_bytes() == b"new"


def test_a_name_without_a_folder_is_in_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_output_file("out")
    with atomic_file("out") as file:
        file.write(b"new")
    assert (tmp_path / "out").read_bytes() == b"new"


@unix
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_names_is_written(tmp_path: Path, there: bool) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    if there:
        kinds.kept(target)
    (tmp_path / "link").symlink_to("folder/target")
    (tmp_path / "second").symlink_to("link")
    check_output_file(tmp_path / "second")
    with atomic_file(tmp_path / "second") as file:
        file.write(b"new")
    assert (tmp_path / "second").is_symlink()
    assert (tmp_path / "link").is_symlink()
    assert target.read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["target"]


@unix
def test_a_pipe_stays_a_pipe_and_is_handed_the_bytes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    check_output_file(pipe)
    with atomic_file(pipe) as file:
        file.write(b"numbers")
        file.seek(0)
        file.write(b"N")
    reader.join(10)
    assert received == [b"Numbers"]
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@unix
def test_a_device_stays_a_device(tmp_path: Path) -> None:
    null = kinds.device(tmp_path / "null", stat.S_IFCHR, (1, 3))
    check_output_file(null)
    with atomic_file(null) as file:
        file.write(b"numbers")
    assert null.is_char_device()
    assert list(tmp_path.iterdir()) == [null]


@unix
def test_nothing_reaches_a_pipe_or_device_if_the_block_fails(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TypeError), atomic_file(tmp_path / "pipe") as file:  # no reader: opening it would hang
        file.write("numbers")  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert (tmp_path / "pipe").is_fifo()


@unix
@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs names for open files")
def test_an_open_file_that_has_no_name_is_written_into(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+b") as opened:
        (tmp_path / "file").unlink()
        check_output_file(f"/dev/fd/{opened.fileno()}")
        with atomic_file(f"/dev/fd/{opened.fileno()}") as file:
            file.write(b"new")
        assert opened.read() == b"new"
    assert list(tmp_path.iterdir()) == []


# Folders


def test_a_folder_that_is_there_or_can_be_made_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path, tmp_path / "new", tmp_path / "a" / "b" / "c", "new", "."):
        check_output_folder(name)
    assert list(tmp_path.iterdir()) == []


@unix
@pytest.mark.parametrize("make", kinds.NO_FOLDERS)
def test_what_can_be_no_folder_is_refused(tmp_path: Path, make: Callable[[Path], str]) -> None:
    with pytest.raises(OutputTargetError):
        check_output_folder(make(tmp_path))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    kinds.kept(tmp_path / "file")
    with pytest.raises(OutputTargetError, match=r"cannot write to .*file: it is not a folder"):
        check_output_folder(tmp_path / "file")
