"""What is shipped: the wheel's contents, what it says it needs, and that it works where there is no checkout."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_string
from email.message import Message
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import trove_classifiers
from ruamel.yaml import YAML

import llm101
from llm101.reader.installation import NEWEST_PYTHON, OLDEST_GLIBC, OLDEST_MACOS, OLDEST_PYTHON

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built with the hatchling that is installed: no network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tracked(*patterns: str) -> list[str]:
    """The files in git under these paths. Without git there is nothing to compare with."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def names_of(requirements: list[str]) -> set[str]:
    """'torch>=2.13' -> 'torch'"""
    return {re.split(r"[\s<>=!~;\[]", requirement)[0].lower() for requirement in requirements}


def third_party_imports(*folders: str) -> set[str]:
    """Top-level names that the Python files of these folders import and that neither Python nor this project has."""
    found: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"llm101", "llm101_site", "llm101_widgets", "tests", "tomllib"}


def test_the_wheel_has_every_file_of_the_library_models_included(names: set[str]) -> None:
    assert set(tracked("llm101")) <= names


def test_the_wheel_has_each_widgets_files_and_the_host_of_pages_at_the_top_level(names: set[str]) -> None:
    of_widgets = tracked("widgets")
    assert {"widgets/llm101_widgets/page/base.css", "widgets/llm101_site/host.js"} <= set(of_widgets)
    assert {name.removeprefix("widgets/") for name in of_widgets} <= names


def test_the_wheel_has_every_file_of_the_book_where_read_looks_for_it(names: set[str]) -> None:
    of_book = tracked("book")
    assert of_book
    assert {f"llm101/_{name}" for name in of_book} <= names


def test_the_wheel_has_nothing_else(names: set[str]) -> None:
    allowed = re.compile(rf"(llm101|llm101_site|llm101_widgets)/|llm101-{re.escape(llm101.__version__)}\.dist-info/")
    assert [name for name in names if not allowed.match(name)] == []
    assert [name for name in names if "checkpoint" in name or "__pycache__" in name] == []


