"""Reads texts of every kind as transformers does: `python -m tests.fuzz_texts [COUNT] [SEED]`.

Each text, alone or in a pair, must give the reference's ids, segments, mask, offsets and tokens in
each of eight kinds of vocabulary.
"""

import random
import sys
import unicodedata
from collections import Counter

from tests.parity.test_tokenizer_parity import NASTY, SETTINGS, SMALL, WORDS, assert_same, build

LETTERS = {
    "Latin with marks": "aàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿāăąćčďđēėęěğģıİłńňőœřśşšťţūůűųźżžſßŉǆ",
    "joining marks": "e\u0301\u0300\u0327\u0323\u0308a\u030ao\u0338\u20e3n\u0303",
    "Greek, Cyrillic": "αάβγδςσΣΩΌжёйІЇЩЪЯѣ",
    "Chinese": "你好世界的一是不了人𠀀𪛟㐀豈々〆。，！？、「」",
    "kana, Hangul": "あいうカタカナｶﾀｶﾅー한국어각\u1112\u1161\u11ab",
    "from the right": "שלום עולם مرحبا بالعالم \u200f\u202e\u202c\u0651\u05b8",
    "India, Thai": "हिन्दीতামিலตไทยქართულიអក្សរ",
    "emoji": "🤗👩‍👩‍👧🏳️‍🌈👍🏽❤️1️⃣🇫🇷",
    "unseen": "\u200b\u200c\u200d\u2060\ufeff\u00ad\u00a0\u3000\u2028\u2029\x85\x0b\x0c\t\r\n ",
    "controls": "\x00\x01\x07\x1b\x7f\x80\x9f\ufffd\ufffe\uffff\ue000",
    "marks": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¿¡«»“”‘’–—…§¶©®™°±²½€£¥",
    "compatibility": "ﬁﬂⅧ①㎏ＦＵＬＬ𝓯𝟙ℵΩK",
}


def generated(rng: random.Random) -> str:
    """Returns a text of words, odd letters, special tokens and debris."""

    def part() -> str:
        kind = rng.random()
        if kind < 0.35:
            return rng.choice(WORDS[999:]) + rng.choice(["", " ", " ", "s ", "ing "])
        if kind < 0.45:
            return rng.choice(SMALL)
        if kind < 0.8:
            letters = rng.choice([*LETTERS.values()])
            return "".join(rng.choices(letters, k=rng.randrange(1, 9))) + rng.choice(["", " "])
        if kind < 0.9:
            points = (rng.randrange(0x110000) for _ in range(rng.randrange(1, 5)))
            return "".join(chr(p) for p in points if not 0xD800 <= p <= 0xDFFF)
        if kind < 0.95:
            return rng.choice(NASTY)
        return rng.choice("aé好x") * rng.choice([99, 100, 101, 200])

    text = "".join(part() for _ in range(rng.randrange(9)))
    return unicodedata.normalize(rng.choice(["NFC", "NFD"]), text) if rng.random() < 0.2 else text


def main(count: int = 20_000, seed: int = 0) -> int:
    """Prints how many texts were read alike; returns 1 where one was not."""
    rng, counts = random.Random(seed), Counter[str]()
    tokenizers = {variant: build(variant) for variant in SETTINGS}
    for number in range(count):
        text, pair = generated(rng), generated(rng) if rng.random() < 0.3 else None
        for variant, (ours, theirs) in tokenizers.items():
            try:
                assert_same(ours, theirs, text, pair)
                counts["equal"] += 1
            except Exception as error:  # noqa: BLE001 (that is what is sought)
                counts["WRONG"] += 1
                print(f"{number}, {variant}: {text!r}, {pair!r}: {error!r:.300}")
    print(f"{count} texts, seed {seed}, in {len(SETTINGS)} vocabularies: {dict(counts)}")
    return int(counts["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
