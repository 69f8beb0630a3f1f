"""Checks of lesson 02: the masked language model."""

import math
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bertedu.classroom.checks.drawing import normal, whole
from bertedu.classroom.checks.framework import check
from bertedu.pretraining.masking import KEPT, MASKED, NOT_CHOSEN, RANDOM
from bertedu.utils.validation import IGNORED

# Predict


@check("02", value=True)
def chosen_of_128() -> list[int]:
    """How many of 128 tokens are chosen, and how many labels are -100."""
    chosen = max(1, round(0.15 * 128))
    return [chosen, 128 - chosen]


chosen_of_128.wrong(
    "special tokens not counted",
    [19, 106],
    "19 is right; every token has a label, also [CLS] and [SEP]: the two numbers add up to 128",
)
chosen_of_128.wrong(
    "rounded up", [20, 108], "15 % of 128 is 19.2, and that is rounded to the nearest number"
)
chosen_of_128.wrong(
    "changed only",
    [17, 111],
    "kept tokens are chosen, too, though one does not see it: all of the 15 % count",
)
chosen_of_128.wrong(
    "masked only",
    [15, 113],
    "80 % of the chosen ones become [MASK]; all the chosen ones have a label",
)


@check("02", value=True, within=0.007)  # with two decimals; and 10.33 / 2 is no worse than the log
def blind_loss() -> list[float]:
    """The loss of a model that knows nothing, and of one that knows half of the tokens."""
    return [math.log(30_522), math.log(30_522) / 2]


blind_loss.wrong(
    "bits", [14.9, 7.45], "these are bits (log2); nats have the natural logarithm, `math.log`"
)
blind_loss.wrong(
    "log of half as many",
    [10.33, 9.63],
    "at half of the places it knows nothing, of *all* tokens: take the mean of 0 and 10.33",
)
blind_loss.wrong(
    "adds log 2",
    [10.33, 11.02],
    "-log 1 is 0: where the true token has p = 1 the loss is 0, so the mean becomes smaller",
)
blind_loss.wrong(
    "probability", [0.0, 0.5], "these are no losses: take -log p at each place, and then the mean"
)
blind_loss.wrong("the other half", [10.33, 10.33], "half of the places cost nothing: -log 1 = 0")


@check("02", value=True)
def swapped_of_million() -> int:
    """How many of a million tokens the model sees as another token."""
    return 10_000 * round(0.15 * 100) // 10


swapped_of_million.wrong(
    "of all", 100_000, "a tenth of the *chosen* tokens become random, not a tenth of all"
)
swapped_of_million.wrong("all chosen", 150_000, "so many are chosen; a tenth of them become random")
swapped_of_million.wrong(
    "kept as well", 30_000, "the kept ones are not changed: only the random tenth is another token"
)
swapped_of_million.wrong(
    "with [MASK]", 135_000, "[MASK] is not counted here: only another token in the word's place"
)


# Complete


def _ids_and_fates() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(2)
    shapes = [(1, 4), (2, 9), (3, 16)]
    return [
        (torch.randint(5, 99, shape, generator=rng), torch.randint(0, 4, shape, generator=rng))
        for shape in shapes
    ]


def _any_fates(rng: random.Random) -> tuple[Any, ...]:
    shape = rng.randint(1, 3), rng.randint(2, 9)
    return whole(rng, 0, 99, *shape), whole(rng, 0, 4, *shape)


@check(
    "02",
    cases=_ids_and_fates,
    hints=(
        "at which places is nothing asked? There the label is -100",
        "torch.where(condition, value_if_true, value_if_false); the condition is about fates",
    ),
    drawn=_any_fates,
)
def labels_of(ids: Tensor, fates: Tensor) -> list[list[int]]:
    """The labels, from the original ids and the fates."""
    return [
        [id_ if fate != NOT_CHOSEN else IGNORED for id_, fate in zip(*rows, strict=True)]
        for rows in zip(ids.tolist(), fates.tolist(), strict=True)
    ]


labels_of.wrong(
    "only where the input changed",
    lambda ids, fates: torch.where((fates == MASKED) | (fates == RANDOM), ids, IGNORED),
    "kept tokens are chosen, too: the model sees them unchanged and is asked all the same",
)
labels_of.wrong(
    "only [MASK]",
    lambda ids, fates: torch.where(fates == MASKED, ids, IGNORED),
    "you ask only where [MASK] stands; random and kept tokens have a label as well",
)
labels_of.wrong(
    "turned round",
    lambda ids, fates: torch.where(fates == NOT_CHOSEN, ids, IGNORED),
    "it is the wrong way round: -100 stands where a token was *not* chosen",
)
labels_of.wrong(
    "zero",
    lambda ids, fates: torch.where(fates == NOT_CHOSEN, 0, ids),
    "0 is the id of [PAD], a token like others; what is not asked has the label -100",
)
labels_of.wrong(
    "fates",
    lambda _, fates: torch.where(fates == NOT_CHOSEN, IGNORED, fates),
    "the label is the token that was there, its id; not the fate",
)


