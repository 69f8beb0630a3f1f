import json
import struct

import numpy as np
import pytest

from bertedu import InputError, load_tokenizer
from bertedu.pretraining.corpus import split_sentences
from bertedu.widgets import SentencePairBuilder

TOKENIZER = load_tokenizer()
DOCUMENTS = {
    "one sentence": "It stands alone.",
    "dogs": "My dog is cute.\nHe [MASK] likes playing. ... He sleeps.",
    "<b>": "Calculus is a branch of math. It was <i>developed</i> & used.",
}


def unpack(block: bytes) -> dict[str, object]:
    """Reads as `unpack` in shared.js does."""
    (length,) = struct.unpack_from("<I", block)
    header = json.loads(block[4 : 4 + length])
    body = (4 + length + 7) // 8 * 8
    for array in header.pop("arrays"):
        start, size = body + array["offset"], int(np.prod(array["shape"]))
        header[array["name"]] = np.frombuffer(block, array["dtype"], size, start).tolist()
    return header


def test_the_browser_receives_the_sentences_and_their_token_ids() -> None:
    data = unpack(SentencePairBuilder(DOCUMENTS, seed=3).data)
    assert data["names"] == ["dogs", "<b>"]
    assert data["document_starts"][0] == 0
    starts, ids = data["sentence_starts"], data["ids"]
    for number, sentence in enumerate(data["sentences"]):
        expected = TOKENIZER.ids(sentence.replace("[MASK] ", ""))
        assert ids[starts[number] : starts[number + 1]] == expected
    assert starts[-1] == len(ids)
    assert data["document_starts"][-1] == len(data["sentences"])
    assert {int(i): t for i, t in data["pieces"].items()} == {
        i: TOKENIZER.tokens[i] for i in {*ids, TOKENIZER.cls_token_id, TOKENIZER.sep_token_id}
    }
    assert (data["seed"], data["max_length"]) == (3, 64)


def test_the_first_pair_follows() -> None:
    for seed in range(5):
        data = unpack(SentencePairBuilder(seed=seed).data)
        a, b = data["first"]
        starts = data["document_starts"]
        assert a < b
        assert np.searchsorted(starts, a, "right") == np.searchsorted(starts, b, "right")


def test_the_courses_documents_are_shown_by_default() -> None:
    widget = SentencePairBuilder()
    assert repr(widget) == (
        "SentencePairBuilder(36 documents, 453 sentences, 5,261 tokens; pairs of at most 64 tokens)"
    )
    assert widget.names[:2] == ["body 1", "cooking 1"]
    assert widget.names[-1] == "weather 3"
    assert len(widget.data) < 100_000


@pytest.mark.parametrize(
    ("documents", "options", "message"),
    [
        ({"a": "One. Two."}, {}, "at least two such documents"),
        ({}, {}, "at least two such documents"),
        (DOCUMENTS, {"max_length": 4}, "needs at least 5"),
        ({"a": "My dog. " * 17_000, "b": "One dog. Two dogs."}, {}, "give fewer documents"),
    ],
)
def test_what_cannot_be_shown_is_refused(documents, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SentencePairBuilder(documents, **options)


def test_a_paragraph_is_split_as_the_corpus_splits_it() -> None:
    widget = SentencePairBuilder(DOCUMENTS)
    text = DOCUMENTS["<b>"]
    assert widget.sentences[-2:] == split_sentences(text)
