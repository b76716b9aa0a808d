"""Which stretch of some bytes is stored how: by the model, by lzma, or as it is.

lzma packs a million bytes a second and the model a few thousand, so lzma packs everything once, and the model reads a
sample. At evenly spaced places it reads on until it is clear whether its tokens take fewer bits than lzma took there.
Where two neighbours differ, the place half-way is looked at, until the border between them is known. All of it is the
model's exact arithmetic: the choice is the same on every machine. It knows nothing of codes and files.

Reading order: choose; Sampler, which looks at places; is_clear.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise

from llm101.compression.container import BY_LZMA, BY_MODEL, PLAIN, Run
from llm101.compression.documents import SEPARATOR, Documents
from llm101.compression.lzma_code import LzmaCosts
from llm101.compression.predictor import Predictor
from llm101.compression.processors import Count, side_by_side

SPACING = 8192
"""Bytes from one place to the next. So 1 MB has 128 places, about 2,000 tokens: a second, for 5 M parameters."""

FEWEST_PLACES, MOST_PLACES = 8, 1000
CLOSEST = 1024
"""Bytes from one place to the next at least, even in a small file. What seems shorter is a surprise within its kind."""

BORDER = 512
"""Bytes: a border is looked for until it is known so well."""

FEWEST_TOKENS, MOST_TOKENS = 16, 48
"""Read at one place."""

WORTH_IT = 7 / 8
"""Of what lzma takes: the model has to take less than this, as it takes its time as well."""

STRETCH = 1536
"""Bytes over which lzma's cost is taken, as a single repetition says little."""

ROWS = 32
"""Places read side by side, at most."""


@dataclass(frozen=True)
class Look:
    """What was found at a place."""

    method: int
    """That which takes fewest bits there."""
    model_bits_per_byte: float


@dataclass(frozen=True)
class Choice:
    """How some bytes are best stored, as far as the sample tells."""

    runs: list[Run]
    model_bytes: float
    """What the model's runs will take; rather less, as the model has read more when it comes to them."""