def _log_probs_and_labels() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(3)
    toy = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]]).log()
    cases: list[tuple[Any, ...]] = [(toy, torch.tensor([1, IGNORED, 2]))]
    for S, V in ((5, 4), (8, 11)):
        labels = torch.randint(0, V, (S,), generator=rng)
        labels[::2] = IGNORED
        cases.append((torch.randn(S, V, generator=rng).log_softmax(-1), labels))
    return cases


def _any_labels(rng: random.Random) -> tuple[Any, ...]:
    S, V = rng.randint(2, 7), rng.randint(3, 9)
    labels = torch.where(whole(rng, 0, 2, S) == 0, whole(rng, 0, V, S), IGNORED)
    labels[rng.randrange(S)] = rng.choice([0, V - 1])
    return normal(rng, S, V).log_softmax(-1), labels


@check(
    "02",
    cases=_log_probs_and_labels,
    hints=(
        "pick one number from each counted row: the log-probability of its label",
        "`log_p[counted, labels[counted]]` picks them; the loss is minus their mean",
    ),
    drawn=_any_labels,
    without=("cross_entropy", "nll_loss"),
)
def masked_lm_loss(log_p: Tensor, labels: Tensor) -> float:
    """The loss from log-probabilities and labels."""
    losses = [-float(log_p[i, label]) for i, label in enumerate(labels.tolist()) if label >= 0]
    return sum(losses) / len(losses)


def _picked(log_p: Tensor, labels: Tensor) -> Tensor:
    counted = labels != IGNORED
    return log_p[counted, labels[counted]]


masked_lm_loss.wrong(
    "sign",
    lambda log_p, labels: _picked(log_p, labels).mean(),
    "the sign: log p is negative, and the loss is -log p",
)
masked_lm_loss.wrong(
    "sum",
    lambda log_p, labels: -_picked(log_p, labels).sum(),
    "you add the losses up; take their mean, or long texts weigh more",
)
masked_lm_loss.wrong(
    "divided by all",
    lambda log_p, labels: -_picked(log_p, labels).sum() / len(labels),
    "you divide by all the positions; divide by the number of those that count",
)
masked_lm_loss.wrong(
    "all positions",
    lambda log_p, labels: -log_p[range(len(labels)), labels.clamp(min=0)].mean(),
    "you count the positions with -100, as if their label were token 0: leave them out",
)
masked_lm_loss.wrong(
    "probability",
    lambda log_p, labels: 1 - _picked(log_p, labels).exp().mean(),
    "you average probabilities; the loss is the mean of -log p",
)
masked_lm_loss.wrong(
    "all tokens",
    lambda log_p, labels: -log_p[labels != IGNORED].mean(),
    "you average over the whole vocabulary; only the probability of the true token counts",
)


@check(
    "02",
    cases=lambda: [(d,) for d in (0.0, 0.5, 0.799, 0.8, 0.85, 0.899, 0.9, 0.99)],
    hints=(
        "cut the line from 0 to 1 into three parts, as long as the shares",
        "masked below 0.8; the next part is 0.1 long, so it ends at 0.9",
    ),
    drawn=lambda rng: (rng.choice([0.8, 0.9, rng.random(), rng.uniform(0.7, 1)]),),
)
def fate_of_draw(draw: float) -> str:
    """A fate from one draw between 0 and 1, by the rule of 80/10/10."""
    return "masked" if draw < 0.8 else "random" if draw < 0.9 else "kept"


def _with_limits(first: float, second: float) -> Callable[[float], str]:
    return lambda draw: "masked" if draw < first else "random" if draw < second else "kept"


