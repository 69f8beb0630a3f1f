"""Exhibits 1 to 3, the room of text: their checks."""

import argparse
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from bertedu.classroom.checks.drawing import some
from bertedu.classroom.checks.framework import check

Splits = Mapping[str, Sequence[str]]
_COUNTS = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}


def _splits() -> list[tuple[Any, ...]]:
    start = {w: [w[0], *(f"##{c}" for c in w[1:])] for w in _COUNTS}
    later = start | {"hug": ["hu", "##g"], "hugs": ["hu", "##gs"]}
    other = {"banana": ["b", "##an", "##an", "##a"], "ban": ["b", "##an"], "an": ["a", "##n"]}
    tied = start | {"hugs": ["h", "##u", "##gs"]}
    plain = {"ab": ["a", "##b"], "cd": ["c", "##d"]}
    counted = [(later, _COUNTS), (start, _COUNTS), (tied, _COUNTS), (plain, {"ab": 3, "cd": 2})]
    return [*counted, (other, {"banana": 3, "ban": 2, "an": 5})]


def _any_splits(rng: random.Random) -> tuple[Any, ...]:
    words = {"".join(some(rng, "abnu", 2, 5)): rng.randint(1, 9) for _ in range(rng.randint(1, 4))}
    return {w: [w[0], *(f"##{c}" for c in w[1:])] for w in words}, words


@check(
    "13",
    cases=_splits,
    hints=(
        "count(ab) / (count(a) · count(b)) for every pair; Fractions are never equal by rounding",
        "gather all scores first; then every pair whose score equals the largest",
    ),
    drawn=_any_splits,
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
    "that is the page's mistake: hu ##g stand together 10 times, so their score is 10/225",
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
    "13",
    cases=lambda: [
        (arguments.split(),)
        for arguments in (
            "",
            "--lower_case True",
            "--lower_case False",
            "--lower_case false",
            "--lower_case true",
            "--lower_case FALSE",
            "--lower_case TRUE",
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
        ("İ big and Big", "big"),
    ]


def _any_text(rng: random.Random) -> tuple[Any, ...]:
    word = rng.choice(["big", "dog", "rome"])
    typed = rng.choice([word, word.upper(), word.title()])
    words = some(rng, ["İzmir", "İİ", "a", "ẞ", "My", "İ,"], 0, 4)
    for _ in range(rng.choice([1, 1, 2])):
        words.insert(rng.randint(0, len(words)), typed)
    return " ".join(words), word


@check(
    "13",
    cases=_texts,
    hints=(
        "lower-case one character at a time, and note for each result where it came from",
        "`origin = [i for i, char in enumerate(text) for _ in char.lower()]`",
    ),
    drawn=_any_text,
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
    "these are places in the *lowered* text, where İ has two characters: go back to the original",
)
where_in_original.wrong(
    "one less",
    lambda text, word: _shifted(text, word, 1),
    "taking 1 away mends one example only: how far it moves depends on the characters before",
)
where_in_original.wrong(
    "not lowered",
    lambda text, word: (text.index(word), text.index(word) + len(word)),
    "`Big` is not found: compare in small letters, but count in the original",
)
where_in_original.wrong(
    "the last place",
    lambda text, word: max(
        (start, start + len(word))
        for start in range(len(text))
        if text[start : start + len(word)].lower() == word
    ),
    "the word can stand there more than once: the first place is asked for, yours is the last",
)
where_in_original.wrong(
    "start only",
    lambda text, word: (where_in_original.oracle(text, word)[0], len(word)),
    "the second number is the *end*, start plus length, not the length",
)
