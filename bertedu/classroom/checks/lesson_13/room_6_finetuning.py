"""Exhibits 20 to 23, the room of fine-tuning: their checks."""

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bertedu.classroom.checks.drawing import normal, padded, some
from bertedu.classroom.checks.framework import check
from bertedu.utils.validation import IGNORED

_NAMES = [
    "bert.embeddings.word_embeddings.weight",
    "bert.embeddings.LayerNorm.weight",
    "bert.embeddings.LayerNorm.bias",
    "bert.encoder.layer.0.attention.self.query.weight",
    "bert.encoder.layer.0.attention.self.query.bias",
    "bert.encoder.layer.0.output.LayerNorm.weight",
    "bert.pooler.dense.weight",
    "classifier.bias",
]


@check(
    "13",
    cases=lambda: [
        (_NAMES, ["bias", "LayerNorm"]),
        (_NAMES[3:], ["bias"]),
        (_NAMES[:3], ["Norm"]),
        (["gamma", "dense.beta"], ["gamma", "beta"]),
    ],
    hints=(
        "a *part* of the name is looked for: what does `name in list` ask instead?",
        "`any(part in name for part in parts)`",
    ),
    read=sorted,  # in any order
    drawn=lambda rng: (
        rng.sample(_NAMES, rng.randint(1, 8)),
        rng.sample(
            ["bias", "Bias", "LayerNorm", "weight", "norm", "pooler", "layer.0"], rng.randint(1, 3)
        ),
    ),
)
def without_decay(names: list[str], parts: list[str]) -> list[str]:
    """The names of the parameters that do not decay: those with one of the parts in them."""
    found = []
    for name in names:
        for part in parts:
            if part in name and name not in found:
                found.append(name)
    return found


without_decay.wrong(
    "the exhibit",
    lambda names, parts: [name for name in names if name in parts],
    "`name in parts` asks whether the whole name is one of the parts: it never is",
)
without_decay.wrong(
    "at the end",
    lambda names, parts: [name for name in names if name.endswith(tuple(parts))],
    "only the names that *end* so: LayerNorm.weight ends with `weight`, and still must not decay",
)
without_decay.wrong(
    "turned round",
    lambda names, parts: [name for name in names if not any(part in name for part in parts)],
    "these are the ones that *do* decay; the others are asked for",
)
without_decay.wrong(
    "twice",
    lambda names, parts: [name for name in names for part in parts if part in name],
    "a name that has two of the parts in it is in your list twice",
)
without_decay.wrong(
    "all parts",
    lambda names, parts: [name for name in names if all(part in name for part in parts)],
    "one part is enough: `any`, not `all`",
)


class _Toy(nn.Module):
    """A model with dropout, whose training mode shows."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.dropout = nn.Embedding(9, 6), nn.Dropout(0.3)

    def forward(self, input_ids: Tensor, **_: Any) -> Tensor:
        states: Any = self.dropout(self.table(input_ids))
        states.last_hidden_state = states  # as BERT's output has it; both ways to ask are right
        found: Tensor = states
        return found


def _measured(answer: Callable[..., Any], ids: Tensor, training: bool) -> Any:
    torch.manual_seed(30)
    model = _Toy().train(training)
    with torch.enable_grad():
        first, second = (torch.as_tensor(answer(model, ids)) for _ in "12")
        gradients = torch.is_grad_enabled() and all(p.requires_grad for p in model.parameters())
    with torch.no_grad():
        truth = model.table(ids)
    return {
        "same twice": torch.equal(first, second),
        "right": first.shape == truth.shape and torch.allclose(first, truth),
        "no gradient": not first.requires_grad,
        "mode as before": all(part.training == training for part in model.modules()),
        "gradients can be had as before": gradients,
        "dropout as strong as before": model.dropout.p == 0.3,
    }


@check(
    "13",
    cases=lambda: [(torch.tensor([[1, 5, 2, 8]]), True), (torch.tensor([[3, 3], [4, 0]]), False)],
    through=_measured,
    hints=(
        "two switches: one for dropout, one for gradients; you need both",
        "`was = model.training`, `model.eval()`, `with torch.no_grad():`, then `model.train(was)`",
    ),
)
def sentence_states(model: nn.Module, ids: Tensor) -> Tensor:
    """A model's states for measuring: no dropout, no gradient, and the mode put back after."""
    return _quiet(model, ids)


def _quiet(model: nn.Module, ids: Tensor, back: bool | None = None) -> Tensor:
    was = model.training
    model.eval()
    with torch.no_grad():
        states: Tensor = model(ids)
    model.train(was if back is None else back)
    return states


def _without_gradient(model: nn.Module, ids: Tensor) -> Tensor:
    with torch.no_grad():
        states: Tensor = model(ids)
    return states


