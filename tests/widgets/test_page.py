"""How what all widgets share is joined with what each has of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from llm101_widgets.page import page_of, read_module, read_styles
from tests.widgets.test_house_rules import FOLDER, WIDGETS

TESTS = Path(__file__).parent


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_module_imports_nothing_shows_one_thing_and_has_everything_once(widget: str) -> None:
    module = str(WIDGETS[widget]._esm)
    assert "import {" not in module
    assert module.count("export default { render };") == 1
    names = re.findall(r"^export (?:async )?(?:function\*?|const) (\w+)", module, re.MULTILINE)
    assert len(names) == len(set(names))


def test_what_a_file_imports_stands_above_it() -> None:
    module = read_module("token_playground/widget.js")
    first = ("function* readRanks", "function paintWord", "export function makeCard", "function render(")
    assert [*map(module.index, first)] == sorted(map(module.index, first))
    assert "const tokenize" not in module.split("export function pageRegExp")[0]


@pytest.mark.parametrize("widget", WIDGETS)
def test_the_tests_of_the_javascript_join_it_in_the_same_way(widget: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is missing: see make test-widgets")
    script = f'import {{ joined }} from "./load_widget.mjs"; process.stdout.write(await joined("{widget}/widget.js"));'
    command = [node, "--input-type=module", "--eval", script]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, check=True, text=True, encoding="utf-8")
    assert done.stdout == read_module(f"{widget}/widget.js")


@pytest.mark.parametrize("widget", WIDGETS)
def test_the_shared_styles_are_those_of_the_widgets_own_root_and_stand_first(widget: str) -> None:
    styles, module = str(WIDGETS[widget]._css), str(WIDGETS[widget]._esm)
    own = (FOLDER / widget / "widget.css").read_text(encoding="utf-8")
    assert styles.endswith(own)
    shared = styles.removesuffix(own)
    (root,) = set(re.findall(r"^\.(llm101-\S+) button \{", shared, re.MULTILINE))
    assert "llm101-widget" not in styles
    prefix = re.search(r'makers\("(llm101-\w+)"\)', module)
    assert prefix
    made = {root, root.removeprefix(f"{prefix[1]}-")}  # in full, or with the prefix that all its classes get
    assert made & set(re.findall(r'make\("\w+", "([\w-]+)"', module)), f"no element has the class {root}"


def test_a_root_reaches_into_no_other_widget() -> None:
    styles = read_styles("layer_grid/widget.css", root="llm101-grid-root")
    assert ".llm101-grid-root [hidden] { display: none !important; }" in styles
    assert (read_module("layer_grid/widget.js"), styles) == page_of("layer_grid", root="llm101-grid-root")


def test_a_widget_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="abacus"):
        page_of("abacus", root="llm101-abacus-root")
