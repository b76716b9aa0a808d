"""What a GGUF file says beside its tensors, by name: numbers, truth values, texts, and lists of them.

The vocabulary of a tokenizer is among them. As a list of Python's texts, 49,000 tokens and their merges take 8 MB; and
nobody asks for them again once the tokenizer is made. So a list of texts is kept as one text, and taken apart each time
that it is asked for. It knows nothing of what the names mean, nor of files.

Reading order: GGUFMetadata, PackedTexts.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, pairwise
from typing import Any


class GGUFMetadata(Mapping[str, Any]):
    """The metadata of a file, which nobody may change.

    Args:
        values: by name; a list of texts may come as PackedTexts, and is a list to whoever reads it here.

    Example:
        >>> metadata = GGUFMetadata({"general.name": "tiny", "tokenizer.ggml.tokens": PackedTexts(["a", "bc"])})
        >>> metadata["tokenizer.ggml.tokens"], metadata.texts
        (['a', 'bc'], {'general.name': 'tiny'})
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values or {})

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        return value.unpacked() if isinstance(value, PackedTexts) else value

    def __contains__(self, name: object) -> bool:  # Mapping's own would unpack what it finds
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"GGUFMetadata of {len(self)} values"

    @property
    def texts(self) -> dict[str, str]:
        """Those values that are one text."""
        return {name: value for name, value in self._values.items() if isinstance(value, str)}

    @classmethod
    def joined(cls, of_files: Iterable[GGUFMetadata]) -> GGUFMetadata:
        """What several files say; where they differ, the first has the word."""
        return cls({name: value for one in reversed(list(of_files)) for name, value in one._values.items()})


class PackedTexts:
    """A list of texts in a fifth of the memory.

    Example:
        >>> PackedTexts(["low", "", "er"]).unpacked()
        ['low', '', 'er']
    """

    def __init__(self, texts: Iterable[str]) -> None:
        texts = list(texts)
        self._all, self._ends = "".join(texts).encode(), array("I", accumulate(map(len, texts)))

    def unpacked(self) -> list[str]:
        """The list again."""
        text = self._all.decode()
        return [text[start:stop] for start, stop in pairwise([0, *self._ends])]
