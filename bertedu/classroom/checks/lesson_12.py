"""Checks of lesson 12: settings, low-rank updates, windows, calibration."""

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bertedu.classroom.checks.drawing import normal
from bertedu.classroom.checks.framework import check

# Predict


@check("12", value=True)
def steps_of_a_run() -> int:
    """How many steps 6 epochs over 105 examples take, in batches of 16."""
    return 6 * 7


steps_of_a_run.wrong(
    "one epoch", 7, "that is one epoch: seven batches, the last of them with 9 examples"
)
steps_of_a_run.wrong(
    "the rest left out", 36, "the last batch of an epoch is smaller, but it is a step, too"
)
steps_of_a_run.wrong(
    "over all epochs",
    40,
    "each epoch ends with a smaller batch; no batch has examples of two epochs",
)
steps_of_a_run.wrong("examples", 630, "that counts examples; a step takes a batch of 16 of them")


@check("12", value=True)
def numbers_in_update() -> int:
    """How many numbers an update of rank 16 has, for a matrix from 768 to 3,072 numbers."""
    return 16 * (768 + 3072)


numbers_in_update.wrong(
    "the whole matrix", 768 * 3072, "that is the matrix itself, which does not learn"
)
numbers_in_update.wrong("A alone", 16 * 768, "that is A, 16 rows of 768; B has numbers, too")
numbers_in_update.wrong("B alone", 16 * 3072, "that is B, 3,072 rows of 16; A has numbers, too")
numbers_in_update.wrong(
    "with the bias", 16 * (768 + 3072) + 3072, "the bias stays as it is; only A and B learn"
)


# Complete


def _runs() -> list[tuple[Any, ...]]:
    return [
        ({1e-4: [0.6, 0.62, 0.61], 3e-4: [0.9, 0.5, 0.58], 1e-3: [0.7, 0.69, 0.2]},),
        ({3e-5: [0.25, 0.45], 3e-4: [0.8, 0.82]},),
        ({1e-3: [0.2, 0.2, 0.2]},),
    ]


def _any_runs(rng: random.Random) -> tuple[Any, ...]:
    rates = rng.sample([1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3], rng.randint(1, 4))
    seeds = rng.choice((1, 3, 3, 5))
    return ({rate: [round(rng.uniform(0.2, 1), 6) for _ in range(seeds)] for rate in rates},)


@check(
    "12",
    cases=_runs,
    hints=(
        "a setting is judged by all of its seeds: take their mean",
        "`max(scores, key=...)` goes over the keys; `key` says what is compared",
    ),
    drawn=_any_runs,
)
def best_rate(scores: dict[float, list[float]]) -> float:
    """The learning rate that is best on average over its seeds."""
    means = {rate: sum(of_seeds) / len(of_seeds) for rate, of_seeds in scores.items()}
    return next(rate for rate, mean in means.items() if mean == max(means.values()))


best_rate.wrong(
    "the luckiest seed",
    lambda scores: max(scores, key=lambda rate: max(scores[rate])),
    "you take the rate with the single best run: that may be a lucky seed",
)
best_rate.wrong(
    "the unluckiest seed",
    lambda scores: max(scores, key=lambda rate: min(scores[rate])),
    "you compare the worst seed of each rate; the mean of all seeds is asked for",
)
best_rate.wrong(
    "the first seed",
    lambda scores: max(scores, key=lambda rate: scores[rate][0]),
    "you compare the first seed of each rate only; the mean of all seeds is asked for",
)
best_rate.wrong(
    "its score",
    lambda scores: max(sum(of_seeds) / len(of_seeds) for of_seeds in scores.values()),
    "that is the best mean itself; the rate that has it is asked for",
)


def _updates() -> list[tuple[Any, ...]]:
    rng = random.Random(12)
    return [(normal(rng, 3, 4), normal(rng, 2, 4), normal(rng, 3, 2), 8.0),
            (normal(rng, 4, 3), normal(rng, 1, 3), normal(rng, 4, 1), 2.0)]  # fmt: skip


def _any_update(rng: random.Random) -> tuple[Any, ...]:
    rows, columns, rank = rng.randint(2, 5), rng.randint(2, 5), rng.randint(1, 3)
    alpha = float(rng.choice((1, 3, 5, 8)))
    return normal(rng, rows, columns), normal(rng, rank, columns), normal(rng, rows, rank), alpha


@check(
    "12",
    cases=_updates,
    hints=(
        "B [out, r] and A [r, in] in one product have the shape of W [out, in]",
        "the product counts alpha / r times; r is the number of rows of A",
    ),
    drawn=_any_update,
)
def merged_weight(W: Tensor, A: Tensor, B: Tensor, alpha: float) -> list[list[float]]:
    """The weight with the low-rank update added: W + alpha / r B A."""
    rank = len(A)
    return [
        [float(W[i, j] + alpha / rank * sum(B[i, k] * A[k, j] for k in range(rank)))
         for j in range(W.shape[1])] for i in range(len(W))
    ]  # fmt: skip


