"""Checks of lesson 05: self-attention."""

import math
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bertedu.classroom.checks.comparing import plain
from bertedu.classroom.checks.drawing import normal, some, whole
from bertedu.classroom.checks.framework import check

# Predict


def _small(words: Any) -> Any:
    """Words in small letters: how they are written plays no part."""
    if not isinstance(words, list | tuple | set):
        return words
    return [word.lower() if isinstance(word, str) else word for word in words]


def _group(names: Any) -> Any:
    return set(_small(names)) if isinstance(names, list | tuple | set) else names


@check("05", value=True, read=_group)
def is_attends_to() -> set[str]:
    """To which tokens "is" attends most, when its query is (0, 2)."""
    keys = {"dog": (1, 0), "is": (0, 1), "cute": (1, 1)}
    scores = {token: 0 * key[0] + 2 * key[1] for token, key in keys.items()}
    return {token for token, score in scores.items() if score == max(scores.values())}


is_attends_to.wrong(
    "itself",
    {"is"},
    "is any other key's second number as large? A token's own key need not fit its query best",
)
is_attends_to.wrong(
    "cute", {"cute"}, "the first number of a key does not count here: the query has 0 there"
)
is_attends_to.wrong(
    "as before",
    {"dog", "cute"},
    "those two have the same *first* number; the query (0, 2) looks at the second one",
)
is_attends_to.wrong(
    "all",
    {"dog", "is", "cute"},
    "only a query of zeros gives all keys the same share; here *dog* has the score 0, the others "
    "more",
)


@check("05", value=True, read=lambda said: _small(plain(said)))
def shares_after() -> list[str]:
    """What becomes of a row's shares when its scores grow by 100, and when they grow 100 times."""
    return ["nothing", "less even"]


shares_after.wrong(
    "adding evens out",
    ["more even", "less even"],
    "the second is correct; e^(s + 100) = e^s · e^100: what does a factor change that all of a row "
    "have?",
)
shares_after.wrong(
    "adding sharpens",
    ["less even", "less even"],
    "the second is correct; adding 100 gives every power the same factor e^100, and it cancels",
)
shares_after.wrong(
    "nothing at all",
    ["nothing", "nothing"],
    "the first is correct; times 100, the *differences* between the scores grow as well",
)
shares_after.wrong(
    "multiplying evens out",
    ["nothing", "more even"],
    "the first is correct; larger differences give the largest score more, not less",
)


@check("05", value=True)
def how_many_shares() -> list[int]:
    """How many attention probabilities BERT-base computes for 128 and for 512 tokens."""
    return [12 * 12 * 128 * 128, 12 * 12 * 512 * 512]


how_many_shares.wrong(
    "one layer",
    [196_608, 3_145_728],
    "that is one layer with its 12 heads; there are 12 layers",
)
how_many_shares.wrong(
    "one head each", [16_384, 262_144], "that is a single head; there are 12 in each of 12 layers"
)
how_many_shares.wrong(
    "not squared",
    [18_432, 73_728],
    "every token looks at every token: S × S shares in each head, not S",
)
how_many_shares.wrong(
    "four times",
    [2_359_296, 9_437_184],
    "the first is correct; four times as long is four times as many rows *and* columns",
)
how_many_shares.wrong(
    "times D",
    [12 * 12 * 128 * 128 * 64, 12 * 12 * 512 * 512 * 64],
    "in a head, a pair of tokens has one probability: the dot product adds its D products up",
)


# Complete


def _scores() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(12)
    small = torch.randn(3, 4, generator=rng)
    return [
        (small,),
        (torch.randn(2, 3, 3, generator=rng),),
        (torch.tensor([[1e3, 1e3, 0.0], [0.0, 1.0, 2.0], [999.0, 1e3, 0.0]]),),
    ]


def _any_scores(rng: random.Random) -> tuple[Any, ...]:
    shape = some(rng, [1, 2, 3, 4], 1, 3)
    rows = normal(rng, *shape[:-1], 1, scale=rng.choice([0, 0, 300, 800]))  # far apart, large
    return (normal(rng, *shape, scale=rng.choice([1, 1, 5])) + rows,)


