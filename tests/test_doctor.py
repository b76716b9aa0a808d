from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from llm101 import doctor
from llm101.model import ModelConfig, Transformer
from llm101.model_folder import save_model
from llm101.tokenizer import Tokenizer


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A tiny model where a checkout would keep the Storyteller."""
    tokenizer = Tokenizer.train(["once upon a time"], 260)
    config = ModelConfig(vocab_size=tokenizer.vocab_size, d_model=8, n_layers=1, n_heads=2, context_length=16)
    folder = tmp_path / "llm101" / "models" / "storyteller"
    folder.parent.mkdir(parents=True)
    save_model(folder, Transformer(config), tokenizer)
    return folder


def test_this_machine_passes_every_check_that_concerns_its_installation() -> None:
    found = {check.name: check for check in doctor.checks()}
    for name in ("Python", "PyTorch", "JupyterLab", "widgets"):
        assert found[name].ok, found[name]


def test_a_check_that_is_well_has_no_remedy_and_one_that_is_not_has_one() -> None:
    for check in [*doctor.checks(), doctor.check_python((3, 9, 0)), doctor.check_memory(1)]:
        assert bool(check.remedy) != check.ok, check
        assert check.found


@pytest.mark.parametrize(("running", "ok"), [((3, 9, 18), False), ((3, 10, 0), True), ((3, 14, 0), False)])
def test_python_is_checked_against_the_supported_range(running: tuple[int, ...], ok: bool) -> None:
    assert doctor.check_python(running).ok is ok


def test_the_supported_range_is_the_one_that_the_package_declares() -> None:
    pyproject = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    (oldest, newest) = doctor.OLDEST_PYTHON, doctor.NEWEST_PYTHON
    assert f'requires-python = ">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"' in pyproject


def test_a_missing_torch_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # import then raises ImportError
    check = doctor.check_torch()
    assert not check.ok
    assert check.remedy == "python -m pip install torch"


def test_too_little_disk_says_how_much_to_free(tmp_path: Path) -> None:
    check = doctor.check_disk(tmp_path, needed_bytes=2**60)
    assert not check.ok
    assert str(tmp_path) in check.found
    assert check.remedy.startswith(f"free {2**30} GiB")


def test_a_folder_that_cannot_be_written_fails_whatever_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # chmod does not stop root
    check = doctor.check_disk(tmp_path, needed_bytes=0)
    assert (check.ok, check.found) == (False, f"{tmp_path} cannot be written to")


def test_a_containers_limit_counts_when_it_is_smaller_than_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    whole_machine = doctor.memory_bytes()
    monkeypatch.setattr(Path, "read_text", lambda path: "max\n")
    assert doctor.memory_bytes() is not None
    monkeypatch.setattr(Path, "read_text", lambda path: "1048576\n")
    assert doctor.memory_bytes() == (1_048_576 if sys.platform != "win32" else whole_machine)


def test_jupyterlab_missing_or_too_old_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", {"jupyterlab": "3.6.1", "ipykernel": "6.0"}.__getitem__)
    old = doctor.check_jupyterlab()
    assert (old.ok, old.remedy) == (False, "python -m pip install --upgrade jupyterlab")

    def nothing_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", nothing_installed)
    missing = doctor.check_jupyterlab()
    assert (missing.ok, missing.found) == (False, "jupyterlab is not installed")


def test_a_missing_front_end_is_named_by_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "anywidget").mkdir()
    (tmp_path / "anywidget" / "package.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda name: [str(tmp_path)])
    check = doctor.check_widgets()
    assert not check.ok
    assert check.remedy == "python -m pip install --force-reinstall jupyterlab_widgets"


def test_a_model_that_opens_is_described(model_folder: Path) -> None:
    check = doctor.check_models(model_folder)
    assert check.ok, check
    assert "260 tokens" in check.found


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_damaged_model_is_found_whichever_file_it_is(model_folder: Path, name: str, damage: str) -> None:
    path = model_folder / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    check = doctor.check_models(model_folder)
    assert not check.ok
    assert "\n" not in check.found


def test_the_remedy_for_a_model_is_git_in_a_checkout_and_pip_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "llm101" / "models" / "storyteller"
    assert "pip install --force-reinstall llm101" in doctor.check_models(folder).remedy
    (tmp_path / ".git").mkdir()
    assert doctor.check_models(folder).remedy == "git checkout -- llm101/models"


def test_a_check_that_breaks_becomes_a_finding_and_the_rest_is_still_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks() -> doctor.Check:
        raise OSError("the disk is on fire")

    monkeypatch.setattr(doctor, "check_disk", breaks)
    found = {check.name: check for check in doctor.checks()}
    assert found["disk"].found == "OSError: the disk is on fire"
    assert not found["disk"].ok
    assert len(found) == 7
