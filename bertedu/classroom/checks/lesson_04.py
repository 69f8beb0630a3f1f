"""Checks of lesson 04: the input embeddings."""

import math
import random
from functools import cache
from typing import Any

import torch
from torch import Tensor

from bertedu.classroom.checks.drawing import normal, whole
from bertedu.classroom.checks.framework import check
from bertedu.config import BertConfig
from bertedu.model import BertModel

# Predict


@check("04", value=True)
def numbers_in_tables() -> list[int]:
    """How many numbers are in BERT-base's position table and in its segment table."""
    H = 768
    return [512 * H, 2 * H]


numbers_in_tables.wrong(
    "this model's width",
    [196_608, 768],
    "that is for H = 384, the course's own model; BERT-base has H = 768",
)
numbers_in_tables.wrong("rows", [512, 2], "that is how many rows there are; each has H numbers")
numbers_in_tables.wrong(
    "one segment",
    [393_216, 768],
    "the position table is right; the segment table has two rows, one for A and one for B",
)
numbers_in_tables.wrong(
    "three segments",
    [393_216, 2_304],
    "the position table is right; the segment ids are 0 and 1, so that there are two rows",
)


@check("04", value=True)
def two_dogs() -> list[bool]:
    """Are the input vectors of two equal words equal: in BERT, and without positions?"""
    return [False, True]


two_dogs.wrong(
    "equal in both",
    [True, True],
    "the token's row is the same; which of the rows that are added differs between the two places?",
)
two_dogs.wrong(
    "different in both",
    [False, False],
    "if the position table were all zeros, what could still differ? Token and segment are the same",
)
two_dogs.wrong(
    "turned round",
    [True, False],
    "the two answers are exchanged: in BERT the two positions add two different rows",
)


@check("04", value=True)
def rows_read() -> list[int]:
    """How many different rows are read for 20 tokens without a B, at least and at most."""
    positions, segments = 20, 1
    return [len({"[CLS]", "[SEP]", "a word"}) + positions + segments, 20 + positions + segments]


rows_read.wrong(
    "two segments",
    [25, 42],
    "there is no B, so that only one row of the segment table is read",
)
rows_read.wrong(
    "one word only",
    [22, 41],
    "the most is right; for the least, [CLS] and [SEP] have rows of their own beside the one word",
)
rows_read.wrong(
    "no segment",
    [23, 40],
    "the segment table is read, too, always the same row: count one more",
)
rows_read.wrong(
    "each read",
    [60, 60],
    "so many times a row is read; one row may be read many times: count the different rows",
)
rows_read.wrong(
    "always all",
    [41, 41],
    "the most is right; for the least, let all eighteen words be the same",
)


# Complete


def _tables_and_ids() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(8)
    shapes = [(9, 4, 3), (30, 6, 11), (5, 5, 5)]
    return [(torch.randn(V, H, generator=rng), torch.randint(0, V, (S,), generator=rng))
            for V, H, S in shapes]  # fmt: skip


def _any_table(rng: random.Random) -> tuple[Any, ...]:
    V = rng.randint(2, 9)
    return normal(rng, V, rng.randint(1, 5)), whole(rng, 0, V, rng.randint(1, 7))


@check(
    "04",
    cases=_tables_and_ids,
    hints=("indexing with a tensor of numbers picks rows",),
    drawn=_any_table,
    without=("embedding",),
)
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


def _any_vectors(rng: random.Random) -> tuple[Any, ...]:
    x = rng.choice([-2, 0, 3]) + normal(rng, rng.randint(1, 4), rng.randint(2, 8))
    return (x, rng.choice([1e-3, 0.1, 1.0])) if rng.random() < 0.6 else (x,)


@check(
    "04",
    cases=_vectors,
    hints=(
        "two steps for each row: take its mean away; divide by the root of (variance + eps)",
        "the variance is the mean of the squares, `.square().mean(dim=-1, keepdim=True)`",
    ),
    drawn=_any_vectors,
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
    "the mean is not subtracted: subtract it from each number first",
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
    drawn=lambda rng: tuple(normal(rng, 2, rng.randint(2, 8), scale=rng.choice([0.3, 1, 4]))),
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
    "you divide by the sum of the lengths; divide by their product",
)
cosine.wrong(
    "products apart",
    lambda one, other: one * other / (one.norm() * other.norm()),
    "these are the products before they are added: a cosine is one number",
)


# Build


@cache
def _tables() -> dict[str, Tensor]:
    """Small tables; there are more positions than the 64 that the exercise speaks of."""
    rng = torch.Generator().manual_seed(11)
    sizes = {"token": 40, "segment": 2, "position": 80}
    return {name: torch.randn(rows, 10, generator=rng) for name, rows in sizes.items()}


