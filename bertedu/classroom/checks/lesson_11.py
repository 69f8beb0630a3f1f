"""Checks of lesson 11: question answering, an answer as two positions."""

import random
import re
import string
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bertedu.classroom.checks.drawing import normal, some
from bertedu.classroom.checks.framework import check

# Predict


@check("11", value=True)
def head_sizes() -> list[int]:
    """How many parameters the head has, in this model and in BERT-base."""
    vectors = 2  # start and end, each with a bias
    return [vectors * (width + 1) for width in (384, 768)]


head_sizes.wrong("no biases", [768, 1536], "the two vectors are there; each dot product has a bias")
head_sizes.wrong(
    "one vector", [385, 769], "that is one vector and its bias; start and end have one each"
)
head_sizes.wrong(
    "one a position",
    [512 * 385, 512 * 769],
    "the same two vectors are used at every position: the number of positions plays no part",
)


@check("11", value=True, hints=("choose the start, then count the ends that are left",))
def how_many_spans() -> list[int]:
    """How many spans 5 tokens have: all of them, and those of at most 2 tokens."""
    spans = [(i, j) for i in range(5) for j in range(i, 5)]
    return [len(spans), sum(j - i < 2 for i, j in spans)]


how_many_spans.wrong(
    "all pairs", [25, 10], "5 x 5 are all pairs; those whose end comes before the start are no span"
)
how_many_spans.wrong(
    "no single tokens",
    [10, 4],
    "a span of one token is one, too: `gravity` begins and ends in the same place",
)
how_many_spans.wrong(
    "beyond the end",
    [15, 10],
    "15 is correct; with at most 2 tokens, the last token has one span only: no token follows it",
)


@check(
    "11",
    value=True,
    within=0.005,
    hints=("articles and case do not count: which words are left of each?",),
)
def official_scores() -> list[float]:
    """Exact match and F1 of "Within a cloud" where "the cloud" is correct, with two decimals."""
    found, gold = ["within", "cloud"], ["cloud"]
    precision, recall = len(gold) / len(found), 1
    return [0.0, 2 * precision * recall / (precision + recall)]


official_scores.wrong(
    "articles count",
    [0.0, 0.4],
    "you count the articles as words; a, an and the are taken away before comparing",
)
official_scores.wrong(
    "precision", [0.0, 0.5], "that is the precision, 1 of 2 words; F1 combines it with the recall"
)
official_scores.wrong(
    "recall", [0.0, 1.0], "that is the recall, 1 of 1 word; F1 combines it with the precision"
)
official_scores.wrong(
    "exact", [1.0, 0.67], "the F1 is correct; but `within` is one word too many for an exact match"
)


# Complete


def _logits_and_ends() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(11)
    return [
        (torch.randn(S, generator=rng), torch.randn(S, generator=rng) * 2, start, end)
        for S, start, end in ((5, 1, 3), (7, 4, 4), (6, 0, 0), (9, 2, 8))
    ]


def _any_logits(rng: random.Random) -> tuple[Any, ...]:
    S = rng.randint(2, 8)
    start = rng.randrange(S)
    return *normal(rng, 2, S, scale=2), start, rng.randrange(start, S)


@check(
    "11",
    cases=_logits_and_ends,
    hints=(
        "two questions, each with S possible answers: two cross-entropies",
        "`-start_logits.log_softmax(0)[start]` is the first; take the mean of both",
    ),
    drawn=_any_logits,
)
def span_loss(start_logits: Tensor, end_logits: Tensor, start: int, end: int) -> float:
    """The loss of one answer: the mean of -log p of its start and of its end."""
    p_start = start_logits.exp() / start_logits.exp().sum()
    p_end = end_logits.exp() / end_logits.exp().sum()
    return float(-p_start[start].log() - p_end[end].log()) / 2


def _nats(logits: Tensor, place: int) -> Tensor:
    return -logits.log_softmax(0)[place]


