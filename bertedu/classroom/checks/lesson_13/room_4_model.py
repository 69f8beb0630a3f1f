"""Exhibits 11 to 16, the room of the model: their checks."""

import random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertedu.classroom.checks.drawing import normal, padded, some, whole
from bertedu.classroom.checks.framework import check
from bertedu.classroom.checks.running import NotDoneError, NothingError


def _norm_cases() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(22)
    ones, zeros = torch.ones(4), torch.zeros(4)
    wide = torch.randn(2, 3, 6, generator=rng)
    weight, bias = torch.randn(2, 6, generator=rng)
    return [
        (torch.tensor([[1.0, 0, 0, 0]]), ones, zeros, 1e-12),
        (wide, weight, bias, 1e-12),
        (0.01 * wide, weight, bias, 1e-4),
    ]


def _any_norm(rng: random.Random) -> tuple[Any, ...]:
    H = rng.randint(2, 6)
    x = normal(rng, *some(rng, [1, 2, 3], 1, 2), H) + 2
    return x, *normal(rng, 2, H), rng.choice([1e-12, 0.01, 0.5])


@check(
    "13",
    cases=_norm_cases,
    hints=(
        "two mistakes: by what is the sum of squares divided, and where does eps stand?",
        "`x.var(dim=-1, keepdim=True, correction=0)`, then the root of (variance + eps)",
    ),
    drawn=_any_norm,
)
def bert_layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """LayerNorm as BERT's weights expect it, over the last dimension."""
    return F.layer_norm(x, weight.shape, weight, bias, eps)


def _norm(x: Tensor, weight: Tensor, bias: Tensor, *, scale: Tensor) -> Tensor:
    return weight * (x - x.mean(-1, keepdim=True)) / scale + bias


def _std(x: Tensor, less: int) -> Tensor:
    return x.std(dim=-1, keepdim=True, correction=less)


bert_layer_norm.wrong(
    "the exhibit",
    lambda x, weight, bias, eps: _norm(x, weight, bias, scale=_std(x, 1) + eps),
    "still the sample formula: `.std()` divides by H - 1, and LayerNorm by H",
)
bert_layer_norm.wrong(
    "H - 1",
    lambda x, weight, bias, eps: _norm(x, weight, bias, scale=(_std(x, 1) ** 2 + eps).sqrt()),
    "eps stands in the root now, but the variance is still divided by H - 1: `correction=0`",
)
bert_layer_norm.wrong(
    "eps outside",
    lambda x, weight, bias, eps: _norm(x, weight, bias, scale=_std(x, 0) + eps),
    "divided by H now, but eps is still added to the deviation: it belongs in the root",
)
bert_layer_norm.wrong(
    "no scale and shift",
    lambda x, weight, bias, eps: F.layer_norm(x, weight.shape, None, None, eps),
    "weight and bias are missing: they are learned, and come last",
)


@check(
    "13",
    cases=lambda: [(["my", "dog"], ["yes"]), (["good"], []), (["a", "b", "c"], ["d", "e"])],
    hints=(
        "0 for [CLS] A [SEP], 1 for B [SEP]",
        "len(a) + 2 zeros; len(b) + 1 ones, unless there is no B at all",
    ),
    drawn=lambda rng: (some(rng, "abc", 0, 5), some(rng, "abc", 0, rng.choice([0, 1, 3]))),
)
def token_types(a: list[str], b: list[str]) -> list[int]:
    """The segment ids of [CLS] A [SEP] B [SEP], or of [CLS] A [SEP] if B is empty."""
    row = [("[CLS]", 0), *((token, 0) for token in a), ("[SEP]", 0)]
    if b:
        row += [*((token, 1) for token in b), ("[SEP]", 1)]
    return [segment for _, segment in row]


token_types.wrong(
    "zeros",
    lambda a, b: [0] * (len(a) + 2 + (len(b) + 1) * bool(b)),
    "still all zero: for the model, A and B are one text",
)
token_types.wrong(
    "the exhibit",
    lambda a, b: [0] * (len(a) + len(b) + 3),
    "still all zero, for the model one text; and without a B there is one [SEP] less",
)
token_types.wrong(
    "ones for a single text",
    lambda a, b: token_types.oracle(a, b) if b else [1] * (len(a) + 2),
    "a single text is segment A: all zeros. Ones there are another published mistake",
)
token_types.wrong(
    "SEP of a single text",
    lambda a, b: [0] * (len(a) + 2) + [1] * (len(b) + 1),
    "without a B there is no second [SEP]: one segment id too many",
)
token_types.wrong(
    "first SEP to B",
    lambda a, b: [0] * (len(a) + 1) + [1] * (len(b) + 2) if b else [0] * (len(a) + 2),
    "the first [SEP] closes A, so that it has the segment id 0",
)


