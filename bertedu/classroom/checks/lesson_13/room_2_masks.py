"""Exhibits 4 to 7, the room of masks: their checks."""

import random
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from bertedu.classroom.checks.drawing import some
from bertedu.classroom.checks.framework import check

RATE = 0.15


@check(
    "13",
    cases=lambda: [
        (d,)
        for d in (0.0, 0.05, 0.1199, 0.1201, 0.13, 0.1349, 0.1351, 0.149, 0.15, 0.151, 0.5, 0.9)
    ],
    hints=(
        "a chosen token's draw lies between 0 and 0.15: where are 80 % and 90 % of that?",
        "divide the draw by 0.15; then compare with 0.8 and 0.9",
    ),
    drawn=lambda rng: (
        rng.choice([rng.uniform(0, 0.3), rng.uniform(0.121, 0.134), rng.uniform(0.136, 0.149)]),
    ),
)
def fate_of_token(draw: float) -> str:
    """The fate of a token, from the one draw that also chooses it: 15 %, of these 80/10/10."""
    limits = {"masked": RATE * 0.8, "random": RATE * 0.9, "kept": RATE, "not chosen": 1.0}
    return next(fate for fate, limit in limits.items() if draw < limit)


def _fate(draw: float, chosen: float, masked: float, random: float) -> str:
    if draw >= chosen:
        return "not chosen"
    return "masked" if draw < masked else "random" if draw < random else "kept"


fate_of_token.wrong(
    "compared with itself",
    lambda draw: _fate(draw, RATE, draw * 0.8, draw * 0.9),
    "no draw is smaller than 0.8 times itself: nothing is ever masked",
)
fate_of_token.wrong(
    "half mended",
    lambda draw: _fate(draw, RATE, draw * 0.8, RATE * 0.9),
    "random tokens are there now, but still no [MASK]: both limits must be parts of 0.15",
)
fate_of_token.wrong(
    "not rescaled",
    lambda draw: _fate(draw, RATE, 0.8, 0.9),
    "every chosen token becomes [MASK]: a draw below 0.15 is always below 0.8, so rescale it first",
)
fate_of_token.wrong(
    "0.1",
    lambda draw: _fate(draw / RATE, 1, 0.8, 0.1),
    "nothing becomes random: the second limit is 0.8 + 0.1",
)


@check(
    "13",
    cases=lambda: [(a, b) for a in (0.0, 0.79, 0.81, 0.99) for b in (0.05, 0.15, 0.45, 0.55, 0.95)],
    hints=(
        "10 % of all are to be random; how large a part of the remaining 20 % is that?",
        "the second draw is made only for tokens that are not masked: its limit is 0.1 / 0.2",
    ),
    drawn=lambda rng: (
        rng.choice([rng.uniform(0, 0.79), rng.uniform(0.81, 1), rng.uniform(0.81, 1)]),
        rng.choice([0, 0.51]) + rng.uniform(0, 0.48),
    ),
)
def fate_of_two_draws(first: float, second: float) -> str:
    """The fate of a chosen token, from a draw for [MASK] and one for the rest: 80/10/10."""
    masked, random = 0.8, 0.1
    if first < masked:
        return "masked"
    return "random" if second < random / (1 - masked) - 1e-9 else "kept"


def _two(first: float, second: float, limit: float) -> str:
    return "masked" if first < 0.8 else "random" if second < limit else "kept"


fate_of_two_draws.right(
    "the upper half is random",
    lambda first, second: "masked" if first < 0.8 else "kept" if second < 0.5 else "random",
)
fate_of_two_draws.wrong(
    "0.1",
    lambda first, second: _two(first, second, 0.1),
    "that is 80/2/18: only a tenth of the remaining 20 % becomes random, and it should be half",
)
fate_of_two_draws.wrong(
    "0.2",
    lambda first, second: _two(first, second, 0.2),
    "0.2 is how much is left; you need which *part* of it becomes random",
)
fate_of_two_draws.wrong(
    "0.9",
    lambda first, second: _two(first, second, 0.9),
    "0.9 is the limit for *one* draw; the second draw begins again at 0",
)
fate_of_two_draws.wrong(
    "masked by the other draw",
    lambda first, second: _two(second, first, 0.5),
    "the draws are exchanged: the first one decides about [MASK]",
)
fate_of_two_draws.wrong(
    "always random",
    lambda first, second: _two(first, second, 1.0),
    "80/20/0: nothing is kept. Half of what is not masked stays as it is",
)


def _batches() -> list[tuple[Any, ...]]:
    rows = [[2, 9, 8, 7, 3, 0, 0, 0], [2, 9, 3, 6, 1, 3, 0, 0], [2, 9, 9, 4, 9, 9, 9, 3]]
    return [(torch.tensor(rows[:n]), {0, 1, 2, 3, 4} if n < 3 else {0, 2, 3, 4}) for n in (1, 2, 3)]


