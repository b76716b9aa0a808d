"""Small tokenizer.json files of each kind that models have, trained here by Hugging Face's `tokenizers`."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from llm101.tokenizer.gguf_content import LLAMA3_PATTERN
from llm101.tokenizer.published import QWEN_PATTERN
from tests.tokenizer.varied import WORDS, varied_texts

Content = dict[str, Any]

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
DEEPSEEK_CUTS = (
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"[!#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
)


@cache
def corpus() -> tuple[str, ...]:
    """What they learn from: plain words, many times, and a little of everything."""
    plain = ("the old town in 1998, the lower and the lowest of the newest people; " * 5, "Once upon a time there was ")
    return (*plain * 5, *varied_texts(300, seed=1))


def split(pattern: str, **more: object) -> Content:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False, **more}


def byte_level(cuts: list[Content], *, use_regex: bool = False, normalizer: Any = None, n: int = 400) -> Content:
    """A byte-level BPE with these cuts, trained with them."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}
    cutting = {"type": "Sequence", "pretokenizers": [*cuts, level]}
    content = json.loads(Tokenizer(models.BPE()).to_str())
    content |= {"pre_tokenizer": cutting, "normalizer": normalizer, "decoder": level}
    tokenizer = Tokenizer.from_str(json.dumps(content))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=n, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    return json.loads(tokenizer.to_str())


def gpt2() -> Content:
    return byte_level([], use_regex=True)


def llama3() -> Content:
    """Its words that are tokens are taken whole, and its file lists every way in which two tokens make one."""
    content = byte_level([split(LLAMA3_PATTERN)])
    model = content["model"]
    vocab = model["vocab"]
    ways = [(vocab[t], [t[:i], t[i:]]) for t in vocab for i in range(1, len(t)) if t[:i] in vocab and t[i:] in vocab]
    model["merges"] = [pair for _, pair in sorted(ways) if pair[0] + pair[1] not in SPECIAL]
    model["vocab"] |= {"Ġunreachable": len(vocab)}
    model["ignore_merges"] = True
    return starting_with("<|im_start|>", content)


def qwen() -> Content:
    content = byte_level([split(QWEN_PATTERN)], normalizer={"type": "NFC"})
    return with_added(content, "<tool_call>", "</tool_call>", normalized=False)


def smollm() -> Content:
    return without_tokens(byte_level([{"type": "Digits", "individual_digits": True}], use_regex=True), "ĀĄĆÀÁõö")


def digits_together() -> Content:
    return byte_level([{"type": "Digits", "individual_digits": False}], use_regex=True)


def deepseek() -> Content:
    return byte_level([split(pattern) for pattern in DEEPSEEK_CUTS], normalizer={"type": "Sequence", "normalizers": []})


def split_at_text() -> Content:
    return byte_level([split("") | {"pattern": {"String": " "}}, split(r"\p{N}|[^\p{N}]{1,5}")])


def with_gaps() -> Content:
    return byte_level([split(r"[a-z]+|\p{Lu}\p{Ll}*")])


BYTE_LEVEL: dict[str, Callable[[], Content]] = {
    f.__name__: f for f in (gpt2, llama3, qwen, smollm, digits_together, deepseek, split_at_text, with_gaps)
}
"""What the book's own BPE reads."""


def split_inverted() -> Content:
    return byte_level([split(r"\s", invert=True)])


def split_removed() -> Content:
    return byte_level([split(r"\p{P}", behavior="Removed")])


def line_ends() -> Content:
    return byte_level([split("^.+$")])


def possessive_count() -> Content:
    return byte_level([split(r"\p{N}{1,3}+|\P{N}+")])


def words_without_a_merge() -> Content:
    content = gpt2()
    content["model"]["vocab"] |= {"xyz": len(content["model"]["vocab"]), "Ġtown": len(content["model"]["vocab"]) + 1}
    return content


def merges_in_another_order() -> Content:
    content = gpt2()
    content["model"]["merges"].reverse()
    return content


def added_spaces() -> Content:
    return with_added(gpt2(), "  ", "    ", "the", "the old", normalized=True)


