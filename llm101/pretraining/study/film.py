"""The film of a training run: what the model could do at each moment whose parameters were kept.

It knows the run folder's snapshots, the model and the engine that speaks for it; it draws nothing. For every
snapshot it records the loss on text never trained on, what the model writes after the same beginnings, which
tokens it holds to be alike, and where some words lie on a plane on which, at the end, like lies by like.

    python -m llm101.pretraining.study.film RUN --out film.json

Reading order: record_film, then the four looks: samples, neighbours, plane, positions.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from llm101.corpus import Corpus
from llm101.inference import InferenceEngine
from llm101.model import ModelConfig, Transformer
from llm101.outside.atomic_file import atomic_file
from llm101.outside.output_target import check_output_file
from llm101.parameters import ParameterFile
from llm101.pretraining.evaluation import evaluate
from llm101.tokenizer import Tokenizer

PROMPTS = ("Once upon a time", "The Golden Gate Bridge is", "One day, a dog")
WORDS = {
    "animals": ["dog", "cat", "bird", "bear", "frog", "fish", "rabbit", "lion", "mouse", "duck"],
    "people": ["mom", "dad", "mommy", "daddy", "girl", "boy", "friend", "brother", "sister", "grandma"],
    "names": ["Lily", "Tim", "Ben", "Sara", "Max", "Lucy", "Tom", "Mia", "Jack", "Sam"],
    "colours": ["red", "blue", "green", "yellow", "pink", "orange", "brown", "black", "white", "purple"],
    "food": ["apple", "cake", "cookie", "bread", "soup", "juice", "candy", "banana", "milk", "carrot"],
    "doing": ["ran", "walked", "jumped", "said", "asked", "smiled", "laughed", "cried", "looked", "played"],
}
"""Words of a story, in groups that nobody tells the model about."""
NEIGHBOURS_OF = (" dog", " happy", " Lily", " red", " said")
N_NEIGHBOURS, SAMPLE_TOKENS, VALID_TOKENS = 6, 40, 16_384


def record_film(run: Path) -> dict[str, Any]:
    """Look at every snapshot of a run.

    Args:
        run: the folder given to `llm101 pretrain --out`, trained with --snapshots.

    Returns:
        A table that JSON can hold: what is the same for all moments, and `moments`, oldest first.

    Raises:
        ValueError: the run kept no snapshots.
    """
    training = run / "training"
    snapshots = sorted((training / "snapshots").glob("step-*.safetensors"))
    if not snapshots:
        raise ValueError(f"{run} kept no snapshots; train with --snapshots 40")
    settings = json.loads((training / "settings.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(training / "tokenizer.json")
    valid = {path.name: Corpus(path) for path in sorted((training / "corpus" / "valid").iterdir())}
    lines = (training / "moments.jsonl").read_text(encoding="utf-8").splitlines()
    log = {line["step"]: line for line in map(json.loads, lines)}
    words = _single_tokens(tokenizer)
    model = Transformer(ModelConfig(**settings["model"])).eval()
    axes = plane(_load(model, snapshots[-1]), list(words.values()))
    moments = []
    for snapshot in snapshots:
        embedding = _load(model, snapshot)
        step = int(snapshot.stem.removeprefix("step-"))
        scores = {name: evaluate(model, corpus, max_tokens=VALID_TOKENS) for name, corpus in valid.items()}
        moments.append(
            {
                "step": step,
                "tokens_seen": log.get(step, {}).get("tokens_seen", 0),
                "train_loss_nats": log.get(step, {}).get("train_loss_nats"),
                "valid_bits_per_byte": {name: round(score.bits_per_byte, 4) for name, score in scores.items()},
                "samples": samples(model, tokenizer),
                "neighbours": {word: neighbours(embedding, tokenizer, word) for word in NEIGHBOURS_OF},
                "positions": positions(embedding, list(words.values()), axes),
            }
        )
        print(f"step {step}: {moments[-1]['samples'][0]!r}", file=sys.stderr)
    groups = {group: [word for word in some if word in words] for group, some in WORDS.items()}
    return {"format": 1, "prompts": PROMPTS, "groups": groups, "steps": settings["recipe"]["steps"], "moments": moments}


def samples(model: Transformer, tokenizer: Tokenizer) -> list[str]:
    """What the model writes after each prompt: the same seed at every moment, so that only the model differs."""
    engine = InferenceEngine(model, tokenizer)
    return [engine.complete(p, max_tokens=SAMPLE_TOKENS, temperature=0.8, top_p=0.95, seed=0).text for p in PROMPTS]


def neighbours(embedding: Tensor, tokenizer: Tokenizer, word: str) -> list[str]:
    """The tokens whose rows of the embedding point most nearly the same way as the word's (by cosine)."""
    ids = tokenizer.encode(word)
    if len(ids) != 1:
        return []
    directions = torch.nn.functional.normalize(embedding, dim=1)
    likeness = directions @ directions[ids[0]]
    likeness[ids[0]] = -1
    return [tokenizer.decode([i]) for i in likeness.topk(N_NEIGHBOURS).indices.tolist()]


def plane(embedding: Tensor, ids: Sequence[int]) -> Tensor:
    """The two directions along which some tokens differ most (principal components): [d_model, 2]."""
    rows = embedding[list(ids)]
    return torch.linalg.svd(rows - rows.mean(0), full_matrices=False).Vh[:2].T


def positions(embedding: Tensor, ids: Sequence[int], axes: Tensor) -> list[list[float]]:
    """Where tokens lie on a plane, as seen from their middle: [token, 2]."""
    rows = embedding[list(ids)]
    return [[round(x, 3), round(y, 3)] for x, y in ((rows - rows.mean(0)) @ axes).tolist()]


def _single_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """Those of WORDS that are one token, space included, for this tokenizer."""
    encoded = {word: tokenizer.encode(" " + word) for some in WORDS.values() for word in some}
    return {word: ids[0] for word, ids in encoded.items() if len(ids) == 1}


def _load(model: Transformer, snapshot: Path) -> Tensor:
    """Put a snapshot's numbers into the model; returns its embedding."""
    file = ParameterFile(snapshot)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(file.tensor(name))
    return model.model.embed_tokens.weight.detach()


def main() -> None:
    """Record a film and write it."""
    parser = argparse.ArgumentParser(description="Record the film of a training run.")
    parser.add_argument("run", type=Path, help="the folder given to llm101 pretrain --out")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    options = parser.parse_args()
    check_output_file(options.out)
    film = record_film(options.run)
    with atomic_file(options.out) as file:
        file.write(json.dumps(film, ensure_ascii=False, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
