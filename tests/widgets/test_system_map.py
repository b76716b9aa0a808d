"""The map: every box of the system, what a chapter puts into it, and what is left where no widget runs."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from llm101.diagrams import ARROWS, BOXES
from llm101_widgets import SystemMap
from tests.widgets.still_picture import svg_of

HOSTILE = '<img src=x onerror="alert(1)"></script>'
SVG = "{http://www.w3.org/2000/svg}"


def test_the_map_and_the_flowcharts_show_the_same_system() -> None:
    drawn = SystemMap()
    assert {name: box["title"] for name, box in drawn.boxes.items()} == BOXES
    assert {(a["start"], a["end"]): " ".join(a["label"].split()) for a in drawn.arrows} == ARROWS


def test_no_two_boxes_overlap_and_every_arrow_has_room_for_its_words() -> None:
    drawn = SystemMap()
    places = [(box["x"], box["y"]) for box in drawn.boxes.values()]
    assert len(set(places)) == len(places)
    for x1, y1, x2, y2 in (arrow["line"] for arrow in drawn.arrows):
        assert (y1 == y2 and x2 - x1 >= 70) or (x1 == x2 and y2 - y1 >= 45)


def test_every_box_says_what_it_is_in_one_sentence() -> None:
    for box in SystemMap().boxes.values():
        assert box["sentence"].endswith(".")
        assert box["sentence"].count(".") == 1


def test_a_box_shows_the_real_object() -> None:
    fields = {"now": 5_477_632, "facts": [("file", "model.safetensors"), ("bytes", 10_955_264)], "chapter": ""}
    box = SystemMap({"parameters": fields}, selected="parameters").boxes["parameters"]
    assert box["now"] == "5477632"
    assert box["facts"] == [["file", "model.safetensors"], ["bytes", "10955264"]]
    assert box["chapter"] == ""
    assert box["sentence"] == SystemMap().boxes["parameters"]["sentence"]


def test_a_box_that_is_not_on_the_map_is_refused_and_the_others_are_named() -> None:
    with pytest.raises(ValueError, match="no box 'brain'; its boxes are: data, pretraining"):
        SystemMap({"brain": {}})
    with pytest.raises(ValueError, match="no box 'brain'"):
        SystemMap(selected="brain")
    drawn = SystemMap()
    with pytest.raises(ValueError, match="no box 'brain'"):
        drawn.selected = "brain"
    assert drawn.selected == "model"


def test_a_field_that_a_box_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="box 'model' has no field 'colour'; its fields are: now, sentence"):
        SystemMap({"model": {"colour": "red"}})


def test_the_picture_left_behind_is_sound_and_takes_every_text_as_text() -> None:
    picture = ET.fromstring(svg_of(SystemMap({"text": {"now": HOSTILE}})))
    assert len(picture.findall(f"{SVG}rect")) == 1 + len(BOXES)
    assert len(picture.findall(f"{SVG}path")) == len(ARROWS)
    words = {text.text for text in picture.iter(f"{SVG}text")}
    assert set(BOXES.values()) <= words
    assert HOSTILE[:21] + "…" in words
    assert {node.tag.removeprefix(SVG) for node in picture.iter()} == {"svg", "title", "rect", "path", "text"}


def test_the_text_left_behind_says_all_that_the_map_shows() -> None:
    text = repr(SystemMap({"data": {"now": "46 MB", "facts": [("stories", "50,000")]}}))
    assert "Pre-training data (46 MB): The text that a model learns from. -> 04_training.ipynb" in text
    assert "    stories: 50,000" in text
    assert "Parameters --[form the 'brain' of]--> Model" in text
    assert "0x" not in text


def test_a_box_leads_to_no_chapter_that_is_not_there() -> None:
    drawn = SystemMap(chapters=["01_parameters.ipynb"])
    assert drawn.boxes["parameters"]["chapter"] == "01_parameters.ipynb"
    assert drawn.boxes["data"]["chapter"] == ""
