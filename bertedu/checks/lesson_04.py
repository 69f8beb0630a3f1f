"""Checks of lesson 04: the input embeddings."""

import math
from typing import Any

import torch
from torch import Tensor

from bertedu.checks.framework import check

# Complete


def _tables_and_ids() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(8)
    shapes = [(9, 4, 3), (30, 6, 11), (5, 5, 5)]
    return [(torch.randn(V, H, generator=rng), torch.randint(0, V, (S,), generator=rng))
            for V, H, S in shapes]  # fmt: skip


@check("04", cases=_tables_and_ids, hints=("indexing with a tensor of numbers picks rows",))
def look_up(table: Tensor, ids: Tensor) -> list[list[float]]:
    """The rows of a table [V, H] for ids [S]."""
    rows = table.tolist()
    return [rows[i] for i in ids.tolist()]


look_up.wrong(
    "columns",
    lambda table, ids: table[:, ids.clamp(max=table.shape[1] - 1)],
    "you pick columns; each id is the number of a *row*",
)
look_up.wrong(
    "first rows",
    lambda table, ids: table[: len(ids)],
    "you take the first S rows; take the rows that the ids name",
)
look_up.wrong(
    "from one",
    lambda table, ids: table[ids - 1],
    "each row is one too early: id 0 is the first row",
)
look_up.wrong(
    "sum",
    lambda table, ids: table[ids].sum(0),
    "you add the rows up; each token keeps its own vector",
)


def _vectors() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(9)
    wide, odd = torch.randn(3, 8, generator=rng), 5 + 3 * torch.randn(4, 5, generator=rng)
    tiny = torch.tensor([[0.02, 0.01, -0.03, 0.0]])
    return [(torch.tensor([[1.0, 0, 0, 0]]),), (wide,), (odd,), (tiny, 1e-3)]


@check(
    "04",
    cases=_vectors,
    hints=(
        "two steps for each row: take its mean away; divide by the root of (variance + eps)",
        "the variance is the mean of the squares, `.square().mean(dim=-1, keepdim=True)`",
    ),
)
def layer_norm(x: Tensor, eps: float = 1e-12) -> list[list[float]]:
    """LayerNorm without scale and shift, for vectors [S, H]."""
    rows = []
    for row in x.tolist():
        mean = sum(row) / len(row)
        variance = sum((number - mean) ** 2 for number in row) / len(row)
        rows.append([(number - mean) / math.sqrt(variance + eps) for number in row])
    return rows


def _normal(x: Tensor, eps: float, dim: int = -1, less: int = 0) -> Tensor:
    variance, mean = torch.var_mean(x, dim=dim, keepdim=True, correction=less)
    return (x - mean) / (variance + eps).sqrt()


layer_norm.wrong(
    "H - 1",
    lambda x, eps=1e-12: _normal(x, eps, less=1),
    "you divide by H - 1, as `.std()` and `.var()` do by themselves; LayerNorm divides by H "
    "(`correction=0`)",
)
layer_norm.wrong(
    "over the tokens",
    lambda x, eps=1e-12: _normal(x, eps, dim=0),
    "mean and variance run over the tokens; each token is normalised alone, over its H numbers "
    "(dim=-1)",
)
layer_norm.wrong(
    "not centred",
    lambda x, eps=1e-12: x / (x.var(dim=-1, keepdim=True, correction=0) + eps).sqrt(),
    "the mean is still in it: take it away from each number first",
)
layer_norm.wrong(
    "variance",
    lambda x, eps=1e-12: (
        (x - x.mean(-1, keepdim=True)) / (x.var(dim=-1, keepdim=True, correction=0) + eps)
    ),
    "you divide by the variance; the root is missing",
)
layer_norm.wrong(
    "eps outside",
    lambda x, eps=1e-12: (
        (x - x.mean(-1, keepdim=True)) / (x.std(dim=-1, keepdim=True, correction=0) + eps)
    ),
    "eps stands *in* the root, beside the variance, not behind it",
)
layer_norm.wrong(
    "one for all",
    lambda x, eps=1e-12: (x - x.mean()) / (x.var(correction=0) + eps).sqrt(),
    "you take one mean of all the numbers; each row has its own (dim=-1, keepdim=True)",
)


