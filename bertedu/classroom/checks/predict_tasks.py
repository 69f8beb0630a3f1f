"""Checks of the predictions in the lessons on the four cases: 08 to 11."""

import math
from fractions import Fraction

from bertedu.classroom.checks.framework import check

# Lesson 08


@check("08", value=True)
def numbers_in_head() -> int:
    """How many parameters the classifier for 5 classes on BERT-base's pooled [CLS] has."""
    return 5 * 768 + 5


numbers_in_head.wrong(
    "no bias", 5 * 768, "that is the matrix; each class also has a bias, a number of its own"
)
numbers_in_head.wrong(
    "one bias", 5 * 768 + 1, "each of the five classes has a bias of its own, not all together"
)
numbers_in_head.wrong(
    "with the pooler",
    768 * 768 + 768 + 5 * 768 + 5,
    "the pooler is there already: next sentence prediction trained it",
)
numbers_in_head.wrong(
    "a row for each token",
    5 * 512 * 768 + 5,
    "only [CLS] is read, one vector of 768 numbers, however long the text is",
)
numbers_in_head.wrong(
    "our size", 5 * 384 + 5, "384 is the width of the course's model; BERT-base is 768 wide"
)


@check("08", value=True)
def loss_of_fresh_head() -> float:
    """About how large the loss of a fresh head with 4 classes is, in nats with two decimals."""
    return round(-math.log(1 / 4), 2)


loss_of_fresh_head.wrong(
    "two classes", 0.69, "that is log 2, for two classes; here a guess is right one time in four"
)
loss_of_fresh_head.wrong(
    "in bits", 2.0, "that is in bits, with the logarithm to base 2; nats have the natural one"
)
loss_of_fresh_head.wrong(
    "the probability", 0.25, "that is the probability of the right class; the loss is its -log"
)
loss_of_fresh_head.wrong(
    "the sign", -1.39, "the sign: the logarithm of 1/4 is negative, and the loss is minus that"
)

# Lesson 09


@check("09", value=True)
def counted_labels() -> dict[str, int]:
    """Words, tokens and counted labels of the request with the ukulele."""
    pieces = {"ukulele": ["uk", "##ule", "##le"]}
    words = ["remind", "me", "to", "tune", "the", "ukulele"]
    tokens = ["[CLS]", *(p for word in words for p in pieces.get(word, [word])), "[SEP]"]
    return {"words": len(words), "tokens": len(tokens), "counted": len(words)}


counted_labels.wrong(
    "every piece",
    {"words": 6, "tokens": 10, "counted": 8},
    "you count a label for every piece: a word answers once, at its first piece",
)
counted_labels.wrong(
    "every token",
    {"words": 6, "tokens": 10, "counted": 10},
    "[CLS] and [SEP] belong to no word, and later pieces have -100: none of them counts",
)
counted_labels.wrong(
    "no special tokens",
    {"words": 6, "tokens": 8, "counted": 6},
    "the input also has [CLS] in front and [SEP] behind",
)
counted_labels.wrong(
    "words for tokens",
    {"words": 6, "tokens": 8, "counted": 5},
    "the split word still answers, with its first piece; and [CLS] and [SEP] are tokens, too",
)


@check("09", value=True)
def table_for_four() -> dict[str, float]:
    """Tag accuracy, precision, recall and F1 of one prediction, by hand."""
    words = 12
    gold = {("party_size", 4, 4), ("restaurant", 6, 8), ("date", 9, 9), ("time", 11, 11)}
    found = {("party_size", 4, 4), ("restaurant", 7, 8), ("date", 9, 9)}
    wrong_tags = {6, 7, 11}  # B- and I- are other tags; and an O for a B-
    right = len(gold & found)
    return {
        "tag accuracy": (words - len(wrong_tags)) / words,
        "precision": right / len(found),
        "recall": right / len(gold),
        "f1": 2 * right / (len(found) + len(gold)),
    }