def choose(data: bytes, costs: LzmaCosts, predictor: Predictor, n_threads: int | None = None) -> Choice:
    """Find which stretch is stored how.

    Args:
        data: any bytes, one at least.
        costs: of what lzma made of them.
        predictor: the model.
        n_threads: at most so many processors; the result is the same.
    """
    sampler, last = Sampler(data, costs, predictor, n_threads), max(0, len(data) - BORDER)
    n_places = max(1, min(max(FEWEST_PLACES, len(data) // SPACING), len(data) // CLOSEST, MOST_PLACES))
    looks, new = {}, sorted({last * i // max(1, n_places - 1) for i in range(n_places)})
    while new:
        looks |= sampler.looks(new)
        new = [(a + b) // 2 for a, b in _borders(looks) if b - a > BORDER]
    cuts = [0, *(_cut(data, a, b) for a, b in _borders(looks))]
    methods = [looks[0].method, *(looks[b].method for _, b in _borders(looks))]
    lengths = [stop - start for start, stop in pairwise([*cuts, len(data)])]
    runs = joined([Run(*run) for run in zip(lengths, methods)])
    return Choice(without_foreign(data, runs, predictor.foreign), _model_bytes(runs, looks))


def without_foreign(data: bytes, runs: list[Run], foreign: re.Pattern[bytes]) -> list[Run]:
    """The runs, in which the model gets no byte that it has no token for.

    A few such bytes are cut out; where there are many, lzma takes the whole run.

    Example:
        >>> without_foreign(b"ab~c" * 300, [Run(1200, BY_MODEL)], re.compile(b"~"))
        [Run(n_bytes=1200, method=2)]
        >>> without_foreign(b"a" * 4000 + b"~" + b"a" * 3999, [Run(8000, BY_MODEL)], re.compile(b"~"))
        [Run(n_bytes=4000, method=1), Run(n_bytes=1, method=2), Run(n_bytes=3999, method=1)]
    """
    kept, start = list[Run](), 0
    for run in runs:
        stop = start + run.n_bytes
        found = [m.span() for m in foreign.finditer(data, start, stop)] if run.method == BY_MODEL else []
        if not found:
            kept.append(run)
        elif len(found) > run.n_bytes // CLOSEST:
            kept.append(Run(run.n_bytes, BY_LZMA))
        else:
            cuts = [start, *chain(*found), stop]
            pieces = [Run(b - a, BY_LZMA if i % 2 else BY_MODEL) for i, (a, b) in enumerate(pairwise(cuts))]
            kept += [piece for piece in pieces if piece.n_bytes]
        start = stop
    return _merged(kept)


def _merged(runs: list[Run]) -> list[Run]:
    """Neighbours of one method as one run."""
    groups = ((method, [*group]) for method, group in groupby(runs, lambda run: run.method))
    return [Run(sum(run.n_bytes for run in group), method) for method, group in groups]


def joined(runs: list[Run]) -> list[Run]:
    """The runs, less those that are too short to be anything but a surprise within another kind.

    Example:
        >>> joined([Run(9000, BY_MODEL), Run(600, BY_LZMA), Run(5000, BY_MODEL), Run(600, BY_LZMA)])
        [Run(n_bytes=14600, method=1), Run(n_bytes=600, method=2)]
    """
    found = runs[:1]
    for run, after in zip(runs[1:], [*runs[2:], None]):
        before = found[-1]
        is_surprise = after is not None and after.method == before.method and run.n_bytes < CLOSEST
        if is_surprise or run.method == before.method:
            found[-1] = Run(before.n_bytes + run.n_bytes, before.method)
        else:
            found.append(run)
    return found


def _model_bytes(runs: list[Run], looks: dict[int, Look]) -> float:
    """What the model's runs will take, if all of each is like the places in it."""
    total, start = 0.0, 0
    for run in runs:
        if run.method == BY_MODEL:
            here = [look.model_bits_per_byte for place, look in looks.items() if start <= place < start + run.n_bytes]
            total += sum(here) / len(here) * run.n_bytes / 8
        start += run.n_bytes
    return total


def _borders(looks: dict[int, Look]) -> list[tuple[int, int]]:
    """The neighbouring places at which different methods are best."""
    return [(a, b) for a, b in pairwise(sorted(looks)) if looks[a].method != looks[b].method]


def _cut(data: bytes, start: int, stop: int) -> int:
    """Where to cut between two places: best after a document, or else after a line."""
    ends = [match.end() for match in SEPARATOR.finditer(data, start, stop)]
    return ends[-1] if ends else data.rfind(b"\n", start, stop) + 1 or (start + stop + 1) // 2


class Sampler:
    """Looks at places in some bytes, several side by side."""

    def __init__(self, data: bytes, costs: LzmaCosts, predictor: Predictor, n_threads: int | None) -> None:
        self._data, self._costs, self._predictor, self._n_threads = data, costs, predictor, n_threads

    def looks(self, places: Sequence[int]) -> dict[int, Look]:
        """What is found at each of the places."""
        n_rows = min(ROWS, 4 * math.ceil(len(places) / 8))  # on two processors at least, four by four (kernels.py)
        groups = [places[i : i + n_rows] for i in range(0, len(places), n_rows)]
        return dict(zip(places, chain(*side_by_side(self._look, groups, self._n_threads, 0, None))))

    def _look(self, places: Sequence[int], count: Count) -> list[Look]:
        texts = [self._tokens(place) for place in places]
        lzma = [self._lzma_bits_per_byte(place) for place in places]
        limits = [WORTH_IT * min(bits, 8) for bits in lzma]
        found = []
        for model_bits, lzma_bits, limit in zip(self._model_bits_per_byte(texts, limits), lzma, limits):
            method = BY_MODEL if model_bits < limit else BY_LZMA if lzma_bits < 8 else PLAIN
            found.append(Look(method, model_bits))
        return found

    def _tokens(self, place: int) -> list[tuple[int, int]]:
        """Some tokens from a place on, from the next line if there is one, and how many bytes each stands for."""
        start = self._data.find(b"\n", place, place + BORDER // 2) + 1 if place else 0
        start = start or place
        taken = self._predictor.foreign.split(self._data[start : start + 8 * MOST_TOKENS])[0]  # up to a foreign byte
        documents = Documents.from_bytes(taken, self._predictor.tokenizer)
        sizes, end = self._predictor.token_sizes, self._predictor.end_id
        ids = list(chain(*documents.token_ids))[:-1]
        return [(i, len(documents.separator) if i == end else sizes[i]) for i in ids]

    def _lzma_bits_per_byte(self, place: int) -> float:
        """Around a place. lzma's beginning is dear wherever it begins, so at the start it counts what comes then."""
        start = max(0, min(max(place, STRETCH), len(self._data) - STRETCH))
        stop = min(start + STRETCH, len(self._data))
        return 8 * self._costs.of(start, stop) / (stop - start)

    def _model_bits_per_byte(self, texts: list[list[tuple[int, int]]], limits: list[float]) -> list[float]:
        """The model's loss on the texts, each read until it is clear on which side of its limit it lies."""
        model, before = self._predictor.model, [self._predictor.end_id] * len(texts)
        cache, bits, n_bytes = model.new_cache(len(texts)), [0.0] * len(texts), [0] * len(texts)
        for place in range(min(MOST_TOKENS, model.context_length)):
            going_on = [
                i
                for i, text in enumerate(texts)
                if place < len(text) and not is_clear(bits[i], limits[i] * n_bytes[i], place)
            ]
            if not going_on:
                break
            tables = model.step(cache, going_on, [before[i] for i in going_on], [place] * len(going_on))
            for i, table in zip(going_on, tables):
                before[i], size = texts[i][place]
                bits[i] += math.log2(table[-1] / (table[before[i] + 1] - table[before[i]]))
                n_bytes[i] += size
        return [b / max(n, 1) for b, n in zip(bits, n_bytes)]


def is_clear(bits: float, limit: float, n_tokens: int) -> bool:
    """Whether what a text's first tokens take is so far from a limit that more tokens will hardly bring it across.

    Example:
        >>> [is_clear(100, 180, n_tokens) for n_tokens in (8, 16, 32)]
        [False, False, True]
    """
    margin = 1 + 16 / max(n_tokens, 1)
    return n_tokens >= FEWEST_TOKENS and max(bits, limit) > margin * min(bits, limit)
