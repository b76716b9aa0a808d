"""The small corpus: whole stories, kept apart, small enough to ship, and made by build.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm101.corpus.documents import documents
from llm101.corpus.stories import FOLDER, PARTS, build, stories
from llm101.tokenizer import END_OF_TEXT


def test_both_parts_hold_whole_stories_and_share_none() -> None:
    for part in PARTS:
        assert all(story.strip("\n") == story and len(story) > 100 for story in stories(part))
        assert not any(END_OF_TEXT in story for story in stories(part))
        assert sum(story.endswith((".", "!", "?", '"')) for story in stories(part)) > 0.95 * len(stories(part))
    assert not set(stories("train")) & set(stories("valid"))


def test_they_take_less_than_a_megabyte() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 1_000_000


def test_the_manifest_says_how_many_there_are() -> None:
    manifest = (FOLDER / "MANIFEST.md").read_text(encoding="utf-8")
    for part in PARTS:
        assert f"| `{part}.xz` | {len(stories(part)):,} |" in manifest


def test_another_part_is_refused() -> None:
    with pytest.raises(ValueError, match="part must be one of train, valid, got 'test'"):
        stories("test")


def test_build_takes_whole_stories_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "FOLDER", tmp_path / "out")
    (tmp_path / "out").mkdir()
    for part in PARTS:
        (tmp_path / f"stories-{part}.txt").write_text(f"\n{END_OF_TEXT}\n".join(f"Story {n}." for n in range(23)))
    build.main(tmp_path)
    import llm101.corpus.stories as module

    monkeypatch.setattr(module, "FOLDER", tmp_path / "out")
    stories.cache_clear()
    assert stories("train") == ("Story 0.", "Story 11.", "Story 22.")
    assert stories("valid") == ("Story 0.", "Story 6.", "Story 12.", "Story 18.")
    stories.cache_clear()


def test_the_packed_form_is_what_documents_reads(tmp_path: Path) -> None:
    import lzma

    file = tmp_path / "stories.txt"
    file.write_bytes(lzma.decompress(build.pack(["one\n\ntwo", "three"])))
    assert list(documents(file)) == ["one\n\ntwo", "three"]
