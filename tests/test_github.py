"""What GitHub, git and citation tools read: valid by their schemas, and true of this repository.

The schemas come with check-jsonschema: nothing is fetched.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from llm101.reader.installation import NEWEST_PYTHON, OLDEST_PYTHON

ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"
WORKFLOW = GITHUB / "workflows" / "tests.yml"
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
RUNS_ON = {"Linux": "ubuntu-latest", "macOS": "macos-latest", "Windows": "windows-latest"}
VALID = [
    ("vendor.github-workflows", WORKFLOW),
    ("custom.github-workflows-require-timeout", WORKFLOW),
    ("vendor.citation-file-format", ROOT / "CITATION.cff"),
    *(("vendor.github-issue-forms", form) for form in FORMS),
]


def check(schema: str, file: Path) -> Result:
    return CliRunner().invoke(check_jsonschema, ["--builtin-schema", schema, str(file)])


def load(file: Path) -> Any:
    return YAML(typ="safe").load(file)


def jobs() -> dict[str, Any]:
    return load(WORKFLOW)["jobs"]


def lines_of(job: dict[str, Any], system: str) -> list[str]:
    """The command lines that a job runs on one system."""
    steps = [step for step in job["steps"] if step.get("if", f"runner.os == '{system}'") == f"runner.os == '{system}'"]
    return [line.strip() for step in steps for line in step.get("run", "").splitlines()]


@pytest.mark.parametrize(("schema", "file"), VALID, ids=lambda value: getattr(value, "name", value))
def test_what_others_read_is_written_as_they_read_it(schema: str, file: Path) -> None:
    checked = check(schema, file)
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize(("schema", "file"), VALID, ids=lambda value: getattr(value, "name", value))
def test_a_key_that_nobody_knows_is_found(schema: str, file: Path, tmp_path: Path) -> None:
    if schema == "custom.github-workflows-require-timeout":  # it looks for this one key
        damaged = file.read_text(encoding="utf-8").replace("timeout-minutes", "# timeout-minutes")
    else:
        damaged = file.read_text(encoding="utf-8") + "no-such-key: 1\n"
    (tmp_path / file.name).write_text(damaged, encoding="utf-8")
    assert check(schema, tmp_path / file.name).exit_code == 1


def test_every_system_and_python_of_the_readme_is_tested() -> None:
    matrix = jobs()["quick"]["strategy"]["matrix"]
    assert matrix["python"] == [f"3.{minor}" for minor in range(OLDEST_PYTHON[1], NEWEST_PYTHON[1] + 1)]
    assert sorted(matrix["system"]) == sorted(RUNS_ON.values())
    for system in RUNS_ON:
        assert lines_of(jobs()["quick"], system), f"nothing is run on {system}"


def test_a_step_is_for_one_of_the_systems_or_for_all() -> None:
    known = {None, *(f"runner.os == '{system}'" for system in RUNS_ON)}
    assert {step.get("if") for job in jobs().values() for step in job["steps"]} <= known


def make_targets(text: str) -> set[str]:
    """'make test-unit PORT=1' -> {'test-unit'}"""
    words = [word for line in re.findall(r"\bmake ([a-z][\w= -]*)", text) for word in line.split()]
    return {word for word in words if "=" not in word}


def test_every_make_target_that_the_workflow_calls_is_in_the_makefile() -> None:
    lines = [line for job in jobs().values() for system in RUNS_ON for line in lines_of(job, system)]
    called = make_targets("\n".join(lines))
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {"test", "lint", "test-slow"} <= called
    assert called <= set(targets)


def test_windows_installs_by_the_readmes_own_lines() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.split("Without make (Windows too)")[1].split("```")[1]
    install = [part.strip() for line in block.splitlines() for part in line.split("&&") if " pip install " in part]
    assert len(install) == 3  # PyTorch, the book, and a chat model that brings no other packages
    (torch,) = re.findall(r"^torch==\S+", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert f" {torch} " in install[0]  # another release would be replaced by the second line, on Linux with CUDA
    assert [line for line in lines_of(jobs()["quick"], "Windows") if line in install] == install


def test_a_report_of_a_fault_asks_for_what_doctor_says() -> None:
    asked = {field["id"]: field for field in load(GITHUB / "ISSUE_TEMPLATE" / "bug.yml")["body"]}
    assert "llm101 doctor" in asked["doctor"]["attributes"]["label"]
    assert asked["doctor"]["validations"] == {"required": True}


def test_pre_commit_has_the_ruff_that_was_tested() -> None:
    pinned = re.findall(r"^ruff==.*$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (repository,) = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert {hook["id"] for hook in repository["hooks"]} == {"ruff-check", "ruff-format"}
    assert [hook["additional_dependencies"] for hook in repository["hooks"]] == [pinned, pinned]


def test_the_look_at_code_also_looks_at_its_layout() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.split("\ntest-lint:")[1].split("\n\n")[0]
    assert "ruff check ." in recipe
    assert "ruff format --check ." in recipe
