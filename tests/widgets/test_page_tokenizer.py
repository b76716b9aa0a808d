"""The page's tokenizer (bpe.js, under node) against tiktoken, token by token."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from llm101.tokenizer import Tokenizer
from llm101.tokenizer.published import VOCABULARIES
from llm101_widgets.token_playground.packed_ranks import packed_ranks

NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is missing: see make test-widgets")

SCRIPTS = {
    "Arabic": "السماء زرقاء والبحر هادئ اليوم، و١٢٣ سفينة تعود.",
    "Armenian": "Երկինքը կապույտ է, իսկ ծովն այսօր հանգիստ է։",
    "Bengali": "আকাশ নীল, আর আজ সমুদ্র শান্ত। ১২৩টি নৌকা ফিরছে।",
    "Cyrillic": "Небо синее, а море сегодня спокойное: 123 корабля, Ёлка и йод.",
    "Devanagari": "आसमान नीला है और आज समुद्र शांत है। १२३ नावें लौट रही हैं।",
    "Ethiopic": "ሰማዩ ሰማያዊ ነው፤ ባሕሩም ዛሬ ጸጥ ያለ ነው።",
    "Georgian": "ცა ლურჯია და ზღვა დღეს მშვიდია. ᲪᲐ ᲚᲣᲠᲯᲘᲐ.",
    "Greek": "Ο ουρανός είναι γαλάζιος και η θάλασσα σήμερα ήρεμη. ΟΔΥΣΣΕΥΣ ὁ πολύτροπος",
    "Gujarati": "આકાશ વાદળી છે અને આજે દરિયો શાંત છે.",
    "Gurmukhi": "ਅਸਮਾਨ ਨੀਲਾ ਹੈ ਅਤੇ ਅੱਜ ਸਮੁੰਦਰ ਸ਼ਾਂਤ ਹੈ।",
    "Han": "天空是蓝色的，今天大海很平静。有一百二十三艘船回来了。",
    "Hangul": "하늘은 파랗고 오늘 바다는 잔잔하다. 배 123척이 돌아온다. 하늘",
    "Hebrew": "השמיים כחולים והים היום שקט. שָׁלוֹם",
    "Japanese": "空は青く、今日の海は静かです。ボートが１２３そう戻ってくる。ﾎﾞｰﾄ",
    "Kannada": "ಆಕಾಶ ನೀಲಿ ಮತ್ತು ಇಂದು ಸಮುದ್ರ ಶಾಂತವಾಗಿದೆ.",
    "Khmer": "មេឃមានពណ៌ខៀវ ហើយថ្ងៃនេះសមុទ្រស្ងប់។",
    "Latin": "The SKY is blue; it's 1,234,567 o'clock. Straße, ŒUVRE, ǅungla, ﬁne, naïve — I'LL, they'ſ, tiếng Việt",
    "Malayalam": "ആകാശം നീലയാണ്, ഇന്ന് കടൽ ശാന്തമാണ്.",
    "Myanmar": "ကောင်းကင်က ပြာပြီး ဒီနေ့ ပင်လယ်က ငြိမ်တယ်။",
    "Sinhala": "අහස නිල් ය, අද මුහුද නිසල ය.",
    "Tamil": "வானம் நீலமாக உள்ளது, இன்று கடல் அமைதியாக உள்ளது.",
    "Telugu": "ఆకాశం నీలంగా ఉంది, ఈ రోజు సముద్రం ప్రశాంతంగా ఉంది.",
    "Thai": "ท้องฟ้าเป็นสีฟ้า และวันนี้ทะเลสงบ เรือ ๑๒๓ ลำกลับมา",
    "Tibetan": "གནམ་སྔོན་པོ་རེད། དེ་རིང་རྒྱ་མཚོ་ཞི་འཇགས་རེད།",
}

HARD = [
    "",
    " ",
    "a",
    "   ",
    "\n\n\n  \n",
    " \r\n\r\n x",
    "a" * 3000,
    "ab" * 1500,
    " " * 3000,
    " " * 500 + "x",
    "\t\t\tif (x) {\n\t\t\t\treturn;\n\t\t\t}\n\n",
    "don't DON'T don't 'sS 's'S't'T're'RE've'm'LL'll'd'D 'ſ 'K",
    "x\u0085y\ufeffz\u00a0\u2028\u3000\u200b\u200d",
    "12345678901234567890 ²³ ½ Ⅷ ١٢٣ 五",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\U0001f3fd \U0001f1e9\U0001f1ea ❤️ ✈︎",
    "e\u0301\u0301\u0301 \u0301 a\u0300-\u0301b",
    "Z\u0351\u036b\u0343a\u0321\u0338l\u0334g\u0358o\u0337",
    "<|endoftext|><|im_start|>system</s>[INST]",
    "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;&#0;\x00\x01\x7f",
    "!!!???...---___===###@@@//////\r\n////\n",
    "SolidGoldMagikarp StreamerBot  rawdownloadcloneembedreportprint",
    "Donaudampfschifffahrtsgesellschaftskapitän camelCaseHTTPServer snake_case_9",
    "https://example.org/a?b=c&d=%20#e  ~/.config/x.toml  C:\\Users\\x",
    "\u202eright to left\u202c \u2066isolated\u2069",
    "\ud800 lone \udfff surrogates".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
]


def by_the_page(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    packed = packed_ranks(tokenizer)
    sent = packed | {"packed": base64.b64encode(packed["packed"]).decode(), "texts": texts}
    script = Path(__file__).with_name("tokenize.mjs")
    done = subprocess.run([str(NODE), script], input=json.dumps(sent).encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def assert_equal(tokenizer: Tokenizer, texts: list[str]) -> None:
    for text, ids in zip(texts, by_the_page(tokenizer, texts), strict=True):
        assert ids == tokenizer.encode(text), f"{tokenizer.name}: the page cuts {text!r} otherwise than tiktoken"


def characters() -> list[str]:
    """All that Unicode had when this Python was made: a page may be newer, and then knows what is a letter too."""
    skipped = {"Cn", "Cs"}  # not assigned; halves of surrogate pairs
    return [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) not in skipped]


def random_texts(count: int, seed: int) -> list[str]:
    """Mixtures of one to six kinds of character: everything, one neighbourhood, ASCII, spaces, endings, marks."""
    rng = random.Random(seed)
    every = characters()
    marks = [c for c in every if unicodedata.category(c) in ("Mn", "Mc", "Lm", "Lt", "Nl", "No", "Cf")]
    spaces = " \n\r\t\x0b\x0c\x1c\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000\u200b\ufeff"
    endings = ["'s", "'S", "'ll", "'LL", "'Re", "'ve", "'m", "'D", "'t", "'ſ", "'", "’s", "//", "\r\n", "\n\n", " the"]

    def part() -> str:
        length = rng.choice((1, 2, 3, 5, 8, 20))
        start = rng.randrange(len(every))
        kind = rng.randrange(7)
        pool = (every, every[start : start + 80], marks, spaces, endings, [" "], [chr(i) for i in range(32, 127)])[kind]
        return "".join(rng.choices(pool, k=length))

    return ["".join(part() for _ in range(rng.randint(1, 6))) for _ in range(count)]


@pytest.mark.parametrize("name", VOCABULARIES)
def test_the_page_finds_tiktokens_tokens_in_every_script_and_every_hard_case(name: str) -> None:
    assert len(SCRIPTS) >= 20
    assert_equal(Tokenizer.from_tiktoken(name), [*SCRIPTS.values(), *HARD, "\n".join(SCRIPTS.values()) * 3])


@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "o200k_base", "qwen2.5", "tekken"])
def test_the_page_finds_tiktokens_tokens_in_random_unicode(name: str) -> None:
    assert_equal(Tokenizer.from_tiktoken(name), random_texts(600, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "o200k_base", "qwen2.5", "tekken"])
def test_the_page_finds_tiktokens_tokens_in_a_hundred_thousand_random_texts(name: str) -> None:
    assert_equal(Tokenizer.from_tiktoken(name), random_texts(100_000, seed=2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "o200k_base", "qwen2.5", "tekken"])
def test_the_page_knows_of_every_character_what_it_is(name: str) -> None:
    assert_equal(Tokenizer.from_tiktoken(name), [f"a{c}A {c}{c}1'{c}s  {c}" for c in characters()])


def test_a_tokenizer_that_was_trained_here_works_in_the_page_too() -> None:
    texts = list(SCRIPTS.values())
    assert_equal(Tokenizer.train(texts, vocab_size=600), [*texts, *HARD])
