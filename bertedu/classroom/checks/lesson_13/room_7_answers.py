"""Exhibits 24 to 27, the room of answers: their checks."""

import random
import statistics
from typing import Any

import torch
from torch import Tensor

from bertedu.classroom.checks.drawing import normal
from bertedu.classroom.checks.framework import check


def _span_cases() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(32)
    first = torch.tensor([[1.0, 4.5, 0.5, 0.0], [0.0, 1.0, 4.0, 0.5]])
    return [
        (*first, 1, 2),
        (*torch.randn(2, 6, generator=rng), 0, 4),
        (*torch.randn(2, 3, generator=rng), 2, 2),
    ]


def _any_span(rng: random.Random) -> tuple[Any, ...]:
    S = rng.randint(2, 6)
    start = rng.randrange(S)
    return *normal(rng, 2, S), start, rng.randrange(start, S)


@check(
    "13",
    cases=_span_cases,
    hints=(
        "two softmaxes give two probabilities; both must come true",
        "the probability that start *and* end are so is the product",
    ),
    drawn=_any_span,
)
def span_probability(start_logits: Tensor, end_logits: Tensor, start: int, end: int) -> float:
    """The probability of an answer, start and end drawn independently."""
    starts, ends = start_logits.double().exp(), end_logits.double().exp()
    return float(starts[start] / starts.sum() * ends[end] / ends.sum())


def _both(start_logits: Tensor, end_logits: Tensor, start: int, end: int) -> tuple[Any, Any]:
    return start_logits.softmax(-1)[start], end_logits.softmax(-1)[end]


def _of_legal_spans(s: Tensor, e: Tensor, start: int, end: int) -> Tensor:
    legal = (s[:, None] + e).masked_fill(~torch.ones(len(s), len(s)).triu().bool(), -torch.inf)
    return (s[start] + e[end] - legal.logsumexp((0, 1))).exp()


span_probability.right("one softmax over all legal spans, as in lesson 11", _of_legal_spans)
span_probability.wrong(
    "sum of logits",
    lambda s, e, i, j: s[i] + e[j],
    "a sum of logits is no probability: it can be 8.5, or -3. Take two softmaxes first",
)
span_probability.wrong(
    "mean",
    lambda s, e, i, j: sum(_both(s, e, i, j)) / 2,
    "the mean of two probabilities is the published first repair, and it is wrong, too. "
    "Both must come true: multiply",
)
span_probability.wrong(
    "sum of probabilities",
    lambda s, e, i, j: sum(_both(s, e, i, j)),
    "a sum of two probabilities can be above 1; both must come true, so multiply",
)
span_probability.wrong(
    "start only",
    lambda s, e, i, j: _both(s, e, i, j)[0],
    "you use the start only; the end must come true as well",
)


def _qa_cases() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(33)
    toy = torch.tensor([[0.0, 0, 1.0, 5.0, 2.0, 0], [0.0, 0, 4.5, 1.0, 3.0, 0]])
    question = torch.tensor([[0.0, 9.0, 1.0, 2.0, 0], [0.0, 9.0, 2.0, 1.0, 3.0]])
    one_token = torch.tensor([[0.0, 0, 6.0, 1.0], [0.0, 0, 6.0, 2.0]])
    greedy = torch.tensor([[0.0, 0, 4.5, 5.0, 0], [0.0, 0, 6.0, 0, 0.5]])
    below = torch.tensor([[0.0, 0, -5.0, -1.0, -6.0], [0.0, 0, -1.0, -6.0, -2.0]])
    cases = [(*toy, 2), (*question, 2), (*one_token, 1), (*greedy, 1), (*below, 2)]
    return [*cases, *((*torch.randn(2, 9, generator=rng), 3) for _ in range(3))]


def _any_text(rng: random.Random) -> tuple[Any, ...]:
    S = rng.randint(3, 8)
    return *(normal(rng, 2, S, scale=2) - rng.choice([0, 0, 5])), rng.randrange(S - 1)


@check(
    "13",
    cases=_qa_cases,
    hints=(
        "judge all pairs start <= end in the context by the sum of their logits; take the best",
        "`torch.triu` keeps the pairs on and above the diagonal of start[:, None] + end[None, :]",
    ),
    drawn=_any_text,
)
def best_span(start_logits: Tensor, end_logits: Tensor, context: int) -> tuple[int, int]:
    """The best (start, end) with start <= end, both from position `context` on."""
    length = len(start_logits)
    spans = [(i, j) for i in range(context, length) for j in range(i, length)]
    return max(spans, key=lambda span: float(start_logits[span[0]] + end_logits[span[1]]))


def _best(start: Tensor, end: Tensor, context: int, above: int = 0) -> tuple[int, int]:
    scores = start[:, None] + end[None, :]
    allowed = torch.ones_like(scores).triu(above).bool()
    allowed[:context], allowed[:, :context] = False, False
    number = int(scores.masked_fill(~allowed, float("-inf")).argmax())
    return divmod(number, len(start))


