"""What every widget keeps to, checked on its source: small, alone, safe, in no other's styles, nothing twice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm101_widgets import (
    BillCalculator,
    ChatConsole,
    CompletionConsole,
    FeatureBrowser,
    InferenceStepper,
    LayerGrid,
    MergeReplay,
    ParameterMicroscope,
    SteeringConsole,
    SystemMap,
    TokenizerPlayground,
    TrainingFilm,
    TrainingMonitor,
)

FOLDER = Path(__file__).parents[2] / "widgets" / "llm101_widgets"
WIDGETS = {
    **{"bill_calculator": BillCalculator, "chat_console": ChatConsole},
    **{"completion_console": CompletionConsole, "inference_stepper": InferenceStepper},
    **{"merge_replay": MergeReplay, "token_playground": TokenizerPlayground},
    **{"parameter_microscope": ParameterMicroscope, "system_map": SystemMap},
    **{"training_film": TrainingFilm, "training_monitor": TrainingMonitor},
    **{"feature_browser": FeatureBrowser},
    **{"layer_grid": LayerGrid, "steering_console": SteeringConsole},
}

BANNED = (
    *(r"^\s*import\b", r"\bimport\(", r"https?://(?!www\.w3\.org/2000/svg)"),
    *("innerHTML", "outerHTML", "insertAdjacentHTML", r"document\.write", r"\beval\(", "new Function"),
    *("getElementById", r"\.id\s*=", r"\bid:"),
)


def source(widget: str, name: str) -> str:
    return (FOLDER / widget / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_is_small_enough_to_read(widget: str) -> None:
    for name, most in (("__init__.py", 80), ("widget.js", 250), ("widget.css", 100)):
        assert len(source(widget, name).splitlines()) <= most, name


@pytest.mark.parametrize("path", sorted([*FOLDER.rglob("*.js"), *FOLDER.rglob("*.css")]), ids=lambda path: path.name)
def test_a_file_of_the_page_fits_on_few_screens_and_its_lines_on_one(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_says_first_what_it_reads_and_writes(widget: str) -> None:
    top = source(widget, "widget.js")[:800]
    assert "// Reads:" in top
    assert "// Writes:" in top


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_imports_nothing_and_never_turns_text_into_markup(widget: str) -> None:
    javascript = str(WIDGETS[widget]._esm)  # all that the page gets, also of a widget in several files
    for banned in BANNED:
        assert not re.search(banned, javascript, re.MULTILINE), banned
    assert "import torch" not in source(widget, "__init__.py")
    assert not re.search(r"\bllm101\b(?!_)", re.sub(r'"[^"]*"|#.*', "", source(widget, "__init__.py")))


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_takes_from_its_own_folder_and_from_what_all_share(widget: str) -> None:
    for path in (FOLDER / widget).glob("*.js"):
        for beside in re.findall(r'^import .* from "(.*)";$', path.read_text(encoding="utf-8"), re.MULTILINE):
            assert re.match(r"\./\w+\.js$|\.\./page/\w+\.js$", beside), f"{path.name} imports {beside}"


@pytest.mark.parametrize("widget", WIDGETS)
def test_elements_are_made_in_one_place_which_knows_what_jupyterlab_does_to_them(widget: str) -> None:
    for path in (FOLDER / widget).glob("*.js"):
        assert "document.createElement" not in path.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_styles_only_itself_and_follows_the_theme(widget: str) -> None:
    css = re.sub(r"/\*.*?\*/", "", str(WIDGETS[widget]._css), flags=re.DOTALL)
    selectors = re.findall(r"^([^@\s{}][^{}]*)\{", css, re.MULTILINE)
    strangers = [one for one in selectors if not re.match(r"(:is\()?\.llm101-|to\b|from\b", one.strip())]
    assert strangers == []
    assert "#" not in re.sub(r"#[0-9a-f]{3,8}\b", "", css), "an id"
    own = source(widget, "widget.css")
    assert "prefers-color-scheme" not in own, "base.css has the colours of both themes"
    if "animation:" in own or "transition:" in own:
        assert "prefers-reduced-motion" in own


def test_what_all_share_follows_the_theme_shows_the_focus_and_stands_still_where_it_should() -> None:
    base = source("page", "base.css")
    for needed in ("var(--jp-", "prefers-color-scheme: dark", ":focus-visible", "prefers-reduced-motion"):
        assert needed in base, needed


@pytest.mark.parametrize("widget", WIDGETS)
def test_the_signs_on_buttons_are_ones_that_fonts_have(widget: str) -> None:
    missing = re.findall("[\u23e9-\u23fa]", str(WIDGETS[widget]._esm))  # a player's buttons: boxes on a plain Debian
    assert missing == []


# A function from its parameters to its end: a brace indented as its first line is, or the first semicolon.
FUNCTION = re.compile(
    r"(?=^( *)(?:export )?(?:async )?function\*? \w+(\(.*?\n\1\}$))"
    r"|(?=^( *)(?:export )?const \w+ = ((?:async )?(?:\([^\n]*?\)|\w+) =>(?: \{\n.*?\n\3\};$|.*?;(?= //|$))))",
    re.MULTILINE | re.DOTALL,
)


def squeezed(code: str) -> str:
    """Without comments, breaks and the widget's own prefix, so that a copy is seen as one."""
    code = re.sub(r"/\*.*?\*/|(?<![:\w\"`])//[^\n]*", "", code, flags=re.DOTALL)
    return re.sub(r"llm101-[a-z]+", "llm101", re.sub(r"\s+", " ", code)).strip()


def functions(javascript: str) -> Iterator[str]:
    for found in FUNCTION.finditer(javascript):
        yield squeezed(found[2] or found[4])


def rules(css: str) -> Iterator[str]:
    """The blocks that say more than a coincidence would: three declarations, or more."""
    for block in re.findall(r"\{([^{}]*)\}", css):
        if block.count(";") >= 3:
            yield squeezed(block)


def twice(pattern: str, parts: Callable[[str], Iterator[str]]) -> dict[str, list[str]]:
    """Each part of the files of this kind that stands in two folders, and in which."""
    folders: dict[str, set[str]] = defaultdict(set)
    for path in FOLDER.glob(pattern):
        for part in parts(path.read_text(encoding="utf-8")):
            folders[part].add(path.parent.name)
    return {part: sorted(where) for part, where in folders.items() if len(where) > 1}


def test_no_function_stands_in_two_widgets_or_in_one_and_in_what_all_share() -> None:
    assert twice("*/*.js", functions) == {}


def test_no_block_of_styles_stands_in_two_widgets_or_in_one_and_in_what_all_share() -> None:
    assert twice("*/*.css", rules) == {}


def test_a_copy_is_seen_whatever_its_name_its_widget_and_its_breaks() -> None:
    one = "export function make(a) {\n  return `llm101-bill-${a}`; // why\n}\n"
    other = "  function build(a) {\n    return `llm101-grid-${a}`;\n  }\n"
    assert [*functions(one)] == [*functions(other)] == ["(a) { return `llm101-${a}`; }"]
    short, broken = "const a = (x) => 2 * x; // why\n", "  const b = (x) =>\n    2 * x;\n  let c = 1;\n"
    assert [*functions(short)] == [*functions(broken)] == ["(x) => 2 * x;"]
    block = "const a = (x) => {\n  let y = x;\n  return y;\n};\nlet z = 1;\n"
    assert [*functions(block)] == ["(x) => { let y = x; return y; };"]
    assert [*rules(".llm101-a { color: red; margin: 0;\n  gap: 1px; }")] == ["color: red; margin: 0; gap: 1px;"]