def _two_vectors() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(10)
    first = torch.tensor([[3.0, 4.0], [4.0, 3.0]])
    return [tuple(first), *(tuple(torch.randn(2, H, generator=rng)) for H in (3, 8))]


@check(
    "04",
    cases=_two_vectors,
    hints=("the dot product, divided by both lengths", "`one @ other`, and `one.norm()`"),
)
def cosine(one: Tensor, other: Tensor) -> float:
    """The cosine of two vectors."""
    pairs = list(zip(one.tolist(), other.tolist(), strict=True))
    lengths = math.hypot(*(a for a, _ in pairs)) * math.hypot(*(b for _, b in pairs))
    return float(sum(a * b for a, b in pairs) / lengths)


cosine.wrong(
    "dot product",
    lambda one, other: one @ other,
    "that is the dot product, which grows with the lengths: divide by both of them",
)
cosine.wrong(
    "one length",
    lambda one, other: one @ other / one.norm(),
    "you divide by one of the two lengths only",
)
cosine.wrong(
    "squares",
    lambda one, other: one @ other / (one.square().sum() * other.square().sum()),
    "you divide by the squares of the lengths: the roots are missing",
)
cosine.wrong(
    "sum of lengths",
    lambda one, other: one @ other / (one.norm() + other.norm()),
    "you divide by the sum of the lengths; it is their product",
)
cosine.wrong(
    "products apart",
    lambda one, other: one * other / (one.norm() * other.norm()),
    "these are the products before they are added: a cosine is one number",
)


# Build


def _sums() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(11)
    sizes = {"token": 40, "segment": 2, "position": 12}
    tables = {name: torch.randn(rows, 10, generator=rng) for name, rows in sizes.items()}
    chosen = [(5, 0, 0), (17, 1, 11), (0, 1, 3), (39, 0, 7)]
    return [(tables, tables["token"][t] + tables["segment"][s] + tables["position"][p], s)
            for t, s, p in chosen]  # fmt: skip


@check(
    "04",
    cases=_sums,
    hints=(
        "take the segment and each position away in turn; one rest is a row of the token table",
        "`torch.cdist(rests, tables['token']).min(dim=1).values` is how near each rest comes",
    ),
)
def position_of(tables: dict[str, Tensor], vector: Tensor, segment_id: int) -> int:
    """The position of a token, from its vector token + segment + position."""
    nearest = []
    for position in tables["position"]:
        rest = vector - tables["segment"][segment_id] - position
        nearest.append(min(float((rest - token).norm()) for token in tables["token"]))
    return nearest.index(min(nearest))


def _distances(tables: dict[str, Tensor], vector: Tensor) -> Tensor:
    return torch.cdist(vector - tables["position"], tables["token"])


position_of.wrong(
    "token",
    lambda tables, vector, segment: int(
        _distances(tables, vector - tables["segment"][segment]).min(dim=0).values.argmin()
    ),
    "that is the id of the token; you are asked for its position",
)
position_of.wrong(
    "segment 0",
    lambda tables, vector, segment: int(
        _distances(tables, vector - tables["segment"][0]).min(dim=1).values.argmin()
    ),
    "you always take segment 0 away; for B it is the other row",
)
position_of.wrong(
    "nearest position",
    lambda tables, vector, segment: int((vector - tables["position"]).norm(dim=1).argmin()),
    "the vector is a sum of three; its nearest position row says little. Take the others away",
)
position_of.wrong(
    "argmax",
    lambda tables, vector, segment: int(
        _distances(tables, vector - tables["segment"][segment]).min(dim=1).values.argmax()
    ),
    "you take the position that fits worst: the smallest distance is the right one",
)
