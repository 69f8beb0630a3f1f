"""The course's own text is as its README says, and fit for learning from it."""

import re
from collections import Counter
from pathlib import Path

import pytest

from bertedu import load_tokenizer
from bertedu.data import HELD_OUT, TRAIN
from bertedu.pretraining.corpus import Corpus, split_sentences

FOLDERS = {"train": TRAIN, "held_out": HELD_OUT}
TOPICS = 12
IN_THE_NOTES = [
    "calculus is a branch of math",
    "it was developed by newton and leibniz",
    "my dog is cute",
    "he likes playing",
    "my dog is hairy",
]


def words(text: str) -> list[str]:
    return re.findall("[a-z]+", text.lower())


def read(name: str) -> dict[str, list[str]]:
    """Returns the documents of each topic."""
    return {
        path.stem: path.read_text("utf-8").rstrip("\n").split("\n\n")
        for path in sorted(FOLDERS[name].iterdir())
    }


TEXT = {name: read(name) for name in FOLDERS}
DOCUMENTS = [
    pytest.param(document, id=f"{name}-{topic}-{number}")
    for name, topics in TEXT.items()
    for topic, documents in topics.items()
    for number, document in enumerate(documents, 1)
]


def sentences(name: str) -> list[str]:
    return [s for documents in TEXT[name].values() for d in documents for s in split_sentences(d)]


def test_every_topic_has_documents_of_both_kinds() -> None:
    assert len(TEXT["train"]) == TOPICS
    assert {topic: len(d) for topic, d in TEXT["train"].items()} == dict.fromkeys(TEXT["train"], 17)
    assert {t: len(d) for t, d in TEXT["held_out"].items()} == dict.fromkeys(TEXT["train"], 3)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_is_plain_and_of_moderate_size(document: str) -> None:
    assert re.fullmatch(r"[A-Za-z ,.?]+", document)
    assert "  " not in document
    found = split_sentences(document)
    assert found == re.split(r"(?<=[.?]) ", document)  # as many as were written
    assert 10 <= len(found) <= 20
    for sentence in found:
        assert re.fullmatch(r"[A-Z].*[.?]", sentence), sentence
        assert 6 <= len(words(sentence)) <= 16, sentence


def test_no_sentence_occurs_twice() -> None:
    counts = Counter(" ".join(words(s)) for name in FOLDERS for s in sentences(name))
    assert [sentence for sentence, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("example", IN_THE_NOTES)
def test_the_notes_examples_are_not_in_it(example: str) -> None:
    for name in FOLDERS:
        assert example not in " ".join(word for s in sentences(name) for word in words(s))


def test_no_two_documents_are_much_alike() -> None:
    """Of the five-word sequences, no document shares a twentieth with any other."""
    documents = [d for topics in TEXT.values() for of_topic in topics.values() for d in of_topic]
    runs = [{tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in map(words, documents)]
    for i, one in enumerate(runs):
        for j, other in enumerate(runs[:i]):
            assert len(one & other) < 0.05 * len(one), (documents[i], documents[j])


def test_the_words_are_few_and_the_held_out_ones_mostly_known() -> None:
    train, held_out = (Counter(w for s in sentences(name) for w in words(s)) for name in FOLDERS)
    assert len(train | held_out) < 2500
    seen = sum(count for word, count in held_out.items() if word in train)
    share = seen / held_out.total()
    assert share >= 0.93
    assert f"{share:.1%}".replace("%", " %") in " ".join(readme().split())


@pytest.mark.parametrize("name", FOLDERS)
def test_the_readme_has_the_counts(name: str) -> None:
    found = sentences(name)
    every_word = [word for sentence in found for word in words(sentence)]
    documents = sum(map(len, TEXT[name].values()))
    counts = (documents, len(found), len(every_word), len(set(every_word)))
    assert f"| `{name}` | " + " | ".join(map(str, counts)) + " |" in readme()
    assert ", ".join(TEXT[name]) in " ".join(readme().split())


def test_the_corpus_reads_it_without_unknown_tokens(tmp_path: Path) -> None:
    tokenizer = load_tokenizer()
    for name, folder in FOLDERS.items():
        corpus = Corpus.build(folder, tokenizer, tmp_path / name, progress=False)
        assert corpus.num_documents == sum(map(len, TEXT[name].values()))
        assert corpus.num_sentences == len(sentences(name))
        assert tokenizer.unk_token_id not in corpus.ids


def readme() -> str:
    return (TRAIN.parents[1] / "README.md").read_text("utf-8")
