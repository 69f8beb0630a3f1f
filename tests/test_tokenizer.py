"""The tokenizer by itself; tests/parity holds it to the reference."""

import json
import re
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bertedu
from bertedu import BertTokenizer, CheckpointError, InputError, collate
from bertedu.tokenizer import SPECIAL_TOKENS, kept_lengths
from bertedu.wordpiece import wordpiece_trace

WORDS = [
    "my",
    "dog",
    "is",
    "cute",
    "play",
    "##ing",
    "likes",
    "he",
    ".",
    "[unused3]",
    "café",
    "cafe",
]
HALF = "half of a surrogate pair, which is no character"


@pytest.fixture(scope="module")
def tokenizer() -> BertTokenizer:
    return BertTokenizer([*SPECIAL_TOKENS, *WORDS])


@pytest.fixture(scope="module")
def real() -> BertTokenizer:
    return bertedu.load_tokenizer()


def test_a_pair_is_laid_out_as_in_the_paper(tokenizer) -> None:
    encoding = tokenizer.encode("My dog is cute", "he likes playing")
    assert " ".join(encoding.tokens) == "[CLS] my dog is cute [SEP] he likes play ##ing [SEP]"
    assert encoding.token_type_ids.tolist() == [0] * 6 + [1] * 5
    assert encoding.attention_mask.tolist() == [1] * 11
    assert encoding.special_tokens_mask == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert [encoding.characters(i) for i in (0, 1, 4, 8, 9)] == ["", "My", "cute", "play", "ing"]
    assert (encoding.text, encoding.pair, len(encoding)) == (
        "My dog is cute",
        "he likes playing",
        11,
    )


def test_an_empty_pair_is_still_a_pair(tokenizer) -> None:
    assert tokenizer.encode("dog", "").tokens == ["[CLS]", "dog", "[SEP]", "[SEP]"]
    assert tokenizer.encode("dog").tokens == ["[CLS]", "dog", "[SEP]"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("   \n\t ", []),
        ("\x00", []),
        ("my\x00dog", ["[UNK]"]),  # NUL goes, and nothing takes its place
        ("🤗", ["[UNK]"]),
        ("مرحبا", ["[UNK]"]),
        ("<script>", ["[UNK]", "[UNK]", "[UNK]"]),
        ("[MASK].", ["[MASK]", "."]),
    ],
    ids=ascii,
)
def test_odd_text_is_text(tokenizer, text, tokens) -> None:
    encoding = tokenizer.encode(text)
    assert encoding.tokens[1:-1] == tokens
    assert encoding.input_ids.dtype == torch.int64


@pytest.mark.parametrize("text", ["\ud800", "dog \udfff dog", "\udc00\ud800"], ids=ascii)
def test_half_a_character_is_refused(tokenizer, text) -> None:
    for call in (tokenizer.encode, tokenizer.ids, lambda t: tokenizer.ids_batch(["fine", t])):
        with pytest.raises(InputError, match=HALF):
            call(text)
    with pytest.raises(InputError, match=HALF):
        tokenizer.encode("fine", text)


@pytest.mark.parametrize("text", [None, 3, b"dog", ["dog"]], ids=repr)
def test_what_is_not_text_is_refused(tokenizer, text) -> None:
    message = f"the text is {type(text).__name__}, not a string"
    for call in (tokenizer.encode, tokenizer.ids, lambda t: tokenizer.ids_batch([t])):
        with pytest.raises(InputError, match=message):
            call(text)


def test_one_string_is_no_batch(tokenizer) -> None:
    with pytest.raises(InputError, match="give a list of texts"):
        tokenizer.ids_batch("my dog")


def test_a_hundred_thousand_characters_are_cut_only_when_asked(real) -> None:
    text = "word " * 20_000
    with pytest.raises(InputError, match=r"20,002 tokens and max_length is 512: shorten it, or"):
        real.encode(text, max_length=512)
    assert len(real.encode(text, max_length=512, truncate=True)) == 512
    assert len(real.encode(text)) == 20_002
    assert real.ids("x" * 100_000) == [real.unk_token_id]


