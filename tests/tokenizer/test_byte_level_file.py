"""Which tokenizer.json is byte-level BPE's: merges that compete, tokens that none makes, patterns of two dialects."""

from __future__ import annotations

import json
import random
import tracemalloc
import unicodedata
from typing import Any

import pytest
import regex
import tokenizers

from llm101.tokenizer import Tokenizer, TokenizerError
from llm101.tokenizer.bpe import GPT2_WORD_PATTERN, is_last_merge, last_merge, merges_of
from llm101.tokenizer.byte_level import ByteLevelBPE
from llm101.tokenizer.byte_level_file import byte_alphabet
from llm101.tokenizer.parts import TokenizerParts
from llm101.tokenizer.pattern import for_oniguruma, in_both_dialects, keeping_gaps, may_match_nothing
from llm101.tokenizer.tokenizer_file import encoding_of
from tests.tokenizer.varied import varied_texts

Content = dict[str, Any]


def random_content(rng: random.Random) -> Content:
    """Tokens of a few letters in any order, with all merges that could make them, or only some."""
    longer = list({"".join(rng.choices("ab", k=rng.choice((2, 2, 3, 3, 4, 5)))) for _ in range(rng.choice((3, 6, 12)))})
    if rng.random() < 0.6:
        longer.sort(key=len)
    vocab = {token: i for i, token in enumerate([*byte_alphabet(), *longer])}
    ways = [[t[:i], t[i:]] for t in longer for i in range(1, len(t)) if t[:i] in vocab and t[i:] in vocab]
    chosen = [way for way in ways if rng.random() < rng.choice((0.5, 0.9, 1.0))]
    if rng.random() < 0.2:
        rng.shuffle(chosen)
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    plain = dict.fromkeys(("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"))
    flags = {"fuse_unk": False, "byte_fallback": False, "ignore_merges": rng.random() < 0.5}
    model = {"type": "BPE", **plain, **flags, "vocab": vocab, "merges": chosen}
    return {"version": "1.0", "added_tokens": [], "pre_tokenizer": level, "decoder": level, "model": model}


def test_merges_that_compete_are_taken_only_where_both_ways_give_the_same() -> None:
    rng, n_own = random.Random(0), 0
    for number in range(200):
        data = json.dumps(random_content(rng)).encode()
        ours, theirs = encoding_of("competing", data), tokenizers.Tokenizer.from_str(data.decode())
        n_own += isinstance(ours, ByteLevelBPE)
        for _ in range(15):
            text = "".join(rng.choices("ab", k=rng.choice((2, 3, 4, 5, 9, 20))))
            assert ours.encode(text) == theirs.encode(text).ids, (number, text)
    assert 20 < n_own < 180


def test_what_is_saved_of_any_ranks_means_the_same(tmp_path: Any) -> None:
    """Also where a token is made of younger ones, or of none."""
    rng, n_unreachable = random.Random(1), 0
    for _ in range(60):
        longer = {"".join(rng.choices("ab", k=rng.choice((2, 3, 3, 4, 5)))) for _ in range(8)}
        ranks = {token: i for i, token in enumerate([bytes([b]) for b in range(256)] + [t.encode() for t in longer])}
        ours = Tokenizer("any", ranks)
        ours.save(tmp_path / "tokenizer.json")
        theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        n_unreachable += len(merges_of(ranks)) < len(longer)
        for _ in range(20):
            text = "".join(rng.choices("ab", k=rng.choice((2, 3, 4, 5, 9, 20))))
            assert theirs.encode(text).ids == ours.encode(text), (ranks, text)
    assert 5 < n_unreachable < 60


def test_the_last_merge_is_found_by_going_back_in_time() -> None:
    rng, n_found = random.Random(2), 0
    for _ in range(300):
        longer = {"".join(rng.choices("ab", k=rng.choice((2, 2, 3, 4, 5, 6)))).encode() for _ in range(14)}
        ranks = {token: i for i, token in enumerate([b"a", b"b", *sorted(longer, key=lambda t: (len(t), t))])}
        seam: dict[bytes, int] = {}
        for token in list(ranks)[2:]:
            halves = [(token[:i], token[i:]) for i in range(1, len(token))]
            known = [h for h in halves if h[0] in ranks and h[1] in ranks and is_last_merge(*h, ranks, seam)]
            expected = last_merge(token, ranks)
            assert known == ([expected] if expected else []), (ranks, token)
            if expected:
                seam[token] = len(expected[0])
            n_found += expected is not None
    assert n_found > 1000


