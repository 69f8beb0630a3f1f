"""Exhibits 17 to 19, the room of losses: their checks."""

import random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bertedu.classroom.checks.drawing import normal, padded, whole
from bertedu.classroom.checks.framework import check


def _slots() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(27)
    cases = []
    for B, M, V in ((2, 3, 5), (4, 6, 9), (1, 4, 7)):
        weights = (torch.arange(M) < torch.randint(1, M, (B, 1), generator=rng)).float()
        labels = torch.randint(0, V, (B, M), generator=rng) * weights.long()
        labels[:, 0] = 0  # real, and still the number that padding has
        cases.append((3 * torch.randn(B, M, V, generator=rng), labels, weights))
    return cases


def _any_slots(rng: random.Random) -> tuple[Any, ...]:
    B, M, V = rng.randint(1, 3), rng.randint(2, 5), rng.randint(3, 6)
    weights = padded(rng, B, M)
    return normal(rng, B, M, V, scale=2), whole(rng, 0, V, B, M) * weights, weights.float()


@check(
    "13",
    cases=_slots,
    hints=(
        "a mean cannot be taken apart again: ask for one loss each, `reduction='none'`",
        "losses [B, M] times weights, their sum, divided by the sum of the weights",
    ),
    drawn=_any_slots,
)
def real_slot_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> float:
    """The mean loss over the slots whose weight is 1: logits [B, M, V], labels, weights [B, M]."""
    log_p, losses = logits.log_softmax(-1), []
    for row, slot in weights.nonzero().tolist():
        losses.append(-float(log_p[row, slot, labels[row, slot]]))
    return sum(losses) / len(losses)


def _each(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)


real_slot_loss.wrong(
    "the exhibit",
    lambda logits, labels, weights: (_each(logits, labels).mean() * weights).sum() / weights.sum(),
    "still one mean times the weights: one number comes back whatever the weights are",
)
real_slot_loss.wrong(
    "mean over all slots",
    lambda logits, labels, weights: (_each(logits, labels) * weights).mean(),
    "weighted, but divided by *all* slots: the emptier the row, the smaller the loss "
    "(pytorchic-bert#24)",
)
real_slot_loss.wrong(
    "sum",
    lambda logits, labels, weights: (_each(logits, labels) * weights).sum(),
    "divide the sum by the number of real slots, `weights.sum()`",
)
real_slot_loss.wrong(
    "labels above 0",
    lambda logits, labels, weights: _each(logits, labels)[labels > 0].mean(),
    "0 is a label like any other; the weights say which slots are real",
)
real_slot_loss.wrong(
    "mean of row means",
    lambda logits, labels, weights: (
        (_each(logits, labels) * weights).sum(1) / weights.sum(1)
    ).mean(),
    "you average the rows' means, so that a slot of a short row weighs more: one mean over all",
)


def _pairs() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(28)
    some = 2 * torch.randn(6, 2, generator=rng)
    return [(some, torch.tensor([0, 1, 0, 0, 1, 0])), (some[:3], torch.zeros(3, dtype=torch.long))]


def _any_pairs(rng: random.Random) -> tuple[Any, ...]:
    N = rng.randint(1, 6)
    return normal(rng, N, 2, scale=2), whole(rng, 0, 2, N)


@check(
    "13",
    cases=_pairs,
    hints=(
        "which of the two classes is never counted?",
        "`ignore_index=0` was meant for padding among words; here 0 is a class",
    ),
    drawn=_any_pairs,
)
def next_sentence_loss(logits: Tensor, labels: Tensor) -> float:
    """The mean loss of next-sentence logits [N, 2], both classes counted."""
    log_p = logits.log_softmax(-1)
    losses = [-float(log_p[i, label]) for i, label in enumerate(labels.tolist())]
    return sum(losses) / len(losses)


next_sentence_loss.wrong(
    "the exhibit",
    lambda logits, labels: F.cross_entropy(logits, labels, ignore_index=0),
    "class 0 is still ignored: pairs that follow do not count",
)
next_sentence_loss.wrong(
    "ignore 1",
    lambda logits, labels: F.cross_entropy(logits, labels, ignore_index=1),
    "now the *other* class is ignored: in a pair, nothing is padding",
)
next_sentence_loss.wrong(
    "double softmax",
    lambda logits, labels: F.cross_entropy(logits.softmax(-1), labels),
    "both classes count, but cross_entropy has its own softmax: give it the logits",
)
next_sentence_loss.wrong(
    "nll of logits",
    F.nll_loss,
    "nll_loss wants log-probabilities: a log_softmax is missing (or use cross_entropy)",
)


def _classifiers() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(29)
    return [tuple(torch.randn(*shape, generator=rng) for shape in ((N, H), (C, H), (C,)))
            for N, H, C in ((3, 4, 2), (5, 3, 3), (2, 6, 4))]  # fmt: skip


def _any_classifier(rng: random.Random) -> tuple[Any, ...]:
    N, H, C = rng.randint(1, 4), rng.randint(2, 5), rng.randint(2, 4)
    return normal(rng, N, H), normal(rng, C, H), normal(rng, C)


@check(
    "13",
    cases=_classifiers,
    through=lambda answer, states, weight, bias: _through_loss(answer(states, weight, bias)),
    hints=(
        "what does cross_entropy expect, logits or probabilities?",
        "return states @ weight.T + bias, and leave the softmax to the loss",
    ),
    drawn=_any_classifier,
)
def classifier_logits(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What a classifier hands to cross_entropy, from states [N, H], weight [C, H], bias [C]."""
    return torch.stack([torch.stack([state @ row for row in weight]) + bias for state in states])


def _through_loss(logits: Any) -> Any:
    """The losses that an answer leads to, for every class."""
    logits = torch.as_tensor(logits, dtype=torch.float32)
    return [F.cross_entropy(logits, torch.full((len(logits),), label), reduction="none")
            for label in range(logits.shape[1])]  # fmt: skip


classifier_logits.wrong(
    "the exhibit",
    lambda states, weight, bias: F.linear(states, weight, bias).softmax(-1),
    "still probabilities: the loss then takes the softmax of a softmax, and never gets near 0",
)
classifier_logits.wrong(
    "sigmoid",
    lambda states, weight, bias: F.linear(states, weight, bias).sigmoid(),
    "a sigmoid changes the logits, too: give cross_entropy the logits as they are",
)
classifier_logits.wrong(
    "logarithm of the logits",
    lambda states, weight, bias: F.linear(states, weight, bias).softmax(-1).sigmoid(),
    "you change the logits twice: give cross_entropy the logits as they are",
)
classifier_logits.wrong(
    "bias twice",
    lambda states, weight, bias: F.linear(states, weight, bias) + bias,
    "the bias is added twice, inside and by hand: a published mistake, too (transformers#2957)",
)
classifier_logits.wrong(
    "no bias", lambda states, weight, bias: states @ weight.T, "the bias is missing"
)
