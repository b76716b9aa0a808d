"""Every command, every option: what cannot be meant is refused in one line before the work; no target is destroyed."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llm101 import cli
from llm101.command.words import InputFile, InputModel, InputTexts, Name, OutputFile, OutputFolder, OutputStream, Text
from tests import kinds_of_target as kinds
from tests.command_lines import COMMAND_LINES, changed, commands, make_world

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs Unix's kinds of file")
Capture = pytest.CaptureFixture[str]
OPTIONS = [(name, action) for name, command in commands().items() for action in command._actions]


def of_type(*types: type) -> list[tuple[str, argparse.Action]]:
    return [
        (name, action) for name, action in OPTIONS if isinstance(action.type, type) and issubclass(action.type, types)
    ]


def named(pairs: list[tuple[str, argparse.Action]]) -> list[object]:
    return [pytest.param(*pair, id=f"{pair[0]} {pair[1].dest}") for pair in pairs]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    make_world(folder)
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the world, as the current folder."""
    shutil.copytree(world, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture(scope="session")
def idle_parser() -> argparse.ArgumentParser:
    """The command line, whose commands check their words and do nothing; made once, as it takes its time."""

    def work(options: argparse.Namespace) -> None:
        pytest.fail("the work began")

    top = cli.parser()
    for command in commands(top).values():
        command.set_defaults(run=work)
    return top


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch, idle_parser: argparse.ArgumentParser) -> None:
    """From here on the commands check their words and do nothing."""
    monkeypatch.setattr(cli, "parser", lambda: idle_parser)


def everything_in(folder: Path) -> dict[Path, tuple[int, int, bytes]]:
    """All that could be changed without anybody's leave: kind, identity and contents of what lies there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        found[path] = (about.st_mode, about.st_ino, path.read_bytes() if stat.S_ISREG(about.st_mode) else b"")
    return found


def refusal_of(capsys: Capture, words: list[str]) -> str:
    assert cli.main(words) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    check_wording(line)
    return line


def check_wording(line: str) -> None:
    """What a reader is told: one line of readable length, in no programmer's words."""
    assert line.startswith("llm101")
    assert len(line) <= 300
    for word in (
        "Error",
        "Exception",
        "Traceback",
        "mistake in llm101",
        "Path(",
        "NoneType",
        ".partial",
        "invalid int",
    ):
        assert word not in line


def test_every_command_has_a_line_in_the_table() -> None:
    assert set(commands()) == set(COMMAND_LINES)


def test_every_word_is_known_to_be_a_text_or_a_name_of_what_is_read_or_written() -> None:
    """So that an option which is added later is looked at as well, or this test fails."""
    unknown = {
        (name, action.dest)
        for name, action in OPTIONS
        if action.nargs != 0 and not (action.choices or action.type in (int, float))
        if (name, action) not in of_type(Text, Name)
    }
    assert unknown == {("tokens", "text")}  # which may be any bytes
    assert {(name, action.dest) for name, action in of_type(OutputFile, OutputFolder)} == {
        ("read", "folder"), ("pretrain", "out"), ("compress", "out"), ("decompress", "out"), ("features train", "out"),
        ("features steer", "save"),
    }  # fmt: skip


# Words that no command can mean

MANY_DIGITS = "9" * 300
NOT_UTF8 = "caf\udce9"  # what Python makes of the bytes "caf\xe9" on a command line
UNMEANT: dict[type, tuple[str, ...]] = {
    int: ("", "many", "1.5", "nan", "inf", MANY_DIGITS, "-" + MANY_DIGITS, str(2**63)),
    float: ("", "much", "nan", "inf", "-inf", MANY_DIGITS, "1e39"),
    Text: (NOT_UTF8, "\ud83d"),
    Name: ("",),
    InputFile: ("missing/file", "little", "n" * 5000, NOT_UTF8, "two\nlines"),
}


def unmeant(action: argparse.Action) -> list[str]:
    kinds_of_word = [kind for kind in UNMEANT if isinstance(action.type, type) and issubclass(action.type, kind)]
    return [value for kind in kinds_of_word for value in UNMEANT[kind]]


