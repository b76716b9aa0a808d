from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from llm101.reader import installation


@pytest.mark.parametrize(
    ("system", "runs"),
    [
        (("Linux", "x86_64", "2.28"), True),
        (("Linux", "aarch64", "2.36"), True),
        (("Linux", "x86_64", "2.28-9.el8"), True),
        (("Linux", "x86_64", "2.27"), False),
        (("Linux", "x86_64", ""), False),  # Alpine
        (("Linux", "32-bit", "2.36"), False),
        (("Linux", "riscv64", "2.39"), False),
        (("Darwin", "arm64", "14.0"), True),
        (("Darwin", "arm64", "15.1.1"), True),
        (("Darwin", "arm64", "13.6"), False),
        (("Darwin", "x86_64", "15.1"), False),
        (("Windows", "amd64", ""), True),
        (("Windows", "arm64", ""), False),
        (("Windows", "win32", ""), False),
        (("FreeBSD", "amd64", ""), False),
    ],
)
def test_a_system_that_pytorch_has_no_build_for_is_told_in_one_line(system: tuple[str, str, str], runs: bool) -> None:
    because = installation.why_no_pytorch(*system)
    assert (because == "") is runs
    assert "\n" not in because


def test_this_machine_runs_pytorch_and_is_told_so() -> None:
    assert installation.why_no_pytorch(*installation.this_system()) == ""


def write_package(folder: Path, name: str, version: str, *requires: str) -> None:
    """What pip leaves behind of a package, as far as metadata goes."""
    metadata = folder / f"{name}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata.write_text("\n".join([*lines, *(f"Requires-Dist: {text}" for text in requires)]) + "\n", encoding="utf-8")


def test_what_is_missing_is_found_at_any_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write_package(tmp_path, "aaa", "1.0", "bbb>=2", "ccc; extra == 'more'", "ddd; python_version < '3'", "eee")
    write_package(tmp_path, "bbb", "2.1", "aaa", "fff<1", "ggg>=7")
    write_package(tmp_path, "eee", "0.5+cpu", "ggg>=8")
    write_package(tmp_path, "fff", "1.0")
    assert installation.unmet_requirements("aaa") == ["ggg>=8", "fff<1"]
    assert installation.unmet_requirements("aaa", "more") == ["ccc", "ggg>=8", "fff<1"]


def test_nothing_is_missing_once_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write_package(tmp_path, "aaa", "1.0", "bbb>=2")
    assert installation.unmet_requirements("aaa") == ["bbb>=2"]
    write_package(tmp_path, "bbb", "2.0")
    assert installation.unmet_requirements("aaa") == []


def test_a_package_that_is_not_there_at_all_is_not_taken_for_well() -> None:
    with pytest.raises(PackageNotFoundError):
        installation.unmet_requirements("not-a-package-that-is-installed")


@pytest.mark.skipif(sys.platform == "win32", reason="another shell, other quotes")
def test_a_remedy_works_when_it_is_pasted_wherever_python_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for Python, in a folder with a space in its name, says what it was called with."""
    python = tmp_path / "my programs" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nprintf "%s|" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(installation, "MAKES_STAMP", tmp_path / "none")
    for remedy, asked in [
        (installation.remedy_for_missing("ipywidgets>=8"), "ipywidgets>=8|"),
        (installation.remedy_for_damaged("torch"), "--force-reinstall|torch|"),
    ]:
        ran = subprocess.run(["sh", "-c", remedy], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=20)
        assert ran.stdout == f"-m|pip|install|{asked}"
        assert shlex.split(remedy)[0] == str(python)


def test_where_make_made_the_environment_make_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "MAKES_STAMP", tmp_path)
    assert installation.remedy_for_missing("ipywidgets>=8") == "run `make book`"
    assert installation.remedy_for_damaged("torch") == installation.remedy_for_llm101()
    assert "`make clean book`" in installation.remedy_for_llm101()
