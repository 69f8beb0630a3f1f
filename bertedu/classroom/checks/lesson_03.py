"""Checks of lesson 03: next-sentence prediction."""

import math
import random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertedu.classroom.checks.comparing import plain
from bertedu.classroom.checks.drawing import normal, some
from bertedu.classroom.checks.framework import check
from bertedu.heads import IS_NEXT, NOT_NEXT

# Predict


@check("03", value=True)
def row_of_pair() -> list[int]:
    """The length of the row for a pair of 9 and 12 tokens, and how many segment ids are 1."""
    a, b = 9, 12
    return [1 + a + 1 + b + 1, b + 1]


row_of_pair.wrong(
    "SEP to A", [24, 12], "the last [SEP] closes B and has B's segment id, so there is one more"
)
row_of_pair.wrong(
    "both SEPs to B",
    [24, 14],
    "the first [SEP] closes A and has A's segment id, so there is one less",
)
row_of_pair.wrong(
    "no special tokens",
    [21, 12],
    "the special tokens are tokens: one [CLS], and a [SEP] after each text",
)
row_of_pair.wrong(
    "one SEP",
    [23, 12],
    "the row is [CLS], A, [SEP], B, [SEP], one token more than yours; the last [SEP] belongs to B",
)
row_of_pair.wrong(
    "one SEP, in B",
    [23, 13],
    "the second is correct; the row is [CLS], A, [SEP], B, [SEP], one token longer than yours",
)


@check("03", value=True)
def best_of_100() -> float:
    """The best possible accuracy in percent under the naive rule, in a text of 100 sentences."""
    return 100 * (1 - 0.5 / 100)


best_of_100.wrong(
    "all pairs",
    99.0,
    "in 1 of 100 *random* pairs B really follows; the random pairs are half of all pairs",
)
best_of_100.wrong("perfect", 100.0, "the same pair occurs with both labels: nobody can know which")
best_of_100.wrong(
    "the share",
    0.5,
    "for so many percent of the pairs the answer must be wrong; how many percent are left?",
)
best_of_100.wrong("not in percent", 0.995, "correct as a share; the exercise asks for percent")


def _boundless(answer: Any) -> Any:
    """Infinity has several names."""
    names = {"infinite", "infinity", "inf", "∞", "unbounded", "no bound", "without limit"}
    names.add("without bound")
    return [
        "without bound" if part == math.inf or str(part).lower().strip(" .") in names else part
        for part in plain(answer)
    ]


@check("03", value=True, within=0.005, read=_boundless)
def loss_of_guessing() -> list[float | str]:
    """The loss of a model that gives every pair 50 %, and of one that is always certain."""
    return [math.log(2), "without bound"]


loss_of_guessing.wrong(
    "certain is undecided",
    [0.69, 0.69],
    "0.69 is correct for the first; the other gives the truth p = 0 in half of the pairs: -log 0?",
)
loss_of_guessing.wrong(
    "certain is half wrong",
    [0.69, 1],
    "1 is a bound, and -log p has none: in half of the pairs the truth has p = 0 here",
)
loss_of_guessing.wrong(
    "probability",
    [0.5, "without bound"],
    "0.5 is the probability; the loss is -log of it",
)
loss_of_guessing.wrong(
    "bits", [1, "without bound"], "one *bit*: log2. In nats, with the natural logarithm, it is less"
)


# Complete


def _rows() -> list[tuple[Any, ...]]:
    rows = [[101, 7, 8, 102, 9, 102], [2, 5, 3, 6, 7, 8, 3], [2, 5, 6, 3], [2, 3, 9, 3]]
    return [(torch.tensor(row), row[-1]) for row in rows]


def _any_row(rng: random.Random) -> tuple[Any, ...]:
    a, b = (some(rng, [5, 6, 7, 9], 0, 4) for _ in "ab")
    row = [2, *a, 3] if rng.random() < 0.2 else [2, *a, 3, *b, 3]
    return torch.tensor([*row, *[0] * rng.choice([0, 0, 1, 3])]), 3


@check(
    "03",
    cases=_rows,
    hints=(
        "a token is in B if a [SEP] stands *before* it",
        "`(ids == sep).cumsum(0)` counts up to and with each place; take the place itself away",
    ),
    drawn=_any_row,
)
def segments_of(ids: Tensor, sep: int) -> list[int]:
    """Segment ids of a row: 0 up to and with the first [SEP], then 1."""
    found = ids.tolist()
    return [int(sep in found[:place]) for place in range(len(found))]


