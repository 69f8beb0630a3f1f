"""The course's premise and hypothesis pairs, and its questions, are as its README says."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from bertedu.data import INFERENCE, QUESTIONS

COMMON_FORMS = "drizzle, rain, snow, sleet and hail"
SPLITS = ["train", "dev", "test"]
LABELS = ["entailment", "contradiction", "neutral"]
Pair = tuple[str, str, str]


def words(text: str) -> list[str]:
    return re.findall("[a-z0-9]+", text.lower())


def readme() -> str:
    return (INFERENCE.parent / "README.md").read_text("utf-8")


# Premise and hypothesis


def read_pairs(path: Path) -> list[Pair]:
    header, *lines = path.read_text("utf-8").removesuffix("\n").split("\n")
    assert header == "premise\thypothesis\tlabel"
    rows = []
    for line in lines:
        premise, hypothesis, label = line.split("\t")
        rows.append((premise, hypothesis, label))
    return rows


PAIRS = {name: read_pairs(INFERENCE / f"{name}.tsv") for name in SPLITS}
EVERY_PAIR = [pair for pairs in PAIRS.values() for pair in pairs]


def texts(name: str) -> set[str]:
    return {text for premise, hypothesis, _ in PAIRS[name] for text in (premise, hypothesis)}


@pytest.mark.parametrize("name", SPLITS)
def test_the_readme_has_the_counts_of_the_pairs(name: str) -> None:
    premises, hypotheses, _ = map(set, zip(*PAIRS[name], strict=True))
    vocabulary = {word for text in texts(name) for word in words(text)}
    counts = [len(PAIRS[name]), len(premises), len(hypotheses), len(vocabulary)]
    assert f"| `{name}` | " + " | ".join(map(str, counts)) + " |" in readme()


def test_the_pairs_are_as_many_as_a_course_needs() -> None:
    assert {name: len(pairs) for name, pairs in PAIRS.items()} == pytest.approx(
        {"train": 420, "dev": 60, "test": 120}, rel=0.06
    )


@pytest.mark.parametrize("name", SPLITS)
def test_every_sentence_is_plain_and_short(name: str) -> None:
    for text in texts(name):
        assert re.fullmatch(r"[A-Z0-9][A-Za-z0-9' ,;.-]*\.", text), text
        assert "  " not in text
        assert 3 <= len(text.split()) <= 20, text
    assert len(set(PAIRS[name])) == len(PAIRS[name])


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("name", SPLITS)
def test_a_sentence_alone_says_nothing_about_the_label(name: str, part: int) -> None:
    """Every premise has three hypotheses and every hypothesis three premises, a label each."""
    found: dict[str, list[str]] = {}
    for pair in PAIRS[name]:
        found.setdefault(pair[part], []).append(pair[2])
    for text, labels in found.items():
        assert sorted(labels) == sorted(LABELS), text


def test_no_premise_or_hypothesis_is_in_two_splits() -> None:
    seen = Counter(" ".join(words(text)) for name in SPLITS for text in texts(name))
    assert [text for text, count in seen.items() if count > 1] == []


def test_no_two_sentences_of_different_splits_are_much_alike() -> None:
    runs = {
        name: {tuple(w[i : i + 5]) for w in map(words, texts(name)) for i in range(len(w) - 4)}
        for name in SPLITS
    }
    for held_out in ("dev", "test"):
        assert len(runs[held_out] & runs["train"]) <= 0.01 * len(runs[held_out])
    assert not runs["dev"] & runs["test"]


@pytest.mark.parametrize("name", ["dev", "test"])
def test_few_words_that_are_rare_in_training_come_back(name: str) -> None:
    """Else a model may know a held-out scene by the words of one in training."""
    counts = Counter(word for text in texts("train") for word in set(words(text)))
    vocabulary = {word for text in texts(name) for word in words(text)}
    assert sum(counts[word] == 1 for word in vocabulary) < 0.2 * len(vocabulary)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize(
    "sign",
    [
        r"\b(not|no|nobody|none|neither|never|nothing|cannot|without)\b",
        r"\b(one|two|three|four|five|six|ten|twelve|twenty|hundred|thousand|[0-9]+)\b",
        r"\b(all|every|everyone|most|some|few|many|half|both|less|more|fewer|several)\b",
        r"\b(before|after|until|noon|morning|afternoon|evening|night|minute|hour|day|week|year|winter)s?\b",
        r"\b(is|was|were|been) (\w+ed|written|made|broken|held|sold|frozen|built|kept)\b",
    ],
    ids=["negation", "number", "quantifier", "time", "passive"],
)
def test_every_label_has_every_kind_of_sentence(name: str, label: str, sign: str) -> None:
    found = [pair for pair in PAIRS[name] if pair[2] == label]
    assert sum(bool(re.search(sign, f"{pair[0]} {pair[1]}".lower())) for pair in found) >= 3


@pytest.mark.parametrize("name", SPLITS)
def test_common_words_tell_what_the_readme_admits(name: str) -> None:
    shared = dict.fromkeys(LABELS, 0.0)
    for premise, hypothesis, label in PAIRS[name]:
        shared[label] += len(set(words(premise)) & set(words(hypothesis)))
    assert shared["entailment"] > shared["contradiction"] > shared["neutral"]


def accuracy_of_hypothesis_only(train: list[Pair], test: list[Pair]) -> float:
    """Returns the accuracy on `test` of a linear classifier of the hypothesis's words."""
    columns = {w: i for i, w in enumerate(sorted({w for pair in train for w in words(pair[1])}))}

    def features(pairs: list[Pair]) -> tuple[torch.Tensor, torch.Tensor]:
        bags = torch.zeros(len(pairs), len(columns) + 1)
        bags[:, -1] = 1  # the bias
        for bag, (_, hypothesis, _) in zip(bags, pairs, strict=True):
            bag[[columns[w] for w in words(hypothesis) if w in columns]] = 1
        return bags, torch.tensor([LABELS.index(label) for *_, label in pairs])

    start = torch.randn(len(columns) + 1, 3, generator=torch.Generator().manual_seed(0)) / 100
    weights = start.requires_grad_()
    optimizer = torch.optim.Adam([weights], lr=0.05, weight_decay=1e-4)
    bags, labels = features(train)
    for _ in range(200):
        optimizer.zero_grad()
        cross_entropy(bags @ weights, labels).backward()
        optimizer.step()
    bags, labels = features(test)
    return ((bags @ weights).argmax(1) == labels).double().mean().item()