def test_max_length_needs_room_for_the_special_tokens(tokenizer) -> None:
    with pytest.raises(InputError, match="max_length is 1; an input needs 2 or more"):
        tokenizer.encode("dog", max_length=1, truncate=True)
    with pytest.raises(InputError, match="max_length is 2; an input needs 3 or more"):
        tokenizer.encode("dog", "dog", max_length=2, truncate=True)


@given(st.integers(0, 80), st.integers(0, 80), st.integers(0, 170))
def test_kept_lengths_equal_the_naive_loop(first, second, room) -> None:
    expected = [first, second]
    while sum(expected) > room:
        expected[expected[0] <= expected[1]] -= 1  # the longer; the second on a tie
    assert kept_lengths(first, second, room) == tuple(expected)


@given(st.lists(st.sampled_from(["my", "dog", "is", "cute", "he", "likes", "playing"])))
def test_decoding_gives_known_words_back(tokenizer, words) -> None:
    text = " ".join(words)
    assert tokenizer.decode(tokenizer.encode(text).input_ids) == text
    assert tokenizer.decode(tokenizer.ids(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_decoded_text_encodes_to_the_same_ids(real, text) -> None:
    ids = [index for index in real.ids(text) if index != real.unk_token_id]
    decoded = real.decode(ids)
    assert real.decode(real.ids(decoded)) == decoded


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_offsets_point_into_the_text_in_order(real, text) -> None:
    encoding = real.encode(text)
    inner = encoding.offsets[1:-1]
    assert all(0 <= start <= end <= len(text) for start, end in inner)
    assert [start for start, _ in inner] == sorted(start for start, _ in inner)
    assert real.ids_batch([text]) == [encoding.input_ids[1:-1].tolist()]


def test_decode_keeps_special_tokens_when_asked_and_refuses_strange_ids(tokenizer) -> None:
    ids = tokenizer.encode("my dog").input_ids
    assert tokenizer.decode(ids, skip_special=False) == "[CLS] my dog [SEP]"
    for wrong in (-1, len(tokenizer)):
        with pytest.raises(InputError, match=f"id {wrong} is outside 0 to {len(tokenizer) - 1}"):
            tokenizer.decode([wrong])


def test_ordinary_ids_are_what_a_random_token_may_be(tokenizer, real) -> None:
    words = [tokenizer.tokens[i] for i in tokenizer.ordinary_ids.tolist()]
    assert words == [word for word in WORDS if word != "[unused3]"]
    assert len(real.ordinary_ids) == 30522 - 5 - 994


@given(document=st.integers(0, 60), room=st.integers(1, 20), overlap=st.integers(0, 19))
def test_windows_cover_the_document_and_overlap(tokenizer, document, room, overlap) -> None:
    overlap = min(overlap, room - 1)
    text = " ".join(["dog"] * document)
    windows = tokenizer.encode_windows("my", text, max_length=room + 4, overlap=overlap)
    starts = [window.offsets[3:-1] for window in windows]  # after [CLS] my [SEP]
    covered = sorted({offset for part in starts for offset in part})
    assert covered == tokenizer.encode(text).offsets[1:-1]
    for before, after in pairwise(starts):
        assert after[:overlap] == before[len(before) - overlap :]
    assert all(len(window) <= room + 4 for window in windows)


def test_windows_that_cannot_advance_are_refused(tokenizer) -> None:
    with pytest.raises(InputError, match="leave 2 of 8 for the document, and windows overlap by 2"):
        tokenizer.encode_windows("my dog is", "cute " * 9, max_length=8, overlap=2)
    with pytest.raises(InputError, match="overlap is -1; it must be 0 or more"):
        tokenizer.encode_windows("my", "dog " * 9, max_length=8, overlap=-1)


def test_collate_pads_to_the_longest(tokenizer) -> None:
    batch = collate([tokenizer.encode("my dog", "is"), tokenizer.encode("")], pad_token_id=9)
    assert batch["input_ids"][1].tolist() == [2, 3, 9, 9, 9, 9]
    assert batch["attention_mask"].tolist() == [[1] * 6, [1, 1, 0, 0, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1], [0] * 6]
    assert collate([tokenizer.encode("")], pad_to=5)["input_ids"].shape == (1, 5)


def test_collate_refuses_what_does_not_fit(tokenizer) -> None:
    with pytest.raises(InputError, match="nothing to put into a batch"):
        collate([])
    with pytest.raises(InputError, match="an input has 4 tokens, more than pad_to = 3"):
        collate([tokenizer.encode("my dog")], pad_to=3)


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        (["a", *SPECIAL_TOKENS, "a"], "holds 'a' more than once"),
        (SPECIAL_TOKENS[:3], r"lacks \[SEP\], \[MASK\]"),
        ([], r"lacks \[PAD\], \[UNK\], \[CLS\], \[SEP\], \[MASK\]"),
        ({token: 2 * i for i, token in enumerate(SPECIAL_TOKENS)}, "from 0 without a gap"),
        ({token: str(i) for i, token in enumerate(SPECIAL_TOKENS)}, "from 0 without a gap"),
    ],
    ids=["double", "lacking", "empty", "gap", "not numbers"],
)
def test_a_vocabulary_that_cannot_be_is_refused(vocab, message) -> None:
    with pytest.raises(InputError, match=message):
        BertTokenizer(vocab)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [None, True, False])
