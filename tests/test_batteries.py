"""The plain sentences that models are judged on are sound, and counted rightly."""

import lzma
import re
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest

import bertedu
from benchmarks import batteries
from bertedu.finetuning import inference, load
from bertedu.finetuning.classification import ClassPrediction

TABLES = {"gaps.tsv": 1, "sentiment.tsv": 2, "inference.tsv": 3, "slots.tsv": 1}
"""Rows that stay together: both labels of a kind, the three hypotheses of a premise."""


@pytest.mark.parametrize("name", TABLES)
def test_halves_take_turns(name: str) -> None:
    rows, group = batteries.rows_of(name), TABLES[name]
    assert [row["half"] for row in rows] == [
        batteries.HALVES[i // group % 2] for i in range(len(rows))
    ]


def test_every_answer_can_be_guessed_and_stands_nowhere_else() -> None:
    vocab = bertedu.load_tokenizer().vocab
    gaps = batteries.gaps()
    assert len({gap.sentence for gap in gaps}) == len(gaps) >= 120
    for gap in gaps:
        assert gap.sentence.count("[MASK]") == 1
        assert gap.answers
        assert gap.answers <= vocab.keys()
        assert gap.answers.isdisjoint(re.findall(r"\w+", gap.sentence.lower()))


def test_a_gap_that_is_filled_in_a_text_is_found(tmp_path: Path) -> None:
    chosen = [
        batteries.Gap("seen", "Cows eat [MASK].", frozenset({"grass", "hay"})),
        batteries.Gap("seen", "The sky is grey, it will [MASK].", frozenset({"rain", "snow"})),
        batteries.Gap("seen", "He likes [MASK].", frozenset({"music"})),
    ]
    (tmp_path / "a.txt").write_text("Yes. Cows eat grass and hay.\nHe likes music, he says.")
    with lzma.open(tmp_path / "b.txt.xz", "wt") as file:
        file.write('It is late! "The sky is grey , it will snow."\n')
    assert batteries.occurring(chosen, tmp_path) == {"the sky is grey, it will snow"}


def test_gaps_are_counted() -> None:
    bert = bertedu.load()
    chosen = [
        batteries.Gap("seen", "The [MASK] is red.", frozenset({"sun"})),
        batteries.Gap("seen", "The [MASK] is cold.", frozenset({"ice", "snow"})),
        batteries.Gap("seen", "The [MASK] is wet.", frozenset({"rain"})),
        batteries.Gap("seen", "The [MASK] is hot.", frozenset({"fire"})),
    ]
    guesses = [["sun", "red"], ["red", "snow", "sand"], ["wet", "dry"], [".", "the"]]
    answers = [[[bertedu.Guess(token, 0.1) for token in tokens]] for tokens in guesses]
    with mock.patch.object(bertedu.Bert, "fill_mask", side_effect=answers):
        scores = batteries.gap_scores(bert, chosen)
    assert scores == {"first": 0.25, "five": 0.5, "copied": 0.25}


@pytest.mark.parametrize("half", batteries.HALVES)
def test_the_cases_are_balanced_and_readable(half: str) -> None:
    sentiment = Counter(example.label for example in batteries.sentiment(half))
    assert sentiment["positive"] == sentiment["negative"] >= 12
    labels = Counter(example.label for example in batteries.pairs(half))
    assert labels["entailment"] == labels["contradiction"] == labels["neutral"] >= 8
    commands = batteries.commands(half)
    assert len({example.intent for example in commands}) == 7
    assert len(commands) >= 21
    assert all(example.text == example.text.lower() for example in commands)
    assert all(example.slots and not set("[]()") & set(example.text) for example in commands)
    questions = batteries.questions(half)
    assert len(questions) >= 22
    for question in questions:
        assert question.answers
        assert all(answer.text in question.document for answer in question.answers)


def test_no_command_is_one_of_snips(shared: Path) -> None:
    ours = {example.text for half in batteries.HALVES for example in batteries.commands(half)}
    for path in (shared / "data/snips").glob("*/seq.in"):
        lines = path.read_text("utf-8").splitlines()
        assert ours.isdisjoint(" ".join(line.split()) for line in lines)


def test_true_against_false_leaves_neutral_out() -> None:
    labels = ["entailment", "contradiction", "neutral"]
    pairs = [inference.Example("It rains.", f"Hypothesis {i}.", labels[i]) for i in range(3)]
    doubtful = ClassPrediction("neutral", {"entailment": 0.3, "contradiction": 0.1, "neutral": 0.6})
    model = mock.Mock()
    model.predict.side_effect = lambda chosen: [doubtful] * len(chosen)
    assert batteries.true_against_false(model, pairs) == 0.5
    assert model.predict.call_args.args[0] == pairs[:2]


def test_the_embedded_checkpoint_fills_gaps_as_well_as_its_card_says() -> None:
    scores = batteries.gap_scores(bertedu.load(), batteries.gaps())
    assert scores["first"] >= 0.5
    assert scores["five"] >= 0.83
    assert scores["copied"] <= 0.28


@pytest.mark.parametrize(
    ("case", "measure", "floors"),
    [
        ("sentiment", "accuracy", (0.86, 0.86)),
        ("slots", "f1", (0.94, 0.94)),
        ("slots", "intent_accuracy", (0.95, 0.95)),
        ("inference", "accuracy", (0.89, 0.82)),
        ("inference", "true against false", (0.94, 0.84)),
        ("questions", "exact_match", (0.95, 0.99)),
    ],
)
@pytest.mark.parametrize("half", batteries.HALVES)
def test_a_graduate_answers_what_a_class_asks(
    case: str, measure: str, floors: tuple[float, float], half: str
) -> None:
    """One floor for the seen and one for the unseen half."""
    floor = floors[batteries.HALVES.index(half)]
    assert batteries.case_scores(load(case), case, half)[measure] >= floor
