from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm101.reader import reading


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """What a wheel leaves behind: a package folder that carries two chapters and a picture."""
    folder = tmp_path / "site-packages" / "llm101"
    write(folder / "_book" / "00_the_map.ipynb", "map, first edition")
    write(folder / "_book" / "01_parameters.ipynb", "parameters, first edition")
    write(folder / "_book" / "images" / "chapter-00.png", "picture")
    write(folder / "_book" / ".ipynb_checkpoints" / "00_the_map-checkpoint.ipynb", "left over")
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def files_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file() and path.name != reading.RECORD_NAME
    }


def test_in_a_checkout_the_chapters_are_read_where_they_are() -> None:
    book = reading.open_book()
    assert book.folder == Path(__file__).resolve().parents[2] / "book"
    assert not book.copied
    assert not (book.folder / reading.RECORD_NAME).exists()


def test_a_wheel_copies_all_chapters_and_nothing_hidden(package: Path, tmp_path: Path) -> None:
    book = reading.open_book(tmp_path / "mine", package)
    assert book.copied
    assert book.new == ["00_the_map.ipynb", "01_parameters.ipynb", "images/chapter-00.png"]
    assert files_of(book.folder) == {
        "00_the_map.ipynb": "map, first edition",
        "01_parameters.ipynb": "parameters, first edition",
        "images/chapter-00.png": "picture",
    }
    assert book.chapters == ["00_the_map.ipynb", "01_parameters.ipynb"]


