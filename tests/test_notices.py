"""THIRD_PARTY_NOTICES names whatever is shipped and is no source text of ours, and what is installed beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llm101.reader.installation import MODEL_PACKAGES
from llm101.tokenizer.published import VOCABULARIES
from tests.test_packaging import tracked

ROOT = Path(__file__).resolve().parents[1]
NOTICES = (ROOT / "THIRD_PARTY_NOTICES").read_text(encoding="utf-8")
SHIPPED = ("llm101", "widgets", "book")
OURS = {".py", ".pyi", ".md", ".ipynb", ".js", ".css", ".toml", ".mplstyle", ".typed"}
"""What is written here by hand. Anything else is data: weights, vocabularies, texts, pictures, fonts."""
SETTINGS = {"llm101/reader/jupyter/labconfig/default_setting_overrides.json"}


def data_files() -> list[str]:
    return [name for name in tracked(*SHIPPED) if Path(name).suffix not in OURS and Path(name).name != "py.typed"]


def named() -> set[str]:
    """The files that the notices name, each at the beginning of an indented line."""
    return set(re.findall(r"^    ((?:llm101|widgets|book)/\S+)", NOTICES, flags=re.MULTILINE))


def test_every_file_of_data_that_is_shipped_is_named() -> None:
    files = data_files()
    assert "llm101/models/storyteller/model.safetensors" in files
    assert set(files) - SETTINGS - named() == set()


def test_no_file_is_named_that_is_not_there() -> None:
    assert sorted(name for name in named() if not (ROOT / name).is_file()) == []


@pytest.mark.parametrize("package", MODEL_PACKAGES)
def test_a_model_that_is_installed_with_the_book_is_named(package: str) -> None:
    assert re.search(rf"^    {re.escape(package.partition('==')[0])} +\S", NOTICES, flags=re.MULTILINE)


def test_every_vocabulary_that_the_library_reads_is_named() -> None:
    for vocabulary in VOCABULARIES.values():
        assert f"llm101/tokenizer/published/{vocabulary.file}.xz" in named()


@pytest.mark.parametrize("kind", [".js", ".css"])
def test_no_script_and_no_style_is_anothers(kind: str) -> None:
    """A bundled library would bring a licence or a copyright line along, an address, or lines that nobody wrote."""
    for path in (ROOT / "widgets").rglob(f"*{kind}"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"copyright|licen[sc]e|@preserve|@font-face|sourceMappingURL", text, re.IGNORECASE), path
        assert max(map(len, text.splitlines())) <= 200, path


def test_the_package_carries_the_notices() -> None:
    assert 'license-files = ["LICENSE", "THIRD_PARTY_NOTICES"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