def test_saved_and_read_again(lowercase, strip_accents, tmp_path) -> None:
    ours = BertTokenizer(
        [*SPECIAL_TOKENS, *WORDS], lowercase=lowercase, strip_accents=strip_accents
    )
    ours.save(tmp_path)
    again = BertTokenizer.from_folder(tmp_path)
    assert again.tokens == ours.tokens
    assert again.ids("My DOG, café") == ours.ids("My DOG, café")


def test_windows_line_ends_and_tokenizer_json_are_read(tmp_path) -> None:
    tokens = [*SPECIAL_TOKENS, *WORDS]
    (tmp_path / "vocab.txt").write_bytes("\r\n".join([*tokens, ""]).encode())
    assert BertTokenizer.from_folder(tmp_path).tokens == tokens
    (tmp_path / "vocab.txt").unlink()
    vocab = {token: i for i, token in enumerate(tokens)}
    model = {
        "model": {"type": "WordPiece", "vocab": vocab},
        "normalizer": {"type": "BertNormalizer", "lowercase": False, "clean_text": True,
                       "handle_chinese_chars": True, "strip_accents": None},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(model))
    with pytest.raises(CheckpointError, match="splits otherwise .* says .do_lower_case.: if the"):
        BertTokenizer.from_folder(tmp_path)  # transformers takes the default, and lower-cases
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    again = BertTokenizer.from_folder(tmp_path)
    assert (again.tokens, again.lowercase) == (tokens, False)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (None, b"", "has neither vocab.txt nor a WordPiece tokenizer.json: copy the vocabulary"),
        ("vocab.txt", b"", r"cannot be read: the vocabulary lacks"),
        ("vocab.txt", b"\xff\xfe\x00", "cannot be read: .*utf-8"),
        ("tokenizer.json", b"{", "cannot be read: "),
        ("tokenizer.json", b"[1]", "tokenizer.json holds a list, not settings"),
        ("tokenizer.json", b'{"model": {"type": "BPE"}}', "nor a WordPiece tokenizer.json"),
        ("tokenizer_config.json", b"not JSON", "cannot be read: "),
    ],
)
def test_a_folder_without_a_usable_tokenizer_is_named(file, content, message, tmp_path) -> None:
    if file:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        BertTokenizer.from_folder(tmp_path)
    assert re.escape(str(tmp_path)) in re.escape(str(caught.value))


VOCAB = [*SPECIAL_TOKENS, *WORDS]