merged_weight.wrong(
    "not scaled",
    lambda W, A, B, alpha: W + B @ A,
    "the update counts alpha / r times: the scale is missing",
)
merged_weight.wrong(
    "alpha alone",
    lambda W, A, B, alpha: W + alpha * B @ A,
    "you scale by alpha; divide it by the rank, the number of rows of A",
)
merged_weight.wrong(
    "by the width",
    lambda W, A, B, alpha: W + alpha / A.shape[1] * B @ A,
    "you divide by the columns of A; the rank is the number of its rows",
)
merged_weight.wrong(
    "the update alone",
    lambda W, A, B, alpha: alpha / len(A) * B @ A,
    "that is the update alone; it is added to W",
)


# Build


def _lengths() -> list[tuple[Any, ...]]:
    return [(10, 4, 2), (9, 4, 2), (3, 4, 2), (8, 4, 4), (1, 3, 1), (11, 5, 3)]


def _any_length(rng: random.Random) -> tuple[Any, ...]:
    size = rng.randint(1, 8)
    return rng.randint(1, 30), size, rng.randint(1, size)


@check(
    "12",
    cases=_lengths,
    hints=(
        "begin at 0, step, 2 · step, ...; a window ends `size` later, or at the end of the text",
        "the first window that reaches the end is the last one",
    ),
    drawn=_any_length,
)
def window_places(count: int, size: int, step: int) -> list[tuple[int, int]]:
    """Where the windows over `count` pieces begin and end: `size` pieces, a new one each `step`."""
    places = [(0, min(size, count))]
    while places[-1][1] < count:
        start = places[-1][0] + step
        places.append((start, min(start + size, count)))
    return places


window_places.wrong(
    "the rest lost",
    lambda count, size, step: [(s, s + size) for s in range(0, count - size + 1, step)],
    "pieces at the end are in no window, or a text shorter than a window has none",
)
window_places.wrong(
    "past the end",
    lambda count, size, step: [(s, s + size) for s in range(0, max(1, count - size + step), step)],
    "your last window reaches past the end of the text: it ends at `count`",
)
window_places.wrong(
    "too many",
    lambda count, size, step: [(s, min(s + size, count)) for s in range(0, count, step)],
    "you go on after the end is reached: stop at the first window that reaches it",
)
window_places.wrong(
    "without overlap",
    lambda count, size, step: [(s, min(s + size, count)) for s in range(0, count, size)],
    "your windows do not overlap: a new one begins every `step` pieces, not every `size`",
)


def _any_answers(rng: random.Random) -> tuple[Any, ...]:
    drawn = np.random.default_rng(rng.randrange(2**31))
    confidence = drawn.uniform(0.02, 0.98, rng.choice((1, 3, 8, 20)))
    return confidence, drawn.random(len(confidence)) < confidence**2, rng.choice((2, 4, 5))


def _answers() -> list[tuple[Any, ...]]:
    some = np.array([0.95, 0.91, 0.62, 0.64, 0.55, 0.93])
    return [(some, np.array([True, False, True, False, False, True]), 5), (some, some > 0.6, 4)]


@check(
    "12",
    cases=_answers,
    hints=(
        "a bin's distance is |mean confidence - accuracy|, and its weight is its number of answers",
        "`(confidence * bins).astype(int)` says in which bin of equal width an answer falls",
    ),
    drawn=_any_answers,
    within=1e-9,
)
def calibration_error(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int
) -> float:
    """The expected calibration error, over `bins` bins of equal width from 0 to 1."""
    total = 0.0
    for low in range(bins):
        inside = [i for i, c in enumerate(confidence) if int(c * bins) == low]
        if inside:
            sure = sum(float(confidence[i]) for i in inside) / len(inside)
            right = sum(bool(correct[i]) for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(sure - right)
    return total


def _by_bin(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int
) -> list[tuple[float, int]]:
    """For each bin that has answers: mean confidence minus accuracy, and how many."""
    place = (confidence * bins).astype(int)
    return [
        (float((confidence[place == b] - correct[place == b]).mean()), int((place == b).sum()))
        for b in range(bins)
        if (place == b).any()
    ]


calibration_error.wrong(
    "each bin the same",
    lambda confidence, correct, bins: float(
        np.mean([abs(gap) for gap, _ in _by_bin(confidence, correct, bins)])
    ),
    "you give each bin the same weight; a bin with more answers counts more",
)
calibration_error.wrong(
    "with its sign",
    lambda confidence, correct, bins: float(
        sum(gap * n for gap, n in _by_bin(confidence, correct, bins)) / len(confidence)
    ),
    "you keep the sign, so distances of different bins cancel: take absolute values",
)
calibration_error.wrong(
    "each answer alone",
    lambda confidence, correct, bins: float(np.abs(confidence - correct).mean()),
    "you compare each answer by itself; inside a bin, first take the means, then compare",
)
calibration_error.wrong(
    "the largest",
    lambda confidence, correct, bins: max(
        abs(gap) for gap, _ in _by_bin(confidence, correct, bins)
    ),
    "that is the largest distance; the mean, weighted by the answers in each bin, is asked for",
)