@check(
    "13",
    cases=lambda: [
        ([101, *range(2000, 2000 + n), 102], limit)
        for n, limit in ((3, 8), (9, 8), (6, 8), (7, 8), (30, 5))
    ],
    hints=(
        "a row that fits stays; of a longer one keep the beginning, and its last token",
        "`[*ids[: limit - 1], ids[-1]]`: the [SEP] at the end must not be cut off",
    ),
    drawn=lambda rng: ([101, *range(2000, 2000 + rng.randint(0, 9)), 102], rng.randint(2, 9)),
)
def shortened(ids: list[int], limit: int) -> list[int]:
    """[CLS] ... [SEP], cut to at most `limit` tokens where it is longer."""
    kept = list(ids)
    while len(kept) > limit:
        del kept[-2]
    return kept


shortened.wrong(
    "SEP cut off",
    lambda ids, limit: ids[:limit],
    "short enough, but the [SEP] at the end is missing: in training every text had one",
)
shortened.wrong(
    "not cut",
    lambda ids, limit: ids,
    "a row longer than the limit stays as it is; the position table has no row for its end",
)
shortened.wrong(
    "always cut",
    lambda ids, limit: [*ids[: min(len(ids), limit) - 2], ids[-1]],
    "one token too many is cut off: `limit` tokens may stay, [CLS] and [SEP] among them",
)
shortened.wrong(
    "one too long",
    lambda ids, limit: ids if len(ids) <= limit else [*ids[:limit], ids[-1]],
    "you keep `limit` tokens and add the [SEP]: one token too many",
)


def _masks() -> list[tuple[Any, ...]]:
    return [(torch.tensor(rows),) for rows in ([[1, 1, 0]], [[1, 1, 1, 1], [1, 1, 0, 0]])]


@check(
    "13",
    cases=_masks,
    through=lambda answer, attention_mask: _added(answer(attention_mask), attention_mask),
    hints=(
        "0 where a token is real, and something like -10,000 where it is padding",
        "`(1 - attention_mask[:, None, None, :]) * -10_000.0`",
    ),
    drawn=lambda rng: (padded(rng, rng.randint(1, 3), rng.randint(2, 5)),),
)
def additive_mask(attention_mask: Tensor) -> Tensor:
    """What is added to the scores [B, A, S, S] so that nobody looks at padding."""
    return torch.where(attention_mask[:, None, None, :] == 1, 0.0, -10_000.0)


def _added(added: Any, mask: Tensor) -> Any:
    """The attention that scores get when the answer is added to them."""
    added = torch.as_tensor(added)
    B, S = mask.shape
    scores = 10 * torch.randn(B, 2, S, S, generator=torch.Generator().manual_seed(23))
    return (scores + added).softmax(-1)


additive_mask.wrong(
    "sign",
    lambda mask: mask[:, None, None, :] * -10_000.0,
    "still reversed: you lower the scores of real tokens (1), not of padding. Take 1 - mask",
)
additive_mask.wrong(
    "reward",
    lambda mask: (1 - mask[:, None, None, :]) * 10_000.0,
    "you make the scores of padding *larger*: the number to add must be negative",
)
additive_mask.wrong(
    "queries",
    lambda mask: (1 - mask[:, None, :, None]) * -10_000.0,
    "the mask lies on the queries: a number added to a whole row changes no softmax. Take the keys",
)
additive_mask.wrong(
    "too weak",
    lambda mask: mask[:, None, None, :] - 1.0,
    "a difference of 1 is too small: padding still gets a share. Add a number far below all scores",
)


def _score_cases() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(24)
    masks = [[True, True, False, False], [True, True, True, True], [True, False, True, False]]
    return [(torch.randn(2, 4, 4, generator=rng), torch.tensor(mask)) for mask in masks]


def _any_scores(rng: random.Random) -> tuple[Any, ...]:
    A, S = rng.randint(1, 3), rng.randint(2, 5)
    mask = whole(rng, 0, 2, S).bool()
    mask[rng.randrange(S)] = True
    return normal(rng, A, S, S), mask


@check(
    "13",
    cases=_score_cases,
    hints=(
        "the shares must sum to 1 over the tokens that are there: mask first, then softmax",
        "`scores.masked_fill(~mask, float('-inf')).softmax(dim=-1)`",
    ),
    drawn=_any_scores,
)
def attention_shares(scores: Tensor, mask: Tensor) -> list[Any]:
    """Attention probabilities of scores [A, S, S], with keys shut out where mask [S] is False."""
    keys = torch.nonzero(mask).flatten()
    shares = torch.zeros_like(scores)
    shares[..., keys] = scores[..., keys].softmax(-1)
    return [head.tolist() for head in shares]


