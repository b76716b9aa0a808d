"""Features: for each latent, what makes it active and what it does, gathered over many texts and kept in one file.

The file is gzip over one JSON object, which a browser opens by itself; it needs neither the model nor Python.

    format, fingerprint, layer, d_sae, n_texts, n_tokens
    tokens     the text of each token that occurs below, where it is called by its place in this list
    latents    one object per latent that was ever active, in the order of their numbers (see LatentRecord)

Reading order: LatentRecord, Features, record_features, then the functions that it calls, in their order.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from llm101.interpretability.autoencoder.sparse_autoencoder import SparseAutoencoder
from llm101.interpretability.capture import capture
from llm101.interpretability.losses import tokens_at_once
from llm101.interpretability.residuals import Progress, ResidualRows, residual_rows, text_ids
from llm101.outside.atomic_file import atomic_file
from llm101.outside.strict_json import strict_json

if TYPE_CHECKING:
    from llm101.library import LanguageModel

FORMAT = "llm101 features 1"
N_PASSAGES, BEFORE, AFTER = 5, 12, 5
"""Passages per latent, and how many tokens each shows before and after the strongest one."""
N_BINS, N_OUTPUTS, N_RELATIVES, N_WORDS = 16, 6, 5, 6
MAX_JSON_BYTES = 200_000_000


class FeaturesError(ValueError):
    """A file that holds no features, or features that do not belong to this autoencoder."""


@dataclass(frozen=True)
class LatentRecord:
    """What is known about one latent. Tokens are places in `Features.tokens`."""

    id: int
    density: float
    """Share of the tokens that make it active."""
    strongest: float
    """Its strongest activation, in the units of the residual stream."""
    histogram: list[int]
    """How many activations lie in each of 16 equal bins from 0 to the strongest."""
    promoted: list[list[Any]]
    """[token, logit]: what it makes likelier in the output, at its strongest, seen through the last norm's weights."""
    suppressed: list[list[Any]]
    """[token, logit]: what it makes less likely."""
    relatives: list[list[Any]]
    """[latent, cosine]: the latents that write in the most similar directions."""
    words: list[str]
    """Words on which it is active in its strongest passages, and what it promotes; for searching."""
    passages: list[list[list[int]]]
    """[tokens, strengths]: where it was strongest, each in another text; strengths from 0 to 99."""


