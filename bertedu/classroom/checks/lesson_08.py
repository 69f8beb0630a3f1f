"""Checks of lesson 08: one answer for a whole text."""

import math
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bertedu.classroom.checks.drawing import normal, padded, some, whole
from bertedu.classroom.checks.framework import check

# Predict


@check("08", value=True)
def numbers_in_head() -> int:
    """How many parameters the classifier for 5 classes on BERT-base's pooled [CLS] has."""
    return 5 * 768 + 5


numbers_in_head.wrong(
    "no bias", 5 * 768, "that is the matrix; each class also has a bias, a number of its own"
)
numbers_in_head.wrong(
    "one bias", 5 * 768 + 1, "each of the five classes has a bias of its own, not all together"
)
numbers_in_head.wrong(
    "with the pooler",
    768 * 768 + 768 + 5 * 768 + 5,
    "the pooler is there already: next sentence prediction trained it",
)
numbers_in_head.wrong(
    "a row for each token",
    5 * 512 * 768 + 5,
    "only [CLS] is read, one vector of 768 numbers, however long the text is",
)
numbers_in_head.wrong(
    "our size", 5 * 384 + 5, "384 is the width of the course's model; BERT-base is 768 wide"
)


@check("08", value=True, within=0.005)
def loss_of_fresh_head() -> float:
    """About how large the loss of a fresh head with 4 classes is, in nats with two decimals."""
    return -math.log(1 / 4)


loss_of_fresh_head.wrong(
    "two classes",
    0.69,
    "that is log 2, for two classes; here the probability of the correct class is 1/4",
)
loss_of_fresh_head.wrong(
    "in bits", 2.0, "that is in bits, with the logarithm to base 2; nats have the natural one"
)
loss_of_fresh_head.wrong(
    "the probability", 0.25, "that is the probability of the correct class; the loss is its -log"
)
loss_of_fresh_head.wrong(
    "the sign", -1.39, "the sign: the logarithm of 1/4 is negative, and the loss is minus that"
)


# Complete


def _pooled() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(21)
    sizes = ((1, 6, 2), (3, 6, 2), (4, 5, 3), (3, 3, 3))
    return [(torch.randn(B, H, generator=rng), torch.randn(K, H, generator=rng),
             torch.randn(K, generator=rng)) for B, H, K in sizes]  # fmt: skip


def _any_pooled(rng: random.Random) -> tuple[Any, ...]:
    B, H, K = rng.randint(1, 4), rng.randint(2, 6), rng.randint(2, 4)
    return normal(rng, B, H), normal(rng, K, H), normal(rng, K)


@check(
    "08",
    cases=_pooled,
    hints=(
        "a class's logit is the dot product of the vector and the class's row, plus its bias",
        "`pooled @ weight.T + bias` has the shape [B, K]; the probabilities of a row sum to 1",
    ),
    drawn=_any_pooled,
)
def class_probabilities(pooled: Tensor, weight: Tensor, bias: Tensor) -> list[list[float]]:
    """The probability of each class, from vectors [B, H], weight [K, H] and bias [K]."""
    rows = []
    for vector in pooled:
        logits = [float(vector @ row + b) for row, b in zip(weight, bias, strict=True)]
        total = sum(math.exp(logit) for logit in logits)
        rows.append([math.exp(logit) / total for logit in logits])
    return rows


class_probabilities.wrong(
    "no bias",
    lambda pooled, weight, bias: (pooled @ weight.T).softmax(-1),
    "the bias is missing: add it to the dot products, before the softmax",
)
class_probabilities.wrong(
    "over the batch",
    lambda pooled, weight, bias: (pooled @ weight.T + bias).softmax(0),
    "your columns sum to 1: the softmax runs over the classes of one text, not over the texts",
)
class_probabilities.wrong(
    "logits",
    lambda pooled, weight, bias: pooled @ weight.T + bias,
    "these are the logits; a softmax makes probabilities of them",
)
class_probabilities.wrong(
    "sigmoid",
    lambda pooled, weight, bias: (pooled @ weight.T + bias).sigmoid(),
    "a sigmoid treats each class by itself, so the sum need not be 1: take a softmax over the K",
)
class_probabilities.wrong(
    "logarithms",
    lambda pooled, weight, bias: (pooled @ weight.T + bias).log_softmax(-1),
    "these are the logarithms of the probabilities: log_softmax, where softmax is asked for",
)
class_probabilities.wrong(
    "bias afterwards",
    lambda pooled, weight, bias: (pooled @ weight.T).softmax(-1) + bias,
    "the bias comes too late: it is added to the logits, before the softmax",
)