def _left_off(model: nn.Module, ids: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return _quiet(model, ids)


def _with_gradient(model: nn.Module, ids: Tensor) -> Tensor:
    was = model.training
    states: Tensor = model.eval()(ids)
    model.train(was)
    return states


sentence_states.wrong(
    "the exhibit",
    lambda model, ids: model(ids),
    "dropout is still on: two calls give two results (and gradients are kept as well)",
)
sentence_states.wrong(
    "left off",
    _left_off,
    "gradients stay switched off after your function, and nothing can be trained any more: "
    "`with torch.no_grad():` switches them on again",
)
sentence_states.wrong(
    "no_grad only",
    _without_gradient,
    "dropout is still on: neither `no_grad` (as codertimo/BERT-pytorch#92 believed) nor `detach` "
    "switches it off; `model.eval()` does",
)


def _without_dropout(model: nn.Module, ids: Tensor) -> Tensor:
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return _without_gradient(model, ids)


sentence_states.wrong(
    "dropout 0",
    _without_dropout,
    "dropout stays 0, in training, too: use `model.eval()`, and put the mode back",
)
sentence_states.wrong(
    "eval only",
    _with_gradient,
    "dropout is off, but gradients are still prepared, which costs memory: use `torch.no_grad()`",
)
sentence_states.wrong(
    "never back",
    lambda model, ids: _quiet(model, ids, back=False),
    "the model stays in evaluation mode, so training would go on without dropout",
)
sentence_states.wrong(
    "always training",
    lambda model, ids: _quiet(model, ids, back=True),
    "afterwards the model is in training mode even if it was not before: remember how it was",
)


def _words() -> list[tuple[Any, ...]]:
    return [
        ([1, 2, 2], [None, 0, 0, 0, 1, 2, None]),
        ([0, 3], [None, 0, 1, 1, None]),
        ([4, 0, 4], [None, 0, 1, 2, 2, 2, None, None]),
    ]


def _any_words(rng: random.Random) -> tuple[Any, ...]:
    words: list[int | None] = [None]
    labels = some(rng, [0, 1, 2, 3], 1, 4)
    for number in range(len(labels)):
        words += [number] * rng.choice([1, 1, 2, 3])
    return labels, [*words, *[None] * rng.randint(1, 3)]


@check(
    "13",
    cases=_words,
    hints=(
        "a label stands at a word's first piece only; where is a piece the first?",
        "when its word differs from the word of the piece before (and is not None)",
    ),
    drawn=_any_words,
)
def piece_labels(labels: list[int], words: list[int | None]) -> list[int]:
    """Labels for pieces: the word's label at its first piece, -100 elsewhere."""
    seen: set[int | None] = {None}
    row = []
    for word in words:
        row.append(IGNORED if word is None or word in seen else labels[word])
        seen.add(word)
    return row


def _per_piece(labels: list[int], words: list[int | None], other: int) -> list[int]:
    before = [None, *words]
    return [
        IGNORED if w is None else labels[w] if w != b else other
        for b, w in zip(before, words, strict=False)
    ]


piece_labels.wrong(
    "the exhibit",
    lambda labels, words: [IGNORED if w is None else labels[w] for w in words],
    "still one label for each piece: every piece begins an entity of its own",
)
piece_labels.wrong(
    "O",
    lambda labels, words: _per_piece(labels, words, 0),
    "0 is the label O, 'no entity': then entities end after their first piece. Not asked is -100",
)
piece_labels.wrong(
    "shifted",
    lambda labels, words: (labels + [IGNORED] * len(words))[: len(words)],
    "the labels are shifted: the first token is [CLS], and words have several pieces",
)
piece_labels.wrong(
    "last piece",
    lambda labels, words: [
        IGNORED if w is None or w == after else labels[w]
        for w, after in zip(words, [*words[1:], None], strict=True)
    ],
    "you label the *last* piece of a word; the first one is asked for",
)
piece_labels.wrong(
    "specials",
    lambda labels, words: [0 if label == IGNORED and w is None else label for label, w in
                           zip(_per_piece(labels, words, IGNORED), words, strict=True)],
    "[CLS] and [SEP] belong to no word: they are not asked, so -100",
)  # fmt: skip


def _padded() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(31)
    masks = [[[1, 1, 1, 0, 0]], [[1, 1, 1, 1], [1, 0, 0, 0]], [[1, 1, 0], [1, 1, 1]]]
    return [(torch.randn(len(m), len(m[0]), 4, generator=rng), torch.tensor(m)) for m in masks]


def _any_padded(rng: random.Random) -> tuple[Any, ...]:
    B, S = rng.randint(1, 3), rng.randint(2, 5)
    return normal(rng, B, S, rng.randint(2, 4)), padded(rng, B, S)


@check(
    "13",
    cases=_padded,
    hints=(
        "padding must neither be added nor counted",
        "`mask = attention_mask[:, :, None]`; the sum of states · mask, over mask.sum(1)",
    ),
    drawn=_any_padded,
)
def mean_vector(states: Tensor, attention_mask: Tensor) -> Tensor:
    """One vector a text: the mean of its real tokens' states, [B, S, H] and [B, S] to [B, H]."""
    return torch.stack(
        [row[real.bool()].mean(0) for row, real in zip(states, attention_mask, strict=True)]
    )


def _summed(states: Tensor, mask: Tensor) -> Tensor:
    return (states * mask[:, :, None]).sum(1)


mean_vector.wrong(
    "the exhibit",
    lambda states, mask: states.mean(1),
    "padding is still in the mean: a text's vector depends on its longest neighbour",
)
mean_vector.wrong(
    "divided by S",
    lambda states, mask: _summed(states, mask) / states.shape[1],
    "padding is no longer added, but still counted: divide by the number of real tokens",
)
mean_vector.wrong(
    "sum",
    _summed,
    "that is the sum of the real tokens: long texts get long vectors. Divide by how many there are",
)
mean_vector.wrong(
    "all rows together",
    lambda states, mask: _summed(states, mask) / mask.sum(),
    "you divide by the real tokens of the whole batch; each text has its own number",
)
mean_vector.wrong(
    "CLS",
    lambda states, mask: states[:, 0],
    "that is the [CLS] vector, another way to get one vector a text; here the mean is asked for",
)
