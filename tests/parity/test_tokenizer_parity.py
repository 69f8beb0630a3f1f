"""The tokenizer equals transformers' on nasty and on generated text, and the golden files."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer as Reference

import bertedu
from bertedu.checkpoint import EMBEDDED
from bertedu.tokenizer import SPECIAL_TOKENS, BertTokenizer, kept_lengths

WORDS = (EMBEDDED / "vocab.txt").read_text(encoding="utf-8").splitlines()
SMALL = [
    *SPECIAL_TOKENS, "play", "##ing", "##s", "Play", "café", "cafe", "Café", "##é", "##e", "i", "İ",
    "i̇", "##i̇", "ß", "ss", "un", "##want", "##ed", "a", "##a", "##b", "b", "A", "!", "-", "¿",
    "你", "好", "🤗", "##🤗", "א", "##ב", "[", "]", "mask", "MASK", "[unused0]", "##\u0301", "ﬁ",
    "각",
]  # fmt: skip
SETTINGS = {
    "uncased": (WORDS, {}),
    "cased": (WORDS, {"lowercase": False}),
    "accents kept": (WORDS, {"strip_accents": False}),
    "cased, accents stripped": (WORDS, {"lowercase": False, "strip_accents": True}),
    "Chinese not split": (WORDS, {"tokenize_chinese_chars": False}),
    "small": (SMALL, {}),
    "small, cased": (SMALL, {"lowercase": False}),
    "small, accents kept": (SMALL, {"strip_accents": False}),
}
NASTY = [
    "",
    " ",
    "\n\t\r \u00a0\u2003\u3000",
    "The quick brown fox can't jump over 1,234.56 dogs!",
    "naïve café Ångström Ærøskøbing Łódź żółć ffi ﬁ ŉ ǆ",
    "nai\u0308ve cafe\u0301 a\u0301\u0327\u0323 \u0301alone e\u0301\u0301\u0301",
    "İstanbul ISTANBUL ıstanbul Iİıi straße STRASSE ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ",
    "東京タワーは高い。你好世界 㐀 𠀀 豈 ｶﾀｶﾅ 한국어 \u1112\u1161\u11ab",
    "emoji 🤗 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ❤️ 1️⃣ 🇫🇷",
    "zero\u200bwidth\u200cnon\u200djoiner\ufeffbom\u2060word\u00adsoft",
    "con\x00trol\x01\x07\x1b[31m\x7f\x80\x9f bell\ufffdreplaced",
    "line\u2028separator\u2029paragraph\x0bvertical\x0cfeed\x85next",
    "مرحبا بالعالم שָׁלוֹם עוֹלָם \u202eabc\u202c \u200fdef",
    "हिन्दी ไทย தமிழ் বাংলা ქართული Հայերեն አማርኛ",
    "$1.00 `code` ^caret~ <script>alert('x')</script> a|b a=b a+b",
    "“quoted” ‘single’ – — … ¿qué? ¡no! «là» 。、《》",
    "[MASK] [CLS] [SEP] [PAD] [UNK] x[MASK]y [mask] [ MASK ] [[MASK]] [MASK][MASK] [unused0]",
    "a [SEP] b [CLS] [CLS]", "[MASK]", " [MASK] ", "[MASK", "##ing play##ing ## ### #",
    "x" * 99, "x" * 100, "x" * 101, "x" * 200, "x" * 201, "é" * 100, "é" * 101, "e\u0301" * 100,
    "play" * 25 + " " + "play" * 26, "unaffable" * 11 + "é", "好" * 300,
    "\ud7ff \ue000 \uf8ff \ufdd0 \ufffe \uffff \U00010000 \U0001ffff \U000e0001 \U0010ffff",
    "𝓯𝓪𝓷𝓬𝔂 𝟙𝟚𝟛 ＦＵＬＬ ①② Ⅷ ½ ²³ ™ ㎏",
    "http://example.org/a?b=c&d=%20 user@example.org #tag @name C++ .NET 3.14e-10",
]  # fmt: skip
variants = pytest.mark.parametrize("variant", SETTINGS)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
WORD = st.sampled_from([*SPECIAL_TOKENS, *WORDS[999::97], *SMALL, " ", "İ", "\u0301"])
MIXED = st.lists(TEXT | WORD, max_size=12).map("".join)  # pieces among the debris


def build(variant: str) -> tuple[BertTokenizer, Reference]:
    words, options = SETTINGS[variant]
    theirs = {"do_lower_case": options.get("lowercase", True)} | {
        name: value for name, value in options.items() if name != "lowercase"
    }
    vocab = {word: index for index, word in enumerate(words)}
    return BertTokenizer(words, **options), Reference(vocab=vocab, **theirs)


class Tokenizers(dict):
    """All variants; a short repr keeps hypothesis' reports readable."""

    def __repr__(self) -> str:
        return "tokenizers"


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    return Tokenizers({variant: build(variant) for variant in SETTINGS})