def _any_batch(rng: random.Random) -> tuple[Any, ...]:
    special = {0, 2, 3, *rng.sample([1, 4, 8, 9], rng.randint(1, 3))}
    rows = [[2, *some(rng, range(1, 12), 1, 5), 3] for _ in range(rng.randint(1, 3))]
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows]), special


@check(
    "13",
    cases=_batches,
    hints=(
        "a position may be chosen if its token is an ordinary one",
        "`torch.isin(ids, torch.tensor(sorted(special_ids)))` says where it is not",
    ),
    drawn=_any_batch,
)
def may_be_chosen(ids: Tensor, special_ids: set[int]) -> list[list[bool]]:
    """Which positions may be masked, bool [B, S]: ordinary tokens only."""
    return [[token not in special_ids for token in row] for row in ids.tolist()]


may_be_chosen.wrong(
    "everything",
    lambda ids, special_ids: torch.ones_like(ids, dtype=torch.bool),
    "padding and special tokens can still be chosen",
)
may_be_chosen.wrong(
    "padding only",
    lambda ids, special_ids: ids != 0,
    "padding is excluded now, but [CLS] and [SEP] can still be chosen",
)
may_be_chosen.wrong(
    "ends only",
    lambda ids, special_ids: (ids != 0) & (torch.arange(ids.shape[1]) > 0) & (
        torch.arange(ids.shape[1]) < (ids != 0).sum(1, keepdim=True) - 1),
    "the first and the last token are excluded; a [SEP] between A and B, or an [UNK], is not",
)  # fmt: skip
may_be_chosen.wrong(
    "turned round",
    lambda ids, special_ids: torch.isin(ids, torch.tensor(sorted(special_ids))),
    "reversed: True must mean that a position *may* be chosen",
)


def _drawn(draw: Any, vocab_size: int, special_ids: set[int]) -> Any:
    drawn = draw(50 * vocab_size, vocab_size, special_ids, torch.Generator().manual_seed(21))
    if drawn is ...:
        return ...
    times = Counter(int(token) for token in drawn)
    ordinary = set(range(vocab_size)) - special_ids
    even = 50 * vocab_size / len(ordinary)
    few = [
        [int(t) for t in draw(20, vocab_size, special_ids, torch.Generator().manual_seed(n))]
        for n in (1, 1, 2)
    ]
    one = torch.Generator().manual_seed(3)
    first, second = ([int(t) for t in draw(20, vocab_size, special_ids, one)] for _ in "12")
    return {
        "no special token": not times.keys() & special_ids,
        "all ordinary tokens": ordinary <= times.keys(),
        "none outside": times.keys() <= set(range(vocab_size)),
        "equally often": all(abs(times[t] - even) < 5 * even**0.5 for t in ordinary),
        "how many": times.total(),
        "the generator decides": few[0] == few[1] and few[0] != few[2],
        "the generator goes on from call to call": first != second,
    }


@check(
    "13",
    cases=lambda: [(33, {0, 1, 2, 3}), (60, {0, 30, 31, 32, 33}), (20, {17, 18, 19})],
    through=_drawn,
    hints=(
        "list the ordinary ids first; they need not begin right after the special ones",
        "draw places in that list: `ordinary[torch.randint(len(ordinary), (count,), ...)]`",
    ),
)
def random_ids(
    count: int, vocab_size: int, special_ids: set[int], generator: torch.Generator
) -> list[int]:
    """Random ordinary tokens, each equally likely; never a special one."""
    ordinary = [token for token in range(vocab_size) if token not in special_ids]
    return [ordinary[int(torch.randint(len(ordinary), (1,), generator=generator))]
            for _ in range(count)]  # fmt: skip


random_ids.wrong(
    "other random numbers",
    lambda count, V, special, rng: random.choices(
        [token for token in range(V) if token not in special], k=count
    ),
    "you draw without the generator: the same seed must give the same tokens again",
)
random_ids.wrong(
    "the generator's seed",
    lambda count, V, special, rng: random_ids.oracle(
        count, V, special, torch.Generator().manual_seed(rng.initial_seed())
    ),
    "you begin again at the generator's seed in each call, and draw the same tokens each time: "
    "draw with the generator itself",
)
random_ids.wrong(
    "whole vocabulary",
    lambda count, V, special, rng: torch.randint(V, (count,), generator=rng),
    "special tokens, such as [PAD] and [CLS], still appear as 'words'",
)
random_ids.wrong(
    "above the first ones",
    lambda count, V, special, rng: torch.randint(len(special), V, (count,), generator=rng),
    "special ids need not be the first ones: in BERT's file they are 0 and 100 to 103",
)
random_ids.wrong(
    "above the largest",
    lambda count, V, special, rng: torch.randint(
        min(max(special) + 1, V - 1), V, (count,), generator=rng
    ),
    "some ordinary tokens are never drawn: those below the largest special id",
)
random_ids.wrong(
    "left out afterwards",
    lambda count, V, special, rng: [
        t for t in torch.randint(V, (count,), generator=rng).tolist() if t not in special
    ],
    "special ones are thrown away, so that fewer than `count` are left: draw from a list without "
    "them",
)
