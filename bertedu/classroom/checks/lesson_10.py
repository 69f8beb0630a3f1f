"""Checks of lesson 10: natural language inference."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from bertedu.classroom.checks.drawing import normal, some
from bertedu.classroom.checks.framework import check

Triple = tuple[str, str, str]  # premise, hypothesis, label

# Predict


@check("10", value=True, within=0.005)
def loss_of_ignorance() -> float:
    """The loss of a model that gives three labels the same probability, nats, two decimals."""
    return -math.log(1 / 3)


loss_of_ignorance.wrong("two labels", 0.69, "ln 2 is for two labels; here each of three gets 1/3")
loss_of_ignorance.wrong("a share", 0.33, "1/3 is the probability; the loss is -log of it")
loss_of_ignorance.wrong("bits", 1.58, "that is in bits (log to base 2); the loss is in nats: ln")
loss_of_ignorance.wrong("base 10", 0.48, "that is the logarithm to base 10; nats need ln")
loss_of_ignorance.wrong("no loss", 0.0, "a loss of 0 needs the probability 1; here it is 1/3")


@check("10", value=True, within=0.005)
def lazy_scores() -> dict[str, Fraction]:
    """The accuracy of "always neutral", with three labels and when "true or not" is asked."""
    labels = ("entailment", "contradiction", "neutral")
    true = [label == "entailment" for label in labels]
    return {
        "three labels": Fraction(labels.count("neutral"), len(labels)),
        "true or not": Fraction(true.count(False), len(true)),
    }


_THIRD, _HALF, _MOST = Fraction(1, 3), Fraction(1, 2), Fraction(2, 3)
lazy_scores.wrong(
    "a half",
    {"three labels": _THIRD, "true or not": _HALF},
    "two labels are not two halves: contradiction and neutral both become “not true”",
)
lazy_scores.wrong(
    "nothing changes",
    {"three labels": _THIRD, "true or not": _THIRD},
    "“neutral” is also correct for a contradiction, when only “true or not” is asked",
)
lazy_scores.wrong(
    "turned round",
    {"three labels": _MOST, "true or not": _THIRD},
    "the two are exchanged: “not true” holds for more pairs than “neutral”",
)


# Complete


def _probabilities() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(31)
    close = torch.tensor([[0.30, 0.45, 0.25], [0.10, 0.45, 0.45], [0.02, 0.55, 0.43]])
    drawn = [(2 * torch.randn(N, 3, generator=rng)).softmax(-1) for N in (6, 9, 12)]
    return [(close,), *((rows,) for rows in drawn)]


def _any_probabilities(rng: random.Random) -> tuple[Any, ...]:
    rows = normal(rng, rng.randint(1, 5), 3, scale=rng.choice([0.5, 2])).softmax(-1)
    if rng.random() < 0.4:
        rows[rng.randrange(len(rows))] = torch.tensor([0.25, 0.5, 0.25])  # exactly a half
    return (rows,)


@check(
    "10",
    cases=_probabilities,
    hints=(
        "with two labels left, which probabilities belong to “not true”?",
        "column 1 against the sum of columns 0 and 2",
    ),
    drawn=_any_probabilities,
)
def says_true(probabilities: Tensor) -> list[bool]:
    """Whether "entailment" is likelier than not, from probabilities [N, 3]."""
    return [
        entailment > contradiction + neutral
        for contradiction, entailment, neutral in probabilities.tolist()
    ]


says_true.wrong(
    "the likeliest of three",
    lambda p: p.argmax(dim=1) == 1,
    "entailment can be the likeliest of three with less than a half: add up the other two first",
)
says_true.wrong(
    "above a third",
    lambda p: p[:, 1] > 1 / 3,
    "more than a third is not enough: against all else together it takes more than a half",
)
says_true.wrong(
    "the wrong column",
    lambda p: p[:, 0] > p[:, 1] + p[:, 2],
    "you judge column 0, which is contradiction: the labels are in alphabetical order",
)
says_true.wrong(
    "turned round",
    lambda p: p[:, 1] < p[:, 0] + p[:, 2],
    "reversed: you answer whether it is *not* true",
)
says_true.wrong(
    "at least a half",
    lambda p: p[:, 1] >= 0.5,
    "at exactly a half, entailment is as likely as the rest together, and not likelier",
)
says_true.wrong(
    "the other is only contradiction",
    lambda p: p[:, 1] > p[:, 0],
    "you forget neutral: what is left open is not true either",
)


def _words() -> list[tuple[Any, ...]]:
    texts = [
        ("the dog chased the cat", "the cat chased the dog"),
        ("the old dog is sleeping on the porch", "the dog is asleep"),
        ("it rained all night", "the sun is warm"),
        ("a farmer wrote a song and a poem", "a sailor wrote the sad song of a ship"),
        ("no one came", "no one saw that no one came"),
    ]
    return [(premise.split(), hypothesis.split()) for premise, hypothesis in texts]


_NEAR = ["cat", "concatenation", "on", "one", "no", "not", "the", "a"]  # some within others


def _any_words(rng: random.Random) -> tuple[Any, ...]:
    return some(rng, _NEAR, 0, 6), some(rng, _NEAR, 1, 6)


@check(
    "10",
    cases=_words,
    hints=(
        "make sets of both lists: then a word counts once",
        "the words in both sets, divided by the words of the hypothesis's set",
    ),
    drawn=_any_words,
)
def overlap(premise: Sequence[str], hypothesis: Sequence[str]) -> float:
    """The share of the hypothesis's different words that the premise has, too."""
    asked: list[str] = []
    for word in hypothesis:
        if word not in asked:
            asked.append(word)
    return sum(word in premise for word in asked) / len(asked)


