"""Detectors: does one number tell which texts are about something? One latent, one neuron, or a probe over many.

A detector is chosen on one set of texts and judged on another. It knows tables of numbers, one row per text.

Reading order: strongest_per_text (the tables), best_column and linear_probe (chosen), judge (judged), then
found_on_one_half, which does both, and detectors_of_words for concepts that nobody planted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from llm101.interpretability.autoencoder.sparse_autoencoder import SparseAutoencoder
from llm101.interpretability.capture import CaptureError, capture
from llm101.interpretability.residuals import padded_batches, text_ids
from llm101.model import Transformer
from llm101.tokenizer import Tokenizer

if TYPE_CHECKING:
    from llm101.library import LanguageModel


@dataclass(frozen=True)
class Strengths:
    """How strongly each text makes each thing active, where it does so most."""

    latents: Tensor
    """[n_texts, d_sae]."""
    neurons: Tensor
    """[n_texts, 2 * n_layers * d_mlp]: each neuron of each layer upwards, then each downwards."""
    mean_residual: Tensor
    """[n_texts, d_model]: the mean over the text, for a probe."""


@dataclass(frozen=True)
class Judgement:
    """How well a detector does on texts that it was not chosen on."""

    precision: float
    """Of the texts that it reports, the share that are right; 1 if it reports none."""
    recall: float
    """Of the texts that it should report, the share that it does."""

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@torch.no_grad()
def strongest_per_text(
    model: Transformer,
    sae: SparseAutoencoder,
    ids: Sequence[Sequence[int]],
    hidden: Sequence[Sequence[bool]] | None = None,
) -> Strengths:
    """Run the model over texts and keep, for each, the maximum over its tokens.

    Args:
        ids: one list of token ids per text, start token included; that one is left out.
        hidden: for each token of each text, whether it shall not count (see tokens_of_name).

    Raises:
        CaptureError: a model with experts, whose neurons are not the same for each token.
    """
    sae.check_fits(model)
    config, point = model.config, sae.config.point
    if config.n_experts:
        raise CaptureError("neurons are told apart by layer and number; a model with experts has no such numbers")
    neurons = [f"layers.{layer}.mlp.hidden" for layer in range(config.n_layers)]
    latents = torch.zeros(len(ids), sae.config.d_sae)
    strongest = torch.zeros(len(ids), 2 * config.n_layers * config.d_mlp)
    mean = torch.zeros(len(ids), config.d_model)
    for batch in padded_batches(ids):
        seen = capture(model, batch.token_ids, point, *neurons)
        counts = batch.is_token.clone()
        counts[:, 0] = False
        if hidden is not None:
            for row, text in enumerate(batch.texts):
                counts[row, : len(hidden[text])] &= ~torch.tensor(hidden[text], dtype=torch.bool)
        ignored = ~counts[..., None]
        latents[batch.texts] = sae.encode(seen[point]).masked_fill(ignored, 0).amax(dim=1)
        up = [seen[name].masked_fill(ignored, -torch.inf).amax(dim=1) for name in neurons]
        down = [-seen[name].masked_fill(ignored, torch.inf).amin(dim=1) for name in neurons]
        strongest[batch.texts] = torch.cat((*up, *down), dim=-1)
        mean[batch.texts] = seen[point].masked_fill(ignored, 0).sum(dim=1) / counts.sum(dim=1, keepdim=True)
    return Strengths(latents, strongest, mean)


def tokens_of_name(tokenizer: Tokenizer, ids: Sequence[int], name: str) -> list[bool]:
    """Which tokens hold a part of a name, however it is spelt.

    Example:
        >>> tokenizer = Tokenizer.train(["abc"], 257)
        >>> tokens_of_name(tokenizer, tokenizer.encode("a Big b"), "big")
        [False, False, True, True, True, False, False]
    """
    pieces = [b" " if i in tokenizer.special_tokens.values() else tokenizer.token_bytes(i) for i in ids]
    text, wanted = b"".join(pieces).lower(), name.lower().encode()
    inside, at = [False] * len(text), text.find(wanted)
    while at >= 0:
        inside[at : at + len(wanted)] = [True] * len(wanted)
        at = text.find(wanted, at + 1)
    ends = torch.tensor([len(piece) for piece in pieces]).cumsum(0).tolist()
    return [any(inside[end - len(piece) : end]) for piece, end in zip(pieces, ends)]


def best_column(table: Tensor, wanted: Tensor) -> tuple[int, float]:
    """The column, and the threshold on it, that find the wanted rows best (by F1).

    Args:
        table: [n_texts, n_columns].
        wanted: [n_texts] of booleans, at least one of them True.

    Returns:
        Column and threshold; a text is reported if its number lies above that.

    Example:
        >>> best_column(torch.tensor([[1.0, 5.0], [2.0, 1.0], [3.0, 6.0]]), torch.tensor([True, False, True]))
        (1, 3.0)
    """
    ordered, order = table.sort(dim=0, descending=True)
    reported = torch.arange(1, len(table) + 1)[:, None]
    f1 = 2 * wanted[order].cumsum(dim=0) / (reported + wanted.sum())
    below = torch.cat((ordered[1:], ordered[-1:] - 1))
    f1[ordered == below] = 0  # no threshold can tell equal numbers apart
    best = int(f1.argmax())
    row, column = divmod(best, table.shape[1])
    return column, float(ordered[row, column] + below[row, column]) / 2


def linear_probe(table: Tensor, wanted: Tensor, penalty: float = 0.01, steps: int = 200) -> Tensor:
    """A direction fitted to tell the wanted rows from the others: logistic regression.

    Args:
        table: [n_texts, n_columns], each column roughly of spread 1.
        wanted: [n_texts] of booleans.
        penalty: of the squared length, which keeps few examples from being learned by heart.

    Returns:
        weights [n_columns]; table @ weights is the probe's number for each text.
    """
    weights, bias = torch.zeros(table.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([weights, bias], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(table @ weights + bias, wanted.float())
        (loss + penalty * weights.pow(2).sum()).backward()
        optimizer.step()
    return weights.detach()


def judge(reported: Tensor, wanted: Tensor) -> Judgement:
    """Compare what a detector reports with what it should: both [n_texts] of booleans.

    Example:
        >>> judge(torch.tensor([True, True, False]), torch.tensor([True, False, True]))
        Judgement(precision=0.5, recall=0.5)
    """
    right = int((reported & wanted).sum())
    n_reported, n_wanted = int(reported.sum()), int(wanted.sum())
    return Judgement(right / n_reported if n_reported else 1.0, right / n_wanted if n_wanted else 1.0)


def halves(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Row numbers of two random halves: one to choose on, one to judge on."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return order[: n // 2].sort().values, order[n // 2 :].sort().values


@dataclass(frozen=True)
class Found:
    """A detector chosen on one half of the texts, and how well it does on the other."""

    column: int
    """Which latent, or which neuron."""
    threshold: float
    """A text is reported if its number lies above this."""
    judgement: Judgement


def found_on_one_half(table: Tensor, wanted: Tensor, seed: int = 0) -> Found:
    """Choose the best column on a random half of the rows, and judge it on the other half.

    Args:
        table: [n_texts, n_columns].
        wanted: [n_texts] of booleans, some True in each half.
        seed: of the halves.
    """
    chosen_on, judged_on = halves(len(table), seed)
    column, threshold = best_column(table[chosen_on], wanted[chosen_on])
    return Found(column, threshold, judge(table[judged_on, column] > threshold, wanted[judged_on]))


UNPLANTED = {
    "rain": r"\b(rain\w*|storm\w*|umbrellas?)\b",
    "dogs": r"\b(dogs?|doggy|pupp(y|ies))\b",
    "crying": r"\b(cry|cries|cried|crying|tears|sobb\w*|wept)\b",
    "speech": r'["“”]',
}
"""Concepts that nobody put into the training text on purpose, each with the words that give it away."""


def sentences(text: str) -> list[str]:
    """A text cut after each full stop, exclamation mark and question mark.

    Example:
        >>> sentences('"Run!" said Tom. They ran.')
        ['"Run!"', 'said Tom.', 'They ran.']
    """
    return [found.strip() for found in re.findall(r"[^.!?]+[.!?]*[\"”]?", text) if found.strip()]


def detectors_of_words(
    lm: LanguageModel,
    sae: SparseAutoencoder,
    texts: Sequence[str],
    concepts: Mapping[str, str] = UNPLANTED,
    *,
    n_sentences: int = 1500,
    seed: int = 0,
) -> dict[str, Found]:
    """For each concept the latent that best tells the sentences that hold its words from those that do not.

    The label is a crude one: a sentence may well be about rain without the word, and what the latent then reports
    counts against it.

    Args:
        texts: whole texts; `n_sentences` of their sentences are drawn, and each is read by itself.
        concepts: for each a regular expression, looked for without regard to case.
    """
    everything = list(dict.fromkeys(sentence for text in texts for sentence in sentences(text)))
    order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(seed))[:n_sentences]
    drawn = [everything[i] for i in order.tolist()]
    latents = strongest_per_text(lm.model, sae, text_ids(lm, drawn)).latents
    found = {}
    for concept, words in concepts.items():
        wanted = torch.tensor([re.search(words, sentence, re.IGNORECASE) is not None for sentence in drawn])
        found[concept] = found_on_one_half(latents, wanted, seed)
    return found