fate_of_draw.wrong(
    "0.1",
    lambda draw: "masked" if draw < 0.8 else "random" if draw < 0.1 else "kept",
    "a draw that is not below 0.8 is never below 0.1, so nothing becomes "
    "random: the second limit is 0.8 + 0.1",
)
fate_of_draw.wrong(
    "order",
    lambda draw: "masked" if draw < 0.8 else "kept" if draw < 0.9 else "random",
    "the shares are correct, the order is not: the interval after masked is for random",
)
fate_of_draw.wrong(
    "15",
    _with_limits(0.15 * 0.8, 0.15 * 0.9),
    "you share out 15 %; this draw is made for a token that *is* chosen",
)
fate_of_draw.wrong(
    "<=",
    lambda draw: "masked" if draw <= 0.8 else "random" if draw <= 0.9 else "kept",
    "exactly 0.8 is no longer masked: the interval is below 0.8 (draws are from 0 to just below 1)",
)


# Build


def _programs() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(4)

    def fates(masked: float, random: float, kept: float, chosen: int = 20_000) -> Tensor:
        shares = torch.tensor([masked, random, kept])
        drawn = 1 + torch.multinomial(shares, chosen, replacement=True, generator=rng)
        spread = torch.zeros(3 * chosen, dtype=torch.long)
        spread[torch.randperm(3 * chosen, generator=rng)[:chosen]] = drawn
        return spread

    exact = torch.tensor([NOT_CHOSEN, MASKED, RANDOM, KEPT]).repeat_interleave(
        torch.tensor([5_000, 800, 100, 100])
    )
    shares = [
        (0.8, 0.1, 0.1),
        (0.8, 0.02, 0.18),
        (0.8, 0.1, 0.1, 2_000),
        (0.9, 0.01, 0.09),
        (0.78, 0.1, 0.12),
        (0.1, 0.8, 0.1),
        (0.82, 0.09, 0.09, 1_000),
    ]
    counts = [
        (8_000, 1_105, 895),
        (8_000, 1_135, 865),
        (8_000, 1_117, 883),  # 3.9 deviations
        (8_000, 1_123, 877),  # 4.1
        (11, 1, 1),  # so few that 4 p (1 - p) / N, without the root, allows more than nothing
        (8_120, 1_060, 820),
        (8_120, 820, 1_060),
        (7_820, 1_090, 1_090),
    ]
    counted = [torch.arange(1, 4).repeat_interleave(torch.tensor(each)) for each in counts]
    return [(exact,), *((fates(*each),) for each in shares), *((each,) for each in counted)]  # type: ignore[arg-type]


def _within(fates: Tensor, deviations: float, which: tuple[int, ...] = (1, 2, 3)) -> bool:
    shares = {MASKED: 0.8, RANDOM: 0.1, KEPT: 0.1}
    chosen = int((fates != NOT_CHOSEN).sum())
    for fate in which:
        p, found = shares[fate], int((fates == fate).sum()) / chosen
        if abs(found - p) > deviations * math.sqrt(p * (1 - p) / chosen):
            return False
    return True


def _any_program(rng: random.Random) -> tuple[Any, ...]:
    """Fates whose shares lie a chosen number of standard deviations from 80/10/10."""
    N = rng.choice([900, 2_000, 5_000])
    near, far = [0.0, 0.5, 1.5, 2.5, 3.5], [4.5, 6.0]
    off = [
        rng.choice((-1, 1)) * rng.choice(near if rng.random() < 0.6 else near + far) for _ in "12"
    ]
    counts = [round(N * p + z * math.sqrt(N * p * (1 - p)))
              for p, z in zip((0.8, 0.1), off, strict=True)]  # fmt: skip
    counts = [rng.choice([0, 1_000, 6_000]), *counts, N - sum(counts)]
    return (torch.arange(4).repeat_interleave(torch.tensor(counts)),)


@check(
    "02",
    cases=_programs,
    hints=(
        "N is how many tokens were chosen, not how many there are",
        "all three: `all(abs(share - p) <= 4 * (p * (1 - p) / N) ** 0.5 for ...)`",
    ),
    drawn=_any_program,
)
def is_80_10_10(fates: Tensor) -> bool:
    """Whether all three shares lie within four standard deviations of 80/10/10."""
    return _within(fates, 4)