@check(
    "05",
    cases=_scores,
    hints=(
        "e to the power of each score, divided by the row's sum of these powers",
        "take the row's maximum away first: no share changes, and no power is infinite",
    ),
    drawn=_any_scores,
)
def softmax(scores: Tensor) -> list[Any]:
    """The softmax over the last dimension, safe for large scores."""
    if scores.dim() > 1:
        return [softmax.oracle(part) for part in scores]
    numbers = scores.tolist()
    powers = [math.exp(number - max(numbers)) for number in numbers]
    return [power / sum(powers) for power in powers]


def _powers(scores: Tensor) -> Tensor:
    return (scores - scores.amax(-1, keepdim=True)).exp()


softmax.wrong(
    "over the queries",
    lambda scores: scores.softmax(-2),
    "your softmax runs over the queries; it should run over the keys, the last dimension: every "
    "*row* sums to 1",
)
softmax.wrong(
    "not safe",
    lambda scores: scores.exp() / scores.exp().sum(-1, keepdim=True),
    "correct for small scores, but e^1000 is infinite in a computer: subtract the row's maximum "
    "first",
)
softmax.wrong(
    "one maximum",
    lambda scores: (
        (scores - scores.max()).exp() / (scores - scores.max()).exp().sum(-1, keepdim=True)
    ),
    "with one maximum for all rows, a row far below it becomes 0 / 0: take each row's own",
)
softmax.wrong(
    "sum over everything",
    lambda scores: _powers(scores) / _powers(scores).sum(),
    "you divide by the sum of everything; each row has its own sum (dim=-1, keepdim=True)",
)
softmax.wrong(
    "no powers",
    lambda scores: scores / scores.sum(-1, keepdim=True),
    "you divide the scores themselves; e to the power of them is missing, and so shares can be "
    "negative",
)
softmax.wrong(
    "not divided",
    _powers,
    "the rows do not sum to 1 yet: divide by their sums",
)
softmax.wrong(
    "logarithm",
    lambda scores: scores.log_softmax(-1),
    "these are logarithms of the shares, and negative; the shares themselves are asked for",
)