def encode(theirs: Reference, text: str, pair: str | None = None, **options) -> dict[str, list]:
    """Return the reference's encoding, as a batch of one: alone, it forgets an empty pair."""
    pairs = None if pair is None else [pair]
    batch = theirs([text], pairs, return_offsets_mapping=True, **options)
    return {name: values[0] for name, values in batch.items()}


def assert_same(ours: BertTokenizer, theirs: Reference, text: str, pair: str | None = None) -> None:
    mine = ours.encode(text, pair)
    other = encode(theirs, text, pair, return_special_tokens_mask=True)
    assert mine.input_ids.tolist() == other["input_ids"]
    assert mine.token_type_ids.tolist() == other["token_type_ids"]
    assert mine.attention_mask.tolist() == other["attention_mask"]
    assert mine.offsets == other["offset_mapping"]
    assert mine.special_tokens_mask == other["special_tokens_mask"]
    assert mine.tokens == theirs.convert_ids_to_tokens(other["input_ids"])
    assert ours.ids(text) == theirs(text, add_special_tokens=False)["input_ids"]


@variants
@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:30])
def test_nasty_text(variant, text, tokenizers) -> None:
    assert_same(*tokenizers[variant], text)
    assert_same(*tokenizers[variant], text, "a pair [MASK] " + text)


@variants
def test_batches_of_ids(variant, tokenizers) -> None:
    ours, theirs = tokenizers[variant]
    assert ours.ids_batch(NASTY) == theirs(NASTY, add_special_tokens=False)["input_ids"]


@settings(max_examples=400)
@given(text=TEXT | MIXED, pair=st.none() | TEXT | MIXED)
def test_generated_text(tokenizers, text, pair) -> None:
    for ours, theirs in tokenizers.values():
        assert_same(ours, theirs, text, pair)


@settings(max_examples=300)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8))
def test_every_script_and_category(tokenizers, text) -> None:
    for ours, theirs in tokenizers.values():
        assert_same(ours, theirs, f"un{text}want {text}")


def test_every_character_of_the_basic_plane_by_itself(tokenizers) -> None:
    ours, theirs = tokenizers["uncased"]
    characters = [chr(code) for code in range(0x10000) if not 0xD800 <= code <= 0xDFFF]
    assert ours.ids_batch(characters) == theirs(characters, add_special_tokens=False)["input_ids"]


@settings(max_examples=500)
@given(first=st.integers(0, 60), second=st.integers(0, 60), room=st.integers(0, 70))
@example(first=4, second=9, room=7)
@example(first=9, second=4, room=7)
def test_truncated_pairs(tokenizers, first, second, room) -> None:
    """Equal wherever both rules agree; else the odd token is the first's here, the second's there.

    Google pops from the longer segment, from the second on a tie. The Rust tokenizer shares an odd
    room out to the longer segment, to the second on a tie.
    """
    ours, theirs = tokenizers["small"]
    text, pair = " ".join(["a"] * first), " ".join(["b"] * second)
    mine = ours.encode(text, pair, max_length=room + 3, truncate=True).input_ids.tolist()
    cut = encode(theirs, text, pair, max_length=room + 3, truncation="longest_first")
    other = cut["input_ids"]
    a, b = ours.ids("a b")
    half, odd = divmod(room, 2)
    both_cut = min(first, second) > half and first + second > room
    if both_cut and odd and first <= second:
        assert (mine.count(a), mine.count(b)) == (half + 1, half)
        assert (other.count(a), other.count(b)) == (half, half + 1)
    else:
        assert mine == other


@settings(max_examples=300)
@given(text=MIXED, room=st.integers(0, 12))
def test_truncated_single_texts(tokenizers, text, room) -> None:
    for ours, theirs in tokenizers.values():
        mine = ours.encode(text, max_length=room + 2, truncate=True)
        other = encode(theirs, text, max_length=room + 2, truncation=True)
        assert mine.input_ids.tolist() == other["input_ids"]
        assert mine.offsets == other["offset_mapping"]


@settings(max_examples=200)
@given(
    question=st.lists(st.sampled_from(SMALL[5:]), max_size=6).map(" ".join),
    document=st.lists(st.sampled_from(SMALL[5:]), max_size=80).map(" ".join),
    extra=st.integers(1, 20),
    overlap=st.integers(0, 10),
)
def test_windows(tokenizers, question, document, extra, overlap) -> None:
    ours, theirs = tokenizers["small"]
    longest = len(ours.ids(question)) + 3 + overlap + extra
    mine = ours.encode_windows(question, document, max_length=longest, overlap=overlap)
    other = theirs(
        [question], [document], max_length=longest, truncation="only_second", stride=overlap,
        return_overflowing_tokens=True, return_offsets_mapping=True,
    )  # fmt: skip
    assert [w.input_ids.tolist() for w in mine] == other["input_ids"]
    assert [w.token_type_ids.tolist() for w in mine] == other["token_type_ids"]
    assert [w.offsets for w in mine] == other["offset_mapping"]


# The golden files: what transformers 4's Python and Rust tokenizers and the published tests say.


@pytest.fixture(scope="module")
def golden(shared):
    def read(name):
        path = shared / "data" / "tokenizer_golden" / name
        if not path.is_file():
            pytest.skip(f"optional reference data: {name} is not in BERTEDU_SHARED")
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if name.endswith(".json") else text

    return read


