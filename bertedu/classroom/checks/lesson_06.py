"""Checks of lesson 06: the whole model."""

import random
from typing import Any

import torch
from torch import Tensor, nn

from bertedu.classroom.checks.comparing import plain
from bertedu.classroom.checks.drawing import padded, whole
from bertedu.classroom.checks.framework import check
from bertedu.config import BertConfig

# Predict


@check("06", value=True)
def more_for_heads() -> int:
    """How many parameters more BERT-base has with 24 heads instead of 12."""
    return 0


more_for_heads.wrong(
    "twice the attention",
    12 * 4 * (768 * 768 + 768),
    "heads cut the width, they do not add to it: 24 heads are half as wide",
)
more_for_heads.wrong(
    "queries, keys, values",
    12 * 3 * (768 * 768 + 768),
    "queries, keys and values have H numbers in all, however they are cut",
)
more_for_heads.wrong(
    "fewer",
    -12 * 2 * 768 * 768,
    "narrower heads have smaller matrices each, but there are twice as many: the sum stays",
)


@check("06", value=True)
def more_for_length() -> int:
    """How many parameters more BERT-base has when it reads 1,024 tokens."""
    return (1024 - 512) * 768


more_for_length.wrong(
    "nothing", 0, "one of the three tables has a row for each place of the text: which?"
)
more_for_length.wrong(
    "all rows", 1024 * 768, "that is the whole new table; 512 of its rows were there before"
)
more_for_length.wrong("rows only", 512, "that is how many rows there are more; each has H numbers")
more_for_length.wrong(
    "rows in each layer",
    12 * 512 * 768,
    "positions are looked up once, before the first layer; the layers have no rows of their own",
)


# Complete


@check(
    "06",
    cases=lambda: [(768, 3072), (128, 512), (312, 1200), (64, 64)],
    hints=(
        "four square matrices with their biases; two matrices H × wide with theirs; two LayerNorms",
        "a dense layer from a to b numbers has a · b + b parameters; a LayerNorm has 2 H",
    ),
    drawn=lambda rng: (rng.randint(2, 99), rng.randint(2, 399)),
)
def one_layer(H: int, wide: int) -> int:
    """The parameters of one layer, for width H and any feed-forward width."""
    layer = [nn.Linear(H, H, device="meta") for _ in ("query", "key", "value", "output")]
    layer += [nn.Linear(H, wide, device="meta"), nn.Linear(wide, H, device="meta")]
    norms = [nn.LayerNorm(H, device="meta") for _ in range(2)]
    return sum(p.numel() for part in [*layer, *norms] for p in part.parameters())


def _layer(H: int, wide: int, squares: int = 4, norms: int = 2, biases: bool = True) -> int:
    dense = squares * H * H + 2 * H * wide + biases * (squares * H + wide + H)
    return dense + norms * 2 * H


one_layer.wrong(
    "no biases",
    lambda H, wide: _layer(H, wide, biases=False),
    "the biases are missing: a dense layer to b numbers has b more",
)
one_layer.wrong(
    "no LayerNorm",
    lambda H, wide: _layer(H, wide, norms=0),
    "the two LayerNorms are missing, H scales and H shifts each",
)
one_layer.wrong(
    "one LayerNorm",
    lambda H, wide: _layer(H, wide, norms=1),
    "a layer has two LayerNorms: after the attention, and after the feed-forward network",
)
one_layer.wrong(
    "three squares",
    lambda H, wide: _layer(H, wide, squares=3),
    "besides queries, keys and values there is a fourth square matrix, which mixes the heads' "
    "results",
)
one_layer.wrong(
    "4 H",
    lambda H, wide: _layer(H, 4 * H),
    "correct only where `wide` is 4 H: use `wide` itself",
)


def _real() -> list[tuple[Any, ...]]:
    lengths = [([6, 10], 10), ([3, 2, 1], 3), ([4, 4, 2, 1], 5)]
    return [(torch.arange(S) < torch.tensor(rows)[:, None],) for rows, S in lengths]