def test_the_hypothesis_alone_does_not_give_the_label_away() -> None:
    assert accuracy_of_hypothesis_only(PAIRS["train"], PAIRS["test"]) <= 0.45


def test_the_baseline_would_find_a_label_given_away() -> None:
    """The same pairs, with "not" in two of three contradictions as careless writers put it."""

    def careless(pairs: list[Pair]) -> list[Pair]:
        return [
            (p, f"not {h}" if label == "contradiction" and i % 3 else h, label)
            for i, (p, h, label) in enumerate(pairs)
        ]

    assert accuracy_of_hypothesis_only(careless(PAIRS["train"]), careless(PAIRS["test"])) > 0.45


# Questions


def read_paragraphs(name: str) -> list[dict[str, Any]]:
    content = json.loads((QUESTIONS / f"{name}.json").read_text("utf-8"))
    assert content["version"] == "v2.0"
    return [
        {"title": article["title"], **paragraph}
        for article in content["data"]
        for paragraph in article["paragraphs"]
    ]


LEARNED = ["train", "cards"]
WRITTEN = [*LEARNED, "dev", "test"]
PARAGRAPHS = {name: read_paragraphs(name) for name in [*WRITTEN, "precipitation"]}
QUESTION_CASES = [
    pytest.param(paragraph["context"], question, id=question["id"])
    for paragraphs in PARAGRAPHS.values()
    for paragraph in paragraphs
    for question in paragraph["qas"]
]


def questions(name: str) -> list[dict[str, Any]]:
    return [question for paragraph in PARAGRAPHS[name] for question in paragraph["qas"]]


@pytest.mark.parametrize("name", PARAGRAPHS)
def test_the_readme_has_the_counts_of_the_questions(name: str) -> None:
    unanswerable = sum(question["is_impossible"] for question in questions(name))
    counts = [len(PARAGRAPHS[name]), len(questions(name)), unanswerable]
    assert f"| `{name}` | " + " | ".join(map(str, counts)) + " |" in readme()


def test_there_are_40_paragraphs_290_cards_and_1944_questions() -> None:
    assert [len(PARAGRAPHS[name]) for name in WRITTEN] == [28, 290, 4, 8]
    assert [len(questions(name)) for name in WRITTEN] == [439, 1445, 20, 40]


@pytest.mark.parametrize("name", WRITTEN)
def test_some_questions_have_no_answer(name: str) -> None:
    unanswerable = sum(question["is_impossible"] for question in questions(name))
    assert 0.1 < unanswerable / len(questions(name)) < 0.2


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        ("What (causes|makes) ", 150),
        (r"What .*(another|other|else) .*(besides|apart from) ", 200),
        ("Where (do|does|did|is|are) ", 300),
    ],
)
def test_training_practises_the_kinds_of_question_of_the_notes(kind: str, least: int) -> None:
    asked = [question["question"] for name in LEARNED for question in questions(name)]
    assert sum(bool(re.match(kind, question)) for question in asked) >= least