segments_of.wrong(
    "SEP into B",
    lambda ids, sep: ((ids == sep).cumsum(0) > 0).long(),
    "the first [SEP] is already 1 in yours; it closes A, so it belongs to A",
)
segments_of.wrong(
    "counts the SEPs",
    lambda ids, sep: (ids == sep).cumsum(0),
    "you count the [SEP]s; there are only segments 0 and 1, and a [SEP] itself still belongs to "
    "the part that it closes",
)
segments_of.wrong(
    "a third segment",
    lambda ids, sep: (ids == sep).cumsum(0) - (ids == sep).long(),
    "behind the second [SEP] you have 2: there are only segments 0 and 1, at padding, too",
)
segments_of.wrong(
    "last SEP",
    lambda ids, sep: ((ids == sep).cumsum(0) == 1).long() * (ids != sep).long(),
    "the last [SEP] closes B, so that it has the segment id 1",
)
segments_of.wrong(
    "SEPs only",
    lambda ids, sep: (ids == sep).long(),
    "you mark the [SEP]s themselves; the segment id is 1 for every token *behind* the first one",
)
segments_of.wrong(
    "turned round",
    lambda ids, sep: 1 - (((ids == sep).cumsum(0) - (ids == sep).long()) > 0).long(),
    "it is the wrong way round: A is 0 and B is 1",
)


def _logits() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(6)
    first = torch.tensor([[2.0, -1.0], [0.0, 0.5], [-3.0, -2.0]])
    return [(first,), (torch.randn(6, 2, generator=rng),), (3 + torch.randn(5, 2, generator=rng),)]


@check(
    "03",
    cases=_logits,
    hints=("which column is 'follows'? The constants say it", "compare the two columns of logits"),
    drawn=lambda rng: (rng.choice([-3, 0, 3]) + normal(rng, rng.randint(1, 6), 2),),
)
def follows(logits: Tensor) -> list[bool]:
    """From logits [N, 2] to "does B follow?"."""
    return [row[IS_NEXT] > row[NOT_NEXT] for row in logits.tolist()]


follows.wrong(
    "columns",
    lambda logits: logits[:, 1] > logits[:, 0],
    "the columns are exchanged: column 0 is 'B follows', column 1 is 'B is random'",
)
follows.wrong(
    "above zero",
    lambda logits: logits[:, 0] > 0,
    "a logit means nothing alone: compare it with the other one of its row",
)
follows.wrong(
    "softmax over pairs",
    lambda logits: logits.softmax(0)[:, 0] > 0.5,
    "your softmax runs over the pairs; it should run over the two columns",
)
follows.wrong(
    "probabilities",
    lambda logits: logits.softmax(-1)[:, 0],
    "those are the probabilities; answer True or False for each pair",
)


def _labels() -> list[tuple[Any, ...]]:
    lists = [[1, 1, 0, 1, 0, 1, 1], [0, 0, 0, 1], [0, 1, 0, 1], [1, 1, 1], [0, 0, 1, 1, 1, 0, 1]]
    return [(np.array(labels),) for labels in lists]


@check(
    "03",
    cases=_labels,
    hints=(
        "`np.flatnonzero(labels == 0)` gives the places of one kind",
        "keep the first `min(...)` of each kind; then sort",
    ),
    drawn=lambda rng: (
        np.array(some(rng, rng.choice([[0, 1], [0, 1, 1], [0, 0, 1]]), 0, 12), dtype=np.int64),
    ),
)
def balanced(labels: NDArray[np.int64]) -> list[int]:
    """The places to keep so that both labels are equally frequent."""
    kept: dict[int, list[int]] = {0: [], 1: []}
    fewest = min(int((labels == label).sum()) for label in (0, 1))
    for place, label in enumerate(labels.tolist()):
        if len(kept[label]) < fewest:
            kept[label].append(place)
    return sorted(kept[0] + kept[1])


def _by_kind(labels: NDArray[np.int64], last: bool = False) -> NDArray[np.int64]:
    kinds = [np.flatnonzero(labels == label) for label in (0, 1)]
    fewest = min(map(len, kinds))
    return np.concatenate([k[len(k) - fewest :] if last else k[:fewest] for k in kinds])


balanced.wrong(
    "not sorted", _by_kind, "the right places, but one kind after the other: bring them in order"
)
balanced.wrong(
    "the last ones",
    lambda labels: np.sort(_by_kind(labels, last=True)),
    "you drop the first ones of the more frequent label; drop the last ones",
)
balanced.wrong(
    "labels",
    lambda labels: labels[np.sort(_by_kind(labels))],
    "these are the labels at the right places; return the places themselves",
)
balanced.wrong(
    "alternating",
    lambda labels: np.arange(2 * min(int((labels == 0).sum()), int((labels == 1).sum()))),
    "you cut the list at its end; which labels are dropped must depend on the labels",
)


# Build


def _pairs() -> list[tuple[Any, ...]]:
    fields = [(name, np.int64) for name in ("a_start", "a_end", "b_start", "b_end")]
    kind = np.dtype([*fields, ("next_sentence_label", np.int64)])
    rows = [(0, 9, 9, 21, 0), (100, 104, 104, 105, 0), (7, 8, 8, 30, 0)]
    return [(np.array([row], dtype=kind)[0],) for row in rows]