def _for_keys(mask: Any) -> Any:
    """A mask without what only repeats it: it may be spread over heads and queries."""
    mask = torch.as_tensor(mask)
    same = mask.dim() == 4 and torch.equal(mask, mask[:, :1, :1].expand_as(mask))
    return plain(mask[:, :1, :1] if same else mask)


@check(
    "06",
    read=_for_keys,
    cases=_real,
    hints=(
        "the scores are [B, A, queries, keys]; a 1 in a shape stands for 'the same for all'",
        "the values stay in the last place; `[:, None, None, :]` puts two ones before it",
    ),
    drawn=lambda rng: (padded(rng, rng.randint(1, 3), rng.randint(2, 5)).bool(),),
)
def mask_for_keys(real: Tensor) -> Tensor:
    """A mask [B, S] in the shape that shuts out keys."""
    B, S = real.shape
    return real.reshape(B, 1, 1, S)


mask_for_keys.wrong(
    "queries",
    lambda real: real[:, None, :, None],
    "that is the published mistake: it shuts out queries, and all tokens still look at padding",
)
mask_for_keys.wrong(
    "no change",
    lambda real: real,
    "[B, S] against [B, A, queries, keys]: the B would be taken for the queries",
)
mask_for_keys.wrong(
    "one dimension short",
    lambda real: real[:, None, :],
    "a dimension is missing: B would meet the heads",
)
mask_for_keys.wrong(
    "both",
    lambda real: real[:, None, :, None] & real[:, None, None, :],
    "queries are shut out as well: a row without any key gives nan; shut out only the keys",
)
mask_for_keys.wrong(
    "turned round",
    lambda real: ~real[:, None, None, :],
    "the shape is correct, but True must still mean a real token",
)

# Build


def _configs() -> list[tuple[Any, ...]]:
    small = BertConfig(
        vocab_size=100,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=50,
        max_position_embeddings=40,
    )
    return [(BertConfig(),), (small,), (BertConfig(num_hidden_layers=1, hidden_size=96),)]


def _any_config(rng: random.Random) -> tuple[Any, ...]:
    config = BertConfig(
        vocab_size=rng.randint(9, 99),
        hidden_size=2 * rng.randint(1, 20),
        num_hidden_layers=rng.randint(1, 6),
        num_attention_heads=2,
        intermediate_size=rng.randint(2, 99),
        max_position_embeddings=rng.randint(4, 50),
    )
    return (config,)


@check(
    "06",
    cases=_configs,
    hints=(
        "`by_formula(c)` has the parts; which of them are there once for each layer?",
        "divide attention, feed-forward and LayerNorm by the number of layers",
    ),
    drawn=_any_config,
    count=20,
)
def with_shared_layers(c: BertConfig) -> int:
    """The parameters of a BERT whose layers are one and the same, encoder and pooler."""
    H = c.hidden_size
    rows = c.vocab_size + c.max_position_embeddings + c.type_vocab_size
    embeddings, pooler = rows * H + 2 * H, H * H + H
    return embeddings + int(one_layer.oracle(H, c.intermediate_size)) + pooler


def _shared(c: BertConfig, layers: int = 1, pooler: bool = True, heads: int = 0) -> int:
    H, layer = c.hidden_size, int(one_layer.oracle(c.hidden_size, c.intermediate_size))
    without = int(with_shared_layers.oracle(c)) - layer
    return without + layers * layer - (not pooler) * (H * H + H) + heads