attention_shares.wrong(
    "after the softmax",
    lambda scores, mask: scores.softmax(-1) * mask,
    "still after the softmax: the rows lose what padding had, and no longer sum to 1",
)
attention_shares.wrong(
    "added after",
    lambda scores, mask: scores.softmax(-1) + (~mask) * -1e9,
    "you add it to probabilities: the large negative number belongs to the *scores*",
)
attention_shares.wrong(
    "columns",
    lambda scores, mask: scores.masked_fill(~mask, float("-inf")).softmax(-2).nan_to_num(),
    "your softmax runs over the queries; it should run over the keys, so that *rows* sum to 1",
)
attention_shares.wrong(
    "score zero",
    lambda scores, mask: (scores * mask).softmax(-1),
    "a score of 0 excludes nothing: e^0 = 1 still gets a share. The score must be -∞",
)


def _built(block: Any, H: int) -> Any:
    """What can be seen of a block from outside."""
    torch.manual_seed(25)
    model = block(H).eval()
    rng = torch.Generator().manual_seed(26)
    context, states = torch.randn(2, 3, H, generator=rng)
    before = sum(p.numel() for p in model.parameters())
    first, second = model(context, states), model(context, states)
    if first is ... or second is ...:
        raise NotDoneError
    if first is None:
        raise NothingError
    dense, norm = (
        [m for m in model.modules() if isinstance(m, kind)] for kind in (nn.Linear, nn.LayerNorm)
    )
    return {
        "parameters": before,
        "a dense layer (nn.Linear)": bool(dense),
        "a LayerNorm (nn.LayerNorm)": bool(norm),
        "same twice": torch.equal(first, second),
        "rows have mean 0": bool(first.mean(-1).abs().max() < 1e-4),
        "reads the states": not torch.allclose(first, model(context, -states)),
        "reads the context": not torch.allclose(first, model(-context, states)),
        "norm(dense(context)) + states": any(
            torch.allclose(first, n(d(context)) + states, atol=1e-5) for d in dense for n in norm
        ),
        "norm(states + dense(context))": any(
            torch.allclose(first, n(states + d(context)), atol=1e-5) for d in dense for n in norm
        ),
    }


class _Output(nn.Module):
    def __init__(self, H: int) -> None:
        super().__init__()
        self.dense, self.norm = nn.Linear(H, H), nn.LayerNorm(H)

    def forward(self, context: Tensor, states: Tensor) -> Tensor:
        normed: Tensor = self.norm(states + self.dense(context))
        return normed


@check(
    "13",
    cases=lambda: [(4,), (6,)],
    through=_built,
    hints=(
        "what a layer should learn must exist before training: make it in `__init__`",
        "`self.dense = nn.Linear(H, H)`, `self.norm = nn.LayerNorm(H)`; `forward` only uses them",
    ),
)
def attention_output(H: int) -> nn.Module:
    """A module with a dense layer and a LayerNorm: norm(states + dense(context))."""
    return _Output(H)


class _Undense(_Output):
    def forward(self, context: Tensor, states: Tensor) -> Tensor:
        normed: Tensor = self.norm(states + context)
        return normed


attention_output.wrong(
    "another sum",
    _Undense,
    "the parts are there, but put together otherwise: the context goes through the dense layer, "
    "the states are added to that, and LayerNorm comes last",
)


class _Newborn(nn.Module):
    def __init__(self, H: int) -> None:
        super().__init__()
        self.H = H

    def forward(self, context: Tensor, states: Tensor) -> Tensor:
        dense, norm = nn.Linear(self.H, self.H), nn.LayerNorm(self.H)
        normed: Tensor = norm(states + dense(context))
        return normed


class _Late(_Newborn):
    layers: tuple[nn.Module, nn.Module] | None = None

    def forward(self, context: Tensor, states: Tensor) -> Tensor:
        if self.layers is None:
            self.layers = nn.Linear(self.H, self.H), nn.LayerNorm(self.H)
        normed: Tensor = self.layers[1](states + self.layers[0](context))
        return normed


class _NoResidual(_Output):
    def forward(self, context: Tensor, states: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.dense(context) + 0 * states)
        return normed


class _NormFirst(_Output):
    def forward(self, context: Tensor, states: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.dense(context))
        return states + normed


attention_output.wrong(
    "born in forward",
    _Newborn,
    "still made in `forward`: new random layers at each call, and no parameter to train or save",
)
attention_output.wrong(
    "not registered",
    _Late,
    "the layers stay now, but torch does not find them: made too late, or in a tuple or a list",
)
attention_output.wrong(
    "no residual",
    _NoResidual,
    "`states` is not used: the layer adds to what was there, norm(states + dense(context))",
)
attention_output.wrong(
    "norm first",
    _NormFirst,
    "BERT adds first and normalises then: norm(states + dense(context))",
)
