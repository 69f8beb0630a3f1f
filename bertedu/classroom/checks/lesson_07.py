"""Checks of lesson 07: both tasks learned at once."""

import math
import random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bertedu.classroom.checks.drawing import normal, whole
from bertedu.classroom.checks.framework import check
from bertedu.utils.validation import IGNORED

# Predict


@check("07", value=True)
def how_many_losses() -> list[int]:
    """How many -log p go into the words' mean and into the pairs', for 32 rows of 128 tokens."""
    return [32 * 19, 32]


how_many_losses.wrong(
    "all tokens", [4096, 32], "only the chosen tokens are asked: 19 in each row, not 128"
)
how_many_losses.wrong(
    "one row", [19, 1], "that is one row; a batch has 32, and the mean runs over all of them"
)
how_many_losses.wrong(
    "two sentences", [608, 64], "a row is one pair and one question: does B follow A?"
)
how_many_losses.wrong(
    "masked only", [486, 32], "random and kept tokens are asked as well: all 19 of each row count"
)


@check("07", value=True, within=0.5)
def billions() -> float:
    """The tokens of the paper's pretraining, in billions."""
    return 1_000_000 * 256 * 512 / 1e9


billions.wrong(
    "a corpus", 3, "3.3 billion words are in the text; it was read about forty times over"
)
billions.wrong("rows", 256, "256 is the number of rows in a step: steps × rows × tokens in a row")
billions.wrong("thousands", 131_072, "correct, but in millions: the exercise asks for billions")
billions.wrong("one length", 128, "that is the paper's own rounding; 10⁶ · 256 · 512 is a bit more")


@check("07", value=True, within=0.05)
def knows_nothing() -> list[float | bool]:
    """The joint loss of two heads that know nothing of 500 tokens; and has 6.9 learned?"""
    return [math.log(500) + math.log(2), False]


knows_nothing.wrong(
    "words only", [6.2, True], "6.2 is for the words alone; the pairs' head knows nothing either"
)
knows_nothing.wrong(
    "words only, no",
    [6.2, False],
    "6.2 is for the words alone; add the loss on the pairs when each answer gets p = 1/2",
)
knows_nothing.wrong(
    "learned all the same",
    [6.9, True],
    "the number is correct; the model's loss is 6.9, too: compare it with that of knowing nothing",
)
knows_nothing.wrong(
    "bits", [10.0, True], "these are bits (log2); nats have the natural logarithm, `math.log`"
)


# Complete


def _both_tasks() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(17)
    cases: list[tuple[Any, ...]] = []
    for B, S, V in ((1, 5, 4), (3, 6, 7), (4, 4, 9)):
        labels = torch.randint(0, V, (B, S), generator=rng)
        labels[:, ::2] = IGNORED
        labels[1:, 1] = IGNORED  # rows differ in how many are chosen
        pairs = torch.randn(B, 2, generator=rng), torch.randint(0, 2, (B,), generator=rng)
        cases.append((torch.randn(B, S, V, generator=rng), labels, *pairs))
    return cases


def _any_tasks(rng: random.Random) -> tuple[Any, ...]:
    B, S, V = rng.randint(1, 4), rng.randint(2, 6), rng.randint(3, 7)
    labels = torch.where(whole(rng, 0, 2, B, S) == 0, whole(rng, 0, V, B, S), IGNORED)
    labels[:, 0] = whole(rng, 0, 2, B)
    return normal(rng, B, S, V), labels, normal(rng, B, 2), whole(rng, 0, 2, B)


