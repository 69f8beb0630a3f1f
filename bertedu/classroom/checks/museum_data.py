"""Checks of the bug museum: the rooms of text and of sentence pairs."""

import argparse
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from bertedu.classroom.checks.framework import check
from bertedu.heads import IS_NEXT

Splits = Mapping[str, Sequence[str]]
_COUNTS = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}


# The room of text


def _splits() -> list[tuple[Any, ...]]:
    start = {w: [w[0], *(f"##{c}" for c in w[1:])] for w in _COUNTS}
    later = start | {"hug": ["hu", "##g"], "hugs": ["hu", "##gs"]}
    other = {"banana": ["b", "##an", "##an", "##a"], "ban": ["b", "##an"], "an": ["a", "##n"]}
    tied = start | {"hugs": ["h", "##u", "##gs"]}
    plain = {"ab": ["a", "##b"], "cd": ["c", "##d"]}
    counted = [(later, _COUNTS), (start, _COUNTS), (tied, _COUNTS), (plain, {"ab": 3, "cd": 2})]
    return [*counted, (other, {"banana": 3, "ban": 2, "an": 5})]


@check(
    "12",
    cases=_splits,
    hints=(
        "count(ab) / (count(a) · count(b)) for every pair; Fractions are never equal by rounding",
        "gather all scores first; then every pair whose score equals the largest",
    ),
)
def best_pairs(splits: Splits, counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """All pairs with the highest score, in alphabetical order."""
    return _best(splits, counts, lambda n, a, b: Fraction(n, a * b))


def _best(
    splits: Splits, counts: Mapping[str, int], score: Callable[[int, int, int], Any]
) -> list[tuple[str, str]]:
    of_piece: Counter[str] = Counter()
    of_pair: Counter[tuple[str, str]] = Counter()
    for word, pieces in splits.items():
        for piece in pieces:
            of_piece[piece] += counts[word]
        for pair in pairwise(pieces):
            of_pair[pair] += counts[word]
    scores = {(a, b): score(n, of_piece[a], of_piece[b]) for (a, b), n in of_pair.items()}
    return sorted(pair for pair, value in scores.items() if value == max(scores.values()))


best_pairs.wrong(
    "the page",
    lambda splits, counts: _best(
        splits, counts, lambda n, a, b: Fraction(1, 15) if a == b == 15 else Fraction(n, a * b)
    ),
    "that is the page's slip: hu ##g stand together 10 times, so that their score is 10/225",
)
best_pairs.wrong(
    "most frequent",
    lambda splits, counts: _best(splits, counts, lambda n, _a, _b: n),
    "that is the most *frequent* pair; the score divides by the counts of both pieces",
)
best_pairs.wrong(
    "one of several",
    lambda splits, counts: _best(splits, counts, lambda n, a, b: Fraction(n, a * b))[:1],
    "only one of several equal pairs: return all that have the highest score",
)
best_pairs.wrong(
    "words, not counts",
    lambda splits, counts: _best(
        splits, dict.fromkeys(counts, 1), lambda n, a, b: Fraction(n, a * b)
    ),
    "each word counts as often as it occurs in the text: use `counts`",
)


@check(
    "12",
    cases=lambda: [
        (arguments.split(),)
        for arguments in (
            "",
            "--lower_case True",
            "--lower_case False",
            "--lower_case false",
            "--lower_case true",
        )
    ],
    hints=(
        "bool('False') is True: every text that is not empty is",
        "compare the text: `type=lambda text: text.lower() == 'true'`",
    ),
)
def wants_lower_case(arguments: list[str]) -> bool:
    """Whether to lower-case, from the command line: `--lower_case True` or `False`; default on."""
    return not arguments or arguments[1].lower() != "false"


def _parsed(arguments: list[str], **options: Any) -> Any:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lower_case", **options)
    return parser.parse_args(arguments).lower_case


wants_lower_case.wrong(
    "type=bool",
    lambda arguments: _parsed(arguments, type=bool, default=True),
    "`--lower_case False` still switches it on: bool of a text that is not empty is True",
)
wants_lower_case.wrong(
    "off by default",
    lambda arguments: _parsed(arguments, type=lambda t: t.lower() == "true", default=False),
    "without the option it must be on",
)
wants_lower_case.wrong(
    "a switch that is on",
    lambda arguments: _parsed(arguments, action="store_true", default=True),
    "a switch (store_true) takes no value, and one that begins as True can never be switched off",
)
wants_lower_case.wrong(
    "capitals only",
    lambda arguments: _parsed(arguments, type=lambda t: t != "False", default=True),
    "people write `false` as well as `False`: compare in small letters",
)
wants_lower_case.wrong(
    "text",
    lambda arguments: _parsed(arguments, default=True),
    "you return the text that was typed; 'False' as a text counts as true wherever it is tested",
)


def _texts() -> list[tuple[Any, ...]]:
    return [
        ("İstanbul is big", "big"),
        ("My Big dog", "big"),
        ("İİİ in İzmir, BIG", "big"),
        ("big İ", "big"),
        ("ẞ is no problem", "problem"),
    ]


@check(
    "12",
    cases=_texts,
    hints=(
        "lower-case one character at a time, and note for each result where it came from",
        "`origin = [i for i, char in enumerate(text) for _ in char.lower()]`",
    ),
)
def where_in_original(text: str, word: str) -> tuple[int, int]:
    """Where a small-lettered word stands in a text as it was typed: start and end."""
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            if text[start:end].lower() == word:
                return start, end
    return -1, -1


def _shifted(text: str, word: str, by: int) -> tuple[int, int]:
    start = text.lower().index(word)
    return start - by, start - by + len(word)


where_in_original.wrong(
    "offsets of the lowered text",
    lambda text, word: _shifted(text, word, 0),
    "these are places in the *lowered* text, where İ has two characters: keep a map to the typed",
)
where_in_original.wrong(
    "one less",
    lambda text, word: _shifted(text, word, 1),
    "taking 1 away mends one example only: how far it slides depends on the characters before",
)
where_in_original.wrong(
    "not lowered",
    lambda text, word: (text.index(word), text.index(word) + len(word)),
    "`Big` is not found: compare in small letters, but count in the original",
)
where_in_original.wrong(
    "start only",
    lambda text, word: (where_in_original.oracle(text, word)[0], len(word)),
    "the second number is the *end*, start plus length, not the length",
)


# The room of sentence pairs


def _others(draw: Callable[..., Any], follows: int, count: int) -> Any:
    rng = random.Random(19)
    drawn: list[Any] = [draw(follows, count, rng) for _ in range(400 * count)]
    if ... in drawn:
        return ...
    times = Counter(drawn)
    expected = len(drawn) / (count - 1)
    even = all(abs(times[i] - expected) < 6 * expected**0.5 for i in range(count) if i != follows)
    return {
        "never the true next one": times[follows] == 0,
        "in range": set(drawn) <= set(range(count)),
        "all the others": set(drawn) >= set(range(count)) - {follows},
        "equally often": even,
    }


@check(
    "12",
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
    "the true next sentence is still drawn now and then, and then called random",
)
other_sentence.wrong(
    "the first drawn again once",
    lambda follows, count, rng: (
        first if (first := rng.randrange(count)) != follows else rng.randrange(count)
    ),
    "one second chance makes it rarer, not impossible: draw again *until* it is another one",
)
other_sentence.wrong(
    "the neighbour",
    lambda follows, count, rng: (
        first if (first := rng.randrange(count)) != follows else (follows + 1) % count
    ),
    "whoever steps aside to the neighbour takes that one twice as often: draw again instead",
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
    "12",
    cases=_pair_logits,
    hints=("which column is 'B follows A'? bertedu.heads.IS_NEXT is its number",
           "a softmax over the two columns, then that column"),
)  # fmt: skip
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
    "one logit says nothing without the other: a softmax over both columns",
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
    "12",
    cases=lambda: [
        ([["A dog.", "It barks."], ["A sum.", "It is odd.", "So what?"]],),
        ([["One.", "Two."]],),
        ([["a", "b"], ["c", "d"], ["e", "f", "g"]],),
    ],
    hints=("one sentence a line; what does a blank line end?",
           "join the sentences of a document by one line break, and the documents by two"),
)  # fmt: skip
def corpus_text(documents: list[list[str]]) -> str:
    """Documents as BERT's pretraining code reads them: a sentence a line, a blank line between."""
    lines = []
    for number, sentences in enumerate(documents):
        lines += [""] * (number > 0) + sentences
    return "\n".join(lines)


corpus_text.wrong(
    "blank line after each sentence",
    lambda documents: "\n\n".join(s for d in documents for s in d),
    "a blank line ends a document: yours have one sentence each, and no sentence has a next one",
)
corpus_text.wrong(
    "no blank line",
    lambda documents: "\n".join(s for d in documents for s in d),
    "without blank lines it is all one document, and there is no other one to draw a random B from",
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
