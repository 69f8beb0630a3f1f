"""Checks of lesson 09: slot filling."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from bertedu.classroom.checks.drawing import normal, some
from bertedu.classroom.checks.framework import check
from bertedu.finetuning.bio import mend

Span = tuple[str, int, int]
Spans = Sequence[Sequence[Span]]

# Predict


@check("09", value=True)
def counted_labels() -> dict[str, int]:
    """Words, tokens and counted labels of the request with the ukulele."""
    pieces = {"ukulele": ["uk", "##ule", "##le"]}
    words = ["remind", "me", "to", "tune", "the", "ukulele"]
    tokens = ["[CLS]", *(p for word in words for p in pieces.get(word, [word])), "[SEP]"]
    return {"words": len(words), "tokens": len(tokens), "counted": len(words)}


counted_labels.wrong(
    "every piece",
    {"words": 6, "tokens": 10, "counted": 8},
    "you count a label for every piece: a word answers once, at its first piece",
)
counted_labels.wrong(
    "every token",
    {"words": 6, "tokens": 10, "counted": 10},
    "[CLS] and [SEP] belong to no word, and later pieces have -100: none of them counts",
)
counted_labels.wrong(
    "no special tokens",
    {"words": 6, "tokens": 8, "counted": 6},
    "the input also has [CLS] at its start and [SEP] at its end",
)
counted_labels.wrong(
    "words for tokens",
    {"words": 6, "tokens": 8, "counted": 5},
    "the split word still answers, with its first piece; and [CLS] and [SEP] are tokens, too",
)


@check("09", value=True, within=0.005)
def table_for_four() -> dict[str, float]:
    """Tag accuracy, precision, recall and F1 of one prediction, by hand."""
    words = 12
    gold = {("party_size", 4, 4), ("restaurant", 6, 8), ("date", 9, 9), ("time", 11, 11)}
    found = {("party_size", 4, 4), ("restaurant", 7, 8), ("date", 9, 9)}
    wrong_tags = {6, 7, 11}  # B- and I- are other tags; and an O for a B-
    right = len(gold & found)
    return {
        "tag accuracy": (words - len(wrong_tags)) / words,
        "precision": right / len(found),
        "recall": right / len(gold),
        "f1": 2 * right / (len(found) + len(gold)),
    }


table_for_four.wrong(
    "half right",
    {"tag accuracy": 9 / 12, "precision": 2.5 / 3, "recall": 2.5 / 4, "f1": 5 / 7},
    "you count the restaurant as half correct: a slot is correct as a whole, or not at all",
)
table_for_four.wrong(
    "overlap",
    {"tag accuracy": 9 / 12, "precision": 1.0, "recall": 3 / 4, "f1": 6 / 7},
    "“golden dragon” only overlaps “the golden dragon”: so this slot is not correct",
)
table_for_four.wrong(
    "turned round",
    {"tag accuracy": 9 / 12, "precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7},
    "precision and recall are exchanged: precision is a share of what was *found*",
)
table_for_four.wrong(
    "arithmetic mean",
    {"tag accuracy": 9 / 12, "precision": 2 / 3, "recall": 2 / 4, "f1": 7 / 12},
    "F1 is not the ordinary mean of the two: it is 2 · correct / (found + true)",
)
table_for_four.wrong(
    "golden is right",
    {"tag accuracy": 10 / 12, "precision": 2 / 3, "recall": 2 / 4, "f1": 4 / 7},
    "“golden” has B-restaurant instead of I-restaurant: these are two different tags",
)


# Complete


@check(
    "09",
    cases=lambda: [
        (tags.split(),)
        for tags in (
            "O O B-time I-time O B-date",
            "B-list I-list I-list",
            "B-item B-item I-item",
            "O I-time I-time O",
            "B-date I-time O I-place",
            "I-song",
            "O O",
        )
    ],
    hints=(
        "a slot begins at a B-, and at an I- whose `before[2:] != tag[2:]`; else an I- goes on",
        "at a beginning append [label, i, i]; at any other I- set the last one's third number to i",
    ),
    drawn=lambda rng: (some(rng, ["O", "O", "B-time", "I-time", "B-date", "I-date"], 0, 7),),
)
def tags_to_slots(tags: Sequence[str]) -> list[list[Any]]:
    """The slots that tags mark, [label, first word, last word]; an I- in the wrong place begins."""
    slots: list[list[Any]] = []
    for i, tag in enumerate(mend(tags)[0]):
        if tag.startswith("B-"):
            slots.append([tag[2:], i, i])
        elif tag.startswith("I-"):
            slots[-1][2] = i
    return slots


def _slots(
    tags: Sequence[str], begins: Callable[[str, str], bool], goes_on: Callable[[str, str], bool]
) -> list[list[Any]]:
    """The slots by a rule of when one begins, and when it goes on."""
    slots: list[list[Any]] = []
    is_open = False
    for i, (before, tag) in enumerate(zip(["O", *tags], tags, strict=False)):
        if begins(before, tag):
            slots.append([tag[2:], i, i])
            is_open = True
        elif is_open and goes_on(before, tag):
            slots[-1][2] = i
        else:
            is_open = False
    return slots


def _is_b(_: str, tag: str) -> bool:
    return tag.startswith("B-")


def _same(before: str, tag: str) -> bool:
    return tag != "O" and before[2:] == tag[2:]


tags_to_slots.wrong(
    "forgets the illegal",
    lambda tags: _slots(tags, _is_b, _same),
    "an I- that continues nothing is lost: here it begins a slot, as in conlleval",
)
tags_to_slots.wrong(
    "one word each",
    lambda tags: [[tag[2:], i, i] for i, tag in enumerate(tags) if tag != "O"],
    "each of your slots is one word long: an I- makes the slot before it longer",
)
tags_to_slots.wrong(
    "neighbours in one",
    lambda tags: _slots(tags, lambda before, tag: tag != "O" and not _same(before, tag), _same),
    "two slots of one label side by side become one: B- always begins a new slot",
)
tags_to_slots.wrong(
    "any I- goes on",
    lambda tags: _slots(
        tags,
        lambda before, tag: _is_b(before, tag) or (before == "O" and tag != "O"),
        lambda _, tag: tag != "O",
    ),
    "an I- goes on only with a slot of its own label: B-date I-time are two slots",
)
tags_to_slots.wrong(
    "end after the last",
    lambda tags: [[label, a, b + 1] for label, a, b in tags_to_slots.oracle(tags)],
    "your last number is the word *after* the slot; here it is the slot's last word",
)
tags_to_slots.wrong(
    "keeps the B-",
    lambda tags: [[f"B-{label}", a, b] for label, a, b in tags_to_slots.oracle(tags)],
    "the label comes without its B- or I-: `tag[2:]`",
)


def _judged() -> list[tuple[Any, ...]]:
    time, date, place = ("time", 2, 3), ("date", 5, 5), ("place", 0, 1)
    return [
        ([[time, date], [place]], [[time], [place, ("item", 3, 3)]]),
        ([[place], [time]], [[time], [place]]),
        ([[time], [date], [time, date, place]], [[time], [("date", 5, 6)], [time]]),
        ([[time]], [[]]),
        ([[]], [[date, time]]),
        ([[time], [time]], [[time], [("date", 2, 3)]]),
    ]


def _any_slots(rng: random.Random) -> tuple[Any, ...]:
    slots = [(label, a, b) for label in ("time", "date") for a, b in ((0, 0), (0, 1), (2, 3))]
    requests = rng.randint(1, 4)
    gold = [rng.sample(slots, rng.randint(0, 3)) for _ in range(requests)]
    found = [rng.sample([*slots, *true], rng.randint(0, 3)) for true in gold]
    return gold, [list(dict.fromkeys(some_found)) for some_found in found]


@check(
    "09",
    cases=_judged,
    hints=(
        "a slot is correct if the *same request* has one with the same label, first and last word",
        "over all requests add up `len(set(a) & set(b))`; then divide, with 0 for 0 / 0",
    ),
    drawn=_any_slots,
)
def slot_f1(gold: Spans, found: Spans) -> list[float]:
    """Precision, recall and F1 of whole slots over all requests."""
    right = sum(
        any(slot == other for other in true) for true, ours in zip(gold, found, strict=True)
        for slot in ours
    )  # fmt: skip
    number_found, number_true = sum(map(len, found)), sum(map(len, gold))
    precision = right / number_found if number_found else 0.0
    recall = right / number_true if number_true else 0.0
    both = precision + recall
    return [precision, recall, 2 * precision * recall / both if both else 0.0]


def _scores(right: float, found: float, true: float) -> list[float]:
    f1 = 2 * right / (found + true) if found + true else 0.0
    return [right / found if found else 0.0, right / true if true else 0.0, f1]


def _right(gold: Iterable[Span], found: Iterable[Span]) -> int:
    return len(set(gold) & set(found))


def _totals(gold: Spans, found: Spans) -> tuple[int, int, int]:
    right = sum(_right(*two) for two in zip(gold, found, strict=True))
    return right, sum(map(len, found)), sum(map(len, gold))


def _overlapping(gold: Spans, found: Spans) -> list[float]:
    right = sum(
        any(label == other and a <= d and c <= b for other, c, d in true)
        for true, ours in zip(gold, found, strict=True)
        for label, a, b in ours
    )
    return _scores(right, *_totals(gold, found)[1:])


def _mean_of_sentences(gold: Spans, found: Spans) -> list[float]:
    each = [
        _scores(_right(*two), len(two[1]), len(two[0])) for two in zip(gold, found, strict=True)
    ]
    return [sum(column) / len(each) for column in zip(*each, strict=True)]


def _all_in_one(gold: Spans, found: Spans) -> list[float]:
    true, ours = ({slot for of_one in part for slot in of_one} for part in (gold, found))
    return _scores(len(true & ours), len(ours), len(true))


def _without_labels(gold: Spans, found: Spans) -> list[float]:
    bare = [[[("", a, b) for _, a, b in of_one] for of_one in part] for part in (gold, found)]
    return _scores(*_totals(*bare))


def _arithmetic(gold: Spans, found: Spans) -> list[float]:
    precision, recall, _ = _scores(*_totals(gold, found))
    return [precision, recall, (precision + recall) / 2]


def _turned_round(gold: Spans, found: Spans) -> list[float]:
    right, number_found, number_true = _totals(gold, found)
    return _scores(right, number_true, number_found)


slot_f1.wrong(
    "overlap",
    _overlapping,
    "overlapping the true slot is not enough: label, first and last word must be the same",
)
slot_f1.wrong(
    "mean of sentences",
    _mean_of_sentences,
    "you average over requests: count correct, found and true slots over all, then divide once",
)
slot_f1.wrong(
    "all sentences in one set",
    _all_in_one,
    "slots of different requests are mixed: a slot of one is not correct in another",
)
slot_f1.wrong(
    "without labels",
    _without_labels,
    "you compare the places only: compare the label, too",
)
slot_f1.wrong(
    "arithmetic mean",
    _arithmetic,
    "F1 is the harmonic mean, 2 · precision · recall / (precision + recall), not the ordinary one",
)
slot_f1.wrong(
    "turned round",
    _turned_round,
    "precision and recall are exchanged: precision is a share of what was *found*",
)

# Build


def _paths() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(19)
    tags = ["O", "B-time", "I-time", "B-date", "I-date"]
    drawn = [torch.randn(W, len(tags), generator=rng) for W in (4, 5, 3, 5, 4, 5)]
    return [
        (torch.tensor([[0.5, 0.4, 0.1], [0.3, 0.1, 0.6]]).log(), tags[:3]),
        (torch.tensor([[0.1, 0.2, 0.7], [0.2, 0.2, 0.6]]).log(), tags[:3]),
        *(((2 * logits).log_softmax(-1), tags) for logits in drawn),
    ]


def _legal(path: Sequence[str]) -> bool:
    return not mend(path)[1]


def _any_path(rng: random.Random) -> tuple[Any, ...]:
    tags = rng.choice([["O", "B-time", "I-time"], ["O", "B-time", "I-time", "B-date", "I-date"]])
    words = rng.randint(1, 3 if len(tags) > 3 else 4)
    scale = rng.choice([0.5, 1.5, 4])
    return normal(rng, words, len(tags), scale=scale).log_softmax(-1), tags


@check(
    "09",
    cases=_paths,
    hints=(
        "keep, for each tag, the best legal way that ends in it and its score; then add a word",
        "`I-x` may follow only `B-x` and `I-x`, so it is never first; any other tag may follow all",
    ),
    drawn=_any_path,
)
def best_legal(log_p: Tensor, tags: Sequence[str]) -> list[str]:
    """The legal sequence of tags with the largest sum of log-probabilities [W, K]."""
    rows = log_p.tolist()
    paths = product(range(len(tags)), repeat=len(rows))
    legal = [path for path in paths if _legal([tags[k] for k in path])]
    best = max(legal, key=lambda path: sum(row[k] for row, k in zip(rows, path, strict=True)))
    return [tags[k] for k in best]


def _likeliest(log_p: Tensor, tags: Sequence[str]) -> list[str]:
    return [tags[k] for k in log_p.argmax(-1).tolist()]


def _may_follow(before: str, tag: str) -> bool:
    return not tag.startswith("I-") or before[2:] == tag[2:]


def _greedy(log_p: Tensor, tags: Sequence[str]) -> list[str]:
    path = ["O"]
    for row in log_p.tolist():
        path.append(
            max((x, t) for x, t in zip(row, tags, strict=True) if _may_follow(path[-1], t))[1]
        )
    return path[1:]


def _viterbi(
    log_p: Tensor,
    tags: Sequence[str],
    may_follow: Callable[[str, str], bool] = _may_follow,
    start: Sequence[str] = ("O",),
) -> list[str]:
    ways = {before: (0.0, [before]) for before in start}
    for row in log_p.tolist():
        longer = {}
        for tag, x in zip(tags, row, strict=True):
            old = [way for before, way in ways.items() if may_follow(before, tag)]
            score, path = max(old, default=(-math.inf, []))
            longer[tag] = (score + x, [*path, tag])
        ways = longer
    return max(ways.values())[1][1:]


best_legal.wrong(
    "likeliest",
    _likeliest,
    "you take each word's likeliest tag; together they may be illegal",
)
best_legal.wrong(
    "mended",
    lambda log_p, tags: mend(_likeliest(log_p, tags))[0],
    "that is mending, after the choice; among *legal* sequences another one can be likelier",
)
best_legal.wrong(
    "greedy",
    _greedy,
    "you decide word by word and never go back: a B- that is second best now may "
    "allow a very likely I- next",
)
best_legal.wrong(
    "I- may begin",
    lambda log_p, tags: _viterbi(log_p, tags, start=("O", *tags)),
    "the first word may not have an I-: nothing is there to continue",
)
best_legal.wrong(
    "any I- after any B-",
    lambda log_p, tags: _viterbi(
        log_p, tags, lambda before, tag: not tag.startswith("I-") or before != "O"
    ),
    "I-time may not follow B-date: the labels must be the same",
)
best_legal.wrong(
    "probabilities added",
    lambda log_p, tags: best_legal.oracle(log_p.exp(), tags),
    "you add probabilities; they are multiplied, so add their *logarithms*, as they are given",
)
best_legal.wrong(
    "least likely",
    lambda log_p, tags: best_legal.oracle(-log_p, tags),
    "the sign: the largest sum of log-probabilities is wanted, the one nearest to 0",
)