def test_training_knows_nothing_of_the_notes_answers() -> None:
    (held_out,) = PARAGRAPHS["precipitation"]
    answers = {answer["text"] for question in held_out["qas"] for answer in question["answers"]}
    assert answers == {"gravity", "graupel", "within a cloud"}
    for paragraph in [paragraph for name in LEARNED for paragraph in PARAGRAPHS[name]]:
        assert not {"precipitation", "graupel"} & set(words(paragraph["context"]))
        for question in paragraph["qas"]:
            assert "precipitation" not in words(question["question"])
            assert not answers & {answer["text"].lower() for answer in question["answers"]}


@pytest.mark.parametrize(("context", "question"), QUESTION_CASES)
def test_answers_are_exact_slices(context: str, question: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Z][^?]*\?", question["question"])
    assert "  " not in question["question"]
    answers = question["answers"]
    if question["is_impossible"]:
        assert answers == []
    else:
        assert 1 <= len(answers) <= 3
        assert len({answer["text"] for answer in answers}) == len(answers)
    for answer in answers + question.get("plausible_answers", []):
        text, start = answer["text"], answer["answer_start"]
        assert text == text.strip()
        assert text
        end = start + len(text)
        assert context[start:end] == text
        assert not re.search(r"\w\w", context[max(0, start - 1) : start + 1])  # whole words
        assert not re.search(r"\w\w", context[end - 1 : end + 1])


@pytest.mark.parametrize(("context", "question"), QUESTION_CASES)
def test_references_overlap(context: str, question: dict[str, Any]) -> None:
    """Two answers to one question are one place, told longer or shorter."""
    answers = question["answers"]
    starts = [answer["answer_start"] for answer in answers]
    ends = [answer["answer_start"] + len(answer["text"]) for answer in answers]
    assert not answers or max(starts) < min(ends)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_question_paraphrases(name: str) -> None:
    for paragraph in PARAGRAPHS[name]:
        text = f" {' '.join(words(paragraph['context']))} "
        for question in paragraph["qas"]:
            asked = words(question["question"])
            for i in range(len(asked) - 4):
                assert f" {' '.join(asked[i : i + 5])} " not in text, question["question"]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_paragraph_is_short_and_plain(name: str) -> None:
    least, most = (25, 60) if name == "cards" else (60, 120)
    asked = {"train": range(13, 18), "cards": range(3, 6)}.get(name, [5])
    for paragraph in PARAGRAPHS[name]:
        assert least <= len(paragraph["context"].split()) <= most
        assert re.fullmatch(r"[A-Z][A-Za-z0-9' ,;:.-]*\.", paragraph["context"])
        assert "  " not in paragraph["context"]
        assert len(paragraph["qas"]) in asked


def test_nothing_is_in_two_splits() -> None:
    everything = [
        *(question["id"] for name in PARAGRAPHS for question in questions(name)),
        *(question["question"] for name in PARAGRAPHS for question in questions(name)),
        *(p[key] for ps in PARAGRAPHS.values() for p in ps for key in ("title", "context")),
    ]
    assert [text for text, count in Counter(everything).items() if count > 1] == []


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("What causes precipitation to fall?", 17, 17),
        (f"What is another main form of precipitation besides {COMMON_FORMS}?", 28, 28),
        ("Where do water droplets collide with ice crystals to form precipitation?", 46, 48),
    ],
    ids=["gravity", "graupel", "within a cloud"],
)
def test_the_notes_positions(asked: str, first: int, last: int, request: Any) -> None:
    """The words are counted from 1, without their punctuation, as the notes count them."""
    (paragraph,) = PARAGRAPHS["precipitation"]
    (question,) = [q for q in paragraph["qas"] if q["question"] == asked]
    (answer,) = question["answers"]
    spans = [match.span() for match in re.finditer(r"\w+", paragraph["context"])]
    start, end = spans[first - 1][0], spans[last - 1][1]
    assert (start, end) == (answer["answer_start"], answer["answer_start"] + len(answer["text"]))
    assert paragraph["context"][start:end] == request.node.callspec.id


def test_the_readme_credits_the_quoted_paragraph() -> None:
    told = " ".join(readme().split())
    for credit in ("Wikipedia", "CC BY-SA 4.0", "Rajpurkar", "precipitation.json"):
        assert credit in told
