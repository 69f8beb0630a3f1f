"""Exhibits 8 to 10, the room of sentence pairs: their checks."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bertedu.classroom.checks.comparing import plain
from bertedu.classroom.checks.drawing import normal, some
from bertedu.classroom.checks.framework import check
from bertedu.heads import IS_NEXT


def _others(draw: Callable[..., Any], follows: int, count: int) -> Any:
    rng = random.Random(19)
    random.seed(0)
    drawn = [plain(draw(follows, count, rng)) for _ in range(400 * count)]
    again = random.Random(19)
    random.seed(1)  # whoever asks the global generator gets other numbers now
    repeated = [plain(draw(follows, count, again)) for _ in range(20)]
    times = Counter(drawn)
    expected = len(drawn) / (count - 1)
    even = all(abs(times[i] - expected) < 6 * expected**0.5 for i in range(count) if i != follows)
    return {
        "never the true next one": times[follows] == 0,
        "in range": set(drawn) <= set(range(count)),
        "not always the same": len(set(drawn)) > 1 or count == 2,
        "all the others": set(drawn) >= set(range(count)) - {follows},
        "equally often": even,
        "all of the randomness is rng's": repeated == drawn[:20],
    }


@check(
    "13",
    cases=lambda: [(3, 5), (1, 2), (0, 9), (8, 9)],
    through=_others,
    hints=(
        "draw until the number is another one, or draw from one sentence fewer",
        "`number = rng.randrange(count - 1)`, and one more if it is not below `follows`",
    ),
)
def other_sentence(follows: int, count: int, rng: random.Random) -> int:
    """A random sentence 0 ... count - 1 that is not the true next one, each equally likely."""
    return rng.choice([number for number in range(count) if number != follows])


other_sentence.wrong(
    "any sentence",
    lambda follows, count, rng: rng.randrange(count),
    "the true next sentence is still drawn sometimes, and then called random",
)
other_sentence.wrong(
    "the first drawn again once",
    lambda follows, count, rng: (
        first if (first := rng.randrange(count)) != follows else rng.randrange(count)
    ),
    "one second chance makes it rarer, not impossible: draw again *until* it is another one",
)
other_sentence.wrong(
    "the global generator",
    lambda follows, count, _: random.choice([i for i in range(count) if i != follows]),
    "not all of it comes from `rng`: the same `rng` must give the same sentences again",
)
other_sentence.wrong(
    "the neighbour",
    lambda follows, count, rng: (
        first if (first := rng.randrange(count)) != follows else (follows + 1) % count
    ),
    "then the neighbour is drawn twice as often as the others: draw again instead",
)
other_sentence.wrong(
    "always the same",
    lambda follows, count, rng: (follows + 1) % count,
    "that is one fixed sentence; each of the others must be equally likely",
)


def _pair_logits() -> list[tuple[Any, ...]]:
    rng = torch.Generator().manual_seed(20)
    return [(torch.tensor([[2.0, -1.0]]),), (torch.randn(5, 2, generator=rng),)]


@check(
    "13",
    cases=_pair_logits,
    hints=(
        "which column is 'B follows A'? bertedu.heads.IS_NEXT is its number",
        "a softmax over the two columns, then that column",
    ),
    drawn=lambda rng: (normal(rng, rng.randint(1, 6), 2, scale=2),),
)
def probability_of_next(logits: Tensor) -> list[float]:
    """The probability that B follows A, from logits [N, 2]."""
    shares = logits.double().exp()
    return [float(row[IS_NEXT] / row.sum()) for row in shares]


probability_of_next.wrong(
    "column 1",
    lambda logits: logits.softmax(-1)[:, 1],
    "column 1 is 'B is random': you give one minus the answer",
)
probability_of_next.wrong(
    "sigmoid",
    lambda logits: logits[:, 0].sigmoid(),
    "one logit says nothing without the other: take a softmax over both columns",
)
probability_of_next.wrong(
    "over the pairs",
    lambda logits: logits.softmax(0)[:, 0],
    "your softmax runs over the pairs; it should run over the two columns of each",
)
probability_of_next.wrong(
    "logit", lambda logits: logits[:, 0], "that is the logit, not yet a probability"
)


@check(
    "13",
    cases=lambda: [
        ([["A dog.", "It barks."], ["A sum.", "It is odd.", "So what?"]],),
        ([["One.", "Two."]],),
        ([["a", "b"], ["c", "d"], ["e", "f", "g"]],),
    ],
    hints=(
        "one sentence a line; what does a blank line end?",
        "join the sentences of a document by one line break, and the documents by two",
    ),
    drawn=lambda rng: (
        [
            some(rng, ["A dog.", "It barks.", "So what?", "No."], 1, 4)
            for _ in range(rng.randint(1, 4))
        ],
    ),
)
def corpus_text(documents: list[list[str]]) -> str:
    """Documents as BERT's pretraining code reads them: a sentence a line, a blank line between."""
    lines = []
    for number, sentences in enumerate(documents):
        lines += [""] * (number > 0) + sentences
    return "\n".join(lines)


corpus_text.right(
    "a line break at the end",
    lambda documents: "\n\n".join("\n".join(d) for d in documents) + "\n",
)
corpus_text.wrong(
    "blank line after each sentence",
    lambda documents: "\n\n".join(s for d in documents for s in d),
    "a blank line ends a document: yours have one sentence each, and no sentence has a next one",
)
corpus_text.wrong(
    "no blank line",
    lambda documents: "\n".join(s for d in documents for s in d),
    "without blank lines all is one document, and there is no other one for a random B",
)
corpus_text.wrong(
    "a line for a document",
    lambda documents: "\n\n".join(" ".join(d) for d in documents),
    "a whole document in one line counts as one sentence: one line for each sentence",
)
corpus_text.wrong(
    "blank line at the end",
    lambda documents: "".join("\n".join(d) + "\n\n" for d in documents),
    "blank lines stand *between* documents; yours also ends with one",
)
