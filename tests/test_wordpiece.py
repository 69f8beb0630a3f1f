"""The trace ends where the tokenizer does, on text of every kind, and tells the way truly."""

import json
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bertedu import BertTokenizer, InputError, load_tokenizer
from bertedu.tokenizer import LONGEST_WORD, SPECIAL_TOKENS
from bertedu.wordpiece import STEPS, is_punctuation, normalize_character, wordpiece_trace

UNCASED = load_tokenizer()
SETTINGS = [
    {"lowercase": True},
    {"lowercase": False},
    {"lowercase": True, "strip_accents": False},
    {"lowercase": False, "strip_accents": True},
    {"lowercase": True, "tokenize_chinese_chars": False},
]
TOKENIZERS = [BertTokenizer(UNCASED.tokens, **settings) for settings in SETTINGS]
NASTY = [
    "",
    " \t\n\u3000\u00a0\u2028",
    "Playing the unaffable GRAFFITI-like café naïve Übermütig İstanbul ΣΑΣ ẞ",
    "e\u0301 \u0301e a\u0308\u0323b Å Å ﬁ ½ x² ①",
    "我爱bert。日本語テスト 한국어 \uf900\U00020000\U0002b820\U0002b920",
    "👩\u200d👩\u200d👧 🏳️\u200d🌈 :-) ^_^ a€b $5 3.14",
    "\u202eשלום עולם\u202c مرحبا",
    "\x00a\x07b\u200bc\ufeffd\ufffde\x1c\x85f\x0bg",
    "<script>alert(1)</script> <img src=x onerror=alert(1)>",
    "[MASK][CLS] [mask] x[SEP]y [UNK]ed [PAD [[MASK]] ##ing # #",
    "a" * LONGEST_WORD + " " + "a" * (LONGEST_WORD + 1) + " " + "é" * 101 + " " + "\u0301a" * 60,
    "\u01c5 ŉ \u0345 ᾳ ῼ \u1e9b\u0323 \u0958 \u0f77",
]


def assert_same_as_tokenizer(text: str, tokenizer: BertTokenizer) -> None:
    encoding = tokenizer.encode(text)
    expected = list(
        zip(encoding.tokens, encoding.input_ids.tolist(), encoding.offsets, strict=True)
    )
    trace = wordpiece_trace(text, tokenizer)
    assert [(p.token, p.id, (p.start, p.end)) for p in trace.pieces] == expected[1:-1]
    assert "".join(c.original for c in trace.characters) == text


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=[json.dumps(s) for s in SETTINGS])
@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_ends_as_in_the_tokenizer(text: str, tokenizer: BertTokenizer) -> None:
    assert_same_as_tokenizer(text, tokenizer)


WORDLIKE = st.sampled_from(
    [*SPECIAL_TOKENS, "play", "ing", "é", "É", "##", " ", ".", "\u0301", "x"]
)


@given(
    st.lists(st.text(max_size=12) | WORDLIKE, max_size=12).map("".join),
    st.sampled_from(TOKENIZERS),
)
@example("\u0130\u0307 \u1e69", TOKENIZERS[0])
def test_any_text_ends_as_in_the_tokenizer(text: str, tokenizer: BertTokenizer) -> None:
    assert_same_as_tokenizer(text, tokenizer)


def test_every_kind_of_character_ends_as_in_the_tokenizer() -> None:
    """Every assigned character; of the 130,000 letters without case, one in 16."""
    characters = [
        character
        for code, character in enumerate(map(chr, range(sys.maxunicode + 1)))
        if (category := unicodedata.category(character)) not in {"Cn", "Co", "Cs"}
        and (category != "Lo" or code % 16 == 0)
    ]
    assert len(characters) > 24_000
    for start in range(0, len(characters), 2_000):
        # A letter in between keeps marks from being sorted across their neighbours.
        assert_same_as_tokenizer(" x".join(characters[start : start + 2_000]), UNCASED)


def test_the_reference_cases_end_as_published(shared: Path) -> None:
    cases = json.loads((shared / "data/tokenizer_golden/uncased.json").read_text())
    assert len(cases) >= 600
    for case in cases:
        pieces = wordpiece_trace(case["text"], UNCASED).pieces
        offsets = [[piece.start, piece.end] for piece in pieces]
        assert [piece.id for piece in pieces] == case["ids"], case["text"]
        assert offsets == case["offsets"], case["text"]


def test_the_textbook_rules_say_the_same() -> None:
    """Python's own tables, younger than the tokenizer's, agree where most alphabets live."""
    for character in map(chr, range(0x600)):
        category = unicodedata.category(character)
        normal = normalize_character(character).normalized
        if character in "\0\ufffd" or (category[0] == "C" and character not in "\t\n\r"):
            assert normal == ("" if category != "Cn" else character)
        elif character.isspace():
            assert normal == " "
        else:
            decomposed = unicodedata.normalize("NFD", character)
            kept = [c.lower() for c in decomposed if unicodedata.category(c) != "Mn"]
            assert normal == "".join(kept)
            ascii_symbol = is_ascii_symbol(character)
            assert is_punctuation(character) == (ascii_symbol or category[0] == "P")


def is_ascii_symbol(character: str) -> bool:
    return character.isascii() and character.isprintable() and not (character + "x").isalnum()


def test_changes_name_the_steps_that_made_them() -> None:
    changes = {c: normalize_character(c).changed_by for c in "aAéÉ中\t\0"}
    clean, chinese, accents, lowercase = ((step,) for step in STEPS)
    assert changes == {
        "a": (), "A": lowercase, "é": accents, "É": accents + lowercase,
        "中": chinese, "\t": clean, "\0": clean,
    }  # fmt: skip


def test_searches_are_longest_first_and_only_the_last_candidate_matches() -> None:
    trace = wordpiece_trace("unaffable graffiti zzz 中 \N{HAMSTER FACE}", UNCASED)
    for word in trace.words:
        for number, tried in enumerate(word.searches):
            assert not any(candidate in UNCASED.vocab for candidate in tried[:-1])
            assert [len(candidate) for candidate in tried] == sorted(map(len, tried), reverse=True)
            assert all(candidate.startswith("##") == (number > 0) for candidate in tried)
    assert trace.words[-1].searches == (("\N{HAMSTER FACE}",),)
    assert trace.words[-1].pieces[0].token == "[UNK]"


def test_what_is_not_searched() -> None:
    mask, long = wordpiece_trace("[MASK] " + "a" * (LONGEST_WORD + 1), UNCASED).words
    assert mask.special
    assert not long.special
    assert mask.searches == long.searches == ()
    assert (long.start, long.end, long.pieces[0].token) == (7, 8 + LONGEST_WORD, "[UNK]")


@pytest.mark.parametrize("text", [None, 7, "\ud83d"])
def test_what_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        wordpiece_trace(text, UNCASED)
