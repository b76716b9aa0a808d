"""The flowcharts: complete, safe to draw, and drawn without asking anybody."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from llm101.diagrams import ARROWS, BOXES, COLOURS, PARTS, flowchart


def test_the_whole_system_has_every_box_and_every_arrow() -> None:
    script = flowchart("whole").script
    for name, title in BOXES.items():
        assert f'{name}("{title}")' in script
    for (start, end), label in ARROWS.items():
        assert f'{start} -->|"{label}"| {end}' in script


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_connected(part: str) -> None:
    _, names = PARTS[part]
    reached = {names[0]}
    for _ in names:
        reached |= {name for ends in ARROWS if reached & set(ends) for name in ends if name in names}
    assert reached == set(names)
    assert flowchart(part).script.count("-->") == sum(set(ends) <= set(names) for ends in ARROWS)


def test_the_parts_together_tell_every_arrow_of_the_whole() -> None:
    parts = [set(names) for part, (_, names) in PARTS.items() if part != "whole"]
    assert [ends for ends in ARROWS if not any(set(ends) <= names for names in parts)] == []


def test_jupyterlab_gets_a_drawing_and_everybody_else_a_text() -> None:
    bundle = flowchart("parameters")._repr_mimebundle_()
    assert set(bundle) == {"text/vnd.mermaid", "text/plain"}
    assert bundle["text/plain"] == ("What is a large language model?\nParameters --[form the 'brain' of]--> Model")


def test_the_box_where_the_reader_is_gets_marked_in_both() -> None:
    diagram = flowchart("tokens", here="tokenizer")
    assert "tokenizer:::here" in diagram.script
    assert "classDef here" in diagram.script
    assert repr(diagram).endswith("You are here: Tokenizer")


def contrast(colour: str, ground: str) -> float:
    """WCAG's, from 1 to 21: a large title or a line wants 3, a text 4.5."""

    def light(colour: str) -> float:
        shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
        return sum(c * weight for c, weight in zip(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((light(colour), light(ground)))
    return (high + 0.05) / (low + 0.05)


def test_a_flowchart_can_be_read_on_a_light_page_and_on_a_dark_one() -> None:
    for ground in ("primaryColor", "edgeLabelBackground"):
        assert contrast(COLOURS["primaryTextColor"], COLOURS[ground]) >= 4.5
    for page in ("#ffffff", "#111111"):  # JupyterLab's
        for on_the_page in ("lineColor", "textColor"):
            assert contrast(COLOURS[on_the_page], page) >= 3


def test_what_is_in_a_box_is_taken_as_text_by_mermaid() -> None:
    hostile = '"] --> x["<img src=x onerror=alert(1)>\nclick data href "javascript:alert(1)" %% #quot;'
    script = flowchart("training", values={"data": hostile}).script
    label = re.search(r'^\tdata\("Pre-training data<br>(.*)"\)$', script, re.MULTILINE)
    assert label is not None
    assert not set('"<>') & set(label[1])
    assert len(script.splitlines()) == len(flowchart("training").script.splitlines())


def test_the_same_flowchart_is_the_same_script_in_every_process() -> None:
    code = "from llm101.diagrams import flowchart; print(flowchart('whole', here='model').script)"
    scripts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(scripts) == 1


def test_unknown_parts_and_boxes_are_refused_and_the_known_ones_named() -> None:
    with pytest.raises(ValueError, match="no flowchart 'brain'; choose one of: whole, parameters"):
        flowchart("brain")
    with pytest.raises(ValueError, match="flowchart 'tokens' has no box 'model'; it has: text, tokenizer, input"):
        flowchart("tokens", here="model")
    with pytest.raises(ValueError, match="has no box 'modell'"):
        flowchart("whole", values={"modell": "x"})


def test_nothing_is_asked_of_any_network() -> None:
    code = """
import socket
def refuse(*arguments, **named): raise AssertionError("a diagram reached for the network")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from llm101.diagrams import PARTS, flowchart
for part in PARTS:
    flowchart(part)._repr_mimebundle_()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
