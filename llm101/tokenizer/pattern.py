"""The regular expression that cuts text into words, in the two dialects in which it is written down.

tiktoken's patterns are fancy-regex's, those of a tokenizer.json Oniguruma's: "{1,3}+" gives nothing back in the one and
means "one or more times one to three" in the other; "$" is the end of the text here and of each line there. This module
knows both dialects, and nothing of tokens.

Reading order: in_both_dialects (may one be taken for the other?), for_oniguruma (how to say the same),
may_match_nothing, keeping_gaps.
"""

from __future__ import annotations

import re
from itertools import pairwise

import regex

from llm101.outside.strict_json import shown
from llm101.tokenizer.parts import TokenizerError

DIGITS_APART_PATTERN = r"\p{N}|'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"
"""SmolLM's cuts in one pattern: each digit apart, and what lies between digits cut as GPT-2 does. White space before a
digit ends its stretch, hence the fifth alternative."""

LONGEST_GAP = 100_000
"""Characters between two words. At about a million, fancy-regex's stack overflows."""

_SCRIPTS = "Han|Hiragana|Katakana|Hangul|Latin|Greek|Cyrillic|Arabic|Hebrew|Thai|Devanagari"
_CLASS = rf"\\[pP]\{{(?:L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|Alphabetic|{_SCRIPTS})\}}"
_ESCAPE = r"\\[sSdDrnt\]\[{}()|.*+?^$\\/-]"
_SET = rf"\[\^?(?:{_CLASS}|{_ESCAPE}|(?!&&|--|~~)[^\]\[\\])+\]"
_ENDINGS = r"\(\?i:'s\|'t\|'re\|'ve\|'m\|'ll\|'d\)|'\(\?i:\[sdmt\]\|ll\|ve\|re\)"
_TIMES = r"(?:[*+?][+?]?|\{\d+(?:,\d*)?\}(?![+?]))(?![*+?{])"
_ATOM = rf"{_ENDINGS}|\)|{_CLASS}|{_ESCAPE}|{_SET}|[^\\\[\](){{}}*+?|^$]"
_common = regex.compile(rf"(?:(?:{_ATOM})(?:{_TIMES})?|\((?:\?(?:[:>]|<?[=!]))?|\|)+")
_look_around = regex.compile(rf"\(\?<?[=!](?:{_CLASS}|\\.|{_SET}|[^()\\\[])*+\)")

_part = regex.compile(  # one part of a pattern: an atom, a bracket, a count or a sign
    r"\\[pP]\{[^{}]*\}|\\x\{[^{}]*\}|\\.|\[\^?\]?(?:\\[pP]\{[^{}]*\}|\\.|\[:\^?\w+:\]|[^\]\\])*\]"
    r"|\((?:\?(?:[:=!>|]|<[=!]|[a-z-]+:|P?<\w+>))?|\)|\{\d+(?:,\d*)?\}\+?|[*+?][+?]?|[|^$]|.",
    regex.DOTALL,
)

_RESPELLED = {"$": r"(?![\s\S])", "^": r"(?<![\s\S])"}  # the ends of a text, and of each line


def in_both_dialects(pattern: str) -> bool:
    """Whether a pattern is made of nothing but what both dialects take for the same, and never matches nothing.

    Example:
        >>> in_both_dialects(r" ?\\p{L}+|\\s+(?!\\S)|\\s"), in_both_dialects(r"\\p{N}{1,3}+"), in_both_dialects("^a")
        (True, False, False)
    """
    return _common.fullmatch(pattern) is not None and not may_match_nothing(pattern)


def may_match_nothing(pattern: str) -> bool:
    """Whether a pattern may match between two characters, or does something by which one cannot tell.

    Example:
        >>> may_match_nothing(r"\\w*"), may_match_nothing(r"a|(?=b)"), may_match_nothing(r"\\s+(?!\\S)")
        (True, True, False)
    """
    looking_at_nothing = _look_around.sub("", pattern)
    if any(sign in looking_at_nothing for sign in ("(?=", "(?!", "(?<=", "(?<!")):
        return True
    try:
        return regex.compile(looking_at_nothing).match("") is not None
    except regex.error:
        return False  # a pattern that only its own dialect can judge


def for_oniguruma(pattern: str) -> str:
    """A pattern of tiktoken's as a tokenizer.json has to spell it.

    Raises:
        TokenizerError: it has something that Oniguruma takes for something else.

    Example:
        >>> for_oniguruma(r"\\p{N}{1,3}+|\\s++$"), for_oniguruma("(ab){2}+b")
        ('\\\\p{N}{1,3}|\\\\s++(?![\\\\s\\\\S])', '(?>(ab){2})b')
    """
    written: list[str] = []
    opened: list[int] = []  # where each group that is still open begins
    last = 0  # where what a count counts begins
    parts = _part.findall(pattern)
    for part, following in pairwise([*parts, ""]):
        start = len(written)
        if part.startswith("("):
            opened.append(start)
        elif part == ")" and opened:
            start = opened.pop()
        if part.startswith("{") and part.endswith("+"):  # gives nothing back, which nobody asks for at an end
            written.append(part[:-1])
            if following not in ("", "|"):
                written[last:] = [f"(?>{''.join(written[last:])})"]
            continue
        written.append(_RESPELLED.get(part) or re.sub(r"\\(.)", _word_class, part, flags=re.DOTALL))
        if part[0] not in "*+?{":
            last = start
    if not in_both_dialects("".join(written)):
        raise TokenizerError(f"the pattern {shown(pattern)} cannot be saved: others would take it for something else")
    return "".join(written)


def _word_class(escape: re.Match[str]) -> str:
    """What tiktoken takes for a letter of a word (Oniguruma also takes ², and not the zero-width joiner)."""
    members = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}" + "\u200c\u200d"
    if escape[1] not in "wW" or (escape[1] == "W" and escape.string.startswith("[")):
        return escape[0]
    if escape.string.startswith("["):
        return members
    return f"[{members}]" if escape[1] == "w" else f"[^{members}]"


def keeping_gaps(pattern: str) -> str:
    """A pattern that also matches what lies between two matches, since tiktoken drops what no match covers.

    Example:
        >>> import regex
        >>> regex.findall(keeping_gaps(r"\\w+"), "low, low")
        ['low', ', ', 'low']
    """
    return rf"(?:{pattern})|(?:(?!{pattern})[\s\S]){{1,{LONGEST_GAP}}}"