def _outputs() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(22)
    cases: list[tuple[Any, ...]] = []
    for lengths, H, positions in (((3, 2), 2, 4), ((4, 2), 3, 4), ((5, 3, 1), 2, 3), ((2,), 3, 4)):
        mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
        states = torch.randn(*mask.shape, H, generator=rng)
        cases.append((states, mask, positions))
    return cases


def _any_outputs(rng: random.Random) -> tuple[Any, ...]:
    B, S, H = rng.randint(1, 3), rng.randint(1, 5), rng.randint(2, 3)
    return normal(rng, B, S, H), padded(rng, B, S), rng.randint(1, 5)


@check(
    "08",
    cases=_outputs,
    hints=(
        "three things: zeros at the padding, cut to `positions`, zeros where the batch is shorter",
        "`F.pad(x, (0, 0, 0, more))` adds rows of zeros; `.flatten(1)` lays all rows end to end",
    ),
    drawn=_any_outputs,
)
def concatenated(states: Tensor, attention_mask: Tensor, positions: int) -> list[list[float]]:
    """The first outputs of each text, one after the other: [B, S, H] to [B, positions * H]."""
    rows = []
    for text, real in zip(states.tolist(), attention_mask.tolist(), strict=True):
        row: list[float] = []
        for place in range(positions):
            there = place < len(text) and real[place]
            row += text[place] if there else [0.0] * len(text[0])
        rows.append(row)
    return rows


def _filled(states: Tensor, positions: int, *, before: bool = False) -> Tensor:
    """States [B, positions, H], cut or filled with zeros."""
    more = max(0, positions - states.shape[1])
    sides = (0, 0, more, 0) if before else (0, 0, 0, more)
    return torch.nn.functional.pad(states[:, :positions], sides)


concatenated.wrong(
    "padding kept",
    lambda states, attention_mask, positions: _filled(states, positions).flatten(1),
    "the outputs at the padding are still there: put zeros in their place",
)
concatenated.wrong(
    "not filled",
    lambda states, attention_mask, positions: (states * attention_mask[:, :, None])[
        :, :positions
    ].flatten(1),
    "where the texts are short, your rows are too short: fill them with zeros to positions * H",
)
concatenated.wrong(
    "not cut",
    lambda states, attention_mask, positions: _filled(
        states * attention_mask[:, :, None], max(positions, states.shape[1])
    ).flatten(1),
    "where a text is longer than `positions` your row is too long: take the first ones only",
)
concatenated.wrong(
    "filled in front",
    lambda states, attention_mask, positions: _filled(
        states * attention_mask[:, :, None], positions, before=True
    ).flatten(1),
    "you put zeros in front of short texts, so [CLS] is no longer first: put them at the end",
)
concatenated.wrong(
    "number by number",
    lambda states, attention_mask, positions: (
        _filled(states * attention_mask[:, :, None], positions).transpose(1, 2).flatten(1)
    ),
    "first come all tokens' first numbers, then all second ones: keep each token's together",
)
concatenated.wrong(
    "the mean",
    lambda states, attention_mask, positions: (
        (states * attention_mask[:, :, None]).sum(1) / attention_mask.sum(1, keepdim=True)
    ),
    "that is the mean: it has H numbers, and no longer knows which token was where",
)

# Build


def _likes(text: str) -> float:
    """A reader who counts."""
    words = text.split()
    return (1 + words.count("good") + words.count("so") / 2) / (2 + len(words))


def _negates(text: str) -> float:
    """A reader who knows what stands before what."""
    words = text.split()
    score = 0.5 + 0.1 * words.count("good") - 0.05 * len(words)
    return score - 0.3 * any(pair == ("not", "good") for pair in pairwise(words))


@check(
    "08",
    cases=lambda: [
        (_negates, "this was not good"),
        (_likes, "so so good"),
        (_likes, "good food and good company"),
        (_negates, "not bad not good not anything"),
    ],
    hints=(
        "ask once with the whole text, and once without each word; subtract",
        "without word i: `words[:i] + words[i + 1:]`, joined by blanks",
    ),
    drawn=lambda rng: (
        rng.choice([_likes, _negates]),
        " ".join(some(rng, ["not", "good", "Good", "so", "food", "and"], 1, 7)),
    ),
)
def word_effects(probability: Callable[[str], float], text: str) -> list[float]:
    """For each word, the text's probability minus the one without that word."""
    words = text.split()
    effects = []
    for left_out in range(len(words)):
        kept = [word for place, word in enumerate(words) if place != left_out]
        effects.append(probability(text) - probability(" ".join(kept)))
    return effects


def _without(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]