@check(
    "07",
    cases=_both_tasks,
    hints=(
        "two means, added: one over the chosen tokens, one over the pairs",
        "`counted = word_labels != -100`; then cross_entropy of `[counted]` only",
    ),
    drawn=_any_tasks,
)
def joint_loss(
    word_logits: Tensor, word_labels: Tensor, pair_logits: Tensor, pair_labels: Tensor
) -> float:
    """The joint loss, from logits and labels."""
    words, rows = word_logits.log_softmax(-1), word_labels.tolist()
    of_words = [-float(words[i, j, label]) for i, row in enumerate(rows)
                for j, label in enumerate(row) if label != IGNORED]  # fmt: skip
    pairs = pair_logits.log_softmax(-1)
    of_pairs = [-float(pairs[i, label]) for i, label in enumerate(pair_labels.tolist())]
    return sum(of_words) / len(of_words) + sum(of_pairs) / len(of_pairs)


def _words(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction=reduction)


joint_loss.wrong(
    "words only",
    lambda words, labels, pairs, follows: _words(words, labels),
    "the pairs' loss is missing: the two are added",
)
joint_loss.wrong(
    "pairs only",
    lambda words, labels, pairs, follows: F.cross_entropy(pairs, follows),
    "the masked words' loss is missing: the two are added",
)
joint_loss.wrong(
    "mean of the two",
    lambda words, labels, pairs, follows: (
        (_words(words, labels) + F.cross_entropy(pairs, follows)) / 2
    ),
    "you halve the sum; BERT's loss is the plain sum of the two means",
)
joint_loss.wrong(
    "mean of the rows",
    lambda words, labels, pairs, follows: (
        torch.stack(
            [_words(*row) for row in zip(words[:, None], labels[:, None], strict=True)]
        ).mean()
        + F.cross_entropy(pairs, follows)
    ),
    "a word of a row with few chosen tokens weighs more than another: one mean over all chosen "
    "tokens of the batch",
)
joint_loss.wrong(
    "all in one mean",
    lambda words, labels, pairs, follows: (
        (_words(words, labels, "sum") + F.cross_entropy(pairs, follows, reduction="sum"))
        / ((labels != IGNORED).sum() + len(follows))
    ),
    "in one mean over all -log p the few pairs hardly count: take two means, then add them",
)
joint_loss.wrong(
    "all positions",
    lambda words, labels, pairs, follows: (
        _words(words, labels.clamp(min=0)) + F.cross_entropy(pairs, follows)
    ),
    "the positions with -100 are counted, as if their label were token 0: leave them out",
)
joint_loss.wrong(
    "divided by all positions",
    lambda words, labels, pairs, follows: (
        _words(words, labels, "sum") / labels.numel() + F.cross_entropy(pairs, follows)
    ),
    "the words' sum is divided by all positions; divide by the chosen ones",
)
joint_loss.wrong(
    "double softmax",
    lambda words, labels, pairs, follows: (
        _words(words.softmax(-1), labels) + F.cross_entropy(pairs.softmax(-1), follows)
    ),
    "cross_entropy has its own softmax: give it the logits, not probabilities",
)


def _any_step(rng: random.Random) -> tuple[Any, ...]:
    warmup = rng.randint(1, 30)
    steps = warmup + rng.randint(2, 60)
    step = rng.choice(
        [0, warmup - 1, warmup, steps - 1, rng.randrange(steps), rng.randrange(warmup)]
    )
    return step, warmup, steps


@check(
    "07",
    cases=lambda: (
        [(step, 50, 1500) for step in (0, 49, 50, 775, 1499)]
        + [(3, 10, 20), (9, 10, 20), (15, 10, 20)]
    ),
    hints=(
        "two straight lines: up to `warmup`, then down to the end",
        "up: (step + 1) / warmup; down: what is left of the steps, divided by all after warm-up",
    ),
    drawn=_any_step,
)
def share_of_peak(step: int, warmup: int, steps: int) -> float:
    """Linear warm-up and decay: the learning rate of a step, as a share of its peak."""
    rising = [number / warmup for number in range(1, warmup + 1)]
    falling = [number / (steps - warmup) for number in range(steps - warmup, 0, -1)]
    return [*rising, *falling][step]