def _shares() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(13)
    extremes = torch.tensor([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    middle = torch.randn(5, 6, generator=rng).softmax(-1)
    return [(middle,), (extremes,), (torch.randn(2, 3, 3, generator=rng).softmax(-1),)]


def _any_shares(rng: random.Random) -> tuple[Any, ...]:
    shape = [*some(rng, [1, 2, 3], 0, 2), rng.randint(2, 5)]
    kept = (whole(rng, 0, 3, *shape) > 0).float()  # some shares are 0
    kept[..., rng.randrange(shape[-1])] = 1
    powers = normal(rng, *shape).exp() * (kept if rng.random() < 0.5 else 1)
    return (powers / powers.sum(-1, keepdim=True),)


@check(
    "05",
    cases=_shares,
    hints=(
        "for each row: minus the sum of p · log p",
        "log 0 is -∞ and 0 · ∞ is nan: `probs.clamp(min=1e-30).log()` keeps the log finite",
    ),
    drawn=_any_shares,
)
def entropy(probs: Tensor) -> Any:
    """The entropy of each row of shares, in nats."""
    if probs.dim() > 1:
        return [entropy.oracle(part) for part in probs]
    return -sum(p * math.log(p) for p in probs.tolist() if p > 0)


def _entropy(probs: Tensor, log: Callable[[Tensor], Tensor] = torch.log) -> Tensor:
    return -(probs * log(probs.clamp(min=1e-30))).sum(-1)


entropy.wrong(
    "nan",
    lambda probs: -(probs * probs.log()).sum(-1),
    "correct until a share is 0: log 0 is -∞, and 0 · ∞ is nan. Keep the log finite",
)
entropy.wrong("sign", lambda probs: -_entropy(probs), "the sign: log p is negative, so take minus")
entropy.wrong(
    "bits",
    lambda probs: _entropy(probs, torch.log2),
    "these are bits (log2); nats have the natural logarithm",
)
entropy.wrong(
    "mean of logs",
    lambda probs: -probs.clamp(min=1e-30).log().mean(-1),
    "each -log p must be weighted by its p, then they are added up",
)
entropy.wrong(
    "over the queries",
    lambda probs: -(probs * probs.clamp(min=1e-30).log()).sum(-2),
    "you add up over the queries; each row is one distribution, so add up over the last dimension",
)
entropy.wrong(
    "everything",
    lambda probs: _entropy(probs).sum(),
    "you return one number for everything; every row has its own entropy",
)


def _states() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(14)
    return [(torch.randn(S, A * D, generator=rng), A) for S, A, D in ((3, 2, 2), (5, 3, 4))]


def _any_states(rng: random.Random) -> tuple[Any, ...]:
    A = rng.randint(1, 4)
    return normal(rng, rng.randint(1, 5), A * rng.randint(1, 4)), A


@check(
    "05",
    cases=_states,
    hints=(
        "first cut each token's vector: [S, H] becomes [S, A, D]",
        "then exchange the first two dimensions: `.transpose(0, 1)`",
    ),
    drawn=_any_states,
)
def heads_of(states: Tensor, A: int) -> list[list[list[float]]]:
    """States [S, H] cut into heads [A, S, D]."""
    D = states.shape[1] // A
    return [[row[head * D : (head + 1) * D] for row in states.tolist()] for head in range(A)]


heads_of.wrong(
    "view only",
    lambda states, A: states.reshape(A, len(states), -1),
    "the shape is right, but tokens and heads are mixed up: cut to [S, A, D] first, then transpose",
)
heads_of.wrong(
    "not transposed",
    lambda states, A: states.view(len(states), A, -1),
    "that is [S, A, D]: the heads must come first, so exchange the first two dimensions",
)
heads_of.wrong(
    "every A-th number",
    lambda states, A: states.view(len(states), -1, A).permute(2, 0, 1),
    "a head takes D *neighbouring* numbers; yours takes every A-th one",
)
heads_of.wrong(
    "A and D exchanged",
    lambda states, A: states.view(len(states), A, -1).permute(2, 0, 1),
    "A and D are exchanged: the result must be [A, S, D]",
)


# Build


def _queries() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(15)
    masks = [[True] * 4 + [False] * 2, [True] * 3, [True, False, True, True, False]]
    return [(*torch.randn(3, 2, len(mask), 4, generator=rng), torch.tensor(mask)) for mask in masks]


def _any_queries(rng: random.Random) -> tuple[Any, ...]:
    A, S, D = rng.randint(1, 2), rng.randint(2, 4), rng.randint(2, 3)
    mask = whole(rng, 0, 2, S).bool()
    mask[rng.randrange(S)] = True
    return *normal(rng, 3, A, S, D, scale=1.5), mask


@check(
    "05",
    cases=_queries,
    hints=(
        "scores, divided by √D; shut keys out; softmax; mix the values",
        "`scores.masked_fill(~mask, -math.inf)` *before* the softmax",
    ),
    drawn=_any_queries,
    without=("bertedu.attention", "scaled_dot_product_attention"),
)
def masked_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> list[Any]:
    """Attention with a mask, from q, k, v [A, S, D] to contexts [A, S, D]."""
    keys = [i for i, real in enumerate(mask.tolist()) if real]
    contexts = []
    for head in range(len(q)):
        rows = []
        for query in q[head]:
            scores = [float(query @ k[head, i]) / math.sqrt(q.shape[-1]) for i in keys]
            shares = softmax.oracle(torch.tensor(scores))
            mixed = [share * v[head, i] for share, i in zip(shares, keys, strict=True)]
            rows.append(torch.stack(mixed).sum(0).tolist())
        contexts.append(rows)
    return contexts


def _raw(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])


masked_attention.wrong(
    "no mask",
    lambda q, k, v, mask: _raw(q, k).softmax(-1) @ v,
    "padding changes your result: the mask is not used",
)
masked_attention.wrong(
    "mask turned round",
    lambda q, k, v, mask: (
        _raw(q, k).masked_fill(mask, -1e9).softmax(-1) @ v if not mask.all() else v * 0
    ),
    "True and False are exchanged: True means a real token, which gets a share",
)
masked_attention.wrong(
    "mask after the softmax",
    lambda q, k, v, mask: (_raw(q, k).softmax(-1) * mask) @ v,
    "shares set to 0 *after* the softmax leave rows that no longer sum to 1: shut keys out before",
)
masked_attention.wrong(
    "score zero",
    lambda q, k, v, mask: _raw(q, k).masked_fill(~mask, 0).softmax(-1) @ v,
    "a score of 0 does not exclude a key: e^0 = 1 still gets a share. Set it to -∞",
)
masked_attention.wrong(
    "queries masked",
    lambda q, k, v, mask: _raw(q, k).masked_fill(~mask[:, None], -1e9).softmax(-1) @ v,
    "you shut out the *queries* at padding; shut out the keys, which are the columns",
)
masked_attention.wrong(
    "not divided",
    lambda q, k, v, mask: (q @ k.transpose(-1, -2)).masked_fill(~mask, -1e9).softmax(-1) @ v,
    "√D is missing: the scores are too far apart",
)
masked_attention.wrong(
    "divided by D",
    lambda q, k, v, mask: (
        (q @ k.transpose(-1, -2) / q.shape[-1]).masked_fill(~mask, -1e9).softmax(-1) @ v
    ),
    "you divide by D; it is the root of D",
)
masked_attention.wrong(
    "over the queries",
    lambda q, k, v, mask: _raw(q, k).masked_fill(~mask, -1e9).softmax(-2) @ v,
    "your softmax runs over the queries; it should run over the keys, the last dimension",
)


def _two_attentions() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(16)
    return [tuple(torch.randn(2, L, A, S, S, generator=rng).softmax(-1))
            for L, A, S in ((2, 3, 4), (3, 2, 5), (4, 4, 3))]  # fmt: skip


def _any_attentions(rng: random.Random) -> tuple[Any, ...]:
    shape = rng.randint(2, 3), rng.randint(2, 4), *[rng.randint(2, 4)] * 2
    return tuple(normal(rng, 2, *shape, scale=2).softmax(-1))


@check(
    "05",
    cases=_two_attentions,
    hints=(
        "the largest change of each head: `(one - other).abs().amax(dim=(2, 3))`, [L, A]",
        "argmin counts through all heads; `divmod(number, A)` makes layer and head of it",
    ),
    drawn=_any_attentions,
)
def steadiest_head(one: Tensor, other: Tensor) -> tuple[int, int]:
    """The (layer, head) whose attention changes least, of two attentions [L, A, S, S]."""
    change = {
        (layer, head): float((one[layer, head] - other[layer, head]).abs().max())
        for layer in range(one.shape[0])
        for head in range(one.shape[1])
    }
    return min(change, key=lambda place: change[place])


def _place(change: Tensor, number: Tensor) -> tuple[int, int]:
    return divmod(int(number), change.shape[1])


steadiest_head.wrong(
    "least steady",
    lambda one, other: _place(
        (change := (one - other).abs().amax(dim=(2, 3))), change.flatten().argmax()
    ),
    "that is the head whose attention changes *most*; take the one that changes least",
)
steadiest_head.wrong(
    "no absolute value",
    lambda one, other: _place(
        (change := (one - other).amax(dim=(2, 3))), change.flatten().argmin()
    ),
    "a share that falls has changed, too: take the absolute value first",
)
steadiest_head.wrong(
    "mean",
    lambda one, other: _place(
        (change := (one - other).abs().mean(dim=(2, 3))), change.flatten().argmin()
    ),
    "you take the mean change; the exercise asks for the largest change of any share",
)
steadiest_head.wrong(
    "smallest change",
    lambda one, other: _place(
        (change := (one - other).abs().amin(dim=(2, 3))), change.flatten().argmin()
    ),
    "you compare each head's *smallest* change; compare its largest change",
)
steadiest_head.wrong(
    "one number",
    lambda one, other: int((one - other).abs().amax(dim=(2, 3)).argmin()),
    "argmin counts through all layers' heads: make (layer, head) of it with divmod",
)
steadiest_head.wrong(
    "head first",
    lambda one, other: _place(
        (change := (one - other).abs().amax(dim=(2, 3))), change.flatten().argmin()
    )[::-1],
    "the head is correct, but the layer comes first: (layer, head)",
)