def test_a_wheel_copies_to_llm101_book_in_the_current_folder(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reading.open_book(package_folder=package).folder == tmp_path / "llm101-book"


def test_copying_twice_changes_nothing(package: Path, tmp_path: Path) -> None:
    reading.open_book(tmp_path / "mine", package)
    again = reading.open_book(tmp_path / "mine", package)
    assert (again.new, again.updated, again.kept, again.beside) == ([], [], [], [])


def test_an_untouched_chapter_becomes_the_new_edition(package: Path, tmp_path: Path) -> None:
    reading.open_book(tmp_path / "mine", package)
    write(package / "_book" / "00_the_map.ipynb", "map, second edition")
    book = reading.open_book(tmp_path / "mine", package)
    assert book.updated == ["00_the_map.ipynb"]
    assert files_of(book.folder)["00_the_map.ipynb"] == "map, second edition"


def test_an_edited_chapter_stays_and_the_new_edition_goes_beside_it_once(package: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    reading.open_book(mine, package)
    write(mine / "00_the_map.ipynb", "my own notes")
    unchanged_source = reading.open_book(mine, package)
    assert (unchanged_source.kept, unchanged_source.beside) == (["00_the_map.ipynb"], [])

    write(package / "_book" / "00_the_map.ipynb", "map, second edition")
    second = reading.open_book(mine, package)
    assert second.kept == ["00_the_map.ipynb"]
    assert len(second.beside) == 1
    assert second.beside[0].startswith("00_the_map.llm101-")
    assert files_of(mine)["00_the_map.ipynb"] == "my own notes"
    assert files_of(mine)[second.beside[0]] == "map, second edition"
    assert reading.open_book(mine, package).beside == []


def test_a_new_edition_beside_an_edited_chapter_is_never_written_over_either(package: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    reading.open_book(mine, package)
    write(mine / "00_the_map.ipynb", "my own notes")
    write(package / "_book" / "00_the_map.ipynb", "map, second edition")
    (first,) = reading.open_book(mine, package).beside
    write(mine / first, "notes in the second edition")
    write(package / "_book" / "00_the_map.ipynb", "map, third edition")
    (second,) = reading.open_book(mine, package).beside
    assert files_of(mine)[first] == "notes in the second edition"
    assert files_of(mine)[second] == "map, third edition"


@pytest.mark.parametrize("record", ["", "[]", "{"])
def test_without_a_readable_record_every_differing_file_counts_as_edited(
    package: Path, tmp_path: Path, record: str
) -> None:
    mine = tmp_path / "mine"
    write(mine / "00_the_map.ipynb", "was here before llm101")
    write(mine / reading.RECORD_NAME, record)
    book = reading.open_book(mine, package)
    assert book.kept == ["00_the_map.ipynb"]
    assert files_of(mine)["00_the_map.ipynb"] == "was here before llm101"


def test_a_chapter_that_the_reader_deleted_comes_back(package: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    reading.open_book(mine, package)
    (mine / "00_the_map.ipynb").unlink()
    assert reading.open_book(mine, package).new == ["00_the_map.ipynb"]


def test_a_file_where_the_folder_should_be_is_refused_in_one_line(package: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine", "a file")
    with pytest.raises(reading.BookError, match="cannot copy the chapters to .*mine") as refusal:
        reading.open_book(tmp_path / "mine", package)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", " "])
def test_a_folder_without_a_name_is_refused_and_nothing_is_copied(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(reading.BookError, match="names none: give it a name"):
        reading.open_book(name, package)
    assert list((tmp_path / "here").iterdir()) == []


def test_an_installation_without_chapters_says_so(tmp_path: Path) -> None:
    with pytest.raises(reading.BookError, match="no chapters beside"):
        reading.open_book(package_folder=tmp_path / "llm101")


def test_the_server_listens_on_loopback_only_and_keeps_its_token(package: Path) -> None:
    command = reading.jupyterlab_command(package / "_book", port=8899)
    assert "--ServerApp.ip=127.0.0.1" in command
    assert not [word for word in command if "token" in word.lower() or "password" in word.lower()]
    assert "--LabApp.default_url=/lab/tree/00_the_map.ipynb" in command
    assert "--ServerApp.open_browser=False" not in command


def test_an_unknown_chapter_is_refused_with_the_list_of_chapters(package: Path) -> None:
    with pytest.raises(reading.BookError, match="no chapter '07_magic.ipynb'.*00_the_map.ipynb, 01_parameters.ipynb"):
        reading.jupyterlab_command(package / "_book", chapter="07_magic.ipynb")


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_refused(package: Path, port: int) -> None:
    with pytest.raises(reading.BookError, match=f"port is {port}: it must be 1 to 65535"):
        reading.jupyterlab_command(package / "_book", port=port)


def test_jupyterlab_gets_the_books_defaults_and_then_the_readers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")
    ours, mine = reading.jupyterlab_environment()["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert (Path(ours) / "labconfig" / "default_setting_overrides.json").is_file()
    assert mine == "/mine"


def test_what_cannot_be_written_to_is_found_by_trying(tmp_path: Path) -> None:
    write(tmp_path / "file", "")
    below_a_file, not_there_yet = tmp_path / "file" / "a" / "b", tmp_path / "new" / "folder"
    assert reading.first_unwritable([tmp_path, not_there_yet]) is None
    assert reading.first_unwritable([tmp_path, below_a_file, not_there_yet]) == below_a_file
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows finds the home folder elsewhere")
def test_where_home_cannot_be_written_to_the_book_opens_with_another_for_the_session(
    package: Path, tmp_path: Path
) -> None:
    """HOME is a file, which stops root too. A stand-in for JupyterLab makes all of its folders, and says where."""
    write(tmp_path / "home", "")
    write(
        tmp_path / "jupyterlab.py",
        "import os; from llm101.reader.reading import jupyter_folders\n"
        "for folder in [os.environ['HOME'], *jupyter_folders()]: os.makedirs(folder, exist_ok=True); print(folder)\n",
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    environment |= {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-m", "llm101", "read", "--no-browser"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    (said,) = ran.stderr.splitlines()
    assert said.startswith(f"{tmp_path / 'home'}")
    assert "cannot be written to: JupyterLab's settings are kept for this session only" in said
    home, *folders = (Path(line) for line in ran.stdout.splitlines())
    assert len(folders) == 3
    assert all(folder.is_relative_to(home) for folder in folders)
    assert not home.exists()  # nothing stays behind


def test_the_servers_exit_status_comes_back() -> None:
    assert reading.start_jupyterlab([sys.executable, "-c", "raise SystemExit(3)"]) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without telling it")
def test_ending_this_program_ends_the_server_too(tmp_path: Path) -> None:
    """The stand-in for the server writes a file when it is told to stop."""
    server = (
        "import pathlib, signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(tmp_path / 'told')!r}).touch(), sys.exit(0)))\n"
        f"pathlib.Path({str(tmp_path / 'up')!r}).touch()\n"
        "time.sleep(30)"
    )
    program = (
        f"import sys; from llm101.reader.reading import start_jupyterlab as s; s([sys.executable, '-c', {server!r}])"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as reader:
        wait_for(tmp_path / "up")
        reader.send_signal(signal.SIGTERM)
        assert reader.wait(timeout=20) == 0
    assert (tmp_path / "told").exists()


def wait_for(path: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not appear within {seconds} s"
        time.sleep(0.02)


def test_the_record_holds_a_hash_for_each_chapter(package: Path, tmp_path: Path) -> None:
    book = reading.open_book(tmp_path / "mine", package)
    record = json.loads((book.folder / reading.RECORD_NAME).read_text(encoding="utf-8"))
    assert sorted(record) == book.new
    assert all(len(digest) == 64 for digest in record.values())
