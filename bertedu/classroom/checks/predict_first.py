"""Checks of the predictions in the first lessons: 00 and 01."""

from fractions import Fraction

from bertedu.classroom.checks.framework import check
from bertedu.classroom.checks.tokenizer import tokenizer
from bertedu.wordpiece import longest_matches

# Lesson 00


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
    "one SEP", [1, 5, 384], "a [SEP] ends each of the two texts, so that there are two of them"
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
    "that is an attention; the embeddings have one vector for each token",
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

# Lesson 01


@check("01", value=True)
def how_many_pieces() -> dict[str, int]:
    """Into how many pieces four words split."""
    vocabulary = tokenizer().vocab
    words = ["playing", "outplaying", "cuteness"]
    split = {word: len(longest_matches(word, vocabulary)) for word in words}
    return {
        "playing": split["playing"],
        "outplaying": split["outplaying"],
        "dog🤗": 1,
        "cuteness": split["cuteness"],
    }


how_many_pieces.wrong(
    "play ##ing",
    {"playing": 2, "outplaying": 3, "dog🤗": 1, "cuteness": 2},
    "`playing` is in the vocabulary whole, and the longest match wins: see section 4",
)
how_many_pieces.wrong(
    "emoji apart",
    {"playing": 1, "outplaying": 3, "dog🤗": 2, "cuteness": 2},
    "one character without a piece makes its whole word a single [UNK]: see section 6",
)
how_many_pieces.wrong(
    "##outplaying",
    {"playing": 1, "outplaying": 2, "dog🤗": 1, "cuteness": 2},
    "after `out`, a piece must begin with ##, and there is no `##playing`: see section 4",
)


@check("01", value=True)
def segment_ids() -> list[int]:
    """The segment ids of the pair good dog / yes."""
    return [0] * len(["[CLS]", "good", "dog", "[SEP]"]) + [1] * len(["yes", "[SEP]"])


segment_ids.wrong(
    "words only", [0, 0, 1], "special tokens have segment ids, too: each token gets one"
)
segment_ids.wrong(
    "SEP into B",
    [0, 0, 0, 1, 1, 1],
    "the first [SEP] closes A, so that it still has A's segment id 0",
)
segment_ids.wrong(
    "last SEP to A", [0, 0, 0, 0, 1, 0], "the last [SEP] closes B, so that it has B's segment id 1"
)
segment_ids.wrong("from one", [1, 1, 1, 1, 2, 2], "the segments are counted from 0: A is 0, B is 1")


@check("01", value=True)
def p_u_score() -> Fraction:
    """The score of the pair (p, ##u), as a Fraction."""
    return Fraction(17, 17 * 36)


p_u_score.wrong("count", 17, "17 is how often the pair occurs; divide by the counts of both parts")
p_u_score.wrong(
    "each word once",
    Fraction(2, 2 * 4),
    "you count each word once; pug occurs 5 times in the text and pun 12",
)
p_u_score.wrong(
    "divided by one part",
    Fraction(17, 36),
    "the score divides by the counts of both parts, of p as well",
)
