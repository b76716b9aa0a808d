"""Texts from files, folders and hub datasets: whole, in order, and refused in one line where they are no text."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm101.corpus import documents as module
from llm101.corpus.documents import CorpusError, documents, is_hub_name, n_bytes_of
from llm101.tokenizer import END_OF_TEXT


def written(folder: Path, content: bytes, name: str = "corpus.txt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_texts_are_separated_by_the_end_of_text_marker(tmp_path: Path) -> None:
    path = written(tmp_path, b"one\n<|endoftext|>\ntwo\n\nlines\n<|endoftext|>\n\n<|endoftext|>three<|endoftext|>")
    assert list(documents(path)) == ["one", "two\n\nlines", "three"]


def test_a_file_without_a_marker_is_one_text(tmp_path: Path) -> None:
    assert list(documents(str(written(tmp_path, b" a story\n")))) == [" a story"]


def test_windows_line_breaks_stay_inside_a_text_and_go_at_its_ends(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbfone\r\n<|endoftext|>\r\ntwo\r\nlines\r\n")
    assert list(documents(path)) == ["one", "two\r\nlines"]


@given(text=st.text(alphabet="aé🙂<|endoftext>\n", max_size=60), read_bytes=st.integers(1, 16))
def test_no_boundary_between_two_reads_shows(
    tmp_path_factory: pytest.TempPathFactory, text: str, read_bytes: int
) -> None:
    text = text.replace("x", END_OF_TEXT)
    path = written(tmp_path_factory.getbasetemp(), text.encode())
    expected = [part for part in (part.strip("\r\n") for part in text.split(END_OF_TEXT)) if part]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "READ_BYTES", read_bytes)
        assert list(documents(path)) == expected


def test_a_folder_gives_its_text_files_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    for name, text in {"b.txt": "2", "a.MD": "1", "deeper/c.txt": "3", "picture.png": "no", "z.csv": "no"}.items():
        written(tmp_path, text.encode(), name)
    assert list(documents(tmp_path)) == ["1", "2", "3"]
    assert n_bytes_of(tmp_path) == 3


def test_the_size_of_a_source_is_known_where_it_lies_here(tmp_path: Path) -> None:
    assert n_bytes_of(written(tmp_path, "é\n".encode())) == 3
    assert n_bytes_of("owner/name") is None


def test_a_folder_without_text_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no .txt or .md files in"):
        list(documents(tmp_path))


@pytest.mark.parametrize("read_bytes", [1, 3, 4, 1000])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc\0def", "is not text: a zero byte at offset 3"),
        (b"abcdef\xff", "is not UTF-8 text: an odd byte at offset 6"),
        ("é".encode() * 4 + b"\xe9t\xe9", "an odd byte at offset 8"),
        (b"abcde\xf0\x9f\x99", "an odd byte at offset 5"),  # a character that never ends
        ("hello".encode("utf-16"), "an odd byte at offset 0|a zero byte at offset 3"),
    ],
)
def test_what_is_not_text_is_refused_with_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str, read_bytes: int
) -> None:
    monkeypatch.setattr(module, "READ_BYTES", read_bytes)
    with pytest.raises(CorpusError, match=message):
        list(documents(written(tmp_path, content)))


@pytest.mark.parametrize("source", ["", "nowhere.txt", "stories/nowhere.txt", "a/b/c", "./a/b", "~/a", "nowhere"])
def test_a_source_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, b"must not be read", "here.txt")
    with pytest.raises(CorpusError, match="no file or folder"):
        list(documents(source))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device file")
def test_a_device_without_end_is_refused() -> None:
    with pytest.raises(CorpusError, match="neither a file nor a folder"):
        list(documents("/dev/zero"))


def test_a_disk_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    path = written(tmp_path, b"text")
    monkeypatch.setattr(Path, "open", lambda *_: Broken())
    with pytest.raises(CorpusError, match="cannot read .*corpus.txt: Input/output error"):
        list(documents(path))


def test_a_name_of_the_hub_is_told_from_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert is_hub_name("roneneldan/TinyStories")
    for path in ("folder/new", "owner/name.txt", "./a", "/a", "a/b/c", "name"):
        assert not is_hub_name(path)


def test_a_hub_dataset_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match=r"pip install 'llm101\[hub\]'"):
        list(documents("roneneldan/TinyStories"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A stand-in for the package `datasets`: what load_dataset is asked for, and the rows that it gives."""
    said: dict[str, Any] = {"rows": [{"text": "one\n"}, {"text": ""}, {"text": "two"}], "asked": None}

    def load_dataset(name: str, split: str, streaming: bool) -> list[dict[str, Any]]:
        said["asked"] = (name, split, streaming)
        if isinstance(said["rows"], Exception):
            raise said["rows"]
        return said["rows"]

    package = ModuleType("datasets")
    package.load_dataset = load_dataset  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "datasets", package)
    return said  # pyright: ignore[reportReturnType]


def test_a_hub_dataset_is_streamed(hub: dict[str, Any]) -> None:
    assert list(documents("roneneldan/TinyStories")) == ["one", "two"]
    assert hub["asked"] == ("roneneldan/TinyStories", "train", True)
    assert list(documents("roneneldan/TinyStories:validation")) == ["one", "two"]
    assert hub["asked"] == ("roneneldan/TinyStories", "validation", True)


def test_a_hub_dataset_without_texts_is_refused(hub: dict[str, Any]) -> None:
    hub["rows"] = [{"image": 1, "label": 2}]
    with pytest.raises(CorpusError, match="has no column `text`; it has image, label"):
        list(documents("owner/pictures"))


@pytest.mark.parametrize(("error", "reason"), [(OSError("first line\nsecond"), "first line"), (KeyError(), "KeyError")])
def test_a_hub_that_fails_is_reported_in_one_line(hub: dict[str, Any], error: Exception, reason: str) -> None:
    hub["rows"] = error
    with pytest.raises(CorpusError, match=f"cannot read dataset owner/name: {reason}$"):
        list(documents("owner/name"))