best_span.wrong(
    "two argmaxes",
    lambda s, e, context: (int(s.argmax()), int(e.argmax())),
    "still chosen separately: the end can come before the start, or they lie in the question",
)
best_span.wrong(
    "zeros of triu",
    lambda s, e, context: tuple(
        context + place
        for place in divmod(
            int((s[context:, None] + e[context:]).triu().argmax()), len(s) - context
        )
    ),
    "`triu` leaves zeros below the diagonal, and 0 is more than a negative score: put minus "
    "infinity there",
)
best_span.wrong(
    "strictly above",
    lambda s, e, context: _best(s, e, context, 1),
    "answers of one token are forbidden now, a published repair that broke them: start == end is "
    "an answer (course PR #613)",
)
best_span.wrong(
    "question allowed",
    lambda s, e, context: _best(s, e, 0),
    "start <= end holds, but the answer may still lie in the question: begin at `context`",
)
best_span.wrong(
    "end after the best start",
    lambda s, e, context: (
        (i := context + int(s[context:].argmax())),
        i + int(e[i:].argmax()),
    ),
    "you fix the start first; a slightly worse start may have a much better end. Judge pairs",
)
best_span.wrong(
    "swapped",
    lambda s, e, context: tuple(
        sorted((context + int(s[context:].argmax()), context + int(e[context:].argmax())))
    ),
    "swapping start and end makes a span that nobody scored: look for the best valid pair",
)


@check(
    "13",
    cases=lambda: [
        ([3.0, 9.0, 8.0], 7.0),
        ([3.0], 7.0),
        ([9.0, 8.0], 7.0),
        ([2.0, 7.5, 7.5], 4.0),
        ([1.0, 5.0, 6.0], 0.0),
        ([8.0, 9.0, 1.0], 3.0),
    ],
    hints=(
        "most windows of a long text hold no answer, and their null scores are high",
        "there is an answer if *some* window has one: the smallest null score counts",
    ),
    drawn=lambda rng: ([rng.uniform(0, 9) for _ in range(rng.randint(1, 5))], rng.uniform(0, 9)),
)
def has_answer(null_scores: list[float], best_span_score: float) -> bool:
    """Whether a text of several windows holds an answer, from each window's "none" score."""
    return any(score <= best_span_score for score in null_scores)


has_answer.wrong(
    "largest",
    lambda nulls, best: best >= max(nulls),
    "still the largest null score: one window without the answer is enough for no answer",
)
has_answer.wrong(
    "mean",
    lambda nulls, best: best >= sum(nulls) / len(nulls),
    "windows that hold no answer still raise the mean: take the smallest",
)
has_answer.wrong(
    "median",
    lambda nulls, best: best >= statistics.median(nulls),
    "the median is still high where most windows hold no answer: take the smallest",
)
has_answer.wrong(
    "first window",
    lambda nulls, best: best >= nulls[0],
    "you ask the first window only; the answer may be in any of them",
)
has_answer.wrong(
    "turned round",
    lambda nulls, best: best < min(nulls),
    "the smallest is correct, but reversed: there is an answer if the span scores higher",
)


def _any_windows(rng: random.Random) -> tuple[Any, ...]:
    size = rng.randint(2, 12)
    return rng.randint(1, 40), size, rng.randrange(size)


@check(
    "13",
    cases=lambda: [
        (157, 114, 14),
        (10, 10, 2),
        (1000, 354, 128),
        (5, 8, 3),
        (11, 4, 3),
        (9, 4, 0),
        (3, 8, 3),
        (1, 5, 4),
        (8, 8, 3),
        (9, 8, 7),
    ],
    hints=(
        "the next window begins `size - overlap` later",
        "stop as soon as a window reaches the end of the text",
    ),
    drawn=_any_windows,
)
def windows(length: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Windows (start, end) that cover a text; neighbours share `overlap` tokens."""
    found = [(0, min(size, length))]
    while found[-1][1] < length:
        start = found[-1][1] - overlap
        found.append((start, min(start + size, length)))
    return found


def _windows(length: int, size: int, step: int) -> list[tuple[int, int]]:
    starts = range(0, length, max(step, 1))
    return [(start, min(start + size, length)) for start in starts]


windows.wrong(
    "overlap as step",
    _windows,
    "you go on by `overlap` tokens; that is how many are *shared*. The step is size - overlap",
)
windows.wrong(
    "no overlap",
    lambda length, size, overlap: _windows(length, size, size),
    "neighbours share no token: an answer that crosses the border is cut in two",
)
windows.wrong(
    "leaves a gap",
    lambda length, size, overlap: _windows(length, size, size + overlap),
    "between two windows there are tokens that no window reads",
)
windows.wrong(
    "one too many",
    lambda length, size, overlap: _windows(length, size, size - overlap),
    "the last window only repeats what the one before has read: stop when the end is reached",
)
windows.wrong(
    "end cut off",
    lambda length, size, overlap: [
        (start, start + size) for start in range(0, length - size + 1, size - overlap)
    ],
    "the end of the text is in no window: the last one may be shorter",
)