@dataclass(frozen=True)
class Features:
    """The record of a whole autoencoder.

    Example:
        >>> features = Features("", 0, 2, 1, 3, [" rain"], [LatentRecord(1, 0.1, 9.0, [1], [], [], [], ["rain"], [])])
        >>> [latent.id for latent in features.search("Rain")]
        [1]
    """

    fingerprint: str
    """Of the model."""
    layer: int
    d_sae: int
    n_texts: int
    n_tokens: int
    tokens: list[str]
    latents: list[LatentRecord]

    @cached_property
    def by_id(self) -> dict[int, LatentRecord]:
        """Latents by their number; those that were never active are not there."""
        return {latent.id: latent for latent in self.latents}

    def search(self, query: str) -> list[LatentRecord]:
        """The latents that have to do with a word, the best first; the feature browser finds the same.

        A word fits a latent, in this order: as its number; as one of its `words`, the first of them best; as the
        beginning of one; as a token that it promotes. Of several words all must fit. Among equals the latent that
        gets stronger comes first. An empty query finds all, in the order of their numbers.
        """
        terms = re.findall(r"[^\W_]+", query.lower())
        if not terms:
            return [] if query.strip() else list(self.latents)
        fits = [[self._fit(latent, term) for term in terms] for latent in self.latents]
        found = [(sum(fit), latent) for fit, latent in zip(fits, self.latents) if all(fit)]
        return [latent for _, latent in sorted(found, key=lambda one: (-one[0], -one[1].strongest, one[1].id))]

    def _fit(self, latent: LatentRecord, term: str) -> int:
        """How well one word of a query fits a latent; 0 if not at all."""
        if term == str(latent.id):
            return 1000
        promoted = [self.tokens[token].strip().lower() for token, _ in latent.promoted]
        places = (
            (300, (i for i, word in enumerate(latent.words) if word == term)),
            (200, (i for i, word in enumerate(latent.words) if word.startswith(term))),
            (100, (i for i, word in enumerate(promoted) if word == term)),
        )
        return next((most - min(i, 99) for most, found in places for i in found), 0)

    def text(self, passage: Sequence[Sequence[int]]) -> str:
        """The text of a passage."""
        return "".join(self.tokens[token] for token in passage[0])

    def to_bytes(self) -> bytes:
        """The file's bytes; the same features always give the same bytes."""
        table = {"format": FORMAT} | {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        table["latents"] = [vars(latent) for latent in self.latents]
        return gzip.compress(json.dumps(table, separators=(",", ":")).encode(), mtime=0)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file."""
        with atomic_file(Path(path)) as file:
            file.write(self.to_bytes())

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Features:
        """Open what `save` wrote.

        Raises:
            FeaturesError: not such a file, or one that is too large to be true.
        """
        try:
            with open(path, "rb") as packed, gzip.GzipFile(fileobj=packed) as file:
                data = file.read(MAX_JSON_BYTES + 1)
            if len(data) > MAX_JSON_BYTES:
                raise ValueError(f"more than {MAX_JSON_BYTES:,} bytes when unpacked")
            table = strict_json(data)
            if table.pop("format", None) != FORMAT:
                raise ValueError(f"its format is not {FORMAT!r}")
            table["latents"] = [LatentRecord(**latent) for latent in table["latents"]]
            return cls(**table)
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            raise FeaturesError(f"{path} holds no features: {error}") from None


def record_features(
    lm: LanguageModel, sae: SparseAutoencoder, texts: Sequence[str], progress: Progress | None = None
) -> Features:
    """Read texts and note, for each latent, where it was strongest and what it does.

    Args:
        texts: a thousand or more; each passage of a latent comes from another text.

    Raises:
        AutoencoderError: an autoencoder for a model of another shape.
        CaptureError: no texts, or one without a token.
    """
    sae.check_fits(lm.model)
    rows = residual_rows(lm.model, text_ids(lm, texts), sae.config.point, dtype=torch.float16, progress=progress)
    peaks = strongest_rows(sae, rows)
    histogram = histograms(sae, rows, peaks.values[0])
    outputs, relatives, tokens = chain.from_iterable(output_effects(lm, sae)), nearest_relatives(sae), TokenTexts(lm)
    latents = []
    for latent, (effects, peak) in enumerate(zip(outputs, peaks.values[0].tolist())):
        if not peak:
            continue
        passages = [passage(sae, rows, latent, row) for row in peaks.rows[:, latent].tolist() if row >= 0]
        promoted, suppressed = (ends.topk(N_OUTPUTS).indices.tolist() for ends in (effects, -effects))
        record = LatentRecord(
            id=latent,
            density=round(int(histogram[latent].sum()) / len(rows.x), 6),
            strongest=round(peak, 2),
            histogram=histogram[latent].tolist(),
            promoted=[[tokens.place(i), round(peak * float(effects[i]), 2)] for i in promoted],
            suppressed=[[tokens.place(i), round(peak * float(effects[i]), 2)] for i in suppressed],
            relatives=relatives[latent],
            words=_words(lm, passages, promoted),
            passages=[[[tokens.place(i) for i in ids], strengths] for ids, strengths in passages],
        )
        latents.append(record)
    about = (sae.config.fingerprint, sae.config.layer, sae.config.d_sae, len(texts), len(rows.x))
    return Features(*about, tokens.texts, latents)


class TokenTexts:
    """The texts of the tokens that occur in a record, each once."""

    def __init__(self, lm: LanguageModel) -> None:
        self.texts: list[str] = []
        self._tokenizer, self._places = lm.tokenizer, dict[int, int]()

    def place(self, token_id: int) -> int:
        """Where in `texts` a token's text stands."""
        if token_id not in self._places:
            self._places[token_id] = len(self.texts)
            self.texts.append(self._tokenizer.decode([token_id]))
        return self._places[token_id]


@dataclass(frozen=True)
class Peaks:
    """For each latent, its strongest activations in different texts, strongest first."""

    values: Tensor
    """[N_PASSAGES, d_sae]; 0 where there are not so many."""
    rows: Tensor
    """[N_PASSAGES, d_sae]: in which row of the residuals each lies; -1 where there are not so many."""


@torch.no_grad()
def strongest_rows(sae: SparseAutoencoder, rows: ResidualRows) -> Peaks:
    """Find the rows that make each latent strongest, one per text."""
    values = torch.zeros(N_PASSAGES, sae.config.d_sae)
    places = torch.full(values.shape, -1)
    ends = rows.text.bincount().cumsum(0).tolist()
    for start, end in zip([0, *ends], ends):
        if end > start:
            peak, at = sae.encode(rows.x[start:end].float()).max(dim=0)
            candidates, their_rows = torch.cat((values, peak[None])), torch.cat((places, start + at[None]))
            values, order = candidates.topk(N_PASSAGES, dim=0)
            places = their_rows.gather(0, order).masked_fill(values == 0, -1)
    return Peaks(values, places)


@torch.no_grad()
def histograms(sae: SparseAutoencoder, rows: ResidualRows, peaks: Tensor) -> Tensor:
    """How often each latent is active how strongly: [d_sae, N_BINS], equal bins from 0 to its peak."""
    counts = torch.zeros(sae.config.d_sae * N_BINS, dtype=torch.long)
    for x in rows.x.split(1024):
        latents = sae.encode(x.float())
        row, latent = latents.nonzero(as_tuple=True)
        share = (latents[row, latent] / peaks[latent] * N_BINS).long().clamp(max=N_BINS - 1)
        counts += torch.bincount(latent * N_BINS + share, minlength=len(counts))
    return counts.view(-1, N_BINS)


@torch.no_grad()
def passage(sae: SparseAutoencoder, rows: ResidualRows, latent: int, row: int) -> tuple[list[int], list[int]]:
    """The tokens around a row, and how strongly each makes the latent active: from 0 to 99, the row itself being 99."""
    first, last = max(0, row - BEFORE), min(len(rows.x), row + AFTER + 1)
    inside = rows.text[first:last] == rows.text[row]
    call = rows.x[first:last].float() @ sae.W_enc[:, latent] + sae.b_enc[latent]
    strength = torch.where(call > sae.threshold, call, 0.0)
    shares = (99 * strength / strength[row - first].clamp(min=1e-9)).round().clamp(max=99).long()
    return rows.token_ids[first:last][inside].tolist(), shares[inside].tolist()


@torch.no_grad()
def output_effects(lm: LanguageModel, sae: SparseAutoencoder) -> Iterator[Tensor]:
    """What each latent does to the output if it goes there straight: logits per unit of strength.

    The direction passes the last normalisation's weights and the output layer; what the layers between would make of
    it is left out (a *direct logit attribution*). A logit that rises for every token alike changes nothing, so the
    mean over the vocabulary is taken off.

    Yields:
        [n, vocab_size] for some latents after the other, no more of them at a time than memory is to hold.
    """
    last = f"layers.{lm.model.config.n_layers - 1}.resid_post"
    ids = lm.engine.prompt_ids("Once upon a time there was a")
    size = capture(lm.model, ids, last)[last][0, 1:].pow(2).mean().sqrt()  # what the last normalisation divides by
    for directions in (sae.W_dec * lm.model.model.norm.weight / size).split(tokens_at_once(lm.model)):
        effects = lm.model.lm_head(directions)[:, : lm.tokenizer.vocab_size]
        yield effects - effects.mean(dim=1, keepdim=True)


@torch.no_grad()
def nearest_relatives(sae: SparseAutoencoder) -> list[list[list[Any]]]:
    """For each latent, the others that write in the most similar directions: [latent, cosine], nearest first."""
    cosines = sae.W_dec @ sae.W_dec.T
    cosines.fill_diagonal_(-1)
    nearest = cosines.topk(min(N_RELATIVES, len(cosines) - 1), dim=1)
    return [
        [[i, round(c, 3)] for i, c in zip(latents, cosine)]
        for latents, cosine in zip(nearest.indices.tolist(), nearest.values.tolist())
    ]


def _words(lm: LanguageModel, passages: Sequence[tuple[list[int], list[int]]], promoted: Sequence[int]) -> list[str]:
    """Words where the latent is at least half as strong as at its peak, the commonest first; then what it promotes."""
    counts: Counter[str] = Counter()
    for ids, strengths in passages:
        ends = [len(lm.tokenizer.decode(ids[: i + 1])) for i in range(len(ids))]
        for word in re.finditer(r"[^\W\d_]+", lm.tokenizer.decode(ids)):
            if any(s >= 50 and a < word.end() and word.start() < b for s, a, b in zip(strengths, [0, *ends], ends)):
                counts[word.group().lower()] += 1
    said = [word for word, _ in counts.most_common(N_WORDS)]
    written = [lm.tokenizer.decode([i]).strip().lower() for i in promoted]
    return list(dict.fromkeys(said + [word for word in written if len(word) > 2 and word.isalpha()]))