def test_every_package_in_the_wheel_says_that_its_types_can_be_relied_on(names: set[str]) -> None:
    packages = [Path(package).name for package in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
    assert "llm101" in packages
    assert [package for package in packages if f"{package}/py.typed" not in names] == []


def test_the_wheel_carries_its_license_and_those_of_others(names: set[str]) -> None:
    for file in ("LICENSE", "THIRD_PARTY_NOTICES"):
        assert f"llm101-{llm101.__version__}.dist-info/licenses/{file}" in names
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_whatever_the_library_and_widgets_import_is_declared() -> None:
    """An import that only works because something else pulled the package in breaks on the reader's machine."""
    declared = names_of(PROJECT["dependencies"]) | names_of(PROJECT["optional-dependencies"]["hub"])
    distributions = packages_distributions()
    imported = third_party_imports("llm101", "widgets")
    assert imported
    brought_by_another = {
        "llvmlite": "numba",
        "jupyter_core": "jupyterlab",
        "IPython": "jupyterlab",
        "packaging": "jupyterlab",
        "traitlets": "anywidget",
        "mermaid": "mermaid-py",
        "tiktoken_ext": "tiktoken",
        "huggingface_hub": "huggingface-hub",
    }
    for name in sorted(imported):
        owners = {owner.lower() for owner in distributions.get(name, [name])} | {brought_by_another.get(name, name)}
        assert owners & declared, f"{name} is imported, but none of {sorted(owners)} is in pyproject.toml"


def test_every_dependency_is_justified_and_pinned() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    pinned = names_of((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    for name in sorted(names_of(PROJECT["dependencies"])):
        assert f"| {name} | " in contributing, f"CONTRIBUTING.md does not say why {name} is needed"
        assert name in pinned or name == "tomli", f"constraints.txt does not pin {name}"  # tomli: only for 3.10
    for extra, requirements in PROJECT["optional-dependencies"].items():
        for name in sorted(names_of(requirements)):
            assert f"**{name}**" in contributing, f"CONTRIBUTING.md does not say why {extra} needs {name}"


def test_the_library_imports_no_notebook_or_widget_code() -> None:
    front_end = {"IPython", "ipywidgets", "anywidget", "traitlets", "ipykernel"}
    assert third_party_imports("llm101") & front_end == set()


def test_widgets_import_neither_torch_nor_the_library() -> None:
    everything = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "widgets").rglob("*.py"))
    assert re.findall(r"^\s*(?:import|from) (?:torch|llm101)\b", everything, flags=re.MULTILINE) == []


def test_importing_the_package_is_light() -> None:
    """`llm101 read` has to answer at once: torch and matplotlib wait until somebody needs them."""
    heavy = "import sys, llm101, llm101.cli; print([name for name in ('torch', 'matplotlib') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"


def test_an_editable_install_holds_no_second_copy_of_the_book() -> None:
    assert not (ROOT / "llm101" / "_book").exists()
    assert not (Path(sysconfig.get_paths()["purelib"]) / "llm101" / "_book").exists()


@pytest.mark.slow
def test_the_installed_wheel_works_without_a_checkout(wheel: Path, tmp_path: Path) -> None:
    """A fresh environment that borrows this one's packages, except for the project itself."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True, timeout=120)
    scripts = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, timeout=120)
    (site_packages,) = (path.parent for path in (tmp_path / "env").rglob("llm101_widgets"))
    # A folder named in a .pth file goes to the end of the path, and .pth files in that folder are not read.
    (site_packages / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"], encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str | Path) -> str:
        ran = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def llm101(*arguments: str) -> Any:
        return json.loads(run(scripts / "llm101", *arguments, "--json"))

    ours = "llm101, llm101_site, llm101_widgets"
    imported = run(python, "-c", f"import {ours}; print(*(module.__file__ for module in ({ours})), sep='\\n')")
    assert all(Path(file).is_relative_to(tmp_path) for file in imported.splitlines())
    book = llm101("read", "--copy-only")
    assert Path(book["folder"]) == tmp_path / "llm101-book"
    assert book["chapters"] == sorted(path.name for path in (ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
    (storyteller,) = (model for model in llm101("models")["models"] if model["name"] == "storyteller")
    assert storyteller["installed"]
    completion = llm101("complete", "Once upon a time", "--max-tokens", "5", "--temperature", "0")
    assert len(completion["completion_ids"]) == 5


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_string(archive.read(name).decode("utf-8"))


def test_a_packages_page_says_who_made_it_and_where_it_runs(wheel: Path) -> None:
    found = metadata(wheel)
    assert found["Author"] == "The llm101 authors"
    assert found["License-Expression"] == "Apache-2.0"
    classifiers = found.get_all("Classifier", [])
    assert set(classifiers) <= trove_classifiers.classifiers
    for minor in range(OLDEST_PYTHON[1], NEWEST_PYTHON[1] + 1):
        assert f"Programming Language :: Python :: 3.{minor}" in classifiers
    assert not [classifier for classifier in classifiers if classifier.startswith("License")]  # PEP 639


def test_a_packages_page_points_at_nothing_that_is_not_there(wheel: Path) -> None:
    """A page has none of the repository's files, and no address in it that nobody has set."""
    found = metadata(wheel)
    shown = str(found.get_payload())
    assert shown.startswith("# llm101")
    pointed_at = re.findall(r"]\(([^)]*)\)", shown) + found.get_all("Project-URL", [])
    assert [target for target in pointed_at if "://" not in target and not target.startswith("#")] == []


def test_with_the_repositorys_address_all_links_lead_there(tmp_path: Path) -> None:
    """In a copy of what is needed for a package, with the one setting set."""
    for name in ("llm101", "widgets", "book"):
        (tmp_path / name).mkdir()
    (tmp_path / "widgets" / "llm101_widgets").mkdir()
    for name in ("README.md", "LICENSE", "hatch_build.py", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    project = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    setting = re.compile(r'^repository = ".*"$', flags=re.MULTILINE)
    assert len(setting.findall(project)) == 1
    address = "https://example.org/somebody/llm101"
    (tmp_path / "pyproject.toml").write_text(setting.sub(f'repository = "{address}/"', project), encoding="utf-8")
    shutil.copyfile(ROOT / "llm101" / "__init__.py", tmp_path / "llm101" / "__init__.py")  # the version is in it
    (tmp_path / "widgets" / "llm101_widgets" / "__init__.py").touch()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    (built,) = (tmp_path / "dist").glob("*.whl")
    found = metadata(built)
    assert f"Repository, {address}" in found.get_all("Project-URL", [])
    shown = str(found.get_payload())
    assert f"]({address}/raw/HEAD/book/images/chapter-00.png)" in shown
    assert f"]({address}/blob/HEAD/ARCHITECTURE.md)" in shown
    pointed_at = re.findall(r"]\(([^)]*)\)", shown)
    assert all(target.startswith("https://") for target in pointed_at)


def test_readme_names_the_systems_that_pytorch_is_made_for_and_no_placeholder() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"glibc {'.'.join(map(str, OLDEST_GLIBC))} or newer" in readme
    assert f"macOS {OLDEST_MACOS[0]} or newer on Apple silicon" in readme
    assert re.findall(r"ADDRESS|TODO|FIXME|example\.(?:org|com)", readme) == []


def test_what_readme_links_to_is_there() -> None:
    targets = re.findall(r"]\((?!https?:|#)([^)#]*)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_version_is_said_once_and_the_same_everywhere(wheel: Path) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "version" in PROJECT["dynamic"]
    assert metadata(wheel)["Version"] == llm101.__version__
    assert re.findall(r"^## (\S+)", changelog, flags=re.MULTILINE)[0] == llm101.__version__
    assert citation()["version"] == llm101.__version__


def citation() -> dict[str, Any]:
    return YAML(typ="safe").load(ROOT / "CITATION.cff")


def test_a_citation_says_what_the_package_says() -> None:
    cited = citation()
    assert cited["abstract"].startswith(f"{PROJECT['description']}. ")
    assert [author["name"] for author in cited["authors"]] == [author["name"] for author in PROJECT["authors"]]
    assert cited["license"] == PROJECT["license"]
    assert cited["keywords"] == PROJECT["keywords"]
    heading = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1].splitlines()[0]
    assert heading == f"{llm101.__version__} – {cited.get('date-released', 'unreleased')}"
