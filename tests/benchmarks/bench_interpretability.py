"""Planted truth: per landmark the best latent, neuron and probe, chosen on one half of the texts, judged on the other.

    python tests/benchmarks/bench_interpretability.py

Twice: as it is, and with the tokens of the landmark's own name left out.
"""

from __future__ import annotations

import torch

from llm101.interpretability.detectors import (
    Strengths,
    best_column,
    halves,
    judge,
    linear_probe,
    strongest_per_text,
    tokens_of_name,
)
from llm101.interpretability.residuals import text_ids
from llm101.interpretability.shipped import LANDMARKS, LabelledText, labelled_texts, shipped_autoencoder
from llm101.library import load


def judged(strengths: Strengths, texts: list[LabelledText], name: str) -> dict[str, str]:
    """Precision and recall of each kind of detector on the half that it was not chosen on."""
    chosen_on, judged_on = halves(len(texts))
    wanted = torch.tensor([text.landmark == name for text in texts])
    mean = strengths.mean_residual
    mean = (mean - mean[chosen_on].mean(dim=0)) / mean[chosen_on].std(dim=0)
    probe = mean @ linear_probe(mean[chosen_on], wanted[chosen_on])
    found = {}
    for kind, table in (("latent", strengths.latents), ("neuron", strengths.neurons), ("probe", probe[:, None])):
        column, threshold = best_column(table[chosen_on], wanted[chosen_on])
        result = judge(table[judged_on, column] > threshold, wanted[judged_on])
        found[kind] = f"{kind} {column:5} precision {result.precision:.2f} recall {result.recall:.2f}"
    return found


def main() -> None:
    """Print one line per landmark, for each of the two variants."""
    lm, sae, texts = load("storyteller"), shipped_autoencoder(), labelled_texts()
    ids = text_ids(lm, [text.text for text in texts])
    names = [tokens_of_name(lm.tokenizer, one, t.landmark) if t.landmark else [] for one, t in zip(ids, texts)]
    for title, hidden in (("as it is", None), ("without the name's own tokens", names)):
        strengths = strongest_per_text(lm.model, sae, ids, hidden)
        print(title)
        for name in LANDMARKS:
            print(f"  {name:<20}", " | ".join(judged(strengths, texts, name).values()))


if __name__ == "__main__":
    main()