def _any_sum(rng: random.Random) -> tuple[Any, ...]:
    tables = _tables()
    token, segment, place = rng.randrange(40), rng.randrange(2), rng.randrange(64)
    parts = tables["token"][token], tables["segment"][segment], tables["position"][place]
    return tables, parts[0] + parts[1] + parts[2], segment


@check(
    "04",
    hints=(
        "take the segment and each position away in turn; one rest is a row of the token table",
        "`torch.cdist(rests, tables['token']).min(dim=1).values` is how near each rest comes",
    ),
    drawn=_any_sum,
    count=12,
)
def position_of(tables: dict[str, Tensor], vector: Tensor, segment_id: int) -> int:
    """The position of a token, from its vector token + segment + position."""
    nearest = []
    for position in tables["position"]:
        rest = vector - tables["segment"][segment_id] - position
        nearest.append(float((rest - tables["token"]).norm(dim=1).min()))
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
    "you take the position with the largest distance; take the one with the smallest",
)


@cache
def _model() -> BertModel:
    sizes = BertConfig(
        vocab_size=30,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=20,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12)
        return BertModel(sizes).eval()


def _any_shift(rng: random.Random) -> tuple[Any, ...]:
    return _model(), whole(rng, 1, 30, rng.randint(2, 9)), rng.randint(1, 9)


@check(
    "04",
    hints=(
        "the attention mask is 0 for the padding; the words' states begin at `shift`",
        "`model(ids[None]).last_hidden_state[0]` is [S, H]; compare it with [shift:] of the moved",
    ),
    drawn=_any_shift,
    count=20,
)
def shift_difference(model: Any, ids: Tensor, shift: int) -> float:
    """How much the states change when a number of [PAD] stands in front of the sentence."""
    tokens = [[0] * shift + ids.tolist()]
    mask = [[0] * shift + [1] * len(ids)]
    with torch.inference_mode():
        plain = model(ids[None]).last_hidden_state[0].tolist()
        moved = model(torch.tensor(tokens), attention_mask=torch.tensor(mask))
    rows = zip(plain, moved.last_hidden_state[0].tolist()[shift:], strict=True)
    apart = [abs(a - b) for one, other in rows for a, b in zip(one, other, strict=True)]
    return float(max(apart))


def _moved(model: Any, ids: Tensor, shift: int, masked: bool = True) -> tuple[Tensor, Tensor]:
    padding = torch.zeros(shift, dtype=torch.long)
    padded, mask = torch.cat([padding, ids]), torch.cat([padding, torch.ones_like(ids)])
    with torch.inference_mode():
        plain = model(ids[None]).last_hidden_state[0]
        found = model(padded[None], attention_mask=mask[None] if masked else None)
    return plain, found.last_hidden_state[0]


def _behind(model: Any, ids: Tensor, shift: int) -> float:
    padding = torch.zeros(shift, dtype=torch.long)
    padded, mask = torch.cat([ids, padding]), torch.cat([torch.ones_like(ids), padding])
    with torch.inference_mode():
        plain = model(ids[None]).last_hidden_state[0]
        found = model(padded[None], attention_mask=mask[None]).last_hidden_state[0, : len(ids)]
    return float((plain - found).abs().max())


def _largest(plain: Tensor, moved: Tensor) -> Tensor:
    return (plain - moved).abs().max()


shift_difference.wrong(
    "no mask",
    lambda model, ids, shift: _largest(
        *(states[-len(ids) :] for states in _moved(model, ids, shift, masked=False))
    ),
    "the padding changes your result: give the model an attention mask that is 0 there",
)
shift_difference.wrong(
    "behind",
    _behind,
    "your [PAD]s stand behind the sentence, so that no word has moved: put them in front",
)
shift_difference.wrong(
    "padding's states",
    lambda model, ids, shift: _largest((pair := _moved(model, ids, shift))[0], pair[1][: len(ids)]),
    "each token must be compared with itself: the first `shift` states belong to the padding",
)
shift_difference.wrong(
    "mean",
    lambda model, ids, shift: (
        ((pair := _moved(model, ids, shift))[0] - pair[1][shift:]).abs().mean()
    ),
    "you take the mean difference; the exercise asks for the largest",
)
shift_difference.wrong(
    "signed",
    lambda model, ids, shift: ((pair := _moved(model, ids, shift))[0] - pair[1][shift:]).min(),
    "a difference may be negative: take the absolute value before you look for the largest",
)