table_for_four.wrong(
    "half right",
    {"tag accuracy": 9 / 12, "precision": 2.5 / 3, "recall": 2.5 / 4, "f1": 5 / 7},
    "you count the restaurant as half right: a slot is right as a whole, or not at all",
)
table_for_four.wrong(
    "overlap",
    {"tag accuracy": 9 / 12, "precision": 1.0, "recall": 3 / 4, "f1": 6 / 7},
    "“golden dragon” only overlaps “the golden dragon”: its first word is wrong, so the slot is",
)
table_for_four.wrong(
    "turned round",
    {"tag accuracy": 9 / 12, "precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7},
    "precision and recall are exchanged: precision is a share of what was *found*",
)
table_for_four.wrong(
    "arithmetic mean",
    {"tag accuracy": 9 / 12, "precision": 2 / 3, "recall": 2 / 4, "f1": 7 / 12},
    "F1 is not the ordinary mean of the two: it is 2 · right / (found + true)",
)
table_for_four.wrong(
    "golden is right",
    {"tag accuracy": 10 / 12, "precision": 2 / 3, "recall": 2 / 4, "f1": 4 / 7},
    "“golden” has B-restaurant where I-restaurant is right: these are two different tags",
)

# Lesson 10


@check("10", value=True)
def loss_of_ignorance() -> float:
    """The loss of a model that gives three labels the same probability, nats, two decimals."""
    return round(-math.log(1 / 3), 2)


loss_of_ignorance.wrong("two labels", 0.69, "ln 2 is for two labels; here each of three gets 1/3")
loss_of_ignorance.wrong("a share", 0.33, "1/3 is the probability; the loss is -log of it")
loss_of_ignorance.wrong("bits", 1.58, "that is in bits (log to base 2); the loss is in nats: ln")
loss_of_ignorance.wrong("base 10", 0.48, "that is the logarithm to base 10; nats need ln")
loss_of_ignorance.wrong("no loss", 0.0, "a loss of 0 would be certain, and right, each time")


@check("10", value=True)
def lazy_scores() -> dict[str, Fraction]:
    """What "always neutral" scores, with three labels and when only "true or not" is asked."""
    labels = ("entailment", "contradiction", "neutral")
    true = [label == "entailment" for label in labels]
    return {
        "three labels": Fraction(labels.count("neutral"), len(labels)),
        "true or not": Fraction(true.count(False), len(true)),
    }


_THIRD, _HALF, _MOST = Fraction(1, 3), Fraction(1, 2), Fraction(2, 3)
lazy_scores.wrong(
    "a half",
    {"three labels": _THIRD, "true or not": _HALF},
    "two labels are not two halves: contradiction and neutral both become “not true”",
)
lazy_scores.wrong(
    "nothing changes",
    {"three labels": _THIRD, "true or not": _THIRD},
    "“neutral” also counts as right for a contradiction, once only “not true” is asked",
)
lazy_scores.wrong(
    "turned round",
    {"three labels": _MOST, "true or not": _THIRD},
    "turned round: with fewer labels it is easier to be right by doing nothing",
)

# Lesson 11


@check("11", value=True)
def head_sizes() -> list[int]:
    """How many parameters the head has, in this model and in BERT-base."""
    vectors = 2  # start and end, each with a bias
    return [vectors * (width + 1) for width in (384, 768)]


head_sizes.wrong("no biases", [768, 1536], "the two vectors are there; each dot product has a bias")
head_sizes.wrong(
    "one vector", [385, 769], "that is one vector and its bias; the start has one, and the end"
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
    "right without a limit; with it, the last token has one span only: there is nothing behind it",
)


@check("11", value=True, hints=("articles and case do not count: which words are left of each?",))
def official_scores() -> list[float]:
    """Exact match and F1 of "Within a cloud" where "the cloud" is right, with two decimals."""
    found, gold = ["within", "cloud"], ["cloud"]
    precision, recall = len(gold) / len(found), 1
    return [0.0, round(2 * precision * recall / (precision + recall), 2)]


official_scores.wrong(
    "articles count",
    [0.0, 0.4],
    "you count the articles as words; a, an and the are taken away before comparing",
)
official_scores.wrong(
    "precision", [0.0, 0.5], "that is the precision, 1 of 2 words; F1 joins it with the recall"
)
official_scores.wrong(
    "recall", [0.0, 1.0], "that is the recall: all words of the right answer are in yours"
)
official_scores.wrong(
    "exact", [1.0, 0.67], "the F1 is right; but `within` is one word too many for an exact match"
)