def test_python_keeps_no_table_of_the_tokens_beside_tiktoken_s() -> None:
    ranks = {token: i for i, token in enumerate([bytes([b]) for b in range(256)])}
    ranks |= {b"%06d" % i: 256 + i for i in range(20_000)}
    tracemalloc.start()
    encoding = ByteLevelBPE(TokenizerParts("large", ranks, {}, GPT2_WORD_PATTERN))
    n_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_bytes < 20 * len(ranks)  # a dict alone takes 36 for each
    assert encoding.parts.ranks == ranks


def test_a_merge_of_an_added_token_is_left_to_the_package() -> None:
    content = random_content(random.Random(3))
    content["model"] |= {"vocab": {c: i for i, c in enumerate([*byte_alphabet(), "ab", "aba"])}, "ignore_merges": False}
    content["model"]["merges"] = [["a", "b"], ["ab", "a"]]
    assert isinstance(encoding_of("plain", json.dumps(content).encode()), ByteLevelBPE)
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    content["added_tokens"] = [{"id": 256, "content": "ab", **flags, "special": True}]
    encoding = encoding_of("added", json.dumps(content).encode())
    assert not isinstance(encoding, ByteLevelBPE)
    assert encoding.encode("ab") == [*map(content["model"]["vocab"].get, "ab")]


WORD = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}" + "\u200c\u200d"


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        (r"\p{N}{1,3}+|x", r"\p{N}{1,3}|x"),
        (r"\p{N}{1,3}+", r"\p{N}{1,3}"),
        (r"\p{N}{1,3}+7", r"(?>\p{N}{1,3})7"),
        (r"(ab|c){2,}+d", r"(?>(ab|c){2,})d"),
        (r"((?:[{}]){2}+a)b", r"((?>(?:[{}]){2})a)b"),
        (r"\{1\}+x", r"\{1\}+x"),
        (r"a\s++$|^b", r"a\s++(?![\s\S])|(?<![\s\S])b"),
        (r"[$^]{3}+\$", r"(?>[$^]{3})\$"),
        (r"\p{L}++[\r\n]*+x?+", r"\p{L}++[\r\n]*+x?+"),
        (r"\w+|\W", f"[{WORD}]+|[^{WORD}]"),
        (r"[\w-]|[^\w\\w]", rf"[{WORD}-]|[^{WORD}\\w]"),
    ],
)
def test_a_pattern_of_tiktokens_is_spelled_as_oniguruma_reads_it(pattern: str, written: str) -> None:
    assert for_oniguruma(pattern) == written


@pytest.mark.parametrize(
    ("pattern", "text"), [("a{1,2}+b", "aaab"), ("(?:ab){1,2}+a|b", "ababab"), ("a$|b", "a\na"), ("^a", "a\na")]
)
def test_what_is_respelled_cuts_as_before(pattern: str, text: str) -> None:
    by_rust = Tokenizer(
        "x", {bytes([b]): b for b in range(256)} | {text[i : i + 2].encode(): 256 + i for i in range(3)}, {}, pattern
    )
    cut = tokenizers.pre_tokenizers.Split(tokenizers.Regex(for_oniguruma(pattern)), "isolated")
    pieces = [piece for piece, _ in cut.pre_tokenize_str(text)]
    assert by_rust.encode(text) == [i for piece in pieces for i in by_rust.encode(piece)]
    assert pieces == [m[0] for m in regex.finditer(keeping_gaps(pattern), text)]


@pytest.mark.parametrize("pattern", [r"\bx", "[[:alpha:]]+", "(?i:ss)", "(?m)a", r"[\W]", r"\h", "[a&&b]"])
def test_a_pattern_that_others_would_misread_is_not_saved(pattern: str, tmp_path: Any) -> None:
    tokenizer = Tokenizer("mine", {bytes([b]): b for b in range(256)}, pattern=pattern)
    with pytest.raises(
        TokenizerError, match=r"the pattern .* cannot be saved: others would take it for something else"
    ):
        tokenizer.save(tmp_path / "tokenizer.json")
    assert not (tmp_path / "tokenizer.json").exists()


NOT_COMMON = [
    "^a", "a$", r"\w+", r"\bx", r"\p{N}{1,3}+", "a{2}?", "[[:alpha:]]", "[a&&b]", r"\X", "(?i:ss)", "(?<=x)", r"\G",
    "a*", "a|", "(?=a)", "(?=(a))b", "x?", r"\h", r"\<a", "a**", "", r"\p{InGreek}", "(?m)a",
]  # fmt: skip


@pytest.mark.parametrize("pattern", NOT_COMMON)
def test_what_the_dialects_take_for_different_things_is_no_common_pattern(pattern: str) -> None:
    assert not in_both_dialects(pattern)


