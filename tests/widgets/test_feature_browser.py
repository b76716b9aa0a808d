"""The browser against a recording of four latents: what it takes, refuses, keeps in a notebook and leaves behind."""

from __future__ import annotations

import gzip
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from llm101_widgets import FeatureBrowser
from llm101_widgets import feature_browser as module
from llm101_widgets.feature_browser import recording as recording_module
from llm101_widgets.feature_browser.recording import cut_out, read_recording
from tests.widgets.made_up_features import HOSTILE, packed, recording
from tests.widgets.still_picture import svg_of


@pytest.fixture
def browser() -> FeatureBrowser:
    return FeatureBrowser(packed(recording()))


def test_it_takes_bytes_or_what_holds_them_and_hands_all_of_them_to_the_page() -> None:
    file = packed(recording())
    for given in (file, SimpleNamespace(to_bytes=lambda: file)):
        browser = FeatureBrowser(given)
        assert (browser.recording, browser.more, browser.latent, browser.query) == (file, False, 2, "")


def test_a_notebook_can_keep_a_few_latents_while_the_kernel_has_all() -> None:
    file = packed(recording())
    browser = FeatureBrowser(file, keep=[7], latent=4)
    kept = read_recording(browser.recording)
    assert [latent["id"] for latent in kept["latents"]] == [4, 7]
    assert browser.more is True
    sent: list[Any] = []
    browser.send = lambda content, buffers=None: sent.append((content, buffers))  # type: ignore[method-assign]
    browser._handle_custom_msg({"want": "nothing"}, [])
    browser._handle_custom_msg({"want": "all"}, [])
    assert sent == [({"all": True}, [file])]


def test_a_cut_recording_says_the_same_of_its_latents() -> None:
    whole = recording()
    cut = read_recording(cut_out(whole, [4]))
    assert cut["tokens"] == ["The", " rain", " fell"]
    (before,) = [latent for latent in whole["latents"] if latent["id"] == 4]
    (after,) = cut["latents"]

    def spelled(latent: dict[str, Any], tokens: list[str]) -> Any:
        passages = [[[tokens[t] for t in ids], strengths] for ids, strengths in latent["passages"]]
        return passages, *([[tokens[t], score] for t, score in latent[side]] for side in ("promoted", "suppressed"))

    assert spelled(after, cut["tokens"]) == spelled(before, whole["tokens"])
    same = {"id", "density", "strongest", "histogram", "relatives", "words"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_a_latent_that_is_not_recorded_can_neither_be_shown_nor_kept(browser: FeatureBrowser) -> None:
    for call in (lambda: setattr(browser, "latent", 3), lambda: FeatureBrowser(packed(recording()), latent=3)):
        with pytest.raises(ValueError, match="no latent 3 in this recording: it is dead, or not from 0 to 9"):
            call()
    assert browser.latent == 2
    with pytest.raises(ValueError, match="no latent 3 in this recording, so it cannot be kept"):
        FeatureBrowser(packed(recording()), keep=[2, 3])


def damaged(change: Callable[[dict[str, Any]], object]) -> bytes:
    whole = recording()
    change(whole)
    return packed(whole)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "not gzip-compressed JSON"),
        (b"PK\x03\x04", "not gzip-compressed JSON"),
        (gzip.compress(b"{"), "not gzip-compressed JSON"),
        (packed(recording())[:-40], "not gzip-compressed JSON"),
        (packed(recording())[:-4], "damaged recording: its end is missing"),
        (packed([]), "its format is not 'llm101 features 1'"),
        (damaged(lambda whole: whole.update(format="v2")), "its format is not 'llm101 features 1'"),
        (damaged(lambda whole: whole.update(latents=[])), "a recording without latents"),
        (damaged(lambda whole: whole["latents"][1].pop("words")), "a latent lacks words"),
        (damaged(lambda whole: whole["latents"][1]["passages"][0][0].append(7)), "latent 4 uses a token beyond the 7"),
        (damaged(lambda whole: whole["latents"][0]["promoted"].append([-1, 0.0])), "latent 2 uses a token beyond"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(file: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        FeatureBrowser(file)
    assert "\n" not in str(refusal.value)


def test_a_file_that_unpacks_to_far_more_than_it_should_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_module, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="not gzip-compressed JSON"):
        FeatureBrowser(packed(recording()))


def test_a_recording_too_large_for_a_page_and_what_has_no_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="needs recorded features, or their bytes, got dict"):
        FeatureBrowser(recording())
    monkeypatch.setattr(module, "LARGEST", 10)
    with pytest.raises(ValueError, match="bytes are too many for a page"):
        FeatureBrowser(packed(recording()))


def test_it_leaves_its_latent_behind_as_words_and_as_a_picture(browser: FeatureBrowser) -> None:
    data = browser._repr_mimebundle_()[0]
    assert data["text/plain"] == repr(browser)
    assert repr(browser).split("\n") == [
        "latent 2 (bridge, golden), active on 0.310% of tokens",
        "  The golden[ bridge] ",
        "  promoted: ' bridge'",
        "  suppressed: ' rain'",
    ]
    browser.latent = 9
    picture = ET.fromstring(svg_of(browser))
    assert HOSTILE in "".join(picture.itertext())
    assert {node.tag.rpartition("}")[2] for node in picture.iter()} == {"svg", "title", "rect", "text", "tspan"}


def test_what_the_page_gets_is_plain_json_inside(browser: FeatureBrowser) -> None:
    assert json.loads(gzip.decompress(browser.recording)) == recording()