def _any_pair(rng: random.Random) -> tuple[Any, ...]:
    ends = sorted(rng.sample(range(200), 3))
    kind = [(name, np.int64) for name in ("a_start", "a_end", "b_start", "b_end")]
    row = (ends[0], ends[1], ends[1], ends[2], 0)
    return (np.array([row], dtype=[*kind, ("next_sentence_label", np.int64)])[0],)


@check(
    "03",
    cases=_pairs,
    hints=(
        "begin with `pair.copy()`, and read from `pair` while you write to the copy",
        "a_start and b_start change places, and a_end and b_end; then the label",
    ),
    drawn=_any_pair,
)
def swap(pair: Any) -> list[int]:
    """A copy of a pair that follows, with A and B swapped and the label 1."""
    return [int(pair["b_start"]), int(pair["b_end"]), int(pair["a_start"]), int(pair["a_end"]), 1]


def _swapped(pair: Any, names: dict[str, str], label: int | None = NOT_NEXT) -> Any:
    other = pair.copy()
    for new, old in names.items():
        other[new] = pair[old]
    if label is not None:
        other["next_sentence_label"] = label
    return other


_BOTH = {"a_start": "b_start", "b_start": "a_start", "a_end": "b_end", "b_end": "a_end"}


def _overwritten(pair: Any) -> Any:
    other = pair.copy()
    for end in ("start", "end"):
        other[f"a_{end}"] = other[f"b_{end}"]
        other[f"b_{end}"] = other[f"a_{end}"]
    other["next_sentence_label"] = NOT_NEXT
    return other


swap.wrong(
    "label",
    lambda pair: _swapped(pair, _BOTH, None),
    "A and B are swapped, but the label still says 'follows': it must be 1",
)
swap.wrong(
    "overwritten",
    _overwritten,
    "A and B are now the same: A's old place was overwritten before B could have it",
)
swap.wrong(
    "starts only",
    lambda pair: _swapped(pair, {"a_start": "b_start", "b_start": "a_start"}),
    "only the starts are swapped; the ends belong to them",
)
swap.wrong(
    "label only",
    lambda pair: _swapped(pair, {}),
    "the label says 1, but A and B still stand in their old order",
)


def _triples() -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(7)
    cases: list[tuple[Any, ...]] = [([(0, 1, 0), (1, 2, 1), (2, 0, 1), (3, 4, 0)],)]
    for sentences in (5, 20):
        a = rng.integers(0, sentences - 1, 400)
        label = rng.integers(0, 2, 400)
        b = np.where(label == IS_NEXT, a + 1, rng.integers(0, sentences, 400))
        cases.append(([tuple(map(int, row)) for row in zip(a, b, label, strict=True)],))
    return cases


def _any_triples(rng: random.Random) -> tuple[Any, ...]:
    n = rng.randint(3, 6)
    pairs = [(rng.randrange(n - 1), rng.randrange(n), NOT_NEXT) for _ in range(rng.randint(2, 12))]
    pairs += [(a := rng.randrange(n - 1), a + 1, IS_NEXT) for _ in range(rng.randint(1, 9))]
    return (rng.sample(pairs, len(pairs)),)


@check(
    "03",
    cases=_triples,
    hints=(
        "first gather the pairs whose label says random",
        "among those, count b == a + 1, and divide by how many there are",
    ),
    drawn=_any_triples,
)
def false_negatives(pairs: list[tuple[int, int, int]]) -> float:
    """The share of random pairs in which B really follows A."""
    random = [(a, b) for a, b, label in pairs if label == NOT_NEXT]
    return sum(b == a + 1 for a, b in random) / len(random)


false_negatives.wrong(
    "of all pairs",
    lambda pairs: sum(b == a + 1 and label == NOT_NEXT for a, b, label in pairs) / len(pairs),
    "you divide by all pairs; the share is of those that are called random",
)
false_negatives.wrong(
    "label 0",
    lambda pairs: (
        sum(b == a + 1 for a, b, label in pairs if label == IS_NEXT)
        / sum(label == IS_NEXT for _, _, label in pairs)
    ),
    "you look at label 0; that is 'follows', and random is 1",
)
false_negatives.wrong(
    "of those that follow",
    lambda pairs: (
        sum(label == NOT_NEXT for a, b, label in pairs if b == a + 1)
        / sum(b == a + 1 for a, b, _ in pairs)
    ),
    "you divide by the pairs that follow; the question is how many of the random pairs do",
)
false_negatives.wrong(
    "count",
    lambda pairs: sum(b == a + 1 for a, b, label in pairs if label == NOT_NEXT),
    "that is how many there are; a share is between 0 and 1",
)
false_negatives.wrong(
    "same sentence",
    lambda pairs: (
        sum(b == a for a, b, label in pairs if label == NOT_NEXT)
        / sum(label == NOT_NEXT for _, _, label in pairs)
    ),
    "b == a means that a sentence is paired with itself; B follows A when b == a + 1",
)
