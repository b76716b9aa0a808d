"""The tokenizers of well-known models, in files that come with this package: nothing is downloaded.

Each file holds a vocabulary: the tokens' bytes, in the order in which they were learned. README.md says where each
comes from and under which licence; build.py makes the files. What is read is written out once more the way
tiktoken publishes it, and must have the SHA-256 that tiktoken itself asks for, so every token and id is right.

Reading order: Vocabulary, VOCABULARIES, published_parts, then pack_tokens and unpack_tokens (the file format).
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import lzma
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count, pairwise
from pathlib import Path

from llm101.outside.strict_json import shown
from llm101.tokenizer.parts import END_OF_TEXT, TokenizerError, TokenizerParts

FOLDER = Path(__file__).parent

GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
"""GPT-2's cuts (as GPT2_WORD_PATTERN), spelled so that the search never goes back: ++ gives nothing up again."""

CL100K_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s"
)
QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"

O200K_PATTERN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_ENDING}|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_ENDING}"
    rf"|\p{{N}}{{1,3}}{_REST}"
)
TEKKEN_PATTERN = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*|\p{{N}}{_REST}"
TEKKEN_SPECIAL = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    *("[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
    *(f"<SPECIAL_{i}>" for i in range(20, 1000)),
)


@dataclass(frozen=True)
class Vocabulary:
    """One published tokenizer."""

    used_by: str
    """Models that read their text through it."""
    file: str
    """Its file here, without .xz."""
    n_tokens: int
    """Ordinary tokens; of a longer file, the first ones."""
    sha256: str
    """Of the tokens in tiktoken's own format, see tiktoken_file."""
    pattern: str
    """How it cuts text into words before merging."""
    special_tokens: dict[str, int] = field(default_factory=dict)
    first_id: int = 0
    """The id of the first ordinary token; the others follow, stepping over the ids of special tokens."""


_R50K = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
_FIM = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")

VOCABULARIES = {
    "gpt2": Vocabulary("GPT-2", "p50k_base", 50_256, _R50K, GPT2_PATTERN, {END_OF_TEXT: 50256}),
    "r50k_base": Vocabulary("GPT-3", "p50k_base", 50_256, _R50K, GPT2_PATTERN, {END_OF_TEXT: 50256}),
    "p50k_base": Vocabulary(
        "Codex",
        "p50k_base",
        50_280,
        "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
        GPT2_PATTERN,
        {END_OF_TEXT: 50256},
    ),
    "cl100k_base": Vocabulary(
        "GPT-3.5 and GPT-4",
        "cl100k_base",
        100_256,
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        CL100K_PATTERN,
        {END_OF_TEXT: 100257, **dict(zip(_FIM, count(100258))), "<|endofprompt|>": 100276},
    ),
    "o200k_base": Vocabulary(
        "GPT-4o and later",
        "o200k_base",
        199_998,
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        O200K_PATTERN,
        {END_OF_TEXT: 199999, "<|endofprompt|>": 200018},
    ),
    "qwen2.5": Vocabulary(
        "Qwen to Qwen3, by Alibaba",
        "qwen2.5",
        151_643,
        "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186",
        QWEN_PATTERN,
        {END_OF_TEXT: 151643, "<|im_start|>": 151644, "<|im_end|>": 151645},
    ),
    "tekken": Vocabulary(
        "Mistral NeMo and later, by Mistral AI",
        "tekken",
        130_072,
        "e601c3eb93ff531d545cf3c4f73e1ad59da1c456c538ba2368733ec157315b23",
        TEKKEN_PATTERN,
        dict(zip(TEKKEN_SPECIAL, count())),
        first_id=1000,
    ),
}
"""By name. tiktoken's own names where it has one."""


def published_parts(name: str) -> TokenizerParts:
    """One of VOCABULARIES, ready to be put to work: `Tokenizer.from_tiktoken(name)` does it.

    Raises:
        TokenizerError: no such name, or its file is damaged.

    Example:
        >>> published_parts("gpt2").ranks[b"ization"]
        1634
    """
    if name not in VOCABULARIES:
        close = difflib.get_close_matches(str(name)[:100], VOCABULARIES, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise TokenizerError(f"no tokenizer {shown(name)}: {hint}known are {', '.join(VOCABULARIES)}")
    vocabulary = VOCABULARIES[name]
    ranks = read_ranks(vocabulary)
    return TokenizerParts(name, ranks, vocabulary.special_tokens, vocabulary.pattern)


def read_ranks(vocabulary: Vocabulary) -> dict[bytes, int]:
    """Token -> id, proved to be the published ones."""
    path = FOLDER / f"{vocabulary.file}.xz"
    try:
        tokens = unpack_tokens(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TokenizerError(f"cannot read {path}: {error}; install llm101 anew") from None
    if vocabulary.file == "qwen2.5":
        tokens = without_long_numbers(read_ranks(VOCABULARIES["cl100k_base"])) + tokens
    taken = set(vocabulary.special_tokens.values())
    ids = (i for i in count(vocabulary.first_id) if i not in taken)
    ranks = dict(zip(tokens[: vocabulary.n_tokens], ids))
    found = hashlib.sha256(tiktoken_file(ranks)).hexdigest()
    if found != vocabulary.sha256:
        raise TokenizerError(
            f"{path} is damaged: its tokens have SHA-256 {found}, not {vocabulary.sha256}; install llm101 anew"
        )
    return ranks


def without_long_numbers(tokens: Iterable[bytes]) -> list[bytes]:
    """What Qwen's makers kept of GPT-4's vocabulary: all but the numbers of two and three digits.

    Example:
        >>> without_long_numbers([b"7", b"77", b" the"])
        [b'7', b' the']
    """
    return [token for token in tokens if len(token) == 1 or not token.isdigit()]


def tiktoken_file(ranks: dict[bytes, int]) -> bytes:
    """The vocabulary as a .tiktoken file: a line for each token, its bytes in base64 and its id.

    Example:
        >>> tiktoken_file({b"!": 0, b" the": 1})
        b'IQ== 0\\nIHRoZQ== 1\\n'
    """
    encode = base64.b64encode
    return b"".join([b"%b %d\n" % (encode(token), token_id) for token, token_id in ranks.items()])


def pack_tokens(tokens: Sequence[bytes]) -> bytes:
    """Tokens as a small file: xz over how many there are (4 bytes), then all lengths (a byte each), then all bytes.

    Kept apart, lengths and text compress better than mixed, and a quarter better than tiktoken's own format does.
    """
    plain = len(tokens).to_bytes(4, "little") + bytes(map(len, tokens)) + b"".join(tokens)
    settings = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0, "nice_len": 273}
    return lzma.compress(plain, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=[settings])


def unpack_tokens(packed: bytes) -> list[bytes]:
    """The opposite of pack_tokens.

    Raises:
        ValueError: not such a file, or cut short.

    Example:
        >>> unpack_tokens(pack_tokens([b"!", b" the"]))
        [b'!', b' the']
    """
    try:
        plain = lzma.decompress(packed, lzma.FORMAT_XZ)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(f"not a whole xz file ({error})") from None
    start = 4 + int.from_bytes(plain[:4], "little")
    ends = list(accumulate(plain[4:start], initial=start))
    if ends[-1] != len(plain):
        raise ValueError(f"its tokens have {ends[-1] - start:,} bytes together, it holds {len(plain) - start:,}")
    return [plain[a:b] for a, b in pairwise(ends)]
