"""Checks of lesson 00: a first look."""

from typing import Any

from bertedu.classroom.checks.framework import check
from bertedu.classroom.checks.tokenizer import tokenizer

# Complete


@check(
    "00",
    cases=lambda: [(8, 6, 384), (20, 12, 768), (3, 2, 5)],
    hints=(
        "one array of states has S rows of H numbers; how many arrays are there?",
        "the embeddings come first, and each of the L layers adds one",
    ),
)
def how_many_numbers(S: int, L: int, H: int) -> int:
    """How many numbers are in all the states together, embeddings included."""
    arrays = ["embeddings", *(f"layer {number}" for number in range(L))]
    return sum(S * H for _ in arrays)


how_many_numbers.wrong(
    "no embeddings",
    lambda S, L, H: L * S * H,
    "the layers' states are right; the embeddings, before the first layer, are missing",
)
how_many_numbers.wrong(
    "last layer only", lambda S, L, H: S * H, "that is one array of states; there are several"
)
how_many_numbers.wrong(
    "attention",
    lambda S, L, H: L * S * S,
    "S × S is the size of an attention; states have S rows of H numbers",
)
how_many_numbers.wrong(
    "plus one",
    lambda S, L, H: L * S * H + 1,
    "one array more, not one number more: (L + 1) comes first, then times S times H",
)


# Build


def _texts() -> list[tuple[Any, ...]]:
    return [
        (["Understanding international telecommunications", "Uhtceare & nebbich!", "1 2 3 4"],),
        (["a b c d e f", "information", "Rhododendron"],),
        (["one two three", "dogs, cats & birds!", "congratulations everybody everywhere"],),
        (["x", "a very long but simple text", "ytterbium"],),
    ]


@check(
    "00",
    cases=_texts,
    hints=("`bert.encode(text)` has a length", "max(texts, key=...) takes a function of a text"),
)
def longest_for_bert(texts: list[str]) -> str:
    """The text with the most tokens."""
    lengths = {len(tokenizer().encode(text)): text for text in reversed(texts)}
    return lengths[max(lengths)]


longest_for_bert.wrong(
    "letters",
    lambda texts: max(texts, key=len),
    "that is the one with the most letters; BERT counts tokens",
)
longest_for_bert.wrong(
    "words",
    lambda texts: max(texts, key=lambda text: len(text.split())),
    "that is the one with the most words; a rare word is several tokens, and so is a sign",
)
longest_for_bert.wrong(
    "the number",
    lambda texts: max(len(tokenizer().encode(text)) for text in texts),
    "that is how long it is; return the text itself",
)
longest_for_bert.wrong(
    "shortest",
    lambda texts: min(texts, key=lambda text: len(tokenizer().encode(text))),
    "that is the shortest one",
)