def added_that_strip() -> Content:
    return with_added(gpt2(), "<mask>", lstrip=True, rstrip=True, single_word=True, normalized=False)


def space_before() -> Content:
    content = gpt2()
    content["pre_tokenizer"]["pretokenizers"][-1]["add_prefix_space"] = True
    return content


def lower_case() -> Content:
    return byte_level([], use_regex=True, normalizer=json.loads(normalizers.Lowercase().__getstate__()))


def no_byte_and_two_ways() -> Content:
    return without_tokens(added_spaces(), "ĀĄĆÀÁõö")


def sentence_piece_bpe() -> Content:
    """As Llama 2 and Mistral have it: a space is ▁, one stands before each text, what is no token is bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])  # type: ignore
    tokenizer.decoder = decoders.Sequence(  # type: ignore
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    control = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=control + bytes_, show_progress=False, limit_alphabet=200
    )
    tokenizer.train_from_iterator([text.replace(" ", "▁ ")[:40] for text in corpus()], trainer)
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] in control]
    return starting_with("<s>", content)


def metaspace_bpe() -> Content:
    content = sentence_piece_bpe()
    content["normalizer"] = None
    content["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    return content


def unigram(byte_fallback: bool = True) -> Content:
    """As Gemma's kin have it, with NFKC before: the pieces of the likeliest way to cut a word."""
    words = [f"▁{word}" for word in WORDS if word.isascii()]
    pieces = {word[a:b] for word in words for a in range(len(word)) for b in range(a + 1, min(a + 5, len(word) + 1))}
    rng = random.Random(0)
    vocab = [
        ["<unk>", 0.0],
        ["<s>", 0.0],
        ["</s>", 0.0],
        *([p, -(len(p) ** 0.5) * rng.uniform(2, 5)] for p in sorted(pieces)),
    ]
    decode = [{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]
    if byte_fallback:
        vocab += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
        decode.append({"type": "ByteFallback"})
    tokenizer = Tokenizer(models.Unigram([(p, score) for p, score in vocab], 0, byte_fallback))  # type: ignore
    tokenizer.normalizer = normalizers.NFKC()  # type: ignore
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()  # type: ignore
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return json.loads(tokenizer.to_str()) | {"decoder": {"type": "Sequence", "decoders": decode}}


def unigram_with_unknown() -> Content:
    return unigram(byte_fallback=False)


LIBRARY: dict[str, Callable[[], Content]] = {
    f.__name__: f
    for f in (
        split_inverted, split_removed, line_ends, possessive_count, words_without_a_merge, merges_in_another_order,
        added_spaces, added_that_strip, space_before, lower_case, no_byte_and_two_ways, sentence_piece_bpe,
        metaspace_bpe, unigram, unigram_with_unknown,
    )
}  # fmt: skip
"""What is read through `tokenizers`."""


def with_added(content: Content, *texts: str, **flags: bool) -> Content:
    """More added tokens, which are not special."""
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.add_tokens([AddedToken(text, special=False, **flags) for text in texts])
    return json.loads(tokenizer.to_str())


def without_tokens(content: Content, characters: str) -> Content:
    """A vocabulary that lacks some bytes, numbered anew without a gap."""
    model, old = content["model"], content["model"]["vocab"]
    kept = [token for token in sorted(old, key=old.__getitem__) if not set(token) & set(characters)]
    model["vocab"] = {token: token_id for token_id, token in enumerate(kept)}
    model["merges"] = [[a, b] for a, b in model["merges"] if not set(a + b) & set(characters)]
    place = len(kept)
    for token in content["added_tokens"]:
        token["id"] = model["vocab"].get(token["content"], place)
        place = max(place, token["id"] + 1)
    return content


def starting_with(token: str, content: Content) -> Content:
    """A post-processor that puts a token before each text."""
    token_id = content["model"]["vocab"][token]
    before, one, other = (
        {"SpecialToken": {"id": token, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 1}},
    )
    return content | {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [before, one],
            "pair": [before, one, before, other],
            "special_tokens": {token: {"id": token, "ids": [token_id], "tokens": [token]}},
        }
    }