share_of_peak.wrong(
    "starts at 0",
    lambda step, warmup, steps: (
        step / warmup if step < warmup else (steps - step) / (steps - warmup)
    ),
    "your first step has the rate 0 and does nothing: it should have 1/warmup already",
)
share_of_peak.wrong(
    "no decay",
    lambda step, warmup, steps: min(1.0, (step + 1) / warmup),
    "the rate stays at its peak; after the warm-up it goes down in a line",
)
share_of_peak.wrong(
    "decay over all steps",
    lambda step, warmup, steps: (step + 1) / warmup if step < warmup else (steps - step) / steps,
    "the way down is `steps - warmup` long; yours starts below the peak, with a jump",
)
share_of_peak.wrong(
    "no warm-up",
    lambda step, warmup, steps: min(1.0, (steps - step) / (steps - warmup)),
    "the first steps already have the full rate: rise in a line over `warmup` steps",
)
share_of_peak.wrong(
    "warms up twice",
    lambda step, warmup, steps: share_of_peak.oracle(step, warmup, steps) ** 2,
    "your share is the square of the correct one: two warm-ups in a row (as in transformers#195)",
)
share_of_peak.wrong(
    "ends at 0",
    lambda step, warmup, steps: (
        (step + 1) / warmup if step < warmup else (steps - step - 1) / (steps - warmup)
    ),
    "your last step has the rate 0 and does nothing: count what is left with the step itself",
)

# Build


def _texts() -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(18)
    return [(rng.integers(0, V - 2, n), rng.integers(0, V, m), V)
            for V, n, m in ((6, 40, 10), (20, 30, 15), (9, 200, 50))]  # fmt: skip


def _any_texts(rng: random.Random) -> tuple[Any, ...]:
    V = rng.randint(3, 12)
    text, test = (whole(rng, 0, V, rng.randint(2, 20)).numpy() for _ in "ab")
    return text, test, V


@check(
    "07",
    cases=_texts,
    hints=(
        "`np.bincount(ids, minlength=V)` counts each token; add 1 to each count",
        "the losses of the test ids are `-np.log(shares)[test_ids]`; take their mean",
    ),
    drawn=_any_texts,
)
def unigram_loss(training_ids: NDArray[np.int64], test_ids: NDArray[np.int64], V: int) -> float:
    """The mean of -log p of the test ids, p from the counts of a training text."""
    counts = dict.fromkeys(range(V), 1)
    for token in training_ids.tolist():
        counts[token] += 1
    total = sum(counts.values())
    return sum(-math.log(counts[token] / total) for token in test_ids.tolist()) / len(test_ids)


def _unigram(text: Any, test: Any, V: int, more: float = 1, total: int | None = None) -> Any:
    counts = np.bincount(text, minlength=V) + more
    with np.errstate(divide="ignore"):
        return -np.log(counts / (total or counts.sum()))[test].mean()


unigram_loss.wrong(
    "no one more",
    lambda training_ids, test_ids, V: _unigram(training_ids, test_ids, V, 0),
    "your loss can be infinite: a token of the test text may never occur in training, so count "
    "each token once more",
)
unigram_loss.wrong(
    "wrong total",
    lambda training_ids, test_ids, V: _unigram(training_ids, test_ids, V, total=len(training_ids)),
    "the shares do not sum to 1: with one more of each there are V tokens more to divide by",
)
unigram_loss.wrong(
    "counts from the test text",
    lambda training_ids, test_ids, V: _unigram(test_ids, test_ids, V),
    "you count the test text itself, which has the answers: count the training text",
)
unigram_loss.wrong(
    "entropy",
    lambda training_ids, test_ids, V: _unigram(training_ids, training_ids, V),
    "you judge the training text; the mean runs over the test ids",
)
unigram_loss.wrong(
    "sign",
    lambda training_ids, test_ids, V: -_unigram(training_ids, test_ids, V),
    "the sign: log p is negative, and the loss is -log p",
)
unigram_loss.wrong(
    "sum",
    lambda training_ids, test_ids, V: _unigram(training_ids, test_ids, V) * len(test_ids),
    "you add the losses up; take their mean",
)