with_shared_layers.wrong(
    "not shared",
    lambda c: _shared(c, c.num_hidden_layers),
    "that is the BERT with L different layers; here one layer is used L times: count it once",
)
with_shared_layers.wrong(
    "no pooler", lambda c: _shared(c, pooler=False), "the pooler is missing: H × H and H biases"
)
with_shared_layers.wrong(
    "no layer", lambda c: _shared(c, layers=0), "one layer is left, and it has parameters"
)
with_shared_layers.wrong(
    "all divided",
    lambda c: _shared(c, c.num_hidden_layers) // c.num_hidden_layers,
    "only the layers are shared: embeddings and pooler are there once already",
)
with_shared_layers.wrong(
    "with the heads",
    lambda c: _shared(c, heads=c.hidden_size**2 + 5 * c.hidden_size + c.vocab_size + 2),
    "the pretraining heads are in it; the exercise asks for encoder and pooler only",
)


class _Layer(nn.Module):
    """A stand-in for a layer: it does something to every token, and more to one that is masked."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        if mask.dtype != torch.bool or mask.shape != (len(states), 1, 1, states.shape[1]):
            raise ValueError("a layer needs a boolean mask [B, 1, 1, S]")
        mean = (states * mask[:, 0, 0, :, None]).sum(1, keepdim=True)
        return states * (self.number + 2) + mean


class _Model(nn.Module):
    """A stand-in for the model of the lesson, with the same parts and simpler arithmetic."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer(n) for n in range(layers))})

    def embeddings(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        return torch.stack([input_ids.float(), token_type_ids.float() + 1], dim=-1)


def _models() -> list[tuple[Any, ...]]:
    ids = torch.tensor([[2, 7, 5, 3], [2, 9, 3, 0]])
    segments, mask = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0]]), (ids != 0).long()
    return [(_Model(3), n, ids, segments, mask) for n in (0, 1, 3)]


def _any_model(rng: random.Random) -> tuple[Any, ...]:
    layers, shape = rng.randint(1, 4), (rng.randint(1, 3), rng.randint(2, 5))
    mask, segments = padded(rng, *shape), whole(rng, 0, 2, *shape)
    return _Model(layers), rng.randint(0, layers), whole(rng, 1, 9, *shape), segments, mask


@check(
    "06",
    cases=_models,
    hints=(
        "embeddings first; then the first n layers, one after the other",
        "`attention_mask.bool()[:, None, None, :]` is the mask that each layer takes",
    ),
    drawn=_any_model,
)
def states_after(
    model: Any, n: int, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor
) -> Tensor:
    """The states after only the first n layers."""
    states: Tensor = model.embeddings(input_ids, token_type_ids)
    for number in range(n):
        states = model.encoder["layer"][number](states, _key_mask(attention_mask))
    return states


def _key_mask(attention_mask: Tensor) -> Tensor:
    return attention_mask.bool()[:, None, None, :]


def _through(layers: Any, states: Tensor, attention_mask: Tensor) -> Tensor:
    for layer in layers:
        states = layer(states, _key_mask(attention_mask))
    return states


states_after.wrong(
    "one more",
    lambda model, n, ids, segments, mask: _through(
        model.encoder["layer"][: n + 1], model.embeddings(ids, segments), mask
    ),
    "one layer too many: with n = 0 the embeddings themselves are asked for",
)
states_after.wrong(
    "all layers",
    lambda model, n, ids, segments, mask: _through(
        model.encoder["layer"], model.embeddings(ids, segments), mask
    ),
    "you run all the layers; stop after n: `[:n]`",
)
states_after.wrong(
    "layer n alone",
    lambda model, n, ids, segments, mask: _through(
        model.encoder["layer"][max(n - 1, 0) : n], model.embeddings(ids, segments), mask
    ),
    "your n-th layer reads the embeddings; it must read what the layers before it returned",
)
states_after.wrong(
    "no mask",
    lambda model, n, ids, segments, mask: _through(
        model.encoder["layer"][:n], model.embeddings(ids, segments), torch.ones_like(mask)
    ),
    "padding changes the result: make the layers' mask from `attention_mask`",
)
states_after.wrong(
    "segments 0",
    lambda model, n, ids, segments, mask: _through(
        model.encoder["layer"][:n], model.embeddings(ids, torch.zeros_like(segments)), mask
    ),
    "the segment ids are not used: the embeddings need them",
)