def pairs_of(offsets) -> list[tuple[int, int]]:
    return [tuple(pair) for pair in offsets]


def test_golden_texts(golden) -> None:
    tokenizer = bertedu.load_tokenizer()
    cases = golden("uncased.json")
    assert len(cases) == 600
    for case in cases:
        encoding = tokenizer.encode(case["text"])
        assert encoding.tokens[1:-1] == case["tokens"]
        assert encoding.input_ids[1:-1].tolist() == case["ids"]
        assert encoding.offsets[1:-1] == pairs_of(case["offsets"])


def test_golden_pairs(golden, tokenizers) -> None:
    ours, theirs = tokenizers["uncased"]
    cases = golden("pairs.uncased.json")
    assert len(cases) == 60
    for case in cases:
        size = case["max_length"]
        encoding = ours.encode(case["a"], case["b"], max_length=size, truncate=True)
        batch = bertedu.collate([encoding], pad_to=size)
        for name, values in batch.items():
            assert values[0].tolist() == case[name]
        rust = theirs(case["a"], case["b"], max_length=size, truncation="longest_first")
        assert (rust["input_ids"] == encoding.input_ids.tolist()) == case["same_as_rust"]


def test_golden_windows(golden, shared) -> None:
    tokenizer = bertedu.load_tokenizer()
    articles = json.loads((shared / "data/xquad/xquad.en.json").read_text(encoding="utf-8"))["data"]
    texts = {
        qa["id"]: (qa["question"], paragraph["context"])
        for article in articles
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    }
    cases = golden("qa_windows.uncased.json")
    assert len(cases) == 24
    for case in cases:
        windows = tokenizer.encode_windows(
            *texts[case["id"]], max_length=case["max_length"], overlap=case["stride"]
        )
        assert [w.input_ids.tolist() for w in windows] == unpadded(case["input_ids"])
        for window, types, offsets in zip(
            windows, case["token_type_ids"], case["offsets"], strict=True
        ):
            assert window.token_type_ids.tolist() == types[: len(window)]
            assert window.offsets == pairs_of(offsets[: len(window)])


def unpadded(rows: list[list[int]]) -> list[list[int]]:
    return [[index for index in row if index != 0] for row in rows]


def test_golden_sample_text_of_the_original_repository(golden, tokenizers) -> None:
    ours, theirs = tokenizers["uncased"]
    text = golden("google_sample_text.txt")
    for part in (text, *text.splitlines()):
        assert_same(ours, theirs, part)


def speaking(words, **options) -> BertTokenizer:
    """Return a tokenizer that knows exactly these words, after the ids given to them."""
    return BertTokenizer([*words, *(t for t in SPECIAL_TOKENS if t not in words)], **options)


def test_published_cases(golden) -> None:
    published = golden("published_cases.json")
    toy = published["toy_vocab_google"]
    for case in published["full"]:
        encoding = speaking(published[case["vocab"]]).encode(case["text"])
        assert encoding.tokens[1:-1] == case["tokens"]
        assert encoding.input_ids[1:-1].tolist() == case["ids"]
    assert len(published["basic"]) == 9
    for case in published["basic"]:
        tokenizer = speaking(
            dict.fromkeys(case["tokens"]),
            lowercase=case["lower"],
            strip_accents=case.get("strip_accents"),
        )
        assert tokenizer.encode(case["text"]).tokens[1:-1] == case["tokens"]
    for case in published["wordpiece"]:
        tokenizer = speaking(toy, lowercase=False)
        assert tokenizer.encode(case["text"]).tokens[1:-1] == case["tokens"]
    case = published["uncased_offsets"]
    encoding = bertedu.load_tokenizer().encode(case["text"])
    assert (encoding.tokens, encoding.offsets) == (case["tokens"], pairs_of(case["offsets"]))


def test_published_classes_of_characters(golden) -> None:
    published = golden("published_cases.json")

    def split(character) -> list[str]:
        words = dict.fromkeys(["a", "b", "##b", "ab", f"a{character.lower()}b", character])
        return speaking(words).encode(f"a{character}b").tokens[1:-1]

    for character in published["is_whitespace"]["true"]:
        assert split(character) == ["a", "b"]
    for character in published["is_whitespace"]["false"]:
        assert split(character) != ["a", "b"]
    for character in published["is_control"]["true"]:
        assert split(character) == ["ab"]
    for character in published["is_control"]["false"]:
        assert split(character) != ["ab"]
    for character in published["is_punctuation"]["true"]:
        assert split(character) == ["a", character, "b"]
    for character in published["is_punctuation"]["false"]:
        assert split(character) != ["a", character, "b"]


@settings(max_examples=500)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 130))
def test_kept_lengths_pop_from_the_longer_as_the_original_code(first, second, room) -> None:
    expected = [first, second]
    while sum(expected) > room:
        expected[0 if expected[0] > expected[1] else 1] -= 1
    assert kept_lengths(first, second, room) == tuple(expected)