CLASSES = [
    r"\s", r"\S", r"\p{L}", r"\p{N}", r"\d", r"[^\s\p{L}\p{N}]", r"\p{Lu}", r"\p{M}", r"[\p{P}\p{S}]", ".",
    *(rf"\p{{{name}}}" for name in ("Alphabetic", "Han", "Latin", "Greek", "Thai", "Devanagari", "Hangul", "Cyrillic")),
]  # fmt: skip


@pytest.mark.parametrize("one", CLASSES)
def test_the_common_classes_hold_the_same_characters_everywhere(one: str) -> None:
    """Twice the same character is one word if the class holds it: in tiktoken, in `tokenizers` and in regex."""
    codes = [*range(0x600), *range(0x600, 0x30000, 61)]
    twice = [chr(c) * 2 for c in codes if unicodedata.category(chr(c)) not in ("Cn", "Cs")]  # which no release changes
    ranks = {bytes([b]): b for b in range(256)} | {t.encode(): 256 + i for i, t in enumerate(twice)}
    pattern = rf"{one}{{2}}|[\s\S]"
    by_rust = Tokenizer("twice", ranks, {}, pattern)
    by_oniguruma = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    held = [text for text in twice if len(by_rust.encode(text)) == 1]
    assert held == [text for text in twice if len(by_oniguruma.pre_tokenize_str(text)) == 1]
    assert held == [text for text in twice if len(regex.findall(pattern, text)) == 1]
    assert 0 < len(held) < len(twice)


def test_a_pattern_that_may_match_nothing_is_known() -> None:
    assert [p for p in ("a*", "a+", "a|b?", r"\s+(?!\S)", "(?=a)", "(?!(a))b", "(") if may_match_nothing(p)] == [
        *("a*", "a|b?", "(?=a)", "(?!(a))b")
    ]


def test_gaps_are_kept_as_the_package_keeps_them() -> None:
    ranks = {bytes([b]): b for b in range(256)}
    pairs = {bytes([a, b]): 256 + i for i, (a, b) in enumerate((x, y) for x in b" -ab1" for y in b" -ab1")}
    tokenizer = Tokenizer("gaps", ranks | pairs, {}, r"[a-z]+|1")
    for text in varied_texts(200, seed=8):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.tokens("--ab--a 1 1") == [b"--", b"ab", b"--", b"a", b" ", b"1", b" ", b"1"]


def test_start_ids_and_added_tokens_are_saved(tmp_path: Any) -> None:
    ranks = {bytes([b]): b for b in range(256)}
    ours = Tokenizer("all", ranks, {"<s>": 256, "<e>": 300}, r"\p{L}+", (256, 97), {"<t>": 301}, (r"\p{N}",), True)
    ours.save(tmp_path / "tokenizer.json")
    back = Tokenizer.from_file(tmp_path / "tokenizer.json")
    assert back.parts[1:] == ours.parts[1:]
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "e\u0301 12<t><e> a"
    assert theirs.encode(text).ids == [*ours.start_ids, *ours.encode(text, allow_special=True)]
    assert (back.start_ids, ours.start_ids) == ((256, 97), (256, 97))


TEMPLATE = {"SpecialToken": {"id": "<s>", "type_id": 0}}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}
NAMED = {"<s>": {"id": "<s>", "ids": [97], "tokens": ["<s>"]}}


@pytest.mark.parametrize(
    ("post_processor", "message"),
    [
        ({"single": [TEXT, TEMPLATE]}, "it puts '<s>' after each text, and a model would go on after that"),
        ({"single": [TEMPLATE]}, "does not take one text once"),
        ({"single": [TEXT, TEXT]}, "does not take one text once"),
        ({"single": [7, TEXT]}, "7 is no piece of a TemplateProcessing"),
        ({"single": [{"SpecialToken": {"id": "<x>"}}, TEXT]}, "its '<x>' is None, no table"),
        ({"single": None}, "its 'single' is None, no list"),
        ({"type": "BertProcessing"}, "its post-processor 'BertProcessing' is not supported; TemplateProcessing is"),
        ({"type": "RobertaProcessing"}, "its post-processor 'RobertaProcessing' is not supported"),
    ],
)
def test_what_is_put_around_a_text_is_done_or_refused(post_processor: Content, message: str) -> None:
    content = random_content(random.Random(3))
    content["post_processor"] = {"type": "TemplateProcessing", "special_tokens": NAMED} | post_processor
    with pytest.raises(TokenizerError, match=message):
        encoding_of("around", json.dumps(content).encode())
    rule = {"type": "TemplateProcessing", "special_tokens": NAMED, "single": [TEMPLATE, TEXT], "pair": [TEXT, TEMPLATE]}
    content["post_processor"] = {"type": "Sequence", "processors": [{"type": "ByteLevel"}, rule]}
    assert encoding_of("around", json.dumps(content).encode()).start_ids == (97,)