overlap.wrong(
    "of the premise's words",
    lambda premise, hypothesis: len({*premise} & {*hypothesis}) / len({*premise}),
    "you divide by the premise's words; the question is how much of the hypothesis is in it",
)
overlap.wrong(
    "of all words",
    lambda premise, hypothesis: len({*premise} & {*hypothesis}) / len({*premise, *hypothesis}),
    "you divide by the words of both; divide by the hypothesis's alone",
)
overlap.wrong(
    "every occurrence",
    lambda premise, hypothesis: sum(word in premise for word in hypothesis) / len(hypothesis),
    "a word that occurs twice counts twice: take the different words",
)
overlap.wrong(
    "letters",
    lambda premise, hypothesis: (
        sum(word in " ".join(premise) for word in {*hypothesis}) / len({*hypothesis})
    ),
    "you look for the letters of a word: `cat` is in `concatenation`. Compare whole words",
)
overlap.wrong(
    "a count",
    lambda premise, hypothesis: len({*premise} & {*hypothesis}),
    "you count the common words; a share is asked for, from 0 to 1",
)
overlap.wrong(
    "what is new",
    lambda premise, hypothesis: len({*hypothesis} - {*premise}) / len({*hypothesis}),
    "that is the share of the words that are *not* in the premise",
)

# Build


def _data_sets() -> list[tuple[Any, ...]]:
    E, C, N = "entailment", "contradiction", "neutral"
    square = [
        (f"p{i}", f"h{j}", (E, C, N)[(j - i) % 3]) for i in range(3) for j in range(3)
    ]  # every label once for each premise and each hypothesis
    careless = [(f"q{i}", "it is not so", C) for i in range(4)] + [("q0", "it is so", E)]
    careless += [(f"q{i}", "it is big", label) for i, label in enumerate((E, N, N))]
    mixed = [("r0", "a", E), ("r0", "b", N), ("r0", "c", E), ("r1", "a", C), ("r1", "a", C)]
    return [(careless,), (square,), (mixed,), (careless + square,), (mixed + square,)]


_LABELS = ("entailment", "contradiction", "neutral")


def _any_data_set(rng: random.Random) -> tuple[Any, ...]:
    columns = (some(rng, items, 12, 12) for items in ("pqr", ["a", "A", "b", " b"], _LABELS))
    return (list(zip(*columns, strict=True))[: rng.randint(1, 12)],)


@check(
    "10",
    cases=_data_sets,
    hints=(
        "whoever sees only the hypothesis must say the same label each time it occurs: which one?",
        "count the labels of each hypothesis; add up each one's largest count; divide by all pairs",
    ),
    drawn=_any_data_set,
)
def best_alone(pairs: Sequence[Triple]) -> float:
    """The best accuracy that anybody can reach on these pairs who sees the hypotheses alone."""
    right = 0
    for hypothesis in {h for _, h, _ in pairs}:
        labels = [label for _, h, label in pairs if h == hypothesis]
        right += max(labels.count(label) for label in set(labels))
    return right / len(pairs)


def _by(pairs: Sequence[Triple], *columns: int) -> list[Counter[str]]:
    groups: dict[tuple[str, ...], Counter[str]] = {}
    for pair in pairs:
        groups.setdefault(tuple(pair[i] for i in columns), Counter())[pair[2]] += 1
    return list(groups.values())