word_effects.wrong(
    "the sign",
    lambda probability, text: [probability(rest) - probability(text) for rest in _without(text)],
    "the sign: a word that speaks for the class must have an effect above 0",
)
word_effects.wrong(
    "without only",
    lambda probability, text: [probability(rest) for rest in _without(text)],
    "these are the probabilities without each word; subtract each from that of the whole text",
)
word_effects.wrong(
    "the word alone",
    lambda probability, text: [probability(word) for word in text.split()],
    "you ask about each word by itself; instead leave it out of the text, and ask about the rest",
)
word_effects.wrong(
    "all of the same",
    lambda probability, text: [
        probability(text) - probability(" ".join(w for w in text.split() if w != word))
        for word in text.split()
    ],
    "a word that occurs twice is left out at both places: leave out one place at a time",
)
word_effects.wrong(
    "all from there on",
    lambda probability, text: [
        probability(text) - probability(" ".join(text.split()[:place]))
        for place in range(len(text.split()))
    ],
    "you leave out the word and all words after it: leave out this word only",
)
word_effects.wrong(
    "never negative",
    lambda probability, text: [abs(probability(text) - probability(r)) for r in _without(text)],
    "you drop the sign, and with it whether a word speaks for the class or against it",
)


def _exams() -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(23)
    cases: list[tuple[Any, ...]] = []
    for N, a, b in ((40, 0.8, 0.6), (25, 0.5, 0.9), (60, 0.7, 0.7)):
        right = rng.random((2, N)) < np.array([[a], [b]])
        cases.append((right[0], right[1], rng.integers(N, size=(200, N))))
    return cases


def _any_exam(rng: random.Random) -> tuple[Any, ...]:
    N, D = rng.randint(8, 30), rng.choice([50, 101, 150])
    right = whole(rng, 0, 10, 2, N) < torch.tensor([[rng.randint(3, 9)], [rng.randint(3, 9)]])
    return *right.numpy(), whole(rng, 0, N, D, N).numpy()


@check(
    "08",
    cases=_exams,
    hints=(
        "`right_a[draws]` is [D, N]: its mean over the last axis is an accuracy for each draw",
        "subtract the two accuracies draw by draw; then `np.percentile(..., [2.5, 97.5])`",
    ),
    drawn=_any_exam,
    count=20,
)
def paired_interval(right_a: Any, right_b: Any, draws: Any) -> list[float]:
    """Between which two numbers 95 % of the draws' differences in accuracy, a minus b, lie."""
    differences = []
    for draw in draws.tolist():
        of_a = sum(bool(right_a[i]) for i in draw) / len(draw)
        of_b = sum(bool(right_b[i]) for i in draw) / len(draw)
        differences.append(of_a - of_b)
    differences.sort()
    ends = []
    for share in (0.025, 0.975):
        place = share * (len(differences) - 1)
        below = int(place)
        step = differences[min(below + 1, len(differences) - 1)] - differences[below]
        ends.append(differences[below] + (place - below) * step)
    return ends


def _ends(values: Any, low: float = 2.5) -> Any:
    return np.percentile(values, [low, 100 - low])


paired_interval.wrong(
    "other way round",
    lambda right_a, right_b, draws: _ends(right_b[draws].mean(1) - right_a[draws].mean(1)),
    "you have b minus a; a minus b is asked for",
)
paired_interval.wrong(
    "not paired",
    lambda right_a, right_b, draws: _ends(right_a[draws].mean(1) - right_b[draws[::-1]].mean(1)),
    "a and b are judged on different draws: use the same sentences for both, draw by draw",
)
paired_interval.wrong(
    "ends subtracted",
    lambda right_a, right_b, draws: _ends(right_a[draws].mean(1)) - _ends(right_b[draws].mean(1)),
    "you subtract two intervals end by end; subtract in each draw, then take the percentiles",
)
paired_interval.wrong(
    "90 %",
    lambda right_a, right_b, draws: _ends(right_a[draws].mean(1) - right_b[draws].mean(1), 5),
    "5 and 95 leave a tenth of the draws outside; 95 % lie between 2.5 and 97.5",
)
paired_interval.wrong(
    "all draws",
    lambda right_a, right_b, draws: _ends(right_a[draws].mean(1) - right_b[draws].mean(1), 0),
    "these are the smallest and the largest difference; leave 2.5 % out at each end",
)
paired_interval.wrong(
    "counts",
    lambda right_a, right_b, draws: _ends(right_a[draws].sum(1) - right_b[draws].sum(1)),
    "you count correct answers; an accuracy is their share",
)
paired_interval.wrong(
    "only a",
    lambda right_a, right_b, draws: _ends(right_a[draws].mean(1)),
    "that is the interval of a's own accuracy; the question is how much more it is than b's",
)