def write_folder(folder, **files) -> None:
    """Write vocab.txt, unless it is None, and JSON files by their names."""
    text = files.pop("vocab", "\n".join(VOCAB) + "\n")
    if text is not None:
        (folder / "vocab.txt").write_text(text, encoding="utf-8")
    for name, values in files.items():
        (folder / f"{name}.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"tokenizer_config": {"tokenizer_class": "BertJapaneseTokenizer"}},
         "its class is 'BertJapaneseTokenizer', and bertedu reads only BertTokenizer: choose a"),
        ({"config": {"tokenizer_class": "XLNetTokenizer"}}, "its class is 'XLNetTokenizer', and"),
        ({"tokenizer_config": {"auto_map": {"AutoTokenizer": ["mine.Mine", None]}}},
         "its class is 'its own', and bertedu reads only"),
        ({"tokenizer_config": {"tokenizer_class": "PreTrainedTokenizerFast"}},
         "PreTrainedTokenizerFast, which is nothing without its tokenizer.json"),
        ({"tokenizer_config": {"do_lower_case": "no"}}, "do_lower_case is 'no'; it must be true"),
        ({"tokenizer_config": {"cls_token": "<s>"}}, r"its cls_token is '<s>', and bertedu reads"),
        ({"added_tokens": {"<x>": 99}}, "the added token '<x>' has the id 99, and the next free"),
        ({"added_tokens": {"<x>": "a"}}, "the added token '<x>' has the id 'a', and the next"),
        ({"tokenizer_config": {"added_tokens_decoder": {}}, "added_tokens": {"<x>": 17}},
         "tokenizer_config.json does not have the added token '<x>' where another file has it"),
        ({"tokenizer_config": {"added_tokens_decoder": {"17": {"content": 3}}}},
         r"cannot be read \(TypeError: .*\): copy its files again"),
        ({"tokenizer": {"model": {"type": "WordPiece", "vocab": {"a": 0}}}},
         "vocab.txt and tokenizer.json differ: delete the one that is not right"),
        ({"tokenizer": {"model": {"type": "BPE", "vocab": {}}}}, "vocab.txt and tokenizer.json d"),
        ({"tokenizer": {"model": [1]}}, r"cannot be read \(AttributeError: .*\): copy its files"),
        ({"vocab": "version https://git-lfs.github.com/spec/v1\n"}, "run `git lfs pull` in its"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_is_not_bert_s_tokenizer_is_refused(files, message, tmp_path) -> None:
    write_folder(tmp_path, **files)
    with pytest.raises(CheckpointError, match=message) as caught:
        BertTokenizer.from_folder(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"the tokenizer in {tmp_path} cannot be read")


def test_added_tokens_are_read_kept_and_not_explained_as_wordpiece(tmp_path) -> None:
    write_folder(
        tmp_path, added_tokens={"<e1>": 17, "</e1>": 18},
        special_tokens_map={"additional_special_tokens": ["<e1>", "</e1>"]},
    )  # fmt: skip
    ours = BertTokenizer.from_folder(tmp_path)
    assert not ours.usual
    assert ours.encode("my <e1>dog</e1>").tokens == ["[CLS]", "my", "<e1>", "dog", "</e1>", "[SEP]"]
    assert len(ours) == 19
    assert ours.vocab["</e1>"] == 18
    assert {17, 18} <= ours.special_ids
    assert ours.decode(ours.ids("my <e1>dog</e1>")) == "my dog"
    with pytest.raises(InputError, match="added tokens, or a normalizer of its own"):
        wordpiece_trace("my dog", ours)
    ours.save(tmp_path)  # over what was there
    assert not (tmp_path / "added_tokens.json").exists()
    again = BertTokenizer.from_folder(tmp_path)
    assert again.ids("<e1>My DOG") == ours.ids("<e1>My DOG") == [17, 5, 6]
    assert (again.tokens, again.lowercase) == (ours.tokens, True)
    BertTokenizer(VOCAB).save(tmp_path)
    assert BertTokenizer.from_folder(tmp_path).usual


def test_the_vocabulary_is_in_the_order_of_its_ids() -> None:
    tokenizer = bertedu.load_tokenizer()
    assert [*tokenizer.vocab.items()] == [(token, i) for i, token in enumerate(tokenizer.tokens)]