def _most(groups: Sequence[Counter[str]]) -> float:
    return sum(max(count.values()) for count in groups) / sum(map(Counter.total, groups))


best_alone.wrong(
    "the majority",
    lambda pairs: _most(_by(pairs)),
    "you give all pairs one label, the most frequent; choose one for each hypothesis",
)
best_alone.wrong(
    "sees the premises",
    lambda pairs: _most(_by(pairs, 0)),
    "you group by the premise; only the hypothesis is seen",
)
best_alone.wrong(
    "sees both",
    lambda pairs: _most(_by(pairs, 0, 1)),
    "you group by both sentences; only the hypothesis is seen",
)
best_alone.wrong(
    "a mean of shares",
    lambda pairs: sum(_most([count]) for count in _by(pairs, 1)) / len(_by(pairs, 1)),
    "each hypothesis has the same weight in yours; one that occurs often must count more",
)
best_alone.wrong(
    "the last label",
    lambda pairs: sum({h: y for _, h, y in pairs}[h] == y for _, h, y in pairs) / len(pairs),
    "a dict keeps each hypothesis's *last* label; the best answer is its most frequent one",
)
best_alone.wrong(
    "a right count",
    lambda pairs: sum(max(count.values()) for count in _by(pairs, 1)),
    "that is the number of correct answers; divide it by that of all pairs",
)


def _two_files() -> list[tuple[Any, ...]]:
    E, C, N = "entailment", "contradiction", "neutral"
    train = [
        ("the dog sleeps", "it is asleep", E),
        ("it rains", "the street is wet", E),
        ("the shop is shut", "it is open", C),
        ("the shop is shut", "it rains", N),
    ]
    clean = [("a boat sinks", "it is afloat", C), ("a boat sinks", "it is old", N)]
    crossed = [("the street is wet", "it is cold", N), ("a boat sinks", "the dog sleeps", N)]
    plain = [
        ("the shop is shut", "we wait", N),
        ("we wait", "it is asleep", N),
        ("the shop is shut", "we go", N),
    ]
    whole = [("it rains", "the street is wet", E)]
    exams = (crossed + plain, clean, plain, whole + clean)
    return [*((train, exam) for exam in exams), (clean, crossed)]


def _any_files(rng: random.Random) -> tuple[Any, ...]:
    said = [
        "it rains",
        "It rains",
        " it rains",
        "it rains a lot",
        "we go",
        "we wait",
        "a dog",
        "a boat",
        "the cat",
        "neutral",
    ]
    rows = [(*rng.choices(said, k=2), rng.choice(["neutral", "entailment"])) for _ in range(8)]
    train, test = rows[: rng.randint(1, 4)], rows[4 : rng.randint(5, 8)]
    return train, [*test, *rng.sample(train, rng.choice([0, 0, 1]))]


@check(
    "10",
    cases=_two_files,
    hints=(
        "put all sentences of a file into one set, premises and hypotheses alike",
        "the intersection of the two sets (`&`), sorted",
    ),
    drawn=_any_files,
)
def in_both(train: Sequence[Triple], test: Sequence[Triple]) -> list[str]:
    """The sentences that stand in both files, no matter in which column, sorted."""
    found: list[str] = []
    for premise, hypothesis, _ in test:
        for sentence in (premise, hypothesis):
            if sentence not in found and any(sentence in pair[:2] for pair in train):
                found.append(sentence)
    return sorted(found)


def _column(pairs: Sequence[Triple], column: int) -> set[str]:
    return {pair[column] for pair in pairs}


in_both.wrong(
    "whole pairs",
    lambda train, test: sorted({sentence for pair in {*train} & {*test} for sentence in pair[:2]}),
    "you look for whole pairs; one known sentence is enough for a leak",
)
in_both.wrong(
    "premises only",
    lambda train, test: sorted(_column(train, 0) & _column(test, 0)),
    "you compare the premises only; hypotheses can leak as well",
)
in_both.wrong(
    "hypotheses only",
    lambda train, test: sorted(_column(train, 1) & _column(test, 1)),
    "you compare the hypotheses only; premises can leak as well",
)
in_both.wrong(
    "column by column",
    lambda train, test: sorted(
        (_column(train, 0) & _column(test, 0)) | (_column(train, 1) & _column(test, 1))
    ),
    "a premise of one file may be a hypothesis of the other: put both columns into one set",
)
in_both.wrong(
    "with the labels",
    lambda train, test: sorted(
        {text for pair in train for text in pair} & {text for pair in test for text in pair}
    ),
    "there are labels among your sentences: take the first two columns only",
)