span_loss.wrong(
    "sum",
    lambda s, e, start, end: _nats(s, start) + _nats(e, end),
    "you add the two; BERT's loss is their mean, half of that",
)
span_loss.wrong(
    "start only",
    lambda s, e, start, end: _nats(s, start),
    "the end is missing: take the mean of both losses",
)
span_loss.wrong(
    "one vector for both",
    lambda s, e, start, end: (_nats(s, start) + _nats(s, end)) / 2,
    "both places are looked up among the start logits; the end has logits of its own",
)
span_loss.wrong(
    "one softmax",
    lambda s, e, start, end: F.cross_entropy(
        torch.cat([s, e])[None].repeat(2, 1), torch.tensor([start, len(s) + end])
    ),
    "you put starts and ends into one softmax; each is a softmax over the positions by itself",
)
span_loss.wrong(
    "probabilities",
    lambda s, e, start, end: -(s.softmax(0)[start] + e.softmax(0)[end]) / 2,
    "the log is missing: the loss is -log p, in nats",
)


def _documents() -> list[tuple[Any, ...]]:
    text = 'Rain falls under  GRAVITY, says "Meteorology for All".'
    offsets = [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]
    return [(text, offsets, 3, 3), (text, offsets, 2, 3), (text, offsets, 6, 9),
            (text, offsets, 0, len(offsets) - 1)]  # fmt: skip


def _any_document(rng: random.Random) -> tuple[Any, ...]:
    words = some(rng, ["Rain", "falls", "GRAVITY", "water-vapor", '"ice"', " a", "(hail)"], 2, 6)
    text = " ".join(words) + "."
    offsets = [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]
    first = rng.randrange(len(offsets))
    return text, offsets, first, rng.randrange(first, len(offsets))


@check(
    "11",
    cases=_documents,
    hints=(
        "a token's offsets say where it begins, and the place after its last character",
        "the document from the first one's beginning to the last one's end",
    ),
    drawn=_any_document,
)
def answer_text(document: str, offsets: list[tuple[int, int]], first: int, last: int) -> str:
    """The answer from token `first` to token `last`, exactly as the document has it."""
    inside = range(offsets[first][0], offsets[last][1])
    return "".join(document[i] for i in inside)


answer_text.wrong(
    "tokens joined",
    lambda document, offsets, first, last: " ".join(
        document[a:b] for a, b in offsets[first : last + 1]
    ),
    "you join tokens with blanks: `water-vapor` becomes `water - vapor`. Slice the document once",
)
answer_text.wrong(
    "without the last",
    lambda document, offsets, first, last: document[offsets[first][0] : offsets[last][0]],
    "the last token is missing: it belongs to the answer, so go to its end",
)
answer_text.wrong(
    "lower case",
    lambda document, offsets, first, last: document[offsets[first][0] : offsets[last][1]].lower(),
    "the model reads lower case, but the reader wants the document's own letters",
)
answer_text.wrong(
    "one character more",
    lambda document, offsets, first, last: document[offsets[first][0] : offsets[last][1] + 1],
    "one character too many: an offset's end is already the place *after* the token",
)

# Build


def _few_logits() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(12)
    return [(torch.randn(D, generator=rng) * 2, torch.randn(D, generator=rng) * 2, n)
            for D, n in ((4, 3), (6, 4), (3, 6), (8, 5))]  # fmt: skip


def _few(rng: random.Random) -> tuple[Any, ...]:
    return *normal(rng, 2, rng.randint(1, 6), scale=2), rng.randint(1, 6)


@check(
    "11",
    cases=_few_logits,
    hints=(
        "score every pair with end >= start; one softmax over all these scores",
        "`(start[:, None] + end).triu()` has the scores, and zeros that must not take part",
    ),
    drawn=_few,
)
def n_best(start: Tensor, end: Tensor, n: int) -> list[tuple[int, int, float]]:
    """The n likeliest spans as (first, last, probability), of one softmax over all legal spans."""
    weights = {
        (i, j): float((start[i] + end[j]).exp())
        for i in range(len(start))
        for j in range(i, len(end))
    }
    ranked = sorted(weights, key=lambda span: -weights[span])[:n]
    return [(i, j, weights[i, j] / sum(weights.values())) for i, j in ranked]


