"""Checks of lesson 00: a first look."""

import random
from typing import Any

from bertedu.classroom.checks.drawing import some
from bertedu.classroom.checks.framework import check
from bertedu.classroom.checks.tokenizer import tokenizer

# Predict


@check("00", value=True)
def embeddings_shape() -> list[int]:
    """The shape of the embeddings of the pair good dog / yes, for the course's own BERT."""
    return [1, len(["[CLS]", "good", "dog", "[SEP]", "yes", "[SEP]"]), 384]


embeddings_shape.wrong(
    "words only",
    [1, 3, 384],
    "the special tokens are tokens, too: [CLS], and a [SEP] behind each text",
)
embeddings_shape.wrong(
    "one SEP",
    [1, 5, 384],
    "one token is missing: [CLS] begins the input, and a [SEP] ends each text",
)
embeddings_shape.wrong(
    "no batch", [6, 384], "the first number is the batch: how many inputs BERT reads at a time"
)
embeddings_shape.wrong(
    "two inputs", [2, 6, 384], "the two texts are one input, in one row: the batch is 1"
)
embeddings_shape.wrong(
    "attention",
    [1, 12, 6, 6],
    "that is the shape of a layer's attention; embeddings have one vector for each token",
)


@check("00", value=True)
def times_as_many() -> int:
    """How many times as many numbers an attention has when the text is twice as long."""
    return 20 * 20 // (10 * 10)


times_as_many.wrong(
    "twice", 2, "twice as many rows, and each of them is twice as long: the attention is S × S"
)
times_as_many.wrong("cubed", 8, "an attention is S × S, a square, not a cube")
times_as_many.wrong(
    "the same", 1, "each token spreads its attention over *all* tokens: more of them, more numbers"
)
times_as_many.wrong(
    "the numbers", 400, "that is how many there are for 20 tokens; how many times those for 10?"
)


# Complete


@check(
    "00",
    cases=lambda: [(8, 6, 384), (20, 12, 768), (3, 2, 5)],
    hints=(
        "one array of states has S rows of H numbers; how many arrays are there?",
        "the embeddings come first, and each of the L layers adds one",
    ),
    drawn=lambda rng: (rng.randint(1, 40), rng.randint(1, 12), rng.randint(2, 99)),
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


_WORDS = ["a", "dog", "information", "telecommunications", "Uhtceare", "nebbich", "ytterbium", "&",
          "Rhododendron", "1234567", "!", "international", "congratulations"]  # fmt: skip


def _few_texts(rng: random.Random) -> tuple[Any, ...]:
    return ([" ".join(some(rng, _WORDS, 1, 5)) for _ in range(rng.randint(1, 4))],)


@check(
    "00",
    cases=_texts,
    hints=("`bert.encode(text)` has a length", "max(texts, key=...) takes a function of a text"),
    drawn=_few_texts,
)
def longest_for_bert(texts: list[str]) -> str:
    """The text with the most tokens."""
    lengths = {len(tokenizer().encode(text)): text for text in reversed(texts)}
    return lengths[max(lengths)]


longest_for_bert.wrong(
    "letters",
    lambda texts: max(texts, key=len),
    "that is the one with the most characters; BERT counts tokens",
)
longest_for_bert.wrong(
    "words",
    lambda texts: max(texts, key=lambda text: len(text.split())),
    "that is the one with the most words; a rare word is several tokens, and each punctuation mark "
    "is a token",
)
longest_for_bert.wrong(
    "the number",
    lambda texts: max(len(tokenizer().encode(text)) for text in texts),
    "that is its number of tokens; return the text itself",
)
longest_for_bert.wrong(
    "shortest",
    lambda texts: min(texts, key=lambda text: len(tokenizer().encode(text))),
    "that is the shortest one",
)
