"""How fast a tokenizer is learned: 20 MB of stories, 4,096 tokens; beside Hugging Face's and beside the plain loop.

    python tests/benchmarks/bench_bpe.py [--corpus ../shared/corpus] [--megabytes 20] [--json]

All start from the same texts in memory. Hugging Face's trainer is written in Rust and uses all cores; ours is Python
on one; so both are given by the clock and in processor time, which other programs disturb less.

The plain loop (train_bpe_plainly) would take a day, so two of its rounds are timed on a part of the text: the first,
on single bytes, and one on the text as it is after all merges, when there is least left to count. The second, times
the number of rounds, is less than it could ever take: that is what the speed-up is measured against.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from llm101.tokenizer import Tokenizer
from llm101.tokenizer.bpe import Merge, count_pairs, merge_pair, split_into_words, train_bpe, train_bpe_plainly
from tests.benchmarks.history import record

VOCAB_SIZE, N_MERGES = 4096, 4096 - 257
PART_CHARACTERS, SAME_CHARACTERS, SAME_MERGES = 500_000, 60_000, 200


def seconds(action: Callable[[], object], rounds: int = 1) -> tuple[float, float]:
    """The best of several rounds, by the clock and of all cores' time for this process."""
    times = []
    for _ in range(rounds):
        start, processor = time.perf_counter(), time.process_time()
        action()
        times.append((time.perf_counter() - start, time.process_time() - processor))
    return min(wall for wall, _ in times), min(cores for _, cores in times)


def train_hugging_face(texts: list[str]) -> list[Merge]:
    """Byte-level BPE as in GPT-2, by the Rust library."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCAB_SIZE, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
        ),
    )
    return [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]


def plain_round(words: list[list[bytes]]) -> None:
    """What train_bpe_plainly does for one merge."""
    counts: Counter[Merge] = Counter()
    for word in words:
        counts.update(count_pairs(word))
    best = max(counts, key=counts.__getitem__)
    for word in words:
        merge_pair(word, best)


def measure(texts: list[str]) -> dict[str, float]:
    """All figures, in seconds."""
    found: dict[str, float] = {}
    found["ours"], found["ours_processor"] = seconds(lambda: train_bpe(texts, N_MERGES), 3)
    try:
        found["hugging_face"], found["hugging_face_processor"] = seconds(lambda: train_hugging_face(texts), 3)
    except ImportError:
        print("Hugging Face's tokenizers is left out: pip install 'llm101[test]' brings it")
    part = "".join(texts)[:PART_CHARACTERS]
    tokens = dict.fromkeys([bytes([b]) for b in range(256)] + [a + b for a, b in train_bpe(texts, N_MERGES)])
    tokenizer = Tokenizer("bench", {token: i for i, token in enumerate(tokens)})
    in_bytes = [[bytes([b]) for b in word.encode()] for word in split_into_words(part)]
    in_tokens = [tokenizer.tokens(word) for word in split_into_words(part)]
    times_larger = sum(map(len, texts)) / len(part)
    found["plain_first_round"] = seconds(lambda: plain_round(in_bytes), 3)[1] * times_larger
    found["plain_last_round"] = seconds(lambda: plain_round(in_tokens), 3)[1] * times_larger
    found["plain_at_least"] = found["plain_last_round"] * N_MERGES
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--megabytes", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    path = arguments.corpus / "stories-train.txt"
    if not path.is_file():
        print(f"bench_bpe: no {path}; name the folder that holds stories-train.txt with --corpus")
        return 2
    with open(path, encoding="utf-8", newline="") as file:
        texts = file.read(arguments.megabytes * 1_000_000).split("<|endoftext|>")
    found = measure(texts)
    record("bpe", {f"{name}_s": seconds for name, seconds in found.items()}, megabytes=arguments.megabytes)
    small = "".join(texts)[:SAME_CHARACTERS]
    same = train_bpe([small], SAME_MERGES) == train_bpe_plainly(small, SAME_MERGES)
    if arguments.json:
        print(json.dumps(found | {"same_merges": same}))
        return int(not same)
    print(f"{arguments.megabytes} MB of stories, {VOCAB_SIZE:,} tokens, {os.cpu_count()} cores")
    for name in ("ours", "hugging_face"):
        if name in found:
            print(f"{name:22} {found[name]:10.2f} s   ({found[name + '_processor']:.2f} s of processor time)")
    for name in ("plain_first_round", "plain_last_round", "plain_at_least"):
        print(f"{name:22} {found[name]:10.2f} s")
    if "hugging_face" in found:
        print(
            f"ours takes {found['ours'] / found['hugging_face']:.2f} times as long as Hugging Face's (goal: at most 2)"
        )
    ratio = found["plain_at_least"] / found["ours_processor"]
    print(f"the plain loop takes {ratio:,.0f} times as much processor time as ours (goal: at least 100)")
    print(f"first {SAME_MERGES} merges of {SAME_CHARACTERS:,} characters: the plain loop's are the same: {same}")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