is_80_10_10.wrong(
    "of all tokens",
    lambda fates: all(
        abs(int((fates == f).sum()) / len(fates) - p) <= 4 * (p * (1 - p) / len(fates)) ** 0.5
        for f, p in ((1, 0.8), (2, 0.1), (3, 0.1))
    ),
    "you reject a correct program: the shares are of the *chosen* tokens, so leave out fate 0",
)
is_80_10_10.wrong(
    "masked only",
    lambda fates: _within(fates, 4, (MASKED,)),
    "your detector accepts 80/2/18: there the share of [MASK] is correct; test all three shares",
)
is_80_10_10.wrong(
    "exact",
    lambda fates: all(
        round(float((fates == f).sum() / (fates > 0).sum()), 3) == p
        for f, p in ((1, 0.8), (2, 0.1), (3, 0.1))
    ),
    "you reject a correct program: chance moves the shares a little, and how much depends on N",
)
is_80_10_10.wrong(
    "no root",
    lambda fates: all(
        abs(float((fates == f).sum() / (fates > 0).sum()) - p)
        <= 4 * p * (1 - p) / int((fates > 0).sum())
        for f, p in ((1, 0.8), (2, 0.1), (3, 0.1))
    ),
    "you reject a correct program: the root is missing, a standard deviation is √(p (1 - p) / N)",
)
is_80_10_10.wrong(
    "ten percent",
    lambda fates: all(
        abs(float((fates == f).sum() / (fates > 0).sum()) - p) <= 0.1
        for f, p in ((1, 0.8), (2, 0.1), (3, 0.1))
    ),
    "with a fixed tolerance you accept small mistakes; four standard deviations are "
    "4 · √(p (1 - p) / N)",
)
is_80_10_10.wrong(
    "one deviation",
    lambda fates: _within(fates, 1),
    "you reject a correct program: in one case of three, chance alone moves a share by more than "
    "one standard deviation; allow four",
)
is_80_10_10.wrong(
    "always", lambda _: True, "your detector never finds anything; it must return False for 80/2/18"
)


DRAWS = 1_000


def _drawn(choose: Callable[..., Any], candidates: list[int], count: int) -> Any:
    """What can be said about many random choices."""
    chosen, again = (
        [[int(place) for place in choose(list(candidates), count, rng)] for _ in range(draws)]
        for rng, draws in ((torch.Generator().manual_seed(5), n) for n in (DRAWS, 20))
    )
    expected = DRAWS * count / len(candidates)
    margin = 5 * math.sqrt(expected * (1 - count / len(candidates)) + 1e-9)
    times = {place: sum(place in each for each in chosen) for place in candidates}
    return {
        "only candidates": all(set(each) <= set(candidates) for each in chosen),
        "how many": sorted({len(each) for each in chosen}),
        "none twice": all(len(set(each)) == len(each) for each in chosen),
        "not always the same": len({tuple(sorted(each)) for each in chosen}) > 1
        or count == len(candidates),
        "equally often": all(abs(number - expected) <= margin for number in times.values()),
        "the generator decides": chosen[:20] == again,
    }


@check(
    "02",
    cases=lambda: [([1, 2, 4, 7], 2), ([3, 5, 6, 8, 9, 11], 1), ([2, 3], 2)],
    through=_drawn,
    hints=(
        "`torch.rand(len(candidates), generator=generator)` gives each place a key",
        "`keys.argsort()[:count]` are the places *in the list* with the smallest keys",
    ),
)
def choose(candidates: list[int], count: int, generator: torch.Generator) -> list[int]:
    """A number of places out of the candidates, each equally likely."""
    left, taken = list(candidates), []
    for _ in range(count):
        index = int(torch.randint(len(left), (1,), generator=generator))
        taken.append(left.pop(index))
    return taken


choose.wrong(
    "indices",
    lambda candidates, count, generator: (
        torch.rand(len(candidates), generator=generator).argsort()[:count].tolist()
    ),
    "you return places in the list (0, 1, 2, …); look up which candidates stand there",
)
choose.wrong(
    "with repetition",
    lambda candidates, count, generator: [
        candidates[int(torch.randint(len(candidates), (1,), generator=generator))]
        for _ in range(count)
    ],
    "a place can be chosen twice: draw without putting back, for example by one key for each",
)
choose.wrong(
    "other random numbers",
    lambda candidates, count, _: random.sample(candidates, count),
    "you draw without the generator: the same generator must give the same places again",
)
choose.wrong(
    "the first",
    lambda candidates, count, _: candidates[:count],
    "you always take the same places; draw with the generator",
)
choose.wrong(
    "a coin each",
    lambda candidates, count, generator: [
        c for c in candidates if torch.rand(1, generator=generator) < count / len(candidates)
    ],
    "you do not always return `count` places; return exactly so many, not on average",
)
choose.wrong(
    "favours the first",
    lambda candidates, count, generator: [
        candidates[i]
        for i in (
            torch.rand(len(candidates), generator=generator) * torch.arange(1, len(candidates) + 1)
        )
        .argsort()[:count]
        .tolist()
    ],
    "not every place is equally likely: some are chosen more often than chance explains",
)