def _ranked(start: Tensor, end: Tensor, n: int, legal: int = 0, of: str = "all") -> Any:
    D = len(start)
    scores = start[:, None] + end
    scores = scores.masked_fill(~torch.ones(D, D).triu(legal).bool(), -torch.inf)
    size = min(n, int(scores.isfinite().sum()))
    best = scores.flatten().topk(size)
    whole = {
        "all": scores.flatten().logsumexp(0),
        "n best": best.values.logsumexp(0),
        "two softmaxes": start.logsumexp(0) + end.logsumexp(0),
    }[of]
    return [
        (place // D, place % D, float((score - whole).exp()))
        for place, score in zip(best.indices.tolist(), best.values, strict=True)
    ]


n_best.wrong(
    "two softmaxes",
    lambda start, end, n: _ranked(start, end, n, of="two softmaxes"),
    "the order is correct; but these are products of two softmaxes, which also give a part to "
    "pairs that are not legal",
)
n_best.wrong(
    "softmax over the n best",
    lambda start, end, n: _ranked(start, end, n, of="n best"),
    "your softmax runs over the n best only: with n = 1 every probability would be 100 %",
)
n_best.wrong(
    "end before start",
    lambda start, end, n: _ranked(start, end, n, legal=-len(start)),
    "some of your spans end before they start",
)
n_best.wrong(
    "no single tokens",
    lambda start, end, n: _ranked(start, end, n, legal=1),
    "a span of one token is missing: first and last may be the same place",
)
n_best.wrong(
    "scores",
    lambda start, end, n: [(i, j, float(start[i] + end[j])) for i, j, _ in _ranked(start, end, n)],
    "the spans are correct; you give their scores, and their probabilities are asked for",
)


_SAID = ["rain", "Rain", "snow.", "snow", "ice", "the", "The", "a", "an", "cloud!", "theory"]


def _any_answers(rng: random.Random) -> tuple[Any, ...]:
    return " ".join(some(rng, _SAID, 0, 5)), " ".join([*some(rng, _SAID, 0, 4), "rain"])


@check(
    "11",
    cases=lambda: [
        ("within a cloud", "the cloud"),
        ("Gravity.", "gravity"),
        ("rain rain snow", "rain snow"),
        ("drizzle", "graupel"),
        ("ice crystals in cold air", "cold ice crystals"),
        ("a dog", "Dog!"),
        ("rain rain snow", "rain rain"),
    ],
    hints=(
        "`collections.Counter(a) & collections.Counter(b)` has the words that both have",
        "2 * common / (words of the one + words of the other); 0 if nothing is common",
    ),
    drawn=_any_answers,
)
def word_f1(prediction: str, gold: str) -> float:
    """F1 of the words that two answers share; case, punctuation, a, an, the do not count."""
    found, right = _kept(prediction), _kept(gold)
    common = sum(min(found.count(word), right.count(word)) for word in set(found))
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(right)
    return 2 * precision * recall / (precision + recall)


def _kept(text: str, articles: bool = False) -> list[str]:
    plain = text.lower().translate(str.maketrans("", "", string.punctuation))
    return [word for word in plain.split() if articles or word not in {"a", "an", "the"}]


def _common(prediction: str, gold: str) -> int:
    return (Counter(_kept(prediction)) & Counter(_kept(gold))).total()


def _f1(found: list[str], right: list[str]) -> float:
    common = sum(min(found.count(word), right.count(word)) for word in set(found))
    return 2 * common / (len(found) + len(right))


word_f1.wrong(
    "counted once",
    lambda prediction, gold: (
        2
        * len(set(_kept(prediction)) & set(_kept(gold)))
        / (len(_kept(prediction)) + len(_kept(gold)))
    ),
    "a word that both have twice is twice in common: count, do not only collect",
)
word_f1.wrong(
    "articles count",
    lambda prediction, gold: _f1(_kept(prediction, True), _kept(gold, True)),
    "a, an and the still count as words: the official rules take them away first",
)
word_f1.wrong(
    "letters as they are",
    lambda prediction, gold: _f1(prediction.split(), gold.split()),
    "compare without case, punctuation and articles: `Gravity.` is as good as `gravity`",
)
word_f1.wrong(
    "sets",
    lambda prediction, gold: _f1([*set(_kept(prediction))], [*set(_kept(gold))]),
    "a word that is there twice counts twice: use a Counter, not a set",
)
word_f1.wrong(
    "Jaccard",
    lambda prediction, gold: (
        (both := _common(prediction, gold)) / (len(_kept(prediction) + _kept(gold)) - both)
    ),
    "you divide by the words of both together, each once; F1 is 2 · common / (words + words)",
)
word_f1.wrong(
    "precision",
    lambda prediction, gold: (
        _f1(_kept(prediction), _kept(gold))
        * (len(_kept(prediction)) + len(_kept(gold)))
        / (2 * len(_kept(prediction)))
    ),
    "that is the precision: one correct word of many would get 1. F1 counts the recall, too",
)
