"""What every widget keeps to, checked on its source: small, alone, safe, and no strangers' styles touched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llm101_widgets import (
    BillCalculator,
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
    **{"bill_calculator": BillCalculator},
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
        lines = source(widget, name).splitlines()
        assert len(lines) <= most, name
        assert max(map(len, lines)) <= 120, name


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
def test_a_widget_styles_only_itself_follows_the_theme_and_shows_the_focus(widget: str) -> None:
    css = source(widget, "widget.css")
    selectors = re.findall(r"^([^@\s{}][^{}]*)\{", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL), re.MULTILINE)
    strangers = [one for one in selectors if not re.match(r"(:is\()?\.llm101-|to\b|from\b", one.strip())]
    assert strangers == []
    assert "#" not in re.sub(r"#[0-9a-f]{3,8}\b", "", css), "an id"
    assert "var(--jp-" in css
    assert "prefers-color-scheme: dark" in css
    assert ":focus-visible" in css
    if "animation:" in css or "transition:" in css:
        assert "prefers-reduced-motion" in css


@pytest.mark.parametrize("widget", WIDGETS)
def test_jupyterlab_leaves_the_arrow_keys_to_sliders_and_lists(widget: str) -> None:
    javascript = str(WIDGETS[widget]._esm)
    if 'type: "range"' in javascript or 'make("select"' in javascript:
        assert "dataset.lmSuppressShortcuts" in javascript


@pytest.mark.parametrize("widget", WIDGETS)
def test_the_signs_on_buttons_are_ones_that_fonts_have(widget: str) -> None:
    missing = re.findall("[\u23e9-\u23fa]", str(WIDGETS[widget]._esm))  # a player's buttons: boxes on a plain Debian
    assert missing == []