@pytest.mark.usefixtures("here", "no_work")
@pytest.mark.parametrize(
    ("name", "action", "value"),
    [
        pytest.param(name, action, value, id=f"{name} {action.dest} {ascii(value)[:20]}")
        for name, action in OPTIONS
        for value in unmeant(action)
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_work(
    capsys: Capture, name: str, action: argparse.Action, value: str
) -> None:
    try:
        code = cli.main(changed(COMMAND_LINES[name], action, value))
    except SystemExit as end:
        code = end.code
    assert code in (1, 2)
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    check_wording(line)


OPEN: dict[type, tuple[str, ...]] = {
    int: ("-1", "0", str(2**40)),
    float: ("-1", "0", "1e-30", "1e30"),
    Text: ("", "two\nlines", "zero\0byte"),
    Name: ("missing/name", ".", "n" * 5000, "two\nlines", NOT_UTF8),
}
ENDLESS = {("features train", "steps"), *(("pretrain", what) for what in ("steps", "minutes", "batch_tokens"))}
"""A reader may ask for a trillion steps or minutes, or for as many tokens in a step."""


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("name", "action"), named([pair for pair in OPTIONS if pair[1].nargs != 0]))
def test_whatever_is_given_is_done_or_refused_in_one_line(
    capsys: Capture, here: Path, name: str, action: argparse.Action
) -> None:
    for kind, values in OPEN.items():
        for value in values if isinstance(action.type, type) and issubclass(action.type, kind) else ():
            if (name, action.dest) in ENDLESS and value in (str(2**40), "1e30"):
                continue
            before = everything_in(here)
            code = cli.main([*changed(COMMAND_LINES[name], action, value), "--json"])
            printed = capsys.readouterr()
            assert code in (0, 1)
            if code == 0:
                assert isinstance(json.loads(printed.out, parse_constant=pytest.fail), dict)
            else:
                assert printed.out == ""
                *progress, line = printed.err.splitlines()
                check_wording(line)
                assert progress or everything_in(here) == before
            for path in sorted(everything_in(here).keys() - before.keys(), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()


# Targets that are no good


def see_that_a_target_is_refused(
    capsys: Capture, here: Path, line: str, action: argparse.Action, make: Callable[[Path], str]
) -> None:
    (here / "targets").mkdir()
    target = make(here / "targets")
    before = everything_in(here)
    refusal_of(capsys, changed(line, action, target))
    assert everything_in(here) == before


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("make", kinds.IMPOSSIBLE)
@pytest.mark.parametrize(("name", "action"), named(of_type(OutputFile)))
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    capsys: Capture, here: Path, name: str, action: argparse.Action, make: Callable[[Path], str]
) -> None:
    see_that_a_target_is_refused(capsys, here, COMMAND_LINES[name], action, make)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("make", kinds.NO_FOLDERS)
@pytest.mark.parametrize(("name", "action"), named(of_type(OutputFolder)))
def test_a_folder_that_cannot_be_made_is_refused_before_the_work(
    capsys: Capture, here: Path, name: str, action: argparse.Action, make: Callable[[Path], str]
) -> None:
    see_that_a_target_is_refused(capsys, here, COMMAND_LINES[name], action, make)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("name", "action"), named(of_type(OutputFile, OutputFolder)))
def test_standard_output_is_refused_by_what_cannot_write_there(
    capsys: Capture, here: Path, name: str, action: argparse.Action
) -> None:
    if action.type is not OutputStream:
        assert "standard output cannot take it" in refusal_of(capsys, changed(COMMAND_LINES[name], action, "-"))


def inputs_of(name: str) -> list[argparse.Action]:
    return [action for other, action in of_type(InputFile, InputModel, InputTexts) if other == name]


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("way", kinds.OTHER_NAMES)
@pytest.mark.parametrize(
    ("name", "action", "read"),
    [
        pytest.param(name, action, read, id=f"{name} {action.dest} {read.dest}")
        for name, action in of_type(OutputFile)
        for read in inputs_of(name)
    ],
)
def test_no_command_writes_over_what_it_reads(
    capsys: Capture, here: Path, name: str, action: argparse.Action, read: argparse.Action, way: Callable[[Path], Path]
) -> None:
    options = cli.parser().parse_args(COMMAND_LINES[name].split())
    given = getattr(options, read.dest)
    source = Path(given[0] if isinstance(given, list) else given)
    source = source / "model.safetensors" if source.is_dir() else source
    before = source.read_bytes()
    (source.parent / "folder").mkdir()
    line = refusal_of(capsys, changed(COMMAND_LINES[name], action, str(way(source))))
    assert line.endswith("would replace the file that it is made from; choose another name")
    assert source.read_bytes() == before


@pytest.mark.usefixtures("no_work")
def test_a_text_of_a_folder_that_is_read_is_not_written_over(capsys: Capture, here: Path) -> None:
    (here / "texts").mkdir()
    shutil.copy("text.txt", "texts/one.txt")
    line = COMMAND_LINES["features train"].replace("text.txt", "texts").replace("trained", "texts/one.txt")
    assert "would replace the file that it is made from" in refusal_of(capsys, line.split())


# Targets that are not files, and stay what they are


def written(capsys: Capture, name: str, action: argparse.Action, target: Path) -> bytes:
    """What the command writes into a plain file, to compare with."""
    assert cli.main(changed(COMMAND_LINES[name], action, "plain")) == 0
    contents = Path("plain").read_bytes()
    assert cli.main(changed(COMMAND_LINES[name], action, str(target))) == 0
    capsys.readouterr()
    return contents


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("name", "action"), named(of_type(OutputFile)))
def test_links_stay_links_and_pipes_and_devices_stay_what_they_are(
    capsys: Capture, here: Path, name: str, action: argparse.Action
) -> None:
    os.mkfifo("pipe")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    contents = written(capsys, name, action, Path("pipe"))
    reader.join(30)
    assert received[0] == contents  # `features train` writes twice, before and after it has measured
    assert Path("pipe").is_fifo()
    Path("link").symlink_to("target")
    assert written(capsys, name, action, Path("link")) == Path("target").read_bytes()
    assert Path("link").is_symlink()
    null = kinds.device(here / "null", stat.S_IFCHR, (1, 3))
    written(capsys, name, action, null)
    assert null.is_char_device()
