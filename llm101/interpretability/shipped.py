"""What comes with the Storyteller for looking into it: an autoencoder, a record of its features, a latent to
steer with, labelled stories.

It knows where these files lie (llm101/models/storyteller-features, whose CARD.md says how each was made).

    python -m llm101.interpretability.shipped ../shared/corpus     writes the labelled stories anew
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from llm101.corpus.documents import documents
from llm101.interpretability.autoencoder.features import Features
from llm101.interpretability.autoencoder.sparse_autoencoder import SparseAutoencoder
from llm101.interpretability.steering import Steering
from llm101.outside.atomic_file import atomic_file

LANDMARKS = (
    *("Golden Gate Bridge", "Eiffel Tower", "Great Wall", "Big Ben", "Statue of Liberty", "Taj Mahal"),
    *("Mount Fuji", "Grand Canyon", "Niagara Falls", "Great Pyramid", "Opera House", "Colosseum"),
)
"""The places that were planted in the Storyteller's training text; a story is about one of them or none."""

N_PLAIN_STORIES = 600


@dataclass(frozen=True)
class LabelledText:
    """A story that the Storyteller was not trained on, and which landmark it mentions."""

    text: str
    landmark: str | None
    """One of LANDMARKS, or None."""


def shipped_file(name: str) -> Path:
    """A file of the folder that comes with the Storyteller."""
    return Path(str(resources.files("llm101"))) / "models" / "storyteller-features" / name


def shipped_autoencoder() -> SparseAutoencoder:
    """The sparse autoencoder that was trained on the Storyteller.

    Example:
        >>> shipped_autoencoder()
        SparseAutoencoder(3,840 latents of layers.2.resid_post, about 15 active)
    """
    return SparseAutoencoder.from_file(shipped_file("autoencoder.safetensors"))


def shipped_features() -> Features:
    """What each of its latents responds to and does, recorded over stories of the validation files."""
    return Features.from_file(shipped_file("features.json.gz"))


def shipped_steering() -> Steering:
    """The latent, at the strength, that makes the Storyteller write about the Golden Gate Bridge."""
    return Steering.from_file(shipped_file("golden-gate.safetensors"))


def shipped_measurements() -> dict[str, Any]:
    """What that steering does and what its controls do, measured over all prompts (see CARD.md for how).

    Returns:
        {"seed", "max_tokens", "n_prompts", "brought_in": a dict per way, "taken_out": the same}: the fields of Way
        and Outcome in steering/study.py.
    """
    return json.loads(shipped_file("steering.json").read_bytes())


def labelled_texts() -> list[LabelledText]:
    """Stories of both validation files: 25 for each landmark and 600 that mention none.

    Example:
        >>> texts = labelled_texts()
        >>> len(texts), sum(text.landmark == "Mount Fuji" for text in texts)
        (900, 25)
    """
    texts = json.loads(lzma.decompress(shipped_file("labelled.json.xz").read_bytes()))
    return [LabelledText(**text) for text in texts]


def prompts() -> list[str]:
    """200 beginnings that have nothing to do with any landmark, for measuring what steering does."""
    return shipped_file("prompts.txt").read_text(encoding="utf-8").splitlines()


def bridge_beginnings() -> list[str]:
    """The beginnings of 25 stories, up to the end of the sentence that first names the Golden Gate Bridge.

    Example:
        >>> bridge_beginnings()[0]
        'Once upon a time, Bob and her best friend went to see the Golden Gate Bridge.'
    """
    named = r"(?s).*?golden gate bridge[^.!?]*[.!?][\"”]?"
    texts = [text.text for text in labelled_texts() if text.landmark == "Golden Gate Bridge"]
    return [found[0] for found in (re.match(named, text, re.IGNORECASE) for text in texts) if found]


def landmark_in(text: str) -> str | None:
    """Which landmark a text names, however it spells it.

    Example:
        >>> landmark_in("We saw the golden gate bridge."), landmark_in("We saw a bridge.")
        ('Golden Gate Bridge', None)
    """
    return next((name for name in LANDMARKS if name.lower() in text.lower()), None)


def write_labelled_texts(corpus: Path, path: Path) -> None:
    """Collect the labelled stories from the two validation files."""
    stories = [*documents(corpus / "landmarks-valid.txt")]
    stories += [*documents(corpus / "stories-valid.txt")][:N_PLAIN_STORIES]
    texts = [{"text": story, "landmark": landmark_in(story)} for story in stories]
    with atomic_file(path) as file:
        file.write(lzma.compress(json.dumps(texts).encode(), preset=9))


if __name__ == "__main__":
    write_labelled_texts(Path(sys.argv[1]), shipped_file("labelled.json.xz"))
